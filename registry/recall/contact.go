package recall

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// adult is the age in years from which a person is told, and not a guardian.
const adult = 18

// contact is how a person can be reached.
type contact struct {
	patient   string
	to        string // whom a letter is addressed to
	names     patient.Name
	birth     coldkeep.Date
	minor     bool
	address   *patient.Address // absent: none that is usable
	phones    []string         // none: none, or the person wants no calls
	emails    []string         // agreed to, and still on the record
	cells     []string         // likewise
	language  string           // "en" or "es"
	household string           // of paper and the telephone
}

// reach finds out how a person can be reached. consents are those in force, bad the hashes
// of addresses and numbers that did not reach the person.
func reach(p *patient.Patient, consents []Consent, bad []string, today coldkeep.Date) contact {
	c := contact{patient: p.ID, names: p.Name(), birth: p.Birth, minor: under(p.Birth, adult, today), language: languageOf(p.Language)}
	guardian := (*patient.Guardian)(nil)
	var known []patient.Contact
	if c.minor {
		for i := range p.Guardians {
			g := &p.Guardians[i]
			if g.Until != nil {
				continue
			}
			if guardian == nil {
				guardian = g
			}
			known = append(known, g.Contacts...)
		}
	}
	known = append(known, p.Contacts...)
	switch {
	case !c.minor:
		c.to = full(c.names.Given, c.names.Middle, c.names.Family, c.names.Suffix)
	case guardian != nil:
		c.to = full(guardian.Given, "", guardian.Family, "")
	default:
		c.to = "Parent or guardian of " + full(c.names.Given, "", c.names.Family, "")
	}
	if a := mailing(p); a != nil && !slices.Contains(bad, hashOf(addressLine(a))) {
		c.address = a
	}
	calls := wishOf(p.Publicity).calls
	for _, k := range known {
		if k.Until != nil || slices.Contains(bad, hashOf(k.Value)) {
			continue
		}
		agreed := func(ch Channel) bool {
			return slices.ContainsFunc(consents, func(have Consent) bool { return have.Channel == ch && have.Target == k.Value })
		}
		switch k.Kind {
		case patient.Email:
			if agreed(Email) {
				add(&c.emails, k.Value)
			}
		case patient.Work:
			// Who answers there is not the family.
		default:
			if calls {
				add(&c.phones, k.Value)
				if k.Kind == patient.Cell && agreed(SMS) {
					add(&c.cells, k.Value)
				}
			}
		}
	}
	where := ""
	if c.address != nil {
		where = addressLine(c.address)
	} else if len(c.phones) > 0 {
		where = c.phones[0]
	}
	c.household = hashOf(where + "\n" + patient.Fold(c.to))
	return c
}

func add(all *[]string, v string) {
	if !slices.Contains(*all, v) {
		*all = append(*all, v)
	}
}

// channels lists those by which the person can be reached.
func (c *contact) channels() []Channel {
	var out []Channel
	if len(c.emails) > 0 {
		out = append(out, Email)
	}
	if len(c.cells) > 0 {
		out = append(out, SMS)
	}
	if c.address != nil {
		out = append(out, Letter, Postcard)
	}
	if len(c.phones) > 0 {
		out = append(out, Phone)
	}
	return out
}

// target is what a notice by a channel goes to, and the household that shares it.
func (c *contact) target(ch Channel) (target, household string) {
	switch ch {
	case Email:
		return c.emails[0], hashOf(c.emails[0])
	case SMS:
		return c.cells[0], hashOf(c.cells[0])
	}
	return "", c.household
}

// mailing is the address that post goes to: one for mail, else where the person lives. One
// that post cannot be sent to is none.
func mailing(p *patient.Patient) *patient.Address {
	whole := func(a *patient.Address) bool {
		return a.Until == nil && a.Street != "" && a.City != "" && a.State != "" && len(a.ZIP) >= 5
	}
	for i := range p.Addresses {
		if a := &p.Addresses[i]; a.Kind == "M" && whole(a) {
			return a
		}
	}
	if a := p.Home(); a != nil && whole(a) {
		return a
	}
	return nil
}

func addressLine(a *patient.Address) string {
	return patient.Fold(a.Street + " " + a.Street2 + " " + a.City + " " + a.State + " " + a.ZIP[:min(5, len(a.ZIP))])
}

// hashOf stands for an address or a number where the value itself is not needed.
func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}

func full(words ...string) string { return strings.Join(strings.Fields(strings.Join(words, " ")), " ") }

// under reports whether a person is younger than so many years on a day.
func under(birth coldkeep.Date, years int, on coldkeep.Date) bool {
	y, m, d := birth.Civil()
	return on < coldkeep.CivilDate(y+years, m, d)
}

// languageOf is the language of a notice: Spanish for who reads it, English for everybody
// else, since there are texts in these.
func languageOf(iso string) string {
	if iso == "spa" {
		return "es"
	}
	return "en"
}
