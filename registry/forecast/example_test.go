package forecast_test

import (
	"fmt"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// A child of nine weeks has had one dose of DTaP; the next is due in four weeks
// from it at the earliest.
func Example() {
	engine := forecast.New(forecast.Builtin())
	res := engine.Forecast(&forecast.Patient{
		ID: "1", Born: coldkeep.CivilDate(2025, 9, 6), Gender: schedule.Female, Assessment: coldkeep.CivilDate(2025, 11, 10),
		Doses: []forecast.Dose{{Date: coldkeep.CivilDate(2025, 11, 6), CVX: "107"}},
	})
	for _, e := range res.Doses[0].Evaluations {
		fmt.Println(e.Antigen, e.Status)
	}
	for _, f := range res.Forecasts {
		if f.Group == "DTaP/Tdap/Td" {
			fmt.Println(f.Group, f.Status, "dose", f.Number, "from", f.Earliest, "recommended", f.Recommended)
		}
	}
	// Output:
	// Diphtheria Valid
	// Pertussis Valid
	// Tetanus Valid
	// DTaP/Tdap/Td Not Complete dose 2 from 2025-12-04 recommended 2026-01-06
}

// Line answers a line of the forecast command; a wrong one gives an error.
func ExampleEngine_Line() {
	engine := forecast.New(forecast.Builtin())
	fmt.Printf("%s\n", engine.Line([]byte(`{"id":"9","dob":"2025-02-30","assessment_date":"2025-11-10"}`)))
	// Output:
	// {"id":"9","error":"dob: \"2025-02-30\" is not a date"}
}
