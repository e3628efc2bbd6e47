package patient

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "Peña": "PENA", "O'Brien": "OBRIEN", "O’Brien": "OBRIEN", "St. John-Smythe": "ST JOHN SMYTHE", "  de   la Cruz ": "DE LA CRUZ",
		"Großmann": "GROSSMANN", "Łukasz": "LUKASZ", "Søren Ærø": "SOREN AERO", "Nguyễn": "NGUYEN", "Þór": "THOR", "12-B": "12 B", "张伟": "张伟", "\t\n": "",
	} {
		if got := Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNormalPhone(t *testing.T) {
	for in, want := range map[string]string{
		"312-555-0142": "3125550142", "(312) 555 0142": "3125550142", "+1 312 555 0142": "3125550142", "1.312.555.0142": "3125550142", "312 555 0142 x12": "3125550142",
		"312 555 0142 ext. 12": "3125550142", "+44 20 7946 0018": "+442079460018",
		"": "", "555 0142": "", "012 555 0142": "", "312 155 0142": "", "call me": "", "+": "", "+12": "", "3125550142; DROP": "",
	} {
		got, ok := NormalPhone(in)
		if ok != (want != "") || ok && got != want {
			t.Errorf("NormalPhone(%q) = %q, %t, want %q", in, got, ok, want)
		}
	}
}

func TestNormaliseTwiceIsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		if once := Fold(s); Fold(once) != once {
			t.Fatalf("Fold(%q) = %q, then %q", s, once, Fold(once))
		}
		if once := tidy(s); tidy(once) != once {
			t.Fatalf("tidy(%q) = %q, then %q", s, once, tidy(once))
		}
		if once, ok := NormalPhone(s); ok {
			if twice, still := NormalPhone(once); !still || twice != once {
				t.Fatalf("phone %q, then %q", once, twice)
			}
		}
		if once, ok := NormalEmail(s); ok {
			if twice, still := NormalEmail(once); !still || twice != once {
				t.Fatalf("e-mail %q, then %q", once, twice)
			}
		}
		if once, ok := NormalZIP(s); ok {
			if twice, still := NormalZIP(once); !still || twice != once {
				t.Fatalf("ZIP %q, then %q", once, twice)
			}
		}
	})
}

func drawProfile(t *rapid.T, label string) Profile {
	name := rapid.SampledFrom([]string{"SMITH", "SMYTH", "GARCIA", "GARCIA LOPEZ", "LOPEZ", "MARTIN", "THOMAS", "ROBERT", "BOB", "ANA", "ANNA", "BABY", "J", "JAYDEN", "KAYDEN", ""})
	names := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) NameKey {
		return NameKey{name.Draw(t, "family"), name.Draw(t, "given"), name.Draw(t, "middle"), rapid.SampledFrom([]string{"", "JR", "SR"}).Draw(t, "suffix")}
	}), 1, 3)
	p := Profile{Names: names.Draw(t, label), Sex: rapid.SampledFrom([]Sex{Female, Male, UnknownSex}).Draw(t, "sex"), Order: rapid.IntRange(0, 2).Draw(t, "order"),
		Birth: coldkeep.NewDate(rapid.IntRange(2018, 2021).Draw(t, "y"), rapid.IntRange(1, 12).Draw(t, "m"), rapid.IntRange(1, 12).Draw(t, "d")), Mother: name.Draw(t, "mother")}
	p.Phones = rapid.SliceOfN(rapid.SampledFrom([]string{"3125550142", "3125550143", "2175550199"}), 0, 2).Draw(t, "phones")
	p.Guardians = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) NameKey {
		return NameKey{Family: name.Draw(t, "family"), Given: name.Draw(t, "given")}
	}), 0, 2).Draw(t, "guardians")
	p.Addresses = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) AddressKey {
		k, _ := addressKey(Address{Street: rapid.SampledFrom([]string{"12 Elm St", "12 N Elm Street", "9 Oak Ave", "PO Box 9"}).Draw(t, "street"), ZIP: rapid.SampledFrom([]string{"60614", "62701", ""}).Draw(t, "zip")})
		return k
	}), 0, 2).Draw(t, "addresses")
	p.IDs = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) IDKey {
		return IDKey{rapid.SampledFrom([]string{"MR", "MA"}).Draw(t, "kind"), "X", rapid.SampledFrom([]string{"1", "2"}).Draw(t, "value")}
	}), 0, 2).Draw(t, "ids")
	return p
}

