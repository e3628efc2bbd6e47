package patient

import (
	"slices"
	"strings"
)

// Meanwhile is one thing of a record that somebody else has changed while a person was
// filling in its form, in words.
type Meanwhile struct {
	Field       string
	Was, Theirs string
	Mine        string // what the person has entered
	Both        bool   // the person has changed it as well, to something else
}

// Rebase brings what was entered into a form onto a record that has been changed since the
// form was made. base is what the form was made from, theirs the record as it stands, mine
// what was entered. What the person has not touched is theirs; what the person has changed
// is mine, also where both have changed it, which is told. EINVALID names a wrong field of
// mine.
func (s *Service) Rebase(base, theirs, mine Patient) (Patient, []Meanwhile, error) {
	if err := mine.Normalise(s.today()); err != nil {
		return mine, nil, err
	}
	inUse(&base)
	inUse(&theirs)
	out := theirs
	var told []Meanwhile
	was, now, my := fieldsOf(&base), fieldsOf(&theirs), fieldsOf(&mine)
	own := map[string]bool{} // what the person has changed
	for i := range was {
		own[was[i].Field] = my[i].After != was[i].After
		if now[i].After != was[i].After && was[i].Field != "opt-out form offered" && was[i].Field != "deceased" {
			told = append(told, Meanwhile{was[i].Field, was[i].After, now[i].After, my[i].After, own[was[i].Field] && my[i].After != now[i].After})
		}
	}
	for field, take := range map[string]func(){
		"birth date": func() { out.Birth = mine.Birth }, "state of birth": func() { out.BirthState = mine.BirthState }, "country of birth": func() { out.BirthNation = mine.BirthNation },
		"sex": func() { out.Sex = mine.Sex }, "multiple birth": func() { out.Multiple = mine.Multiple }, "birth order": func() { out.BirthOrder = mine.BirthOrder },
		"race": func() { out.Races = mine.Races }, "ethnicity": func() { out.Ethnicity = mine.Ethnicity }, "language": func() { out.Language = mine.Language },
		"mother's maiden name": func() { out.Mother = mine.Mother }, "reminder and recall": func() { out.Publicity = mine.Publicity },
	} {
		if own[field] {
			take()
		}
	}
	list := func(m *Meanwhile, field string) {
		if m != nil {
			m.Field = field
			told = append(told, *m)
		}
	}
	var m *Meanwhile
	out.Names, m = rebased(base.Names, theirs.Names, mine.Names, equalName, func(n Name) string { return words(n.Given, n.Middle, n.Family, n.Suffix) })
	list(m, "names")
	out.Addresses, m = rebased(base.Addresses, theirs.Addresses, mine.Addresses, equalAddress, func(a Address) string { return words(a.Street, a.Street2, a.City, a.State, a.ZIP) })
	list(m, "addresses")
	out.Contacts, m = rebased(base.Contacts, theirs.Contacts, mine.Contacts, equalContact, func(c Contact) string { return c.Value })
	list(m, "telephone and e-mail")
	out.Identifiers, m = rebased(base.Identifiers, theirs.Identifiers, mine.Identifiers, equalIdentifier, func(i Identifier) string { return words(i.Kind, i.Value) })
	list(m, "numbers")
	out.Guardians, m = rebased(base.Guardians, theirs.Guardians, mine.Guardians, equalGuardian, func(g Guardian) string {
		parts := []string{g.Given, g.Family}
		for _, c := range g.Contacts {
			parts = append(parts, c.Value)
		}
		return words(parts...)
	})
	list(m, "guardians")
	return out, told, nil
}

func words(parts ...string) string {
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

// inUse leaves a record what stands in it.
func inUse(p *Patient) {
	p.Names = slices.DeleteFunc(slices.Clone(p.Names), func(v Name) bool { return v.Until != nil })
	p.Addresses = slices.DeleteFunc(slices.Clone(p.Addresses), func(v Address) bool { return v.Until != nil })
	p.Contacts = slices.DeleteFunc(slices.Clone(p.Contacts), func(v Contact) bool { return v.Until != nil })
	p.Identifiers = slices.DeleteFunc(slices.Clone(p.Identifiers), func(v Identifier) bool { return v.Until != nil })
	p.Guardians = slices.DeleteFunc(slices.Clone(p.Guardians), func(v Guardian) bool { return v.Until != nil })
}

// rebased takes out of their list what the person has taken out, and adds what the person
// has added: in front what was put in front, since the first of a list is the one that is
// used. It tells what they have changed; nil when nothing.
func rebased[T any](base, theirs, mine []T, equal func(a, b *T) bool, word func(T) string) ([]T, *Meanwhile) {
	in := func(all []T, v *T) bool { return slices.ContainsFunc(all, func(o T) bool { return equal(&o, v) }) }
	without := func(all, other []T) []T {
		return slices.DeleteFunc(slices.Clone(all), func(v T) bool { return in(other, &v) })
	}
	added, removed := without(mine, base), without(base, mine)
	lead := 0
	for lead < len(mine) && !in(base, &mine[lead]) {
		lead++
	}
	front, back := without(mine[:lead], theirs), without(without(mine[lead:], base), theirs)
	out := slices.Concat(front, without(theirs, removed), back)
	if len(without(base, theirs))+len(without(theirs, base)) == 0 {
		return out, nil
	}
	said := func(all []T) string {
		parts := make([]string, len(all))
		for i, v := range all {
			parts[i] = word(v)
		}
		return strings.Join(parts, "; ")
	}
	return out, &Meanwhile{Was: said(base), Theirs: said(theirs), Mine: said(mine), Both: len(added)+len(removed) > 0 && said(mine) != said(theirs)}
}
