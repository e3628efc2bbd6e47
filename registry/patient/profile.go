package patient

import (
	"strconv"
	"strings"

	"github.com/coldkeep/coldkeep"
)

// Profile is what matching compares of a person, folded once when the record is saved.
// It holds earlier names, addresses and numbers as well: that a name was left does not
// make it another person's.
type Profile struct {
	Names     []NameKey
	Birth     coldkeep.Date
	Sex       Sex
	Multiple  *bool
	Order     int    // of a multiple birth; 0 when not known
	Mother    string // folded family name before her first marriage, and her given name where it is known
	Phones    []string
	Emails    []string
	Addresses []AddressKey
	IDs       []IDKey
	Guardians []NameKey
}

// NameKey is a folded name.
type NameKey struct {
	Family, Given, Middle, Suffix string
}

// AddressKey is what two writings of one address have in common: the first number of the
// street line and the ZIP code's five digits.
type AddressKey struct {
	House, Street, ZIP string
}

// IDKey is an identifier, folded.
type IDKey struct {
	Kind, Assigner, Value string
}

// ProfileOf makes the profile of a record.
func ProfileOf(p *Patient) Profile {
	out := Profile{Birth: p.Birth, Sex: p.Sex, Multiple: p.Multiple, Order: p.BirthOrder, Mother: Fold(p.Mother)}
	for _, n := range p.Names {
		out.Names = appendNew(out.Names, nameKey(n.Family, n.Given, n.Middle, n.Suffix))
	}
	for _, c := range p.Contacts {
		if c.Kind == Email {
			out.Emails = appendNew(out.Emails, c.Value)
		} else {
			out.Phones = appendNew(out.Phones, c.Value)
		}
	}
	for _, a := range p.Addresses {
		if k, ok := addressKey(a); ok && a.Kind != "BDL" { // where one was born tells nobody apart
			out.Addresses = appendNew(out.Addresses, k)
		}
	}
	for _, i := range p.Identifiers {
		out.IDs = appendNew(out.IDs, IDKey{i.Kind, Fold(i.Assigner), squash(Fold(i.Value))})
	}
	for _, g := range p.Guardians {
		out.Guardians = appendNew(out.Guardians, nameKey(g.Family, g.Given, g.Middle, ""))
		for _, c := range g.Contacts {
			if c.Kind == Email {
				out.Emails = appendNew(out.Emails, c.Value)
			} else {
				out.Phones = appendNew(out.Phones, c.Value)
			}
		}
	}
	return out
}

func appendNew[T comparable](all []T, v T) []T {
	for _, have := range all {
		if have == v {
			return all
		}
	}
	return append(all, v)
}

func nameKey(family, given, middle, suffix string) NameKey {
	k := NameKey{Fold(family), Fold(given), Fold(middle), foldSuffix(suffix)}
	if rest, typed := takeSuffix(k.Family); typed != "" {
		k.Family = rest
		if k.Suffix == "" {
			k.Suffix = typed
		}
	}
	return k
}

func addressKey(a Address) (AddressKey, bool) {
	k := AddressKey{Street: Fold(a.Street)}
	if len(a.ZIP) >= 5 {
		k.ZIP = a.ZIP[:5]
	}
	for word := range strings.FieldsSeq(k.Street) {
		if word[0] >= '0' && word[0] <= '9' {
			k.House = word
			break
		}
	}
	return k, k.Street != ""
}

// The text of a profile: a line a fact, its parts separated by tabs, which no folded
// text holds.
const (
	lineName     = 'n'
	lineBorn     = 'b'
	lineMother   = 'm'
	linePhone    = 'p'
	lineEmail    = 'e'
	lineAddress  = 'a'
	lineID       = 'i'
	lineGuardian = 'g'
)

// String is the profile as the store keeps it; ReadProfile is its inverse.
func (p *Profile) String() string {
	b := make([]byte, 0, 256)
	line := func(kind byte, parts ...string) {
		b = append(b, kind)
		for i, s := range parts {
			if i > 0 {
				b = append(b, '\t')
			}
			b = append(b, clean(s)...)
		}
		b = append(b, '\n')
	}
	multiple := ""
	if p.Multiple != nil {
		multiple = strconv.FormatBool(*p.Multiple)
	}
	line(lineBorn, p.Birth.String(), string(p.Sex), multiple, strconv.Itoa(p.Order))
	for _, n := range p.Names {
		line(lineName, n.Family, n.Given, n.Middle, n.Suffix)
	}
	if p.Mother != "" {
		line(lineMother, p.Mother)
	}
	for _, s := range p.Phones {
		line(linePhone, s)
	}
	for _, s := range p.Emails {
		line(lineEmail, s)
	}
	for _, a := range p.Addresses {
		line(lineAddress, a.House, a.Street, a.ZIP)
	}
	for _, i := range p.IDs {
		line(lineID, i.Kind, i.Assigner, i.Value)
	}
	for _, g := range p.Guardians {
		line(lineGuardian, g.Family, g.Given, g.Middle, g.Suffix)
	}
	return string(b)
}

// clean takes out what would part lines and parts. Checked fields hold none of it.
func clean(s string) string {
	if !strings.ContainsAny(s, "\t\n") {
		return s
	}
	return strings.NewReplacer("\t", " ", "\n", " ").Replace(s)
}

// ReadProfile reads what String wrote. Its texts share s's memory. EINVALID for
// anything else.
func ReadProfile(s string) (Profile, error) {
	var p Profile
	for s != "" {
		line, rest, ok := strings.Cut(s, "\n")
		if !ok || line == "" {
			return p, errProfile
		}
		var f [4]string
		n := 0
		for more, body := true, line[1:]; more; n++ {
			if n == len(f) {
				return p, errProfile
			}
			f[n], body, more = strings.Cut(body, "\t")
		}
		if err := p.read(line[0], f, n); err != nil {
			return p, err
		}
		s = rest
	}
	return p, nil
}

var errProfile = coldkeep.Errorf(coldkeep.EINVALID, "a profile for matching is not readable")

func (p *Profile) read(kind byte, f [4]string, n int) error {
	want := map[byte]int{lineBorn: 4, lineName: 4, lineGuardian: 4, lineMother: 1, linePhone: 1, lineEmail: 1, lineAddress: 3, lineID: 3}[kind]
	if n != want {
		return errProfile
	}
	switch kind {
	case lineBorn:
		if err := p.Birth.UnmarshalText([]byte(f[0])); err != nil {
			return errProfile
		}
		p.Sex = Sex(f[1])
		switch f[2] {
		case "true", "false":
			yes := f[2] == "true"
			p.Multiple = &yes
		case "":
		default:
			return errProfile
		}
		order, err := strconv.Atoi(f[3])
		if err != nil {
			return errProfile
		}
		p.Order = order
	case lineName:
		p.Names = append(p.Names, NameKey{f[0], f[1], f[2], f[3]})
	case lineGuardian:
		p.Guardians = append(p.Guardians, NameKey{f[0], f[1], f[2], f[3]})
	case lineMother:
		p.Mother = f[0]
	case linePhone:
		p.Phones = append(p.Phones, f[0])
	case lineEmail:
		p.Emails = append(p.Emails, f[0])
	case lineAddress:
		p.Addresses = append(p.Addresses, AddressKey{f[0], f[1], f[2]})
	case lineID:
		p.IDs = append(p.IDs, IDKey{f[0], f[1], f[2]})
	}
	return nil
}
