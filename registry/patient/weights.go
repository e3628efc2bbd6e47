package patient

import (
	_ "embed"
	"encoding/json"
	"iter"
	"math"

	"github.com/coldkeep/coldkeep"
)

// Weights says how much each level of agreement speaks for one person, and from which
// totals on two records are taken to be one, or are shown to a person.
type Weights struct {
	Upper         float64 // merged without a person, if nothing speaks against it
	Lower         float64 // shown to a person
	HouseholdMost float64 // what address, telephone, e-mail, mother and guardian speak for at most together: families share them
	Origin        string
	weight        [fieldCount][maxLevels]float64
}

// LevelWeight is a line of the table: how often records of one person (M) and of two (U)
// agree at a level.
type LevelWeight struct {
	Field string  `json:"field"`
	Level string  `json:"level"`
	M     float64 `json:"m"`
	U     float64 `json:"u"`
}

type weightTable struct {
	Origin        string        `json:"origin"`
	Upper         float64       `json:"upper"`
	Lower         float64       `json:"lower"`
	HouseholdMost float64       `json:"household_most"`
	Levels        []LevelWeight `json:"levels"`
}

//go:embed weights.json
var weightsJSON []byte

// DefaultWeights is the table that the registry comes with.
var DefaultWeights = func() *Weights {
	w, err := ReadWeights(weightsJSON)
	if err != nil {
		panic(err) // the embedded table is tested
	}
	return w
}()

// ReadWeights reads a table in the form of weights.json. EINVALID when a field or level is
// not known, is missing, or has a frequency that is not between 0 and 1.
func ReadWeights(b []byte) (*Weights, error) {
	var t weightTable
	if err := json.Unmarshal(b, &t); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "patient.ReadWeights", "weights of matching: not readable")
	}
	w := &Weights{Upper: t.Upper, Lower: t.Lower, HouseholdMost: t.HouseholdMost, Origin: t.Origin}
	if w.Lower <= 0 || w.Upper <= w.Lower {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "weights of matching: want 0 < lower < upper")
	}
	var seen [fieldCount][maxLevels]bool
	for _, l := range t.Levels {
		f, n, ok := levelOf(l.Field, l.Level)
		if !ok {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "weights of matching: there is no level %q of %q", l.Level, l.Field)
		}
		if !(l.M > 0 && l.M < 1 && l.U > 0 && l.U < 1) {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "weights of matching: %s, %s: want m and u between 0 and 1", l.Field, l.Level)
		}
		w.weight[f][n], seen[f][n] = math.Log2(l.M/l.U), true
	}
	for f, levels := range levelNames {
		for n := range levels {
			if n > 0 && !seen[f][n] {
				return nil, coldkeep.Errorf(coldkeep.EINVALID, "weights of matching: %s, %s is missing", fieldNames[f], levels[n])
			}
		}
	}
	return w, nil
}

func levelOf(field, level string) (f, n int, ok bool) {
	for f := range levelNames {
		if fieldNames[f] != field {
			continue
		}
		for n, name := range levelNames[f] {
			if n > 0 && name == level {
				return f, n, true
			}
		}
	}
	return 0, 0, false
}

// Estimate counts the levels of labelled pairs and gives the table's lines anew: same are
// pairs of records of one person, different pairs of records of two. A level that was not
// seen gets half a pair, so that no weight is without bound.
func Estimate(same, different iter.Seq2[*Profile, *Profile]) []LevelWeight {
	count := func(pairs iter.Seq2[*Profile, *Profile]) (n [fieldCount][maxLevels]float64, total [fieldCount]float64) {
		for a, b := range pairs {
			c := DefaultWeights.Compare(a, b)
			for f, level := range c.level {
				if level > 0 {
					n[f][level]++
					total[f]++
				}
			}
		}
		return n, total
	}
	m, ms := count(same)
	u, us := count(different)
	var out []LevelWeight
	for f, levels := range levelNames {
		k := float64(len(levels)) - 1
		for n := 1; n < len(levels); n++ {
			out = append(out, LevelWeight{fieldNames[f], levels[n], (m[f][n] + 0.5) / (ms[f] + 0.5*k + 0.5), (u[f][n] + 0.5) / (us[f] + 0.5*k + 0.5)})
		}
	}
	return out
}
