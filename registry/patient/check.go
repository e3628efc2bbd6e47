package patient

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coldkeep/coldkeep"
)

// oldest is how many years ago somebody who is alive may be born: nobody has lived to 123.
const oldest = 125

// maxList is how many names, addresses and the like one record may have in use.
const maxList = 20

// Normalise brings every field of a record as it was entered or sent into the form it is
// kept in and checks it. today is the day at the place. EINVALID names the field.
func (p *Patient) Normalise(today coldkeep.Date) error {
	for _, step := range []func() error{
		p.checkNames, func() error { return p.checkBirth(today) }, p.checkCodes, p.checkAddresses,
		func() error { return checkContacts("Contacts", p.Contacts) }, p.checkIdentifiers, p.checkGuardians,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// invalid names a field and what is wanted of it. Values are not told: messages are kept.
func invalid(field, format string, args ...any) error {
	return coldkeep.Errorf(coldkeep.EINVALID, "%s: %s", field, fmt.Sprintf(format, args...))
}

// text tidies a field and bounds its length.
func text(field string, s *string, most int) error {
	*s = tidy(*s)
	if utf8.RuneCountInString(*s) > most {
		return invalid(field, "want at most %d characters.", most)
	}
	return nil
}

func hasLetter(s string) bool { return strings.IndexFunc(s, unicode.IsLetter) >= 0 }

func (p *Patient) checkNames() error {
	if len(p.Names) == 0 || len(p.Names) > maxList {
		return invalid("Names", "want 1 to %d names.", maxList)
	}
	legal := false
	for i := range p.Names {
		n := &p.Names[i]
		for field, s := range map[string]*string{"Family name": &n.Family, "Given name": &n.Given, "Middle name": &n.Middle} {
			if err := text(field, s, 80); err != nil {
				return err
			}
		}
		if err := text("Suffix", &n.Suffix, 10); err != nil {
			return err
		}
		if n.Kind == "" {
			n.Kind = Legal
		}
		if !known(NameKinds, string(n.Kind)) {
			return invalid("Kind of name", "want one of L, A, M, B.")
		}
		if !hasLetter(n.Family) {
			return invalid("Family name", "is missing.")
		}
		if n.Given != "" && !hasLetter(n.Given) || n.Given == "" && n.Kind != Maiden {
			return invalid("Given name", "is missing.")
		}
		legal = legal || n.Kind == Legal && n.Until == nil
	}
	if !legal {
		return invalid("Names", "a legal name is missing.")
	}
	return text("Mother's maiden name", &p.Mother, 80)
}

func (p *Patient) checkBirth(today coldkeep.Date) error {
	if !p.Birth.Known() {
		return invalid("Birth date", "is missing or is not a date.")
	}
	y, _, _ := today.Civil()
	born, _, _ := p.Birth.Civil()
	if p.Birth > today {
		return invalid("Birth date", "is in the future.")
	}
	if y-born > oldest {
		return invalid("Birth date", "is more than %d years ago.", oldest)
	}
	if p.Died.Known() {
		p.Deceased = true
		if p.Died < p.Birth {
			return invalid("Date of death", "is before the birth date.")
		}
		if p.Died > today {
			return invalid("Date of death", "is in the future.")
		}
	}
	if p.BirthOrder < 0 || p.BirthOrder > 12 {
		return invalid("Birth order", "want 1 to 12, or nothing.")
	}
	if p.BirthOrder > 1 && p.Multiple != nil && !*p.Multiple {
		return invalid("Birth order", "is of a multiple birth, which this is said not to be.")
	}
	return nil
}

var (
	nation   = regexp.MustCompile(`^[A-Z]{3}$`)
	language = regexp.MustCompile(`^[a-z]{3}$`)
)

func (p *Patient) checkCodes() error {
	p.BirthState, p.BirthNation = strings.ToUpper(tidy(p.BirthState)), strings.ToUpper(tidy(p.BirthNation))
	p.Language = strings.ToLower(tidy(p.Language))
	if p.Sex == "" {
		p.Sex = UnknownSex
	}
	if !known(Sexes, string(p.Sex)) {
		return invalid("Sex", "want F, M, X or U.")
	}
	if p.BirthState != "" && !isState(p.BirthState) {
		return invalid("State of birth", "want a state's two letters, such as IL.")
	}
	if p.BirthNation != "" && !nation.MatchString(p.BirthNation) {
		return invalid("Country of birth", "want three letters of ISO 3166, such as USA.")
	}
	if p.Language != "" && !language.MatchString(p.Language) {
		return invalid("Language", "want three letters of ISO 639-2, such as spa.")
	}
	var races []string
	for _, r := range p.Races {
		code, ok := NormalRace(r)
		if !ok {
			return invalid("Race", "want codes of CDC's list, such as 2106-3.")
		}
		races = appendNew(races, code)
	}
	p.Races = races
	if p.Ethnicity != "" {
		code, ok := NormalEthnicity(p.Ethnicity)
		if !ok {
			return invalid("Ethnicity", "want 2135-2 or 2186-5.")
		}
		p.Ethnicity = code
	}
	if p.Publicity != "" && !known(Publicities, p.Publicity) {
		return invalid("Reminder and recall", "want 01 to 12.")
	}
	return nil
}

func (p *Patient) checkAddresses() error {
	if len(p.Addresses) > maxList {
		return invalid("Addresses", "want at most %d.", maxList)
	}
	for i := range p.Addresses {
		if err := checkAddress("", &p.Addresses[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkAddress(of string, a *Address) error {
	for _, f := range []struct {
		name string
		s    *string
		most int
	}{{"Street", &a.Street, 120}, {"Street, second line", &a.Street2, 120}, {"City", &a.City, 80}, {"County", &a.County, 60}, {"Country", &a.Country, 3}, {"State", &a.State, 40}, {"ZIP code", &a.ZIP, 20}} {
		if err := text(of+f.name, f.s, f.most); err != nil {
			return err
		}
	}
	a.Country, a.State = strings.ToUpper(a.Country), strings.ToUpper(a.State)
	if a.Kind == "" {
		a.Kind = "H"
	}
	if !known(AddressKinds, a.Kind) {
		return invalid(of+"Kind of address", "want one of H, M, C, P, BDL.")
	}
	if a.Country != "" && !nation.MatchString(a.Country) {
		return invalid(of+"Country", "want three letters of ISO 3166, such as USA.")
	}
	if a.Country != "" && a.Country != "USA" {
		return nil
	}
	if a.State != "" && !isState(a.State) {
		return invalid(of+"State", "want a state's two letters, such as IL.")
	}
	if a.ZIP != "" {
		zip, ok := NormalZIP(a.ZIP)
		if !ok {
			return invalid(of+"ZIP code", "want five digits, or nine.")
		}
		a.ZIP = zip
	}
	return nil
}

func checkContacts(of string, all []Contact) error {
	if len(all) > maxList {
		return invalid(of, "want at most %d.", maxList)
	}
	for i := range all {
		c := &all[i]
		ok := false
		switch c.Kind {
		case Email:
			c.Value, ok = NormalEmail(c.Value)
			if !ok {
				return invalid("E-mail", "want an address such as name@example.org.")
			}
		case Phone, Cell, Work:
			c.Value, ok = NormalPhone(c.Value)
			if !ok {
				return invalid("Telephone", "want ten digits, such as 312 555 0142, or + and a country's code.")
			}
		default:
			return invalid("Kind of contact", "want phone, cell, work or email.")
		}
	}
	return nil
}

// ssn has the form of a social security number.
var ssn = regexp.MustCompile(`^\d{3}-\d{2}-\d{4}$`)

func (p *Patient) checkIdentifiers() error {
	if len(p.Identifiers) > maxList {
		return invalid("Identifiers", "want at most %d.", maxList)
	}
	for i := range p.Identifiers {
		d := &p.Identifiers[i]
		d.Kind = strings.ToUpper(tidy(d.Kind))
		if err := text("Identifier", &d.Value, 60); err != nil {
			return err
		}
		if err := text("Authority of the identifier", &d.Assigner, 80); err != nil {
			return err
		}
		if d.Kind == "SS" || ssn.MatchString(d.Value) {
			return invalid("Identifier", "a social security number is not kept.")
		}
		if !known(IdentifierKinds, d.Kind) {
			return invalid("Kind of identifier", "want one of MR, MA, SR, BR, PI, WC, PT.")
		}
		if squash(Fold(d.Value)) == "" {
			return invalid("Identifier", "is missing.")
		}
		if d.Assigner == "" {
			return invalid("Authority of the identifier", "say whose number it is.")
		}
	}
	return nil
}

func (p *Patient) checkGuardians() error {
	if len(p.Guardians) > maxList {
		return invalid("Guardians", "want at most %d.", maxList)
	}
	for i := range p.Guardians {
		g := &p.Guardians[i]
		for field, s := range map[string]*string{"Guardian's family name": &g.Family, "Guardian's given name": &g.Given, "Guardian's middle name": &g.Middle} {
			if err := text(field, s, 80); err != nil {
				return err
			}
		}
		if !hasLetter(g.Family) {
			return invalid("Guardian's family name", "is missing.")
		}
		g.Relation = strings.ToUpper(tidy(g.Relation))
		if !known(Relations, g.Relation) {
			return invalid("Guardian's relation", "choose one, such as mother.")
		}
		if g.Address != (Address{}) {
			if err := checkAddress("Guardian's ", &g.Address); err != nil {
				return err
			}
		}
		if err := checkContacts("Guardian's contacts", g.Contacts); err != nil {
			return err
		}
	}
	return nil
}
