package hl7_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// Each of these has once left another record when it came in another order.
func TestLate(t *testing.T) {
	fever := `OBX|8|CE|31044-1^Reaction^LN|8|^Fever^L||||||F`
	immune := func(from string) string {
		return `OBX|9|CE|59784-9^Immunity^LN|9|38907003^Varicella^SCT||||||F|||` + from
	}
	bare := func(order []string) []string { return order[:2] }
	action := func(order []string, code string) []string {
		order = slices.Clone(order)
		order[1] = strings.TrimSuffix(order[1], "A") + code
		return order
	}
	plain := func(order []string) []string {
		order = slices.Clone(order)
		order[0] = "ORC|RE||9999^MYEHR"
		return order
	}
	cases := map[string][][]string{
		"a later message leaves out what an earlier one tells": {given("K1", "20240115", "03", "X123", "V02"), bare(given("K1", "20240115", "03", "", ""))},
		"the lot of the stock, and then another":               {given("K1", "20240115", "03", "X123", "V02"), bare(given("K1", "20240115", "03", "ELSEWHERE", ""))},
		"given, told of by others, given":                      {given("K1", "20240115", "03", "X123", "V02"), told("K1", "20240115", "03", "02"), bare(given("K1", "20240115", "03", "", ""))},
		"what a deletion lies between":                         {append(given("K1", "20240115", "03", "X123", "V02"), fever), action(told("K1", "20240115", "03", "01"), "D"), bare(given("K1", "20240115", "03", "", ""))},
		"a reaction":                                           {append(told("K3", "20240115", "20", "02"), fever), told("K3", "20240115", "20", "02")},
		"a fact with two dates":                                {append(told("K3", "20240115", "20", "02"), immune("20240105")), append(told("K3", "20240115", "20", "02"), immune("20240106"))},
		"one dose by two numbers, one of which moves":          {told("K3", "20240115", "20", "02"), told("K4", "20240115", "20", "02"), told("K3", "20240215", "20", "02")},
		"one dose by two numbers, one of which is deleted":     {told("K3", "20240115", "20", "02"), told("K4", "20240115", "20", "02"), action(told("K3", "20240115", "20", "02"), "D")},
		"without a number":                                     {plain(told("K3", "20240115", "20", "02")), told("K4", "20240115", "20", "01"), plain(told("K3", "20240115", "20", "03"))},
		"two sources of which neither says more":               {told("K3", "20240115", "107", "01"), told("K4", "20240115", "107", "02"), told("K5", "20240115", "107", "03")},
	}
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.lot("X123", 10_000)
		w.drawn = map[string]int{}
		n := 0
		for name, orders := range cases {
			want := ""
			for _, p := range permutations(len(orders)) {
				n++
				c := newChild(n)
				anonymous := strings.NewReplacer(c.birth.String(), "BIRTH", c.words.Replace("^Ada^")[1:6], "GIVEN", c.words.Replace("4711^")[:7], "NUMBER", c.words.Replace("5550133"), "PHONE", c.words.Replace("12 Elm St^^"), "STREET", c.words.Replace("Elm St^^"), "STREET")
				texts := make([]string, len(orders))
				for i, o := range orders {
					texts[i] = c.words.Replace(strings.Replace((&world{}).vxu(i+1, append([]string{strings.Replace(pidAda, "12 Elm St^^Springfield^IL^62701^USA^H", "", 1)}, o...)...), "|M1|", "|S"+string(rune('a'+i))+"|", 1))
				}
				for _, i := range p {
					w.tell(t, w.exchange, saying{0, texts[i]})
				}
				w.clock.add(10 * time.Second)
				got := anonymous.Replace(w.holds(t, c))
				if want == "" {
					want = got
				}
				if got != want {
					t.Errorf("%s: in the order in which they were made\n%s\nin the order %v\n%s", name, want, p, got)
				}
			}
		}
	})
}

// permutations lists the orders of n things, the given one first.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var out [][]int
	for _, p := range permutations(n - 1) {
		for at := n - 1; at >= 0; at-- {
			out = append(out, slices.Insert(slices.Clone(p), at, n-1))
		}
	}
	return out
}
