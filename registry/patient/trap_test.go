package patient

import (
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
)

// who makes a record from words: "Family, Given Middle; 2019-04-02; F" and then facts such
// as "tel 3125550142", "home 12 Elm St 60614", "mother Okafor", "guardian Brandt, Nora",
// "mr lakeside 4711", "ma 123", "suffix Jr", "order 2", "once Family, Given".
func who(t testing.TB, words string) *Patient {
	t.Helper()
	parts := strings.Split(words, ";")
	name := func(s string) Name {
		family, given, _ := strings.Cut(strings.TrimSpace(s), ",")
		given, middle, _ := strings.Cut(strings.TrimSpace(given), "/")
		return Name{Family: family, Given: given, Middle: middle, Kind: Legal}
	}
	p := &Patient{Names: []Name{name(parts[0])}, Sex: Sex(strings.TrimSpace(parts[2]))}
	var err error
	if p.Birth, err = coldkeep.ParseDate(strings.TrimSpace(parts[1])); err != nil {
		t.Fatal(err)
	}
	for _, fact := range parts[3:] {
		kind, value, _ := strings.Cut(strings.TrimSpace(fact), " ")
		switch kind {
		case "tel":
			p.Contacts = append(p.Contacts, Contact{Kind: Phone, Value: value})
		case "home":
			i := strings.LastIndexByte(value, ' ')
			p.Addresses = append(p.Addresses, Address{Street: value[:i], ZIP: value[i+1:], State: "IL", Kind: "H"})
		case "mother":
			p.Mother = value
		case "guardian":
			n := name(value)
			p.Guardians = append(p.Guardians, Guardian{Family: n.Family, Given: n.Given, Relation: "MTH"})
		case "mr":
			site, number, _ := strings.Cut(value, " ")
			p.Identifiers = append(p.Identifiers, Identifier{Kind: "MR", Assigner: site, Value: number})
		case "ma":
			p.Identifiers = append(p.Identifiers, Identifier{Kind: "MA", Assigner: "IL", Value: value})
		case "suffix":
			p.Names[0].Suffix = value
		case "order":
			yes := true
			p.Multiple, p.BirthOrder = &yes, int(value[0]-'0')
		case "once":
			n := name(value)
			n.Kind = Maiden
			p.Names = append(p.Names, n)
		default:
			t.Fatalf("%q?", fact)
		}
	}
	if err := p.Normalise(coldkeep.NewDate(2026, 11, 1)); err != nil {
		t.Fatalf("%s: %v", words, err)
	}
	return p
}

const family = "; tel 3125550142; home 12 Elm St 60614; mother Okafor; guardian Brandt, Nora"

