package patient

import (
	"strings"

	"github.com/coldkeep/coldkeep"
)

// The fields that are compared, in the order in which a score is explained.
const (
	fieldFamily = iota
	fieldGiven
	fieldMiddle
	fieldSuffix
	fieldBirth
	fieldSex
	fieldID
	fieldPhone
	fieldEmail
	fieldAddress
	fieldMother
	fieldGuardian
	fieldMultiple
	fieldCount
)

const maxLevels = 9

var fieldNames = [fieldCount]string{"family name", "given name", "middle name", "suffix", "birth date", "sex", "identifier", "telephone", "e-mail", "address",
	"mother's maiden name", "guardian", "multiple birth"}

// The levels of agreement of each field; 0 is a field that one of the two does not have.
const (
	same = 1

	familyPart, familyTypo, familySound, familySwapped, familyDifferent                      = 2, 3, 4, 5, 6
	givenShort, givenPart, givenTypo, givenSound, givenInitial, givenSwapped, givenDifferent = 2, 3, 4, 5, 6, 7, 8
	middleInitial, middleDifferent                                                           = 2, 3
	suffixDifferent                                                                          = 2
	birthSwapped, birthTypo, birthParts, birthYear, birthDifferent                           = 2, 3, 4, 5, 6
	sexDifferent                                                                             = 2
	idOtherRecord, idDifferent                                                               = 2, 3
	phoneTypo, phoneDifferent                                                                = 2, 3
	emailDifferent                                                                           = 2
	addressZIP, addressDifferent                                                             = 2, 3
	motherAlike, motherDifferent                                                             = 2, 3
	guardianGiven, guardianDifferent                                                         = 2, 3
	multipleOther, multipleTwins                                                             = 2, 3
)

var levelNames = [fieldCount][]string{
	fieldFamily:   {"", "same", "part of a double name", "typing error", "sounds alike", "exchanged with the given name", "different"},
	fieldGiven:    {"", "same", "short form", "one of two", "typing error", "sounds alike", "initial", "exchanged with the family name", "different"},
	fieldMiddle:   {"", "same", "initial", "different"},
	fieldSuffix:   {"", "same", "different"},
	fieldBirth:    {"", "same", "month and day exchanged", "typing error", "two of three parts", "same year", "different"},
	fieldSex:      {"", "same", "different"},
	fieldID:       {"", "same", "another record number", "different"},
	fieldPhone:    {"", "same", "typing error", "different"},
	fieldEmail:    {"", "same", "different"},
	fieldAddress:  {"", "same", "same ZIP code", "different"},
	fieldMother:   {"", "same", "alike", "different"},
	fieldGuardian: {"", "same", "same given name", "different"},
	fieldMultiple: {"", "same birth order", "another birth order", "twins by name and birth date"},
}

// Part is one field's share in a score, as it is shown to who decides.
type Part struct {
	Field  string  `json:"field"`
	Level  string  `json:"level"`  // how well it agrees, such as "same" or "typing error"
	Weight float64 `json:"weight"` // log2 of how much likelier this is of one person than of two
}

// Comparison is how two records agree.
type Comparison struct {
	Score float64
	level [fieldCount]uint8
	given [fieldCount]float64
	upper float64
	lower float64
}

// Compare compares two records; the order does not matter. It allocates nothing.
func (w *Weights) Compare(a, b *Profile) Comparison {
	c := Comparison{upper: w.Upper, lower: w.Lower}
	c.names(w, a.Names, b.Names)
	c.level[fieldBirth] = compareBirth(a.Birth, b.Birth)
	c.level[fieldSex] = compareSex(a.Sex, b.Sex)
	c.level[fieldID] = compareIDs(a.IDs, b.IDs)
	c.level[fieldPhone] = comparePhones(a.Phones, b.Phones)
	c.level[fieldEmail] = compareTexts(a.Emails, b.Emails, emailDifferent)
	c.level[fieldAddress] = compareAddresses(a.Addresses, b.Addresses)
	c.level[fieldMother] = compareMothers(a.Mother, b.Mother)
	c.level[fieldGuardian] = compareGuardians(a.Guardians, b.Guardians)
	c.level[fieldMultiple] = c.multiple(a, b)
	for f, level := range c.level {
		if level > 0 {
			c.given[f] = w.weight[f][level]
		}
	}
	c.household(w)
	for _, v := range c.given {
		c.Score += v
	}
	return c
}