// Which of two records came in first changes nothing.
func TestMatchingIsSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawProfile(t, "a"), drawProfile(t, "b")
		x, y := DefaultWeights.Compare(&a, &b), DefaultWeights.Compare(&b, &a)
		if d := x.Score - y.Score; d > 1e-9 || d < -1e-9 {
			t.Fatalf("%v and %v:\n%+v\n%+v", x.Score, y.Score, x.Parts(), y.Parts())
		}
	})
}

func TestProfileReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawProfile(t, "a")
		b, err := ReadProfile(a.String())
		if err != nil {
			t.Fatal(err)
		}
		if a.String() != b.String() || !reflect.DeepEqual(a.Keys(), b.Keys()) {
			t.Fatalf("%+v, then %+v", a, b)
		}
	})
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"Peña-O'Brien Jr.", "+1 (312) 555-0142 ext 9", "a@b.example", "60614-1234", "Ǆ ﬁ ß İ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if once := Fold(s); Fold(once) != once {
			t.Errorf("Fold(%q) = %q, then %q", s, once, Fold(once))
		}
		_, _ = NormalPhone(s)
		_, _ = NormalEmail(s)
		_, _ = NormalZIP(s)
		_ = sound(Fold(s))
		k := nameKey(s, s, s, s)
		p := Profile{Names: []NameKey{k}}
		if _, err := ReadProfile(p.String()); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		_ = p.Keys()
		_ = DefaultWeights.Compare(&p, &p)
	})
}

func FuzzReadProfile(f *testing.F) {
	f.Add("b2019-04-02\tF\ttrue\t2\nnSMITH\tJAMES\t\tJR\np3125550142\n")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ReadProfile(s)
		if err != nil {
			return
		}
		if again, err := ReadProfile(p.String()); err != nil || again.String() != p.String() {
			t.Errorf("%q: %v", s, err)
		}
	})
}

// A search reads the records that share a key with it: nobody may fit and share none.
func TestWhoFitsSharesAKey(t *testing.T) {
	share := func(a, b []int64) bool {
		return slices.ContainsFunc(a, func(k int64) bool { return slices.Contains(b, k) })
	}
	word := rapid.OneOf(rapid.SampledFrom([]string{"Smith", "Smi", "garc", "García López", "Garcia-L", "lopez", "de la Cruz", "Dela", "LI", "Li Wong", "Ng", "O'Brien", "St. John", "Иванов", "李", "J"}),
		rapid.StringMatching(`[A-Za-z '-]{1,6}`))
	fits := 0
	// What is asked for is a part of what there is, mostly: one of its words, or a beginning.
	ask := func(t *rapid.T, label, name string) string {
		if rapid.IntRange(0, 4).Draw(t, label+" is another") == 0 {
			return word.Draw(t, label)
		}
		if words := strings.Fields(name); len(words) > 1 && rapid.Bool().Draw(t, label+" is a word of it") {
			name = rapid.SampledFrom(words).Draw(t, label)
		}
		letters := []rune(name)
		return string(letters[:rapid.IntRange(min(1, len(letters)), len(letters)).Draw(t, label+"'s letters")])
	}
	rapid.Check(t, func(t *rapid.T) {
		family, given, guardian, hers := word.Draw(t, "family"), word.Draw(t, "given"), word.Draw(t, "guardian"), word.Draw(t, "her name")
		p := Profile{Birth: coldkeep.NewDate(2020, 2, 3), Names: []NameKey{nameKey(family, given, "", "")}, Guardians: []NameKey{nameKey(guardian, hers, "", "")}}
		q := Query{Family: ask(t, "asked family", family), Given: ask(t, "asked given", given), Birth: p.Birth}
		g := Query{GuardianFamily: ask(t, "asked guardian", guardian), GuardianGiven: ask(t, "asked guardian's name", hers), Birth: p.Birth}
		c := []Candidate{{ID: "A", Head: "A", Profile: p}}
		if w, err := q.check(auth.Principal{}); err == nil {
			exact, _ := q.sort(w, c)
			if len(exact) > 0 {
				fits++
				if !share(q.keys(w), p.Keys()) {
					t.Fatalf("%+v fits %+v", q, p)
				}
			}
		}
		if w, err := g.check(auth.Principal{}); err == nil {
			if exact, _ := g.sort(w, c); len(exact) > 0 && !share(g.keys(w), p.Keys()) {
				t.Fatalf("%+v fits %+v", g, p)
			}
		}
	})
	if fits == 0 {
		t.Error("no search fitted anybody")
	}
}
