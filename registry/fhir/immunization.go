package fhir

import (
	"cmp"

	"github.com/coldkeep/coldkeep/registry/immunization"
)

// Immunization is a dose: given, told of, or refused.
type Immunization struct {
	ResourceType       string      `json:"resourceType"`
	ID                 string      `json:"id"`
	Contained          []Location  `json:"contained,omitempty"` // the practice that gave it
	Status             string      `json:"status"`
	StatusReason       *Concept    `json:"statusReason,omitempty"`
	VaccineCode        Concept     `json:"vaccineCode"`
	Patient            Reference   `json:"patient"`
	OccurrenceDateTime string      `json:"occurrenceDateTime"`
	Recorded           string      `json:"recorded,omitempty"`
	PrimarySource      bool        `json:"primarySource"`
	ReportOrigin       *Concept    `json:"reportOrigin,omitempty"`
	Location           *Reference  `json:"location,omitempty"`
	Manufacturer       *Reference  `json:"manufacturer,omitempty"`
	LotNumber          string      `json:"lotNumber,omitempty"`
	ExpirationDate     string      `json:"expirationDate,omitempty"`
	Site               *Concept    `json:"site,omitempty"`
	Route              *Concept    `json:"route,omitempty"`
	DoseQuantity       *Quantity   `json:"doseQuantity,omitempty"`
	Performer          []Performer `json:"performer,omitempty"`
	IsSubpotent        *bool       `json:"isSubpotent,omitempty"`
	SubpotentReason    []Concept   `json:"subpotentReason,omitempty"`
	Education          []Education `json:"education,omitempty"`
	ProgramEligibility []Concept   `json:"programEligibility,omitempty"`
	FundingSource      *Concept    `json:"fundingSource,omitempty"`
}

// Location is where a dose was given: a practice of this registry.
type Location struct {
	ResourceType string       `json:"resourceType"`
	ID           string       `json:"id"`
	Identifier   []Identifier `json:"identifier"`
	Name         string       `json:"name,omitempty"`
}

// Performer is who gave or ordered the dose.
type Performer struct {
	Function Concept   `json:"function"`
	Actor    Reference `json:"actor"`
}

// Education is a Vaccine Information Statement that was handed over.
type Education struct {
	DocumentType     string `json:"documentType,omitempty"`
	PublicationDate  string `json:"publicationDate,omitempty"`
	PresentationDate string `json:"presentationDate,omitempty"`
}

// FromDose writes a dose as the service returned it. product is the vaccine in words,
// and practice the name of the site that gave it; either may be "". The site is contained,
// with its id in this registry; of a dose given elsewhere there are the words alone.
func FromDose(d immunization.Dose, product, practice string) Immunization {
	out := Immunization{
		ResourceType: "Immunization", ID: d.ID, Status: "completed", Patient: Reference{Reference: "Patient/" + d.Patient},
		OccurrenceDateTime: occurred(&d), PrimarySource: d.Kind == immunization.Administered,
		LotNumber: d.Lot, ExpirationDate: d.Expires.String(),
		Site: code(systemBodySite, d.BodySite), Route: code(systemRoute, d.Route), FundingSource: code(systemFunding, d.Funding),
		VaccineCode: Concept{Coding: []Coding{{System: systemCVX, Code: d.CVX}}, Text: product},
	}
	if !d.EnteredAt.IsZero() {
		out.Recorded = d.EnteredAt.UTC().Format("2006-01-02T15:04:05Z")
	}
	if d.NDC != "" {
		out.VaccineCode.Coding = append(out.VaccineCode.Coding, Coding{System: systemNDC, Code: d.NDC})
	}
	switch {
	case d.Deleted != nil:
		out.Status = "entered-in-error"
	case d.Kind == immunization.Refused:
		out.Status = "not-done"
		out.StatusReason = &Concept{Coding: []Coding{{System: systemRefusal, Code: "PATOBJ"}}}
	}
	if d.Kind == immunization.Historical {
		out.ReportOrigin = code(systemOrigin, d.Source)
	}
	switch {
	case d.Site != "":
		at := Location{ResourceType: "Location", ID: "practice", Identifier: []Identifier{{System: systemSite, Value: string(d.Site)}}, Name: practice}
		out.Contained = []Location{at}
		out.Location = &Reference{Reference: "#" + at.ID, Display: cmp.Or(practice, string(d.Site))}
	case d.Elsewhere != "":
		out.Location = &Reference{Display: d.Elsewhere}
	}
	if d.MVX != "" {
		out.Manufacturer = &Reference{Identifier: &Identifier{System: systemMVX, Value: d.MVX}, Display: d.MVX}
	}
	if d.Amount != "" {
		out.DoseQuantity = &Quantity{Value: jsonNumber(d.Amount), Unit: "mL", System: unitsUCUM, Code: "mL"}
	}
	for _, who := range []struct{ name, function string }{{d.GivenBy, "AP"}, {d.OrderedBy, "OP"}} {
		if who.name != "" {
			out.Performer = append(out.Performer, Performer{
				Function: *code("http://terminology.hl7.org/CodeSystem/v2-0443", who.function), Actor: Reference{Display: who.name}})
		}
	}
	if d.NonViable != "" {
		yes := true
		out.IsSubpotent = &yes
		out.SubpotentReason = []Concept{*code(systemSubpotent, "coldchainbreak")}
	}
	for _, v := range d.VIS {
		out.Education = append(out.Education, Education{DocumentType: v.Document, PublicationDate: v.Edition.String(), PresentationDate: v.Given.String()})
	}
	if e := code(systemEligibility, d.Eligibility); e != nil {
		out.ProgramEligibility = []Concept{*e}
	}
	return out
}

// occurred is the day of a dose, or its month alone when no more is known.
func occurred(d *immunization.Dose) string {
	if on := d.Date.String(); !d.DayUnknown || on == "" {
		return on
	}
	return d.Date.String()[:len("2026-03")]
}