// household bounds what a family has in common: to those who share a home but neither
// the given name nor the birth date it says nothing, and to others not more than a share.
func (c *Comparison) household(w *Weights) {
	shared := [...]int{fieldPhone, fieldEmail, fieldAddress, fieldMother, fieldGuardian}
	most := w.HouseholdMost
	if c.level[fieldGiven] == givenDifferent || c.level[fieldBirth] == birthDifferent {
		most = 0
	}
	total := 0.0
	for _, f := range shared {
		if c.given[f] > 0 {
			total += c.given[f]
		}
	}
	if total <= most {
		return
	}
	for _, f := range shared {
		if c.given[f] > 0 {
			c.given[f] *= most / total
		}
	}
}

// Parts explains the score: its fields that both records have.
func (c *Comparison) Parts() []Part {
	var out []Part
	for f, level := range c.level {
		if level > 0 {
			out = append(out, Part{fieldNames[f], levelNames[f][level], c.given[f]})
		}
	}
	return out
}

// Possible reports whether a person should look at the two.
func (c *Comparison) Possible() bool { return c.Score >= c.lower || c.sameNumber() }

// sameNumber reports whether the two carry one identifier and something else that fits.
// A number that is right beside a name and a birth date that are both wrong is a slip.
func (c *Comparison) sameNumber() bool {
	return c.level[fieldID] == same && (c.level[fieldBirth] != birthDifferent || c.level[fieldGiven] != givenDifferent && c.level[fieldGiven] != 0)
}

// Certain reports whether the two are one person without anybody looking. The score must
// be high, and beside it the rules hold that no sum of weights can say:
//   - nothing contradicts: suffix, sex, birth order, middle name, a number that a person
//     has only one of;
//   - the given name is the same or a short form of it: the score of twins called Jayden and
//     Kayden is as high as that of a typing error;
//   - family name and birth date are the same and something else agrees as well, since two
//     people of one name and birthday are not rare among a million; or one of the two has
//     a slip and an identifier is the same.
func (c *Comparison) Certain() bool {
	if c.Score < c.upper || c.contradicted() {
		return false
	}
	given := c.level[fieldGiven]
	if given != same && given != givenShort {
		return false
	}
	family, birth := c.level[fieldFamily], c.level[fieldBirth]
	number := c.level[fieldID] == same
	if family == same && birth == same {
		return number || given == same && c.corroborated()
	}
	return number && given == same && (birth == same || family == same && (birth == birthTypo || birth == birthSwapped))
}

func (c *Comparison) contradicted() bool {
	return c.level[fieldSuffix] == suffixDifferent || c.level[fieldSex] == sexDifferent || c.level[fieldMiddle] == middleDifferent ||
		c.level[fieldID] == idDifferent || c.level[fieldMultiple] > same
}

func (c *Comparison) corroborated() bool {
	return c.level[fieldPhone] == same || c.level[fieldEmail] == same || c.level[fieldAddress] == same ||
		c.level[fieldMother] == same || c.level[fieldGuardian] == same
}

// names takes, of all names the two have had, the two that agree best.
func (c *Comparison) names(w *Weights, as, bs []NameKey) {
	best, found := 0.0, false
	for i := range as {
		for j := range bs {
			l := compareName(&as[i], &bs[j])
			total := 0.0
			for f, level := range l {
				if level > 0 {
					total += w.weight[f][level]
				}
			}
			if !found || total > best {
				best, found = total, true
				copy(c.level[:], l[:])
			}
		}
	}
}

