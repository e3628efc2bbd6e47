package excursion

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
)

// record makes one reading a minute of pieces such as "20x46.1F": 20 readings of
// 46.1 °F, rounded to the thousandth of °C that the engine compares.
func record(t testing.TB, pieces string) []Sample {
	t.Helper()
	var temps []coldkeep.Temperature
	for _, p := range strings.Fields(pieces) {
		n, temp, ok := strings.Cut(p, "x")
		count, err := strconv.Atoi(n)
		scale := temp[len(temp)-1]
		v, err2 := strconv.ParseFloat(temp[:len(temp)-1], 64)
		if !ok || err != nil || err2 != nil || scale != 'C' && scale != 'F' {
			t.Fatalf("%q is no piece of a record", p)
		}
		if scale == 'F' {
			v = (v - 32) * 5 / 9
		}
		for range count {
			temps = append(temps, coldkeep.Temperature(math.Round(v*1000)))
		}
	}
	return steady(temps...)
}

// Hand-computed cases of every rule of every profile: at the limit, one step to each
// side in the unit in which it is published, and, where a rule counts minutes, at
// the minute and one before it. A run of n readings lasts n minutes until the reading
// after it, and n-1 from its first to its last, which is what "for so many minutes
// without a break" asks. rule is the number of the rule in its file; met says that
// it is this rule that is met in the case.
func TestEveryRuleAtItsBoundary(t *testing.T) {
	const (
		likeCDC = "cdc illinois california texas"
		like    = likeCDC + " alabama"
	)
	covered := map[string][2]bool{}
	for _, c := range []struct {
		profiles string
		unit     coldkeep.Unit
		rule     int
		met      bool
		record   string
		want     string // the last finding: kind, rule, actions, minutes out; "" none
	}{
		// CDC, 2 to 8 °C. Rule 1: any reading above 8 °C is logged.
		{like + " who-pqs", "refrigerator", 1, false, "60x7.999C", ""},
		{like + " who-pqs", "refrigerator", 1, false, "60x8C", ""},
		{like + " who-pqs", "refrigerator", 1, true, "5x5C 1x8.001C 15x5C", "too-warm instant log 1"},
		// Rule 2: 30 minutes above 8 °C.
		{likeCDC, "refrigerator", 2, false, "5x5C 30x8.001C 15x5C", "too-warm instant log 30"},
		{likeCDC, "refrigerator", 2, true, "5x5C 31x8.001C 15x5C", "too-warm consecutive log+alert+hold 31"},
		{likeCDC, "refrigerator", 2, true, "5x5C 32x8.001C 15x5C", "too-warm consecutive log+alert+hold 32"},
		{likeCDC, "refrigerator", 2, false, "5x5C 20x8.001C 1x8C 20x8.001C 15x5C", "too-warm instant log 40"}, // a reading at the limit breaks the run
		// Rule 3: 60 minutes above 8 °C in pieces, within 24 hours.
		{likeCDC, "refrigerator", 3, false, "20x9C 60x5C 20x9C 60x5C 19x9C 15x5C", "too-warm instant log 19"},
		{likeCDC, "refrigerator", 3, true, "20x9C 60x5C 20x9C 60x5C 20x9C 15x5C", "too-warm cumulative log+alert+hold 20"},
		{likeCDC, "refrigerator", 3, true, "20x8.001C 60x5C 20x8.001C 60x5C 20x8.001C 15x5C", "too-warm cumulative log+alert+hold 20"},
		{likeCDC, "refrigerator", 3, false, "20x9C 60x5C 20x9C 60x5C 20x8C 15x5C", "too-warm instant log 20"},
		// 20 + 40 + 20 + 1340 + 20 minutes are the 24 hours; a minute more and the first of
		// them has gone out of the window.
		{likeCDC, "refrigerator", 3, true, "20x9C 40x5C 20x9C 1340x5C 20x9C 15x5C", "too-warm cumulative log+alert+hold 20"},
		{likeCDC, "refrigerator", 3, false, "20x9C 40x5C 20x9C 1341x5C 20x9C 15x5C", "too-warm instant log 20"},
		// Rule 4: any reading below 2 °C is logged.
		{like, "refrigerator", 4, false, "60x2.001C", ""},
		{like, "refrigerator", 4, false, "60x2C", ""},
		{like, "refrigerator", 4, true, "5x5C 1x1.999C 15x5C", "too-cold instant log 1"},
		// Rule 5: 0 °C freezes at once.
		{like, "refrigerator", 5, false, "5x5C 1x0.001C 15x5C", "too-cold instant log 1"},
		{like, "refrigerator", 5, true, "5x5C 1x0C 15x5C", "too-cold instant log+alert+hold 1"},
		{like, "refrigerator", 5, true, "5x5C 1x-0.001C 15x5C", "too-cold instant log+alert+hold 1"},
		// Rule 6: 15 minutes below 2 °C.
		{like, "refrigerator", 6, false, "5x5C 15x1.999C 15x5C", "too-cold instant log 15"},
		{like, "refrigerator", 6, true, "5x5C 16x1.999C 15x5C", "too-cold consecutive log+alert+hold 16"},
		{like, "refrigerator", 6, false, "5x5C 10x1.999C 1x2C 10x1.999C 15x5C", "too-cold instant log 20"},
		// Rule 7: 60 minutes below 2 °C in pieces, each too short for rule 6, within 24 hours.
		{like, "refrigerator", 7, false, "14x1C 20x5C 14x1C 20x5C 14x1C 20x5C 14x1C 20x5C 3x1C 15x5C", "too-cold instant log 3"},
		{like, "refrigerator", 7, true, "14x1C 20x5C 14x1C 20x5C 14x1C 20x5C 14x1C 20x5C 4x1C 15x5C", "too-cold cumulative log+alert+hold 4"},
		{like, "refrigerator", 7, true, "14x1C 20x5C 14x1C 20x5C 14x1C 20x5C 14x1C 1320x5C 4x1C 15x5C", "too-cold cumulative log+alert+hold 4"}, // 116 + 1320 + 4 = 1440
		{like, "refrigerator", 7, false, "14x1C 20x5C 14x1C 20x5C 14x1C 20x5C 14x1C 1321x5C 4x1C 15x5C", "too-cold instant log 4"},

		// CDC, freezer, -50 to -15 °C. Rule 1: any reading above -15 °C is logged.
		{like, "freezer", 1, false, "120x-15.001C", ""},
		{like, "freezer", 1, false, "120x-15C", ""},
		{like, "freezer", 1, true, "5x-20C 1x-14.999C 15x-20C", "too-warm instant log 1"},
		// Rule 2: 60 minutes above -15 °C.
		{like, "freezer", 2, false, "5x-20C 60x-14.999C 15x-20C", "too-warm instant log 60"},
		{like, "freezer", 2, true, "5x-20C 61x-14.999C 15x-20C", "too-warm consecutive log+alert+hold 61"},
		{like, "freezer", 2, false, "5x-20C 40x-14.999C 1x-15C 40x-14.999C 15x-20C", "too-warm instant log 80"},
		// Rule 3: above 0 °C it thaws.
		{like, "freezer", 3, false, "5x-20C 1x-0.001C 15x-20C", "too-warm instant log 1"},
		{like, "freezer", 3, false, "5x-20C 1x0C 15x-20C", "too-warm instant log 1"},
		{like, "freezer", 3, true, "5x-20C 1x0.001C 15x-20C", "too-warm instant log+alert+hold 1"},
		// Rule 4: any reading below -50 °C is logged.
		{like, "freezer", 4, false, "120x-49.999C", ""},
		{like, "freezer", 4, false, "120x-50C", ""},
		{like, "freezer", 4, true, "5x-20C 1x-50.001C 15x-20C", "too-cold instant log 1"},
		// Rule 5: 60 minutes below -50 °C.
		{like, "freezer", 5, false, "5x-20C 60x-50.001C 15x-20C", "too-cold instant log 60"},
		{like, "freezer", 5, true, "5x-20C 61x-50.001C 15x-20C", "too-cold consecutive log+alert+hold 61"},
		{like, "freezer", 5, false, "5x-20C 40x-50.001C 1x-50C 40x-50.001C 15x-20C", "too-cold instant log 80"},

		// CDC, ultra-cold, -90 to -60 °C.
		{like + " maryland", "ultra-cold", 1, false, "60x-60.001C", ""},
		{like + " maryland", "ultra-cold", 1, false, "60x-60C", ""},
		{like + " maryland", "ultra-cold", 1, true, "5x-75C 1x-59.999C 15x-75C", "too-warm instant log 1"},
		{like + " maryland", "ultra-cold", 2, false, "5x-75C 30x-59.999C 15x-75C", "too-warm instant log 30"},
		{like + " maryland", "ultra-cold", 2, true, "5x-75C 31x-59.999C 15x-75C", "too-warm consecutive log+alert+hold 31"},
		{like, "ultra-cold", 3, false, "60x-89.999C", ""},
		{like, "ultra-cold", 3, false, "60x-90C", ""},
		{like, "ultra-cold", 3, true, "5x-75C 1x-90.001C 15x-75C", "too-cold instant log 1"},
		{like, "ultra-cold", 4, false, "5x-75C 30x-90.001C 15x-75C", "too-cold instant log 30"},
		{like, "ultra-cold", 4, true, "5x-75C 31x-90.001C 15x-75C", "too-cold consecutive log+alert+hold 31"},

		// Alabama, refrigerator, where it differs. Rule 2: its preset of 60 minutes above
		// 8 °C. The 60 minutes in pieces that stand beside it are up at the reading after 60.
		{"alabama", "refrigerator", 2, false, "5x5C 31x8.001C 15x5C", "too-warm instant log 31"},
		{"alabama", "refrigerator", 2, false, "5x5C 59x8.001C 15x5C", "too-warm instant log 59"},
		{"alabama", "refrigerator", 2, true, "5x5C 61x8.001C 15x5C", "too-warm consecutive log+alert+hold 61"},
		{"alabama", "refrigerator", 2, false, "5x5C 61x8C 15x5C", ""},
		{"alabama", "refrigerator", 3, true, "5x5C 60x8.001C 15x5C", "too-warm cumulative log+alert+hold 60"},
		{"alabama", "refrigerator", 3, false, "20x9C 60x5C 20x9C 60x5C 19x9C 15x5C", "too-warm instant log 19"},
		{"alabama", "refrigerator", 3, true, "20x9C 40x5C 20x9C 1340x5C 20x9C 15x5C", "too-warm cumulative log+alert+hold 20"},
		{"alabama", "refrigerator", 3, false, "20x9C 40x5C 20x9C 1341x5C 20x9C 15x5C", "too-warm instant log 20"},

		// Maryland, refrigerator, 36 to 46 °F. 46 °F is 7.777… °C, 36 °F 2.222… °C.
		{"maryland", "refrigerator", 1, false, "60x45.9F", ""},
		{"maryland", "refrigerator", 1, false, "60x7.777C", ""},
		{"maryland", "refrigerator", 1, true, "5x40F 1x7.778C 15x40F", "too-warm instant log 1"},
		{"maryland", "refrigerator", 1, true, "5x40F 1x46.1F 15x40F", "too-warm instant log 1"},
		// Rule 2: 20 minutes are level 1, 21 are not.
		{"maryland", "refrigerator", 2, false, "5x40F 21x46.1F 15x40F", "too-warm instant log 21"},
		{"maryland", "refrigerator", 2, true, "5x40F 22x46.1F 15x40F", "too-warm consecutive log+warn 22"},
		// Rule 3: 30 minutes, CDC's.
		{"maryland", "refrigerator", 3, false, "5x40F 30x46.1F 15x40F", "too-warm consecutive log+warn 30"},
		{"maryland", "refrigerator", 3, true, "5x40F 31x46.1F 15x40F", "too-warm consecutive log+warn+alert+hold 31"},
		{"maryland", "refrigerator", 3, false, "5x40F 20x46.1F 1x45.9F 20x46.1F 15x40F", "too-warm instant log 40"},
		// Rule 4: 60 minutes in pieces within 48 hours: 20 + 40 + 20 + 2780 + 20 = 2880.
		{"maryland", "refrigerator", 4, false, "20x47F 40x40F 20x47F 40x40F 19x47F 15x40F", "too-warm instant log 19"},
		{"maryland", "refrigerator", 4, true, "20x46.1F 40x40F 20x46.1F 40x40F 20x46.1F 15x40F", "too-warm cumulative log+alert+hold 20"},
		{"maryland", "refrigerator", 4, true, "20x47F 40x40F 20x47F 2780x40F 20x47F 15x40F", "too-warm cumulative log+alert+hold 20"},
		{"maryland", "refrigerator", 4, false, "20x47F 40x40F 20x47F 2781x40F 20x47F 15x40F", "too-warm instant log 20"},
		{"maryland", "refrigerator", 5, false, "60x36.1F", ""},
		{"maryland", "refrigerator", 5, false, "60x2.223C", ""},
		{"maryland", "refrigerator", 5, true, "5x40F 1x2.222C 15x40F", "too-cold instant log 1"},
		{"maryland", "refrigerator", 5, true, "5x40F 1x35.9F 15x40F", "too-cold instant log 1"},
		// Rule 6: 33 °F (0.555… °C) or below at any point.
		{"maryland", "refrigerator", 6, false, "5x40F 1x33.1F 15x40F", "too-cold instant log 1"},
		{"maryland", "refrigerator", 6, false, "5x40F 1x0.556C 15x40F", "too-cold instant log 1"},
		{"maryland", "refrigerator", 6, true, "5x40F 1x0.555C 15x40F", "too-cold instant log+alert+hold 1"},
		{"maryland", "refrigerator", 6, true, "5x40F 1x32.9F 15x40F", "too-cold instant log+alert+hold 1"},
		{"maryland", "refrigerator", 7, false, "5x40F 21x35.9F 15x40F", "too-cold instant log 21"},
		{"maryland", "refrigerator", 7, true, "5x40F 22x35.9F 15x40F", "too-cold consecutive log+warn 22"},
		// Rule 8: below 36 °F, not below 33, for 60 minutes. At 60 minutes until the reading
		// after, the pieces of rule 9 are up first.
		{"maryland", "refrigerator", 8, false, "5x40F 59x33.1F 15x40F", "too-cold consecutive log+warn 59"},
		{"maryland", "refrigerator", 8, true, "5x40F 61x33.1F 15x40F", "too-cold consecutive log+warn+alert+hold 61"},
		{"maryland", "refrigerator", 8, false, "5x40F 61x36.1F 15x40F", ""},
		{"maryland", "refrigerator", 9, true, "5x40F 60x35.9F 15x40F", "too-cold cumulative log+warn+alert+hold 60"},
		{"maryland", "refrigerator", 9, false, "20x35F 40x40F 20x35F 40x40F 19x35F 15x40F", "too-cold instant log 19"},
		{"maryland", "refrigerator", 9, true, "20x35F 40x40F 20x35F 40x40F 20x35F 15x40F", "too-cold cumulative log+alert+hold 20"},
		{"maryland", "refrigerator", 9, true, "20x35F 40x40F 20x35F 2780x40F 20x35F 15x40F", "too-cold cumulative log+alert+hold 20"},
		{"maryland", "refrigerator", 9, false, "20x35F 40x40F 20x35F 2781x40F 20x35F 15x40F", "too-cold instant log 20"},

		// Maryland, freezer, -58 to 5 °F. 5 °F is -15 °C, 32 °F 0 °C, -58 °F -50 °C.
		{"maryland", "freezer", 1, false, "120x4.9F", ""},
		{"maryland", "freezer", 1, false, "120x5F", ""},
		{"maryland", "freezer", 1, true, "5x-4F 1x5.1F 15x-4F", "too-warm instant log 1"},
		{"maryland", "freezer", 1, true, "5x-4F 1x-14.999C 15x-4F", "too-warm instant log 1"},
		{"maryland", "freezer", 2, false, "5x-4F 21x5.1F 15x-4F", "too-warm instant log 21"},
		{"maryland", "freezer", 2, true, "5x-4F 22x5.1F 15x-4F", "too-warm consecutive log+warn 22"},
		{"maryland", "freezer", 3, false, "5x-4F 59x5.1F 15x-4F", "too-warm consecutive log+warn 59"},
		{"maryland", "freezer", 3, true, "5x-4F 61x5.1F 15x-4F", "too-warm consecutive log+warn+alert+hold 61"},
		{"maryland", "freezer", 4, true, "5x-4F 60x5.1F 15x-4F", "too-warm cumulative log+warn+alert+hold 60"},
		{"maryland", "freezer", 4, false, "20x6F 40x-4F 20x6F 40x-4F 19x6F 15x-4F", "too-warm instant log 19"},
		{"maryland", "freezer", 4, true, "20x6F 40x-4F 20x6F 2780x-4F 20x6F 15x-4F", "too-warm cumulative log+alert+hold 20"},
		{"maryland", "freezer", 4, false, "20x6F 40x-4F 20x6F 2781x-4F 20x6F 15x-4F", "too-warm instant log 20"},
		{"maryland", "freezer", 5, false, "5x-4F 1x31.9F 15x-4F", "too-warm instant log 1"},
		{"maryland", "freezer", 5, false, "5x-4F 1x32F 15x-4F", "too-warm instant log 1"},
		{"maryland", "freezer", 5, true, "5x-4F 1x32.1F 15x-4F", "too-warm instant log+alert+hold 1"},
		{"maryland", "freezer", 6, false, "60x-57.9F", ""},
		{"maryland", "freezer", 6, false, "60x-58F", ""},
		{"maryland", "freezer", 6, true, "5x-4F 1x-58.1F 15x-4F", "too-cold instant log 1"},
		{"maryland", "freezer", 7, false, "5x-4F 59x-58.1F 15x-4F", "too-cold instant log 59"},
		{"maryland", "freezer", 7, true, "5x-4F 61x-58.1F 15x-4F", "too-cold consecutive log+alert+hold 61"},
		{"maryland", "freezer", 8, true, "5x-4F 60x-58.1F 15x-4F", "too-cold cumulative log+alert+hold 60"},
		{"maryland", "freezer", 8, false, "20x-59F 40x-4F 20x-59F 40x-4F 19x-59F 15x-4F", "too-cold instant log 19"},
		{"maryland", "freezer", 8, true, "20x-59F 40x-4F 20x-59F 2780x-4F 20x-59F 15x-4F", "too-cold cumulative log+alert+hold 20"},
		{"maryland", "freezer", 8, false, "20x-59F 40x-4F 20x-59F 2781x-4F 20x-59F 15x-4F", "too-cold instant log 20"},

		// Maryland, ultra-cold: CDC's rules and the pieces of level 2.
		{"maryland", "ultra-cold", 3, false, "20x-59C 40x-75C 20x-59C 40x-75C 19x-59C 15x-75C", "too-warm instant log 19"},
		{"maryland", "ultra-cold", 3, true, "20x-59C 40x-75C 20x-59C 2780x-75C 20x-59C 15x-75C", "too-warm cumulative log+alert+hold 20"},
		{"maryland", "ultra-cold", 3, false, "20x-59C 40x-75C 20x-59C 2781x-75C 20x-59C 15x-75C", "too-warm instant log 20"},
		{"maryland", "ultra-cold", 4, false, "60x-90C", ""},
		{"maryland", "ultra-cold", 4, true, "5x-75C 1x-90.001C 15x-75C", "too-cold instant log 1"},
		{"maryland", "ultra-cold", 5, false, "5x-75C 30x-90.001C 15x-75C", "too-cold instant log 30"},
		{"maryland", "ultra-cold", 5, true, "5x-75C 31x-90.001C 15x-75C", "too-cold consecutive log+alert+hold 31"},
		{"maryland", "ultra-cold", 6, false, "20x-91C 40x-75C 20x-91C 40x-75C 19x-91C 15x-75C", "too-cold instant log 19"},
		{"maryland", "ultra-cold", 6, true, "20x-91C 40x-75C 20x-91C 2780x-75C 20x-91C 15x-75C", "too-cold cumulative log+alert+hold 20"},
		{"maryland", "ultra-cold", 6, false, "20x-91C 40x-75C 20x-91C 2781x-75C 20x-91C 15x-75C", "too-cold instant log 20"},

		// WHO PQS. Rule 2: HEAT, above +8 °C for 10 hours.
		{"who-pqs", "refrigerator", 2, false, "5x5C 600x8.001C 15x5C", "too-warm instant log 600"},
		{"who-pqs", "refrigerator", 2, true, "5x5C 601x8.001C 15x5C", "too-warm consecutive log+alert+hold 601"},
		{"who-pqs", "refrigerator", 2, false, "5x5C 300x8.001C 1x8C 400x8.001C 15x5C", "too-warm instant log 700"},
		{"who-pqs", "refrigerator", 3, false, "60x2.001C", ""},
		{"who-pqs", "refrigerator", 3, false, "60x2C", ""},
		{"who-pqs", "refrigerator", 3, true, "5x5C 1x1.999C 15x5C", "too-cold instant log 1"},
		// Rule 4: FRZE, at or below -0.5 °C for 60 minutes.
		{"who-pqs", "refrigerator", 4, false, "5x5C 60x-0.5C 15x5C", "too-cold instant log 60"},
		{"who-pqs", "refrigerator", 4, true, "5x5C 61x-0.5C 15x5C", "too-cold consecutive log+alert+hold 61"},
		{"who-pqs", "refrigerator", 4, true, "5x5C 61x-0.501C 15x5C", "too-cold consecutive log+alert+hold 61"},
		{"who-pqs", "refrigerator", 4, false, "5x5C 61x-0.499C 15x5C", "too-cold instant log 61"},
		{"who-pqs", "refrigerator", 4, false, "5x5C 40x-0.5C 1x-0.499C 40x-0.5C 15x5C", "too-cold instant log 81"},
	} {
		in := record(t, c.record)
		for _, profile := range strings.Fields(c.profiles) {
			got := ""
			if fs := Judge(mustCompile(t, profile, c.unit), Alone(), in, 0); len(fs) > 0 {
				f := fs[len(fs)-1]
				var acts []string
				for _, a := range f.Actions {
					acts = append(acts, string(a))
				}
				got = fmt.Sprintf("%s %s %s %g", f.Kind, f.Rule, strings.Join(acts, "+"), f.Minutes())
				if f.End == 0 {
					got += " open"
				}
			}
			if got != c.want {
				t.Errorf("%s %s, rule %d, %s:\ngot  %s\nwant %s", profile, c.unit, c.rule, c.record, got, c.want)
			}
			key := fmt.Sprint(profile, " ", c.unit, " ", c.rule)
			seen := covered[key]
			seen[0], seen[1] = seen[0] || !c.met, seen[1] || c.met
			covered[key] = seen
		}
	}
	for _, name := range coldkeep.ProfileNames() {
		p, err := coldkeep.FindProfile(name)
		if err != nil {
			t.Fatal(err)
		}
		for unit, u := range p.Units {
			for i := range u.Rules {
				key := fmt.Sprint(name, " ", unit, " ", i+1)
				if covered[key] != [2]bool{true, true} {
					t.Errorf("%s has no case on each side: %v", key, covered[key])
				}
				delete(covered, key)
			}
		}
	}
	for key := range covered {
		t.Errorf("there is no rule %s", key)
	}
}

