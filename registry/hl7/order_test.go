package hl7_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7"
	"github.com/coldkeep/coldkeep/registry/patient"
)

var errCrash = errors.New("the process has died")

// mortal is a store whose process dies in some transactions: before the commit, or after it
// and before anybody has heard of it.
type mortal struct {
	exchange.Store
	dies func() int // 0 lives, 1 before the commit, 2 after it
}

func (m mortal) Tx(ctx context.Context, do func(exchange.Tx) error) error {
	how := m.dies()
	err := m.Store.Tx(ctx, func(tx exchange.Tx) error {
		if err := do(tx); err != nil || how != 1 {
			return err
		}
		return errCrash
	})
	if err == nil && how == 2 {
		return errCrash
	}
	return err
}

// saying is a message of somebody's.
type saying struct {
	by   int // 0 lakeside, 1 northgate
	text string
}

// sayings draws messages about one child from two practices, each made at another minute.
func sayings(t *rapid.T) []saying {
	n := rapid.IntRange(2, 9).Draw(t, "messages")
	cities := []string{"Springfield^IL^62701", "Peoria^IL^61602", "Cairo^IL^62914"}
	var out []saying
	minutes := rapid.SliceOfNDistinct(rapid.IntRange(1, 600), n, n, rapid.ID[int]).Draw(t, "minutes")
	for i, at := range minutes {
		by := rapid.IntRange(0, 1).Draw(t, "by")
		pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
		number := []string{"4711^^^MYEHR^MR", "N7^^^OTHER^MR"}[by]
		lines := []string{`PID|1||` + number + `||Okafor^Ada^Mae^^^^L` + pick("alias", "", "~Okafor^Addie^^^^^A") + `|Mensah^^^^^^M|20220309|F||` + pick("race", "", "2054-5^^CDCREC", "2106-3^^CDCREC") +
			`|` + pick("address", "", "1 A St^^"+cities[0]+"^USA^H", "2 B St^^"+cities[1]+"^USA^H", "3 C St^^"+cities[2]+"^USA^M") + `||` + pick("phone", "", "^PRN^CP^^^217^5550133", "^PRN^PH^^^309^5550188~^NET^Internet^n@example.org") +
			`|||||||||` + pick("ethnicity", "", "2186-5^^CDCREC", "2135-2^^CDCREC") + `||` + pick("multiple", "", "N")}
		lines = append(lines, `PD1|||||||||||`+pick("publicity", "", "02^^HL70215", "01^^HL70215")+`|||||`+pick("status", "", "A", "M", "I"))
		if pick("kin", "y", "n") == "y" {
			lines = append(lines, `NK1|1|`+pick("mother", "Okafor^Nora^^^^^L", "Okafor^Nora^Ann^^^^L")+`|`+pick("relation", "MTH", "GRD")+`^^HL70063|1 A St^^`+cities[0]+`^USA^H`)
		}
		for _, k := range rapid.SliceOfNDistinct(rapid.IntRange(1, 4), 0, 3, rapid.ID[int]).Draw(t, "orders") {
			day := fmt.Sprintf("202%d0%d%d5", 3+k%3, k, rapid.IntRange(0, 2).Draw(t, "day"))
			action := pick("action", "A", "U", "A", "D")
			// Of doses from elsewhere two may share a number, or come without. Which of two that
			// were given on one day is the one that left the stock is for who comes first.
			here := by == 0 && k <= 2
			number := fmt.Sprint("K", k)
			if !here && pick("number", "own", "own", "shared") == "shared" {
				number = "K9"
			}
			order := told(number, day, pick("cvx", "20", "107"), pick("source", "01", "02"))
			if here {
				order = given(number, day, "03", pick("lot", "X123", "Y9", "Z0", ""), pick("eligibility", "V02", "V04"))
				if pick("whole", "y", "n") == "n" { // who sends may leave things out
					order = []string{order[0], order[1], order[3]}
				}
			}
			order[1] = strings.TrimSuffix(order[1], "A") + action
			if !here && action != "D" && pick("plain", "n", "n", "n", "y") == "y" {
				order[0] = "ORC|RE||9999^MYEHR"
			}
			if x := pick("reaction", "", "", "Fever"); x != "" {
				order = append(order, `OBX|8|CE|31044-1^Reaction^LN|8|^`+x+`^L||||||F`)
			}
			if from := pick("fact", "", "", "20240105", "20240106"); from != "" {
				order = append(order, `OBX|9|CE|59784-9^Immunity^LN|9|38907003^Varicella^SCT||||||F|||`+from)
			}
			lines = append(lines, order...)
		}
		out = append(out, saying{by, strings.Replace((&world{}).vxu(at, lines...), "|M1|", fmt.Sprintf("|S%d|", i), 1)})
	}
	return out
}