// The traps of matching: what two records say, and what must come of it.
var traps = []struct {
	trap string
	a, b string
	want Outcome
}{
	{"the same", "Brandt, Mila; 2019-04-02; F" + family, "BRANDT, MILA; 2019-04-02; F" + family, Matched},
	{"accents and marks", "Muñoz-O'Neil, Zoë; 2019-04-02; F; tel 3125550142", "Munoz Oneil, Zoe; 2019-04-02; F; tel (312) 555-0142", Matched},
	{"short form and a number", "Castellano, Robert; 1950-04-02; M; ma 8812345", "Castellano, Bob; 1950-04-02; M; ma 8812345", Matched},
	{"short form, no number", "Castellano, Robert; 1950-04-02; M" + family, "Castellano, Bob; 1950-04-02; M" + family, Possible},
	{"moved, same mother", "Brandt, Mila; 2019-04-02; F; home 12 Elm St 60614; mother Okafor; tel 3125550142", "Brandt, Mila; 2019-04-02; F; home 900 Oak Ave 62701; mother Okafor; tel 2175550166", Matched},

	{"twins", "Brandt, Mila; 2019-04-02; F" + family, "Brandt, Jonas; 2019-04-02; M" + family, Unmatched},
	{"twins of one sex", "Brandt, Mila; 2019-04-02; F" + family, "Brandt, Greta; 2019-04-02; F" + family, Unmatched},
	{"twins with orders", "Brandt, Mila; 2019-04-02; F; order 1" + family, "Brandt, Greta; 2019-04-02; F; order 2" + family, Unmatched},
	{"twins with names alike", "Brandt, Jayden; 2019-04-02; M" + family, "Brandt, Kayden; 2019-04-02; M" + family, Possible},
	{"twins with names alike and orders", "Brandt, Ana; 2019-04-02; F; order 1" + family, "Brandt, Anna; 2019-04-02; F; order 2" + family, Possible},
	{"twins on their mother's Medicaid number", "Brandt, Mila; 2019-04-02; F; ma 77" + family, "Brandt, Jonas; 2019-04-02; M; ma 77" + family, Possible},
	{"newborn without a name", "Brandt, Baby Girl; 2019-04-02; F" + family, "Brandt, Mila; 2019-04-02; F" + family, Possible},
	{"siblings", "Brandt, Mila; 2019-04-02; F" + family, "Brandt, Mira; 2021-09-17; F" + family, Unmatched},
	{"siblings with names far apart", "Brandt, Mila; 2019-04-02; F" + family, "Brandt, Jonas; 2021-09-17; M" + family, Unmatched},

	{"junior and senior", "Bell, Marcus; 1961-02-03; M; suffix Sr; tel 3125550142; home 12 Elm St 60614", "Bell, Marcus; 1989-08-21; M; suffix Jr; tel 3125550142; home 12 Elm St 60614", Unmatched},
	{"junior and senior with one birthday", "Bell, Marcus; 1961-02-03; M; suffix Sr; tel 3125550142; home 12 Elm St 60614", "Bell, Marcus; 1961-02-03; M; suffix Jr; tel 3125550142; home 12 Elm St 60614", Possible},
	{"junior behind the family name", "Bell Jr., Marcus; 1989-08-21; M; tel 3125550142", "Bell, Marcus; 1989-08-21; M; suffix Jr; tel 3125550142", Matched},

	{"exchanged names", "Thomas, Martin; 2010-05-05; M" + family, "Martin, Thomas; 2010-05-05; M" + family, Possible},
	{"exchanged names alone", "Nguyen, Thanh; 2010-05-05; M", "Thanh, Nguyen; 2010-05-05; M", Possible},
	{"double name and one of it", "Garcia-Lopez, Elena; 2012-11-30; F" + family, "Garcia, Elena; 2012-11-30; F" + family, Possible},
	{"married", "Okafor, Ruth; 1988-01-19; F; tel 3125550142; mother Lund", "Whitfield, Ruth; 1988-01-19; F; tel 3125550142; mother Lund", Possible},
	{"married, maiden name known", "Okafor, Ruth; 1988-01-19; F; tel 3125550142; mother Lund", "Whitfield, Ruth; 1988-01-19; F; tel 3125550142; mother Lund; once Okafor, Ruth", Matched},

	{"birth date with digits exchanged", "Brandt, Mila; 2019-04-12; F" + family, "Brandt, Mila; 2019-04-21; F" + family, Possible},
	{"month and day exchanged", "Brandt, Mila; 2019-04-02; F" + family, "Brandt, Mila; 2019-02-04; F" + family, Possible},
	{"month and day exchanged, one number", "Brandt, Mila; 2019-04-02; F; mr lakeside 4711" + family, "Brandt, Mila; 2019-02-04; F; mr lakeside 4711" + family, Matched},
	{"wrong year", "Brandt, Mila; 2019-04-02; F" + family, "Brandt, Mila; 2018-04-02; F" + family, Possible},
	{"wrong digit, nothing else known", "Brandt, Mila; 2019-04-02; F", "Brandt, Mila; 2019-04-03; F", Possible},
	{"typing error in the name", "Brandt, Mila; 2019-04-02; F" + family, "Bandt, Mila; 2019-04-02; F" + family, Possible},

	{"same name and birthday in one clinic", "Smith, James; 2015-06-07; M; mr lakeside 1001", "Smith, James; 2015-06-07; M; mr lakeside 2002", Possible},
	{"same name and birthday, two homes", "Smith, James; 2015-06-07; M; mr lakeside 1001; home 1 Oak St 60601; tel 3125550101; mother Lee", "Smith, James; 2015-06-07; M; mr lakeside 2002; home 9 Pine St 62701; tel 2175550199; mother Cruz", Possible},
	{"same name and birthday, another middle name", "Smith, James/Alan; 2015-06-07; M; tel 3125550101", "Smith, James/Walter; 2015-06-07; M; tel 3125550101", Possible},
	{"same name and birthday, another Medicaid number", "Smith, James; 2015-06-07; M; ma 111; tel 3125550101", "Smith, James; 2015-06-07; M; ma 222; tel 3125550101", Possible},
	{"one record number, somebody else", "Smith, James; 2015-06-07; M; mr lakeside 1001", "Abara, Nkechi; 1971-12-24; F; mr lakeside 1001", Unmatched},
	{"one record number at two clinics", "Smith, James; 2015-06-07; M; mr lakeside 1001", "Lund, Peter; 2016-02-01; M; mr northgate 1001", Unmatched},
	{"strangers", "Smith, James; 2015-06-07; M; tel 3125550101", "Garcia, Elena; 2012-11-30; F; tel 2175550199", Unmatched},
	{"one name, two birthdays", "Smith, James; 2015-06-07; M", "Smith, James; 1974-10-29; M", Unmatched},
}

