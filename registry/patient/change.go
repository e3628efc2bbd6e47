package patient

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// fieldsOf are a record's single fields as history keeps them.
func fieldsOf(p *Patient) []FieldChange {
	multiple := ""
	if p.Multiple != nil {
		multiple = strconv.FormatBool(*p.Multiple)
	}
	order := ""
	if p.BirthOrder > 0 {
		order = strconv.Itoa(p.BirthOrder)
	}
	offered := ""
	if p.Consent.OfferedAt != nil {
		offered = p.Consent.OfferedAt.UTC().Format(time.RFC3339) + " " + string(p.Consent.OfferedBy)
	}
	deceased := ""
	if p.Deceased {
		deceased = strings.TrimSpace("deceased " + p.Died.String())
	}
	return []FieldChange{
		{Field: "birth date", After: p.Birth.String()}, {Field: "state of birth", After: p.BirthState}, {Field: "country of birth", After: p.BirthNation},
		{Field: "sex", After: string(p.Sex)}, {Field: "multiple birth", After: multiple}, {Field: "birth order", After: order},
		{Field: "race", After: strings.Join(p.Races, " ")}, {Field: "ethnicity", After: p.Ethnicity}, {Field: "language", After: p.Language},
		{Field: "mother's maiden name", After: p.Mother}, {Field: "deceased", After: deceased}, {Field: "reminder and recall", After: p.Publicity},
		{Field: "opt-out form offered", After: offered},
	}
}

// changedFields lists the single fields in which two versions of a record differ.
func changedFields(before, after *Patient) []FieldChange {
	var out []FieldChange
	old := fieldsOf(before)
	for i, f := range fieldsOf(after) {
		if f.After != old[i].After {
			out = append(out, FieldChange{Field: f.Field, Before: old[i].After, After: f.After})
		}
	}
	return out
}

// replaced gives a list of a record after the entries in use have been replaced by now:
// those that are still there stay, those that are not end, new ones are added. Ended
// entries are never touched. said is false when nothing changed.
func replaced[T any](kept, now []T, span func(*T) *Span, equal func(a, b *T) bool, at time.Time, by string) (out []T, said bool) {
	last := 0
	for i := range kept {
		last = max(last, span(&kept[i]).Seq)
	}
	var ended []T
	taken := make([]bool, len(kept))
	for i := range now {
		v := now[i]
		if span(&v).Until != nil {
			continue // it is among those that ended already
		}
		found := slices.IndexFunc(out, func(have T) bool { return equal(&have, &v) })
		if found >= 0 {
			continue // said twice
		}
		for j := range kept {
			if !taken[j] && span(&kept[j]).Until == nil && equal(&kept[j], &v) {
				taken[j], found = true, j
				out = append(out, kept[j])
				break
			}
		}
		if found < 0 {
			last++
			*span(&v) = Span{Seq: last}
			out, said = append(out, v), true
		}
	}
	for j := range kept {
		switch s := span(&kept[j]); {
		case s.Until != nil:
			ended = append(ended, kept[j])
		case !taken[j]:
			v := kept[j]
			span(&v).Until, span(&v).EndedBy = &at, by
			ended, said = append([]T{v}, ended...), true
		}
	}
	return append(out, ended...), said
}

func equalName(a, b *Name) bool {
	return a.Family == b.Family && a.Given == b.Given && a.Middle == b.Middle && a.Suffix == b.Suffix && a.Kind == b.Kind
}

func equalAddress(a, b *Address) bool {
	x, y := *a, *b
	x.Span, y.Span = Span{}, Span{}
	return x == y
}

func equalContact(a, b *Contact) bool { return a.Kind == b.Kind && a.Value == b.Value }

func equalIdentifier(a, b *Identifier) bool {
	return a.Kind == b.Kind && a.Assigner == b.Assigner && a.Value == b.Value
}

func equalGuardian(a, b *Guardian) bool {
	return a.Family == b.Family && a.Given == b.Given && a.Middle == b.Middle && a.Relation == b.Relation && equalAddress(&a.Address, &b.Address) &&
		slices.EqualFunc(a.Contacts, b.Contacts, func(x, y Contact) bool { return equalContact(&x, &y) })
}

func equalStatus(a, b *Status) bool { return a.Site == b.Site && a.Standing == b.Standing }

// replace puts what was entered in place of what stands, keeping what it replaces, and
// gives the lists that changed in words.
func (p *Patient) replace(now *Patient, at time.Time, by string) []string {
	var lists []string
	note := func(changed bool, word string) {
		if changed {
			lists = append(lists, word)
		}
	}
	var said bool
	p.Names, said = replaced(p.Names, now.Names, func(v *Name) *Span { return &v.Span }, equalName, at, by)
	note(said, "names")
	p.Addresses, said = replaced(p.Addresses, now.Addresses, func(v *Address) *Span { return &v.Span }, equalAddress, at, by)
	note(said, "addresses")
	p.Contacts, said = replaced(p.Contacts, now.Contacts, func(v *Contact) *Span { return &v.Span }, equalContact, at, by)
	note(said, "contacts")
	p.Identifiers, said = replaced(p.Identifiers, now.Identifiers, func(v *Identifier) *Span { return &v.Span }, equalIdentifier, at, by)
	note(said, "identifiers")
	p.Guardians, said = replaced(p.Guardians, now.Guardians, func(v *Guardian) *Span { return &v.Span }, equalGuardian, at, by)
	note(said, "guardians")
	p.Birth, p.BirthState, p.BirthNation, p.Sex, p.Multiple, p.BirthOrder = now.Birth, now.BirthState, now.BirthNation, now.Sex, now.Multiple, now.BirthOrder
	p.Races, p.Ethnicity, p.Language, p.Mother, p.Publicity = now.Races, now.Ethnicity, now.Language, now.Mother, now.Publicity
	p.Died, p.Deceased = now.Died, now.Deceased
	return lists
}

// stand sets how a person stands with a site.
func (p *Patient) stand(site Status, at time.Time) bool {
	now := []Status{}
	for _, s := range p.Statuses {
		if s.Until == nil && s.Site != site.Site {
			now = append(now, s)
		}
		if s.Until == nil && s.Site == site.Site && s.Standing == site.Standing {
			return false
		}
	}
	p.Statuses, _ = replaced(p.Statuses, append(now, site), func(v *Status) *Span { return &v.Span }, equalStatus, at, "")
	return true
}

// Standing is how a person stands with a site, or the jurisdiction when site is "". A
// person who has died is deceased everywhere. "" when the site does not know the person.
func (p *Patient) Standing(site string) Standing {
	if p.Deceased {
		return Deceased
	}
	for _, s := range p.Statuses {
		if s.Until == nil && string(s.Site) == site {
			return s.Standing
		}
	}
	if site == "" {
		return Active
	}
	return ""
}