// child is who one check's messages are about: each has another, in the same two registries.
type child struct {
	n     int
	birth coldkeep.Date
	words *strings.Replacer
}

func newChild(n int) child {
	born := coldkeep.NewDate(2019, 1, 1) + coldkeep.Date(n)
	given := "Ada" + string(rune('a'+n%26)) + string(rune('a'+n/26%26)) + "x"
	return child{n, born, strings.NewReplacer("20220309", strings.ReplaceAll(born.String(), "-", ""), "^Ada^", "^"+given+"^", "4711^", fmt.Sprintf("47%05d^", n), "N7^", fmt.Sprintf("N%05d^", n),
		"||K", fmt.Sprintf("||C%dK", n), "|S", fmt.Sprintf("|C%dS", n), " St^^", fmt.Sprintf(" %dth St^^", n), "5550133", fmt.Sprintf("555%04d", n%10000), "n@example", fmt.Sprintf("n%d@example", n))}
}

// tell sends one message until it is acknowledged: who gets no answer sends again.
func (w *world) tell(t rapid.TB, s *exchange.Service, m saying) {
	by := []auth.Principal{w.lakeside, w.north}[m.by]
	for range 50 {
		answer, err := s.Submit(w.ctx, by, exchange.Submission{Door: exchange.HTTP, Text: []byte(m.text)})
		if err == nil {
			if !strings.Contains(string(answer), "\rMSA|AA|") && !strings.Contains(string(answer), "\rMSA|AE|") {
				t.Fatalf("%s\n%s", m.text, answer)
			}
			return
		}
		if !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
	}
	t.Fatal("never acknowledged")
}