func TestTraps(t *testing.T) {
	for _, tr := range traps {
		a, b := ProfileOf(who(t, tr.a)), ProfileOf(who(t, tr.b))
		for _, pair := range [][2]*Profile{{&a, &b}, {&b, &a}} {
			shares := false
			for _, k := range pair[0].Keys() {
				for _, other := range pair[1].Keys() {
					shares = shares || k == other
				}
			}
			var all []Candidate
			if shares {
				all = []Candidate{{ID: "1", Head: "1", Profile: *pair[1]}}
			}
			if d := Decide(DefaultWeights, pair[0], all); d.Outcome != tr.want {
				c := DefaultWeights.Compare(pair[0], pair[1])
				t.Errorf("%s: %s, want %s (keys %v, score %.1f, %+v)", tr.trap, d.Outcome, tr.want, shares, c.Score, c.Parts())
			}
		}
	}
}

// Two records that are both certain are a question for a human.
func TestTwoCertainAreAQuestion(t *testing.T) {
	p := ProfileOf(who(t, "Brandt, Mila; 2019-04-02; F"+family))
	all := []Candidate{{ID: "1", Head: "1", Profile: p}, {ID: "2", Head: "2", Profile: p}}
	if d := Decide(DefaultWeights, &p, all); d.Outcome != Possible || len(d.Possible) != 2 {
		t.Errorf("%+v", d)
	}
	all[1].Head = "1" // merged: one person
	if d := Decide(DefaultWeights, &p, all); d.Outcome != Matched || d.ID != "1" {
		t.Errorf("%+v", d)
	}
}

// Certain needs a given name that is the same: the score of names alike is as high.
func TestParts(t *testing.T) {
	a, b := ProfileOf(who(t, "Brandt, Mila; 2019-04-02; F"+family)), ProfileOf(who(t, "Brandt, Mila; 2019-04-02; F"+family))
	c := DefaultWeights.Compare(&a, &b)
	total := 0.0
	for _, p := range c.Parts() {
		total += p.Weight
	}
	if diff := total - c.Score; diff > 1e-9 || diff < -1e-9 {
		t.Errorf("parts sum to %v, score %v", total, c.Score)
	}
	if len(c.Parts()) != 8 { // family, given, birth, sex, telephone, address, mother, guardian
		t.Errorf("%+v", c.Parts())
	}
}

func TestEstimate(t *testing.T) {
	var same, different [][2]*Profile
	for _, tr := range traps {
		a, b := ProfileOf(who(t, tr.a)), ProfileOf(who(t, tr.b))
		switch tr.want {
		case Matched:
			same = append(same, [2]*Profile{&a, &b})
		case Unmatched:
			different = append(different, [2]*Profile{&a, &b})
		}
	}
	pairs := func(all [][2]*Profile) func(func(a, b *Profile) bool) {
		return func(yield func(a, b *Profile) bool) {
			for _, p := range all {
				if !yield(p[0], p[1]) {
					return
				}
			}
		}
	}
	lines := Estimate(pairs(same), pairs(different))
	for _, l := range lines {
		if l.M <= 0 || l.M >= 1 || l.U <= 0 || l.U >= 1 {
			t.Errorf("%+v", l)
		}
		if l.Field == "birth date" && l.Level == "same" && l.M <= l.U {
			t.Errorf("%+v: of one person it should be more frequent", l)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	x, y := ProfileOf(who(b, "Brandt, Mila; 2019-04-02; F"+family)), ProfileOf(who(b, "Bandt, Milla; 2019-02-04; F; tel 3125550143; home 12 Elm Street 60614; mother Okafor; guardian Brandt, Nora"))
	b.ReportAllocs()
	for b.Loop() {
		_ = DefaultWeights.Compare(&x, &y)
	}
}

func BenchmarkReadProfile(b *testing.B) {
	x := ProfileOf(who(b, "Brandt, Mila; 2019-04-02; F; mr lakeside 4711"+family))
	s := x.String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadProfile(s); err != nil {
			b.Fatal(err)
		}
	}
}