// The times beside the rules, to the millisecond: what is a gap, when an excursion
// is over, when silence and faults call somebody.
func TestEveryProfileAtItsTimes(t *testing.T) {
	const m = minute
	for _, c := range []struct {
		profiles string
		gap      int64 // minutes
	}{
		{"cdc illinois california texas maryland who-pqs", 30},
		{"alabama", 15},
	} {
		for _, profile := range strings.Fields(c.profiles) {
			r := mustCompile(t, profile, coldkeep.Refrigerator)
			for _, k := range []struct {
				why  string
				in   []Sample
				now  int64
				want []string
			}{
				{"a silence of max_gap is none", []Sample{{At: m, Celsius: 5000}, {At: (1 + c.gap) * m, Celsius: 5000}}, 0, nil},
				{"a ms more is one", []Sample{{At: m, Celsius: 5000}, {At: (1+c.gap)*m + 1, Celsius: 5000}}, 0, []string{"no-data log"}},
				{"and counts neither out nor in", []Sample{{At: m, Celsius: 9000}, {At: (1+c.gap)*m + 1, Celsius: 5000}}, 0, []string{"no-data log", "too-warm log open 0"}},
				{"max_gap itself counts", []Sample{{At: m, Celsius: 9000}, {At: (1 + c.gap) * m, Celsius: 5000}}, 0, []string{fmt.Sprintf("too-warm log open %d", c.gap)}},
				{"silence of 60 minutes less a ms", []Sample{{At: m, Celsius: 5000}}, 61*m - 1, []string{"no-data log open"}},
				{"silence of 60 minutes calls", []Sample{{At: m, Celsius: 5000}}, 61 * m, []string{"no-data log+alert open"}},
				{"it is over with the next record", []Sample{{At: m, Celsius: 5000}, {At: 61 * m, Celsius: 5000}}, 0, []string{"no-data log+alert"}},
				{"back in range for 10 minutes less a ms", []Sample{{At: m, Celsius: 9000}, {At: 2 * m, Celsius: 5000}, {At: 12*m - 1, Celsius: 5000}}, 0, []string{"too-warm log open 1"}},
				{"back in range for 10 minutes", []Sample{{At: m, Celsius: 9000}, {At: 2 * m, Celsius: 5000}, {At: 12 * m, Celsius: 5000}}, 0, []string{"too-warm log 1"}},
			} {
				var got []string
				for _, f := range Judge(r, Alone(), k.in, k.now) {
					s := string(f.Kind) + " "
					for i, a := range f.Actions {
						if i > 0 {
							s += "+"
						}
						s += string(a)
					}
					if f.End == 0 {
						s += " open"
					}
					if f.Excursion() {
						s += fmt.Sprintf(" %g", f.Minutes())
					}
					got = append(got, s)
				}
				if fmt.Sprint(got) != fmt.Sprint(k.want) {
					t.Errorf("%s, %s: got %q, want %q", profile, k.why, got, k.want)
				}
			}
		}
	}
}

