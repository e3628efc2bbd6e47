package fhir

// Capability is a CapabilityStatement: what may be asked.
type Capability struct {
	ResourceType string           `json:"resourceType"`
	Status       string           `json:"status"`
	Date         string           `json:"date"`
	Kind         string           `json:"kind"`
	Software     Software         `json:"software"`
	FHIRVersion  string           `json:"fhirVersion"`
	Format       []string         `json:"format"`
	Rest         []CapabilityRest `json:"rest"`
}

// Software names the program.
type Software struct {
	Name string `json:"name"`
}

// CapabilityRest is what one side of the interface does.
type CapabilityRest struct {
	Mode          string               `json:"mode"`
	Documentation string               `json:"documentation"`
	Security      Security             `json:"security"`
	Resource      []CapabilityResource `json:"resource"`
}

// Security says how one signs in.
type Security struct {
	Description string `json:"description"`
}

// CapabilityResource is what may be done with one type.
type CapabilityResource struct {
	Type        string        `json:"type"`
	Interaction []Interaction `json:"interaction"`
	SearchParam []SearchParam `json:"searchParam"`
}

// Interaction is one thing that may be done.
type Interaction struct {
	Code string `json:"code"`
}

// SearchParam is what a search may name.
type SearchParam struct {
	Name          string `json:"name"`
	Type          string `json:"type"`
	Documentation string `json:"documentation,omitempty"`
}

// Capabilities is what the registry answers: reading, and searches by POST.
func Capabilities() Capability {
	ways := []Interaction{{"read"}, {"search-type"}}
	of := []SearchParam{{Name: "patient", Type: "reference", Documentation: "Patient/[id], needed"}}
	return Capability{
		ResourceType: "CapabilityStatement", Status: "active", Date: "2026-03-02", Kind: "instance", Software: Software{Name: "Coldkeep"}, FHIRVersion: "4.0.1", Format: []string{"application/fhir+json"},
		Rest: []CapabilityRest{{
			Mode:          "server",
			Documentation: "Searches are POST [type]/_search with a form as the body; GET searches are refused, since patient data is never part of an address. A patient is found by need to know: family, given and birthdate, or identifier.",
			Security:      Security{Description: "A bearer token of an interface account with the scope records, or the session of the screens."},
			Resource: []CapabilityResource{
				{Type: "Patient", Interaction: ways, SearchParam: []SearchParam{
					{Name: "family", Type: "string", Documentation: "three letters or more, with given and birthdate"}, {Name: "given", Type: "string", Documentation: "two letters or more"},
					{Name: "birthdate", Type: "date", Documentation: "the whole date"}, {Name: "identifier", Type: "token", Documentation: "number, kind|number or kind^assigner|number with a kind of HL7 table 0203"}}},
				{Type: "Immunization", Interaction: ways, SearchParam: of},
				{Type: "ImmunizationRecommendation", Interaction: ways, SearchParam: of},
			},
		}},
	}
}
