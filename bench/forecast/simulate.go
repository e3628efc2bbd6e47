package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// visit is an age at which vaccines are usually given.
type visit struct {
	months int
	cvx    []string
}

// visits is roughly the routine schedule, by codes in use; enough for histories
// of a realistic length and mixture, not a source of when anything is due.
var visits = []visit{
	{0, []string{"08"}},
	{2, []string{"110", "49", "133", "116"}},
	{4, []string{"110", "49", "133", "116"}},
	{6, []string{"110", "49", "133", "116", "150"}},
	{12, []string{"03", "21", "83", "133"}},
	{15, []string{"20", "49"}},
	{18, []string{"83"}},
	{48, []string{"130", "94"}},
	{132, []string{"115", "165", "114"}},
	{138, []string{"165"}},
	{192, []string{"114", "162"}},
	{312, []string{"113"}},
	{432, []string{"113"}},
	{600, []string{"187", "216"}},
	{602, []string{"187"}},
	{720, []string{"113", "305"}},
}

var risks = []string{"007", "014", "015", "032", "042", "154", "160", "186", "048"}

type patient struct {
	ID           string        `json:"id"`
	DOB          string        `json:"dob"`
	Gender       string        `json:"gender"`
	Assessment   string        `json:"assessment_date"`
	Observations []observation `json:"observations"`
	Doses        []dose        `json:"doses"`
}

type observation struct {
	Code string `json:"code"`
	Date string `json:"date"`
}

type dose struct {
	Date      string `json:"date"`
	CVX       string `json:"cvx"`
	MVX       string `json:"mvx"`
	Condition bool   `json:"condition"`
}

// simulate makes n patients: three in four are children, most are in time, some
// are late, some missed visits, a few have a risk or a broken cold chain.
func simulate(rng *rand.Rand, n int) [][]byte {
	today := time.Date(2025, 11, 10, 0, 0, 0, 0, time.UTC)
	out := make([][]byte, 0, n)
	for i := range n {
		days := rng.IntN(18 * 365)
		if rng.IntN(4) == 0 {
			days = rng.IntN(90 * 365)
		}
		born := today.AddDate(0, 0, -days)
		p := patient{
			ID: strconv.Itoa(i), DOB: born.Format(time.DateOnly), Gender: []string{"F", "M", "U"}[rng.IntN(20)%3],
			Assessment: today.Format(time.DateOnly), Observations: []observation{}, Doses: []dose{},
		}
		late := rng.IntN(10) == 0
		for _, v := range visits {
			given := born.AddDate(0, v.months, rng.IntN(20)-2)
			if late {
				given = given.AddDate(0, 0, rng.IntN(200))
			}
			if !given.Before(today) || given.Before(born) || rng.IntN(8) == 0 {
				continue
			}
			for _, c := range v.cvx {
				p.Doses = append(p.Doses, dose{Date: given.Format(time.DateOnly), CVX: c, Condition: rng.IntN(500) == 0})
			}
		}
		if rng.IntN(10) == 0 {
			p.Observations = append(p.Observations, observation{Code: risks[rng.IntN(len(risks))]})
		}
		line, err := json.Marshal(p)
		if err != nil {
			panic(fmt.Sprintf("a simulated patient cannot be written: %v", err))
		}
		out = append(out, line)
	}
	return out
}
