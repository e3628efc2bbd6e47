// Package fhir writes the registry's records as FHIR R4 resources: Patient,
// Immunization and ImmunizationRecommendation. It maps and decides nothing: whoever
// calls it has been let in by the services, and what they have masked stays absent.
package fhir

import (
	"time"

	"github.com/coldkeep/coldkeep"
)

// The code systems, by the names HL7 gave them.
const (
	systemCVX         = "http://hl7.org/fhir/sid/cvx"
	systemNDC         = "http://hl7.org/fhir/sid/ndc"
	systemMVX         = "http://hl7.org/fhir/sid/mvx"
	systemLOINC       = "http://loinc.org"
	systemRace        = "urn:oid:2.16.840.1.113883.6.238"
	systemLanguage    = "urn:ietf:bcp:47"
	systemIdentifier  = "http://terminology.hl7.org/CodeSystem/v2-0203"
	systemRelation    = "http://terminology.hl7.org/CodeSystem/v2-0063"
	systemBodySite    = "http://terminology.hl7.org/CodeSystem/v2-0163"
	systemRoute       = "http://terminology.hl7.org/CodeSystem/v2-0162"
	systemEligibility = "http://terminology.hl7.org/CodeSystem/v2-0064"
	systemFunding     = "urn:oid:2.16.840.1.114222.4.5.274" // CDC's local codes, VXC50 and the like
	systemOrigin      = "urn:oid:2.16.840.1.114222.4.5.274"
	systemSubpotent   = "http://terminology.hl7.org/CodeSystem/immunization-subpotent-reason"
	systemStatus      = "http://terminology.hl7.org/CodeSystem/immunization-recommendation-status"
	systemRefusal     = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	systemSite        = "urn:coldkeep:site" // a practice's id in this registry
	unitsUCUM         = "http://unitsofmeasure.org"

	extRace      = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
	extEthnicity = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity"
	extMaiden    = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"
)

// MediaType is the content type of every answer.
const MediaType = "application/fhir+json; charset=utf-8"

// Coding is a code of a system.
type Coding struct {
	System  string `json:"system,omitempty"`
	Code    string `json:"code,omitempty"`
	Display string `json:"display,omitempty"`
}

// Concept is a CodeableConcept.
type Concept struct {
	Coding []Coding `json:"coding,omitempty"`
	Text   string   `json:"text,omitempty"`
}

// Reference points to another resource.
type Reference struct {
	Reference  string      `json:"reference,omitempty"`
	Identifier *Identifier `json:"identifier,omitempty"`
	Display    string      `json:"display,omitempty"`
}

// Period is a span of days or times; an open end is absent.
type Period struct {
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
}

// Quantity is an amount with a UCUM unit.
type Quantity struct {
	Value  jsonNumber `json:"value"`
	Unit   string     `json:"unit"`
	System string     `json:"system"`
	Code   string     `json:"code"`
}

// jsonNumber is a decimal that keeps its digits.
type jsonNumber string

// MarshalJSON writes the number as it was recorded.
func (n jsonNumber) MarshalJSON() ([]byte, error) { return []byte(n), nil }

// Extension is a field that FHIR itself does not have.
type Extension struct {
	URL         string      `json:"url"`
	ValueString string      `json:"valueString,omitempty"`
	ValueCoding *Coding     `json:"valueCoding,omitempty"`
	Extension   []Extension `json:"extension,omitempty"`
}

// Bundle is an answer of several resources.
type Bundle struct {
	ResourceType string  `json:"resourceType"`
	Type         string  `json:"type"`
	Total        int     `json:"total"`
	Entry        []Entry `json:"entry,omitempty"`
}

// Entry is one resource of a Bundle.
type Entry struct {
	FullURL  string `json:"fullUrl,omitempty"`
	Resource any    `json:"resource"`
	Search   *Match `json:"search,omitempty"`
}

// Match says why an entry is in the answer to a search: "match", or "outcome" for
// something that is to be told about it.
type Match struct {
	Mode string `json:"mode"`
}

// Tell adds something that is to be known of a search to its answer.
func (b *Bundle) Tell(severity, code, words string) {
	b.Entry = append(b.Entry, Entry{Resource: Outcome{ResourceType: "OperationOutcome", Issue: []Issue{{Severity: severity, Code: code, Diagnostics: words}}}, Search: &Match{"outcome"}})
}

// SearchSet is the answer to a search, one entry a resource.
func SearchSet[T any](resources []T) Bundle {
	b := Bundle{ResourceType: "Bundle", Type: "searchset", Total: len(resources)}
	for _, r := range resources {
		b.Entry = append(b.Entry, Entry{Resource: r, Search: &Match{"match"}})
	}
	return b
}

// Outcome is an OperationOutcome: an error as FHIR tells it.
type Outcome struct {
	ResourceType string  `json:"resourceType"`
	Issue        []Issue `json:"issue"`
}

// Issue is one thing that was wrong.
type Issue struct {
	Severity    string `json:"severity"`
	Code        string `json:"code"`
	Diagnostics string `json:"diagnostics,omitempty"`
}

// Failure tells an error as an OperationOutcome; what is ours stays unsaid, as
// coldkeep.ErrorMessage has it.
func Failure(err error) Outcome {
	code := map[string]string{
		coldkeep.EINVALID: "invalid", coldkeep.EUNAUTHORIZED: "login", coldkeep.EFORBIDDEN: "forbidden", coldkeep.ENOTFOUND: "not-found",
		coldkeep.ECONFLICT: "conflict", coldkeep.ETOOMANY: "throttled", coldkeep.EUNAVAILABLE: "transient",
	}[coldkeep.ErrorCode(err)]
	if code == "" {
		code = "exception"
	}
	return Outcome{ResourceType: "OperationOutcome", Issue: []Issue{{Severity: "error", Code: code, Diagnostics: coldkeep.ErrorMessage(err)}}}
}

func code(system, c string) *Concept {
	if c == "" {
		return nil
	}
	return &Concept{Coding: []Coding{{System: system, Code: c}}}
}

func day(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

func until(t *time.Time) *Period {
	if t == nil {
		return nil
	}
	return &Period{End: day(t)}
}