// The event rules of PQS: "more than" 5 minutes and 24 hours.
func TestEventRules(t *testing.T) {
	const m = minute
	r := mustCompile(t, "who-pqs", coldkeep.Refrigerator)
	door, power := coldkeep.ContextDoorOpen, coldkeep.ContextPowerLost
	for _, c := range []struct {
		why    string
		events []Event
		now    int64
		want   string
	}{
		{"5 minutes", []Event{{door, m, 6 * m}}, 99 * m, ""},
		{"5 minutes and a ms", []Event{{door, m, 6*m + 1}}, 99 * m, "door-open 1m0s-6m0.001s [log warn]"},
		{"still open", []Event{{door, m, never}}, 6*m + 1, "door-open 1m0s-0s [log warn]"},
		{"still open, 5 minutes", []Event{{door, m, never}}, 6 * m, ""},
		{"two openings are not one", []Event{{door, m, 5 * m}, {door, 5*m + 1, 9 * m}}, 99 * m, ""},
		{"two that touch are", []Event{{door, 5 * m, 9 * m}, {door, m, 5 * m}}, 99 * m, "door-open 1m0s-9m0s [log warn]"},
		{"24 hours", []Event{{power, m, 1441 * m}}, 9999 * m, ""},
		{"24 hours and a ms", []Event{{power, m, 1441*m + 1}}, 9999 * m, "power-lost 1m0s-24h1m0.001s [log alert]"},
		{"what no rule names", []Event{{coldkeep.ContextDefrost, m, 9999 * m}}, 9999 * m, ""},
	} {
		var got []string
		for _, f := range Events(r, c.events, c.now) {
			if f.Source == "" {
				t.Errorf("%s: no source", c.why)
			}
			got = append(got, fmt.Sprintf("%s %v-%v %v", f.Kind, time.Duration(f.Start)*time.Millisecond, time.Duration(f.End)*time.Millisecond, f.Actions))
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
	if Events(mustCompile(t, "cdc", coldkeep.Refrigerator), []Event{{door, m, never}}, never-1) != nil {
		t.Error("a profile without event rules found an event")
	}
}