// holds is what a record says now, without when and in which order it was heard.
func (w *world) holds(t rapid.TB, c child) string {
	all := w.find("Okafor", c.words.Replace("^Ada^")[1:6], c.birth)
	if len(all) != 1 {
		t.Fatalf("%d records of one child", len(all))
	}
	p := all[0].Patient
	var lines []string
	line := func(v ...any) { lines = append(lines, strings.TrimSpace(fmt.Sprintln(v...))) }
	for _, n := range p.Names {
		if n.Until == nil {
			line("name", n.Family, n.Given, n.Middle, n.Kind)
		}
	}
	for _, a := range p.Addresses {
		if a.Span = (patient.Span{Until: a.Until}); a.Until == nil {
			line("address", fmt.Sprintf("%+v", a))
		}
	}
	for _, c := range p.Contacts {
		if c.Until == nil {
			line("contact", c.Kind, c.Value)
		}
	}
	for _, g := range p.Guardians {
		if g.Until == nil {
			line("guardian", g.Relation, g.Family, g.Given, g.Middle)
		}
	}
	for _, i := range p.Identifiers {
		line("number", i.Kind, i.Assigner, i.Value, i.Until == nil)
	}
	for _, st := range p.Statuses {
		if st.Until == nil {
			line("status", st.Site, st.Standing)
		}
	}
	races := slices.Sorted(slices.Values(p.Races))
	multiple := ""
	if p.Multiple != nil {
		multiple = fmt.Sprint(*p.Multiple, p.BirthOrder)
	}
	line("facts", p.Birth, p.Sex, races, p.Ethnicity, p.Mother, p.Publicity, multiple)
	drawn, said := map[string]int{}, map[string]string{}
	v := w.view(p.ID)
	for _, f := range v.Facts {
		if f.Ended == nil {
			line("fact", f.Kind, f.Code, f.Title, f.From, f.Until, f.Basis)
		}
	}
	for _, d := range v.Doses {
		if d.Deleted == nil {
			said[d.ID] = fmt.Sprintln(d.Kind, d.Date, d.CVX, d.MVX, d.NDC, d.Lot, d.Expires, d.BodySite, d.Route, d.Amount, d.Source, d.Eligibility, d.Funding, d.VIS, d.GivenBy, d.OrderedBy, d.Site, d.EnteredSite)
			line("dose", said[d.ID])
			if d.Counts() {
				line("counted", d.Kind, d.Date, d.CVX, d.Lot, d.Source, d.Eligibility, d.Site, d.EnteredSite)
			}
			if d.StockID != "" {
				drawn[d.StockID]++
			}
		}
	}
	for _, r := range v.Reactions {
		if of := said[r.Doses[0]]; r.Ended == nil && of != "" {
			line("reaction", r.Event, of)
		}
	}
	lots, err := w.st.Lots(w.ctx, "lakeside")
	w.must(err)
	for _, l := range lots {
		if w.drawn[l.ID] += drawn[l.ID]; l.DosesOnHand != 10_000-w.drawn[l.ID] {
			t.Fatalf("lot %s: %d on hand, %d drawn", l.Number, l.DosesOnHand, w.drawn[l.ID])
		}
	}
	slices.Sort(lines)
	lines = slices.Compact(lines) // two numbers under which the very same is said may be one dose or two
	return strings.Join(lines, "\n")
}

// Messages may come in any order, twice, and be broken off at any commit: the record is the
// same as if each had come once, in the order in which they were made, and the stock is what
// the record says was taken from it.
func TestAnyOrder(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		plain, w := open(t, databasetest.SQLite(t)), open(t, where)
		for _, w := range []*world{plain, w} {
			w.lot("X123", 10_000)
			w.lot("Y9", 10_000)
			w.drawn = map[string]int{}
		}
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			c := newChild(n)
			messages := sayings(rt)
			for i := range messages {
				messages[i].text = c.words.Replace(messages[i].text)
			}
			inOrder := slices.Clone(messages)
			slices.SortFunc(inOrder, func(a, b saying) int { return strings.Compare(made(a), made(b)) })
			for _, m := range inOrder {
				plain.tell(rt, plain.exchange, m)
			}
			dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)) //nolint:gosec // a test's dice
			flaky := exchange.New(mortal{w.st.Exchange(), func() int {
				if n := dice.IntN(6); n < 3 {
					return n
				}
				return 0
			}}, hl7.New(w.people, w.doses, w.clock, hl7.DefaultIdentity), w.clock, nil)
			shuffled := append(slices.Clone(messages), messages[:dice.IntN(len(messages)+1)]...)
			dice.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			for _, m := range shuffled {
				w.tell(rt, flaky, m)
			}
			// Who looks for people is slowed down (120 searches in a few minutes).
			plain.clock.add(10 * time.Second)
			w.clock.add(10 * time.Second)
			if a, b := plain.holds(rt, c), w.holds(rt, c); a != b {
				for _, m := range shuffled {
					rt.Log(m.by, strings.ReplaceAll(m.text, "\r", "\n"))
				}
				rt.Fatalf("in the order in which they were made\n%s\nas they came\n%s", a, b)
			}
		})
	})
}

// made is MSH-7.
func made(s saying) string { return strings.Split(s.text, "|")[6] }