func compareName(a, b *NameKey) (l [fieldSuffix + 1]uint8) {
	l[fieldFamily] = compareFamily(a.Family, b.Family)
	l[fieldGiven] = compareGiven(a.Given, b.Given)
	// Exchanged: not of a name whose parts agree as they stand.
	if l[fieldFamily] == familyDifferent && l[fieldGiven] == givenDifferent {
		f, g := compareFamily(a.Family, b.Given), compareFamily(a.Given, b.Family)
		if f > 0 && g > 0 && f <= familyTypo && g <= familyTypo && (f == same || g == same) {
			l[fieldFamily], l[fieldGiven] = familySwapped, givenSwapped
		}
	}
	if a.Middle != "" && b.Middle != "" {
		switch {
		case squash2(a.Middle, b.Middle) || sameCalled(a.Middle, b.Middle):
			l[fieldMiddle] = same
		case a.Middle[0] == b.Middle[0] && (len(a.Middle) == 1 || len(b.Middle) == 1):
			l[fieldMiddle] = middleInitial
		case typo(a.Middle, b.Middle) || hasPart(a.Middle, b.Middle):
			l[fieldMiddle] = same
		default:
			l[fieldMiddle] = middleDifferent
		}
	}
	if a.Suffix != "" && b.Suffix != "" {
		l[fieldSuffix] = same
		if a.Suffix != b.Suffix {
			l[fieldSuffix] = suffixDifferent
		}
	}
	return l
}

// squash2 reports whether two folded texts are the same but for blanks.
func squash2(a, b string) bool {
	if a == b {
		return true
	}
	i, j := 0, 0
	for {
		for i < len(a) && a[i] == ' ' {
			i++
		}
		for j < len(b) && b[j] == ' ' {
			j++
		}
		if i == len(a) || j == len(b) {
			return i == len(a) && j == len(b)
		}
		if a[i] != b[j] {
			return false
		}
		i, j = i+1, j+1
	}
}

// hasPart reports whether two names have a part of three letters or more in common.
func hasPart(a, b string) bool {
	if !strings.Contains(a, " ") && !strings.Contains(b, " ") {
		return false
	}
	for x := range strings.FieldsSeq(a) {
		for y := range strings.FieldsSeq(b) {
			if x == y && len(x) >= 3 {
				return true
			}
		}
	}
	return false
}

func compareFamily(a, b string) uint8 {
	switch {
	case a == "" || b == "":
		return 0
	case squash2(a, b):
		return same
	case hasPart(a, b):
		return familyPart
	case typo(a, b):
		return familyTypo
	case soundsLike(a, b):
		return familySound
	}
	return familyDifferent
}

func soundsLike(a, b string) bool {
	var x, y [24]byte
	s, t := appendSound(x[:0], a), appendSound(y[:0], b)
	return len(s) >= 2 && string(s) == string(t)
}

func compareGiven(a, b string) uint8 {
	switch {
	case placeholder(a) || placeholder(b):
		return 0
	case squash2(a, b):
		return same
	case sameCalled(a, b):
		return givenShort
	case len(a) == 1 || len(b) == 1:
		if a[0] == b[0] {
			return givenInitial
		}
		return givenDifferent
	case hasPart(a, b):
		return givenPart
	case typo(a, b):
		return givenTypo
	case soundsLike(a, b):
		return givenSound
	}
	return givenDifferent
}

func compareBirth(a, b coldkeep.Date) uint8 {
	switch {
	case !a.Known() || !b.Known():
		return 0
	case a == b:
		return same
	}
	ay, am, ad := a.Civil()
	by, bm, bd := b.Civil()
	switch {
	case ay == by && am == bd && ad == bm:
		return birthSwapped
	case ay == by && am == bm && digitSlip(ad, bd), ay == by && ad == bd && digitSlip(am, bm), am == bm && ad == bd && (digitSlip(ay, by) || ay-by == 1 || by-ay == 1):
		return birthTypo
	case ay == by && am == bm, ay == by && ad == bd, am == bm && ad == bd:
		return birthParts
	case ay == by:
		return birthYear
	}
	return birthDifferent
}

// digitSlip reports whether two numbers differ in one digit, or in two neighbours that
// are exchanged.
func digitSlip(a, b int) bool {
	wrong, swapped := 0, false
	for p := 1; p <= 1000; p *= 10 {
		if a/p%10 != b/p%10 {
			wrong++
			swapped = swapped || a/p%10 == b/p/10%10 && a/p/10%10 == b/p%10
		}
	}
	return wrong == 1 || wrong == 2 && swapped
}

func compareSex(a, b Sex) uint8 {
	known := func(s Sex) bool { return s == Female || s == Male }
	switch {
	case !known(a) || !known(b):
		return 0
	case a == b:
		return same
	}
	return sexDifferent
}
