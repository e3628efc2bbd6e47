package fhir

import (
	"strings"

	"github.com/coldkeep/coldkeep/registry/patient"
)

// Patient is a person's demographics.
type Patient struct {
	ResourceType         string          `json:"resourceType"`
	ID                   string          `json:"id"`
	Extension            []Extension     `json:"extension,omitempty"`
	Active               *bool           `json:"active,omitempty"`
	Identifier           []Identifier    `json:"identifier,omitempty"`
	Name                 []HumanName     `json:"name,omitempty"`
	Telecom              []ContactPoint  `json:"telecom,omitempty"`
	Gender               string          `json:"gender,omitempty"`
	BirthDate            string          `json:"birthDate,omitempty"`
	DeceasedBoolean      *bool           `json:"deceasedBoolean,omitempty"`
	DeceasedDateTime     string          `json:"deceasedDateTime,omitempty"`
	Address              []Address       `json:"address,omitempty"`
	MultipleBirthBoolean *bool           `json:"multipleBirthBoolean,omitempty"`
	MultipleBirthInteger int             `json:"multipleBirthInteger,omitempty"`
	Contact              []Contact       `json:"contact,omitempty"`
	Communication        []Communication `json:"communication,omitempty"`
	Link                 []Link          `json:"link,omitempty"`
}

// Identifier is a number that somebody gave to a person or a place.
type Identifier struct {
	System   string     `json:"system,omitempty"`
	Type     *Concept   `json:"type,omitempty"`
	Value    string     `json:"value"`
	Assigner *Reference `json:"assigner,omitempty"`
	Period   *Period    `json:"period,omitempty"`
}

// HumanName is a name.
type HumanName struct {
	Use    string   `json:"use,omitempty"`
	Family string   `json:"family,omitempty"`
	Given  []string `json:"given,omitempty"`
	Suffix []string `json:"suffix,omitempty"`
	Period *Period  `json:"period,omitempty"`
}

// ContactPoint is a telephone number or an e-mail address.
type ContactPoint struct {
	System string  `json:"system"`
	Value  string  `json:"value"`
	Use    string  `json:"use,omitempty"`
	Period *Period `json:"period,omitempty"`
}

// Address is a postal address.
type Address struct {
	Use        string   `json:"use,omitempty"`
	Line       []string `json:"line,omitempty"`
	City       string   `json:"city,omitempty"`
	District   string   `json:"district,omitempty"`
	State      string   `json:"state,omitempty"`
	PostalCode string   `json:"postalCode,omitempty"`
	Country    string   `json:"country,omitempty"`
	Period     *Period  `json:"period,omitempty"`
}

// Contact is a guardian.
type Contact struct {
	Relationship []Concept      `json:"relationship,omitempty"`
	Name         *HumanName     `json:"name,omitempty"`
	Telecom      []ContactPoint `json:"telecom,omitempty"`
	Address      *Address       `json:"address,omitempty"`
	Period       *Period        `json:"period,omitempty"`
}

// Communication is a language the person speaks.
type Communication struct {
	Language Concept `json:"language"`
}

// Link names the record that stands for this one.
type Link struct {
	Other Reference `json:"other"`
	Type  string    `json:"type"`
}

