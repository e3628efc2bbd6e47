package hl7

import (
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// person gives what a message says of somebody in the registry's nouns, with the
// registry's own number when it is among the identifiers. What it had to leave out is told.
func (m *Messages) person(r *exchange.Request, in *guide.Patient) (p patient.Patient, ours string, found []guide.Finding) {
	for _, n := range in.Names {
		p.Names = append(p.Names, patient.Name{Family: n.Family, Given: n.Given, Middle: n.Middle, Suffix: n.Suffix, Kind: nameKind(n.Kind)})
	}
	p.Names = oneLegal(p.Names)
	p.Birth, p.Sex, p.Mother = in.Birth, patient.Sex(in.Sex), in.Maiden
	p.Races, p.Ethnicity, p.Language = in.Races, in.Ethnicity, in.Language
	p.Multiple, p.BirthOrder, p.Publicity = in.Multiple, in.BirthOrder, in.Publicity
	if in.Deceased != nil && *in.Deceased || in.Died.Known() {
		p.Deceased, p.Died = true, in.Died
	}
	for _, a := range in.Addresses {
		if a.Kind == "BDL" && a.Street == "" && a.City == "" && a.ZIP == "" { // where somebody was born is a field of its own
			p.BirthState, p.BirthNation = state(a.State), nation(a.Country)
			continue
		}
		p.Addresses = append(p.Addresses, address(a))
	}
	p.Contacts = contacts(in.Contacts)
	var kin []patient.Guardian
	for _, k := range in.Kin {
		if k.Relation == "SEL" {
			continue // that is the patient again
		}
		g := patient.Guardian{Family: k.Name.Family, Given: k.Name.Given, Middle: k.Name.Middle, Relation: relation(k.Relation), Contacts: contacts(k.Contacts)}
		if len(k.Addresses) > 0 {
			g.Address = address(k.Addresses[0])
		}
		kin = append(kin, g)
	}
	p.Guardians = kin
	p.Identifiers, ours, found = m.identifiers(r, in.Identifiers)
	if st, ok := standing(in.Status); ok {
		p.Statuses = []patient.Status{{Site: r.Site, Standing: st}}
	}
	for _, t := range p.TidyTold() {
		found = append(found, guide.Finding{Severity: guide.Warning, Location: placeOf(t), Code: guide.ApplicationError, AppCode: guide.InvalidValue, Rule: "left-out",
			Text: t.Why + " It was left out."})
	}
	return p, ours, found
}

// placeOf is the field of a message that a topic is told in.
func placeOf(t patient.Tidied) er7.Location {
	fields := map[patient.Topic]int{patient.TopicName: 5, patient.TopicAddresses: 11, patient.TopicPhones: 13, patient.TopicEmails: 13, patient.TopicRaces: 10, patient.TopicEthnicity: 22,
		patient.TopicLanguage: 15, patient.TopicSex: 8, patient.TopicMother: 6, patient.TopicBorn: 11, "": 3}
	switch t.Topic {
	case patient.TopicGuardians:
		return er7.Location{Segment: "NK1", Seq: max(t.N, 1)}
	case patient.TopicPublicity:
		return er7.Location{Segment: "PD1", Seq: 1, Field: 11}
	}
	return er7.Location{Segment: "PID", Seq: 1, Field: fields[t.Topic], Rep: t.N}
}

// nameKind takes a name type to those that a record has; whose kind is not known is that of
// the legal name, as older senders leave it out.
func nameKind(k string) patient.NameKind {
	switch k {
	case "", "L", "U", "D":
		return patient.Legal
	case "M":
		return patient.Maiden
	case "B", "C":
		return patient.AtBirth
	}
	return patient.Alias
}

// oneLegal makes the first legal name, or the first of all, the one, and others aliases.
func oneLegal(all []patient.Name) []patient.Name {
	at := slices.IndexFunc(all, func(n patient.Name) bool { return n.Kind == patient.Legal })
	if at < 0 {
		at = 0
	}
	for i := range all {
		if i == at {
			all[i].Kind = patient.Legal
		} else if all[i].Kind == patient.Legal {
			all[i].Kind = patient.Alias
		}
	}
	return all
}

func address(a guide.Address) patient.Address {
	out := patient.Address{Street: a.Street, Street2: a.Street2, City: a.City, State: state(a.State), ZIP: a.ZIP, County: a.County, Country: nation(a.Country), Kind: "H"}
	switch a.Kind {
	case "M", "C", "P", "BDL":
		out.Kind = a.Kind
	case "L", "":
	case "BA", "B", "BI", "N", "O", "RH", "SH", "S", "H":
	}
	return out
}

func state(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }

// nation takes two letters of ISO 3166, which senders use as well, to three for the
// countries that are sent.
func nation(s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	for two, three := range map[string]string{"US": "USA", "MX": "MEX", "CA": "CAN", "PR": "PRI", "IN": "IND", "CN": "CHN", "PH": "PHL", "PL": "POL", "GT": "GTM"} {
		if s == two {
			return three
		}
	}
	return s
}

func contacts(in []guide.Contact) []patient.Contact {
	var out []patient.Contact
	for _, c := range in {
		out = append(out, patient.Contact{Kind: patient.ContactKind(c.Kind), Value: c.Value})
	}
	return out
}

// relation takes a relation of HL7 table 0063 to those that a record has.
func relation(r string) string {
	for _, c := range patient.Relations {
		if c.Code == r {
			return r
		}
	}
	switch r {
	case "MGR", "FGR", "GRM", "GRF":
		return "GRP"
	case "FOF", "FOM":
		return "FCH"
	}
	return "OTH"
}

// standing is how a patient stands with who sends (PD1-16, HL7 table 0441). P, permanently
// inactive, is no longer a patient there; a death is told by PID-29 and PID-30. U says
// nothing.
func standing(status string) (patient.Standing, bool) {
	switch status {
	case "A":
		return patient.Active, true
	case "I", "P":
		return patient.Inactive, true
	case "L":
		return patient.Lost, true
	case "M":
		return patient.Moved, true
	}
	return "", false
}

// identifiers takes numbers to the registry's assigners. A practice's record number is kept
// under the practice, as its people enter it; when a message has several of them, the one
// whose authority the message is from, or else the first, and the others under their own
// authorities. A social security number is not kept (77 Ill. Adm. Code 689 asks for none).
func (m *Messages) identifiers(r *exchange.Request, in []guide.Identifier) (out []patient.Identifier, ours string, found []guide.Finding) {
	own := -1
	for i, d := range in {
		if d.Kind != "MR" && d.Kind != "PI" && d.Kind != "" {
			continue
		}
		a := authority(d.Authority)
		if own < 0 || a != "" && m.isSender(r, a) && !m.isSender(r, authority(in[own].Authority)) {
			own = i
		}
	}
	for i, d := range in {
		a := authority(d.Authority)
		switch d.Kind {
		case "SS", "SSN":
			found = append(found, guide.Finding{Severity: guide.Information, Location: er7.Location{Segment: "PID", Seq: 1, Field: 3, Rep: i + 1}, Code: guide.Accepted, Rule: "ssn",
				Text: "A social security number is not kept. Please do not send it."})
			continue
		case "SR":
			if strings.EqualFold(a, m.us.Authority) {
				ours = strings.ToUpper(d.Value)
				continue
			}
			if a == "" {
				a = "state registry"
			}
		case "MR", "PI", "":
			kind := d.Kind
			if kind == "" {
				kind = "MR"
			}
			if i == own || a == "" {
				a = string(r.Site)
			}
			out = append(out, patient.Identifier{Kind: kind, Assigner: a, Value: d.Value})
			continue
		case "MA":
			a = "Medicaid"
		case "BR":
			if a == "" {
				a = "birth registry"
			}
		case "WC":
			a = "WIC"
		case "PT":
			if a == "" {
				a = string(r.Site)
			}
		default:
			continue // kinds that a record does not keep, such as a driver's licence
		}
		out = append(out, patient.Identifier{Kind: d.Kind, Assigner: a, Value: d.Value})
	}
	return out, ours, found
}

// authority is who assigns a number, in one word.
func authority(a guide.Authority) string {
	if a.Namespace != "" {
		return a.Namespace
	}
	return a.Universal
}

// isSender reports whether an authority is one that a message is from.
func (m *Messages) isSender(r *exchange.Request, a string) bool {
	if strings.EqualFold(a, r.Facility) || strings.EqualFold(a, r.Application) {
		return true
	}
	return slices.ContainsFunc(r.Sender.Facilities, func(f exchange.Facility) bool { return strings.EqualFold(f.Code, a) })
}
