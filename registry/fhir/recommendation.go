package fhir

import (
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
)

// ImmunizationRecommendation is what is due.
type ImmunizationRecommendation struct {
	ResourceType   string           `json:"resourceType"`
	ID             string           `json:"id"`
	Patient        Reference        `json:"patient"`
	Date           string           `json:"date"`
	Recommendation []Recommendation `json:"recommendation"`
}

// Recommendation is the forecast of one vaccine group.
type Recommendation struct {
	VaccineCode           []Concept       `json:"vaccineCode,omitempty"`
	TargetDisease         Concept         `json:"targetDisease"`
	ForecastStatus        Concept         `json:"forecastStatus"`
	ForecastReason        []Concept       `json:"forecastReason,omitempty"`
	DateCriterion         []DateCriterion `json:"dateCriterion,omitempty"`
	Description           string          `json:"description,omitempty"`
	Series                string          `json:"series,omitempty"`
	DoseNumberPositiveInt int             `json:"doseNumberPositiveInt,omitempty"`
}

// DateCriterion is one of the dates of a recommendation.
type DateCriterion struct {
	Code  Concept `json:"code"`
	Value string  `json:"value"`
}

// FromForecast writes a forecast of the patient made at a time. series gives the
// name of the kind of series, such as "standard"; cvx lists the codes that may be given.
func FromForecast(patientID string, at time.Time, groups []Group) ImmunizationRecommendation {
	out := ImmunizationRecommendation{
		ResourceType: "ImmunizationRecommendation", ID: patientID, Patient: Reference{Reference: "Patient/" + patientID},
		Date: at.UTC().Format("2006-01-02T15:04:05Z"), Recommendation: []Recommendation{},
	}
	for i := range groups {
		out.Recommendation = append(out.Recommendation, recommendation(&groups[i], coldkeep.DateOf(at)))
	}
	return out
}

// Group is what the forecaster says of one vaccine group.
type Group struct {
	Name, Series, Reason                   string
	Status                                 forecast.Status
	Number                                 int
	Earliest, Recommended, PastDue, Latest coldkeep.Date
	CVX                                    []string
}

func recommendation(g *Group, today coldkeep.Date) Recommendation {
	r := Recommendation{
		TargetDisease: Concept{Text: g.Name}, Series: g.Series, DoseNumberPositiveInt: g.Number,
		ForecastStatus: Concept{Coding: []Coding{{System: systemStatus, Code: status(g, today)}}, Text: g.Status.String()},
	}
	for _, c := range g.CVX {
		r.VaccineCode = append(r.VaccineCode, *code(systemCVX, c))
	}
	if g.Reason != "" {
		r.ForecastReason = []Concept{{Text: g.Reason}}
	}
	for _, d := range []struct {
		loinc, words string
		day          coldkeep.Date
	}{
		{"30981-5", "Earliest date to give", g.Earliest},
		{"30980-7", "Date vaccine due", g.Recommended},
		{"59778-1", "Date when overdue for immunization", g.PastDue},
		{"59777-3", "Latest date to give immunization", g.Latest},
	} {
		if d.day.Known() {
			r.DateCriterion = append(r.DateCriterion, DateCriterion{
				Code: Concept{Coding: []Coding{{System: systemLOINC, Code: d.loinc, Display: d.words}}}, Value: d.day.String()})
		}
	}
	return r
}

// status is one of FHIR's five words; the forecaster's own stands in the text.
func status(g *Group, today coldkeep.Date) string {
	switch g.Status {
	case forecast.Immune:
		return "immune"
	case forecast.Contraindicated:
		return "contraindicated"
	case forecast.NotComplete:
		if g.PastDue.Known() && today >= g.PastDue {
			return "overdue"
		}
		return "due"
	}
	return "complete"
}