// FromPatient writes a record as the service returned it.
func FromPatient(p patient.Patient) Patient {
	out := Patient{
		ResourceType: "Patient", ID: p.ID, BirthDate: p.Birth.String(), Gender: genders[p.Sex],
		MultipleBirthInteger: p.BirthOrder, DeceasedDateTime: p.Died.String(),
	}
	if p.BirthOrder == 0 {
		out.MultipleBirthBoolean = p.Multiple
	}
	if p.Deceased && !p.Died.Known() {
		out.DeceasedBoolean = &p.Deceased
	}
	if p.MergedInto != "" {
		replaced := false
		out.Active = &replaced
		out.Link = []Link{{Other: Reference{Reference: "Patient/" + p.MergedInto}, Type: "replaced-by"}}
	}
	for _, x := range p.Identifiers {
		id := Identifier{Type: code(systemIdentifier, x.Kind), Value: x.Value, Period: until(x.Until)}
		if x.Assigner != "" {
			id.Assigner = &Reference{Display: x.Assigner}
		}
		out.Identifier = append(out.Identifier, id)
	}
	for _, n := range p.Names {
		name := humanName(n.Family, n.Given, n.Middle)
		name.Use, name.Period = nameUses[n.Kind], until(n.Until)
		if n.Until != nil {
			name.Use = "old"
		}
		if n.Suffix != "" {
			name.Suffix = []string{n.Suffix}
		}
		out.Name = append(out.Name, *name)
	}
	out.Telecom = contacts(p.Contacts)
	for i := range p.Addresses {
		out.Address = append(out.Address, *address(&p.Addresses[i]))
	}
	for i := range p.Guardians {
		g := &p.Guardians[i]
		c := Contact{Name: humanName(g.Family, g.Given, g.Middle), Telecom: contacts(g.Contacts), Period: until(g.Until)}
		if r := code(systemRelation, g.Relation); r != nil {
			c.Relationship = []Concept{*r}
		}
		if g.Address != (patient.Address{}) {
			c.Address = address(&g.Address)
		}
		out.Contact = append(out.Contact, c)
	}
	if p.Language != "" {
		out.Communication = []Communication{{Language: Concept{Coding: []Coding{{System: systemLanguage, Code: p.Language}}}}}
	}
	out.Extension = extensions(&p)
	return out
}

var genders = map[patient.Sex]string{
	patient.Female: "female", patient.Male: "male", patient.OtherSex: "other", patient.UnknownSex: "unknown",
}

var nameUses = map[patient.NameKind]string{
	patient.Legal: "official", patient.Alias: "nickname", patient.Maiden: "maiden", patient.AtBirth: "old",
}

func humanName(family, given, middle string) *HumanName {
	n := &HumanName{Family: family}
	for _, g := range []string{given, middle} {
		if g != "" {
			n.Given = append(n.Given, g)
		}
	}
	return n
}

func contacts(list []patient.Contact) []ContactPoint {
	var out []ContactPoint
	for _, c := range list {
		p := ContactPoint{System: "phone", Value: c.Value, Period: until(c.Until)}
		switch c.Kind {
		case patient.Email:
			p.System = "email"
		case patient.Cell:
			p.Use = "mobile"
		case patient.Work:
			p.Use = "work"
		case patient.Phone:
			p.Use = "home"
		}
		if c.Until != nil {
			p.Use = "old"
		}
		out = append(out, p)
	}
	return out
}

func address(a *patient.Address) *Address {
	out := &Address{City: a.City, District: a.County, State: a.State, PostalCode: a.ZIP, Country: a.Country, Period: until(a.Until)}
	if strings.HasPrefix(a.Kind, "H") {
		out.Use = "home"
	}
	if a.Until != nil {
		out.Use = "old"
	}
	for _, l := range []string{a.Street, a.Street2} {
		if l != "" {
			out.Line = append(out.Line, l)
		}
	}
	return out
}

// extensions are what the United States add: race, ethnicity, the mother's name.
func extensions(p *patient.Patient) []Extension {
	var out []Extension
	if len(p.Races) > 0 {
		race := Extension{URL: extRace}
		for _, r := range p.Races {
			race.Extension = append(race.Extension, Extension{URL: "ombCategory", ValueCoding: &Coding{System: systemRace, Code: r}})
		}
		out = append(out, race)
	}
	if p.Ethnicity != "" {
		out = append(out, Extension{URL: extEthnicity, Extension: []Extension{
			{URL: "ombCategory", ValueCoding: &Coding{System: systemRace, Code: p.Ethnicity}}}})
	}
	if p.Mother != "" {
		out = append(out, Extension{URL: extMaiden, ValueString: p.Mother})
	}
	return out
}
