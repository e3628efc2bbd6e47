package forecast_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
)

// A child of nine weeks has had one dose of DTaP; the next is due in four weeks
// from it at the earliest.
func Example() {
	engine := forecast.New(forecast.Builtin())
	res := engine.Forecast(&forecast.Patient{
		ID: "1", Born: coldkeep.CivilDate(2025, 9, 6), Gender: forecast.Female, Assessment: coldkeep.CivilDate(2025, 11, 10),
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

// A patient's page: what each dose is worth in words, what is due, and what a dose
// drawn today would be worth.
func ExampleEngine_Explain() {
	live := forecast.NewLive(forecast.Builtin())
	engine := live.Engine()
	p := &forecast.Patient{
		ID: "1", Born: coldkeep.NewDate(2024, 10, 1), Gender: forecast.GenderOf("M"), Assessment: coldkeep.NewDate(2025, 11, 10),
		Observations: []forecast.Observation{{Code: "145", Presence: forecast.Unknown}},
		Doses: []forecast.Dose{
			{Date: coldkeep.NewDate(2025, 9, 28), CVX: "03", MVX: "MSD"},
			{Date: coldkeep.NewDate(2025, 10, 12), CVX: "83", LotExpiry: coldkeep.NewDate(2025, 9, 30)},
			{Date: coldkeep.NewDate(2025, 10, 12), CVX: "48", Condition: true},
		},
	}
	res := engine.Explain(p)
	for i := range res.Doses {
		for _, v := range res.Doses[i].Verdicts() {
			fmt.Println(v.Group, v.Status, v.Reason)
		}
		fmt.Println(res.Doses[i].Words[0])
	}
	for _, f := range res.Of("MMR") {
		fmt.Println(f.Words[0])
	}
	fmt.Println(res.Undetermined[0].Title)
	fmt.Println(engine.Try(p, forecast.Dose{Date: coldkeep.NewDate(2025, 10, 20), CVX: "94"}).Words[0])
	// Output:
	// MMR Valid Age: Grace Period
	// Dose 1 of MMR on 2025-09-28 (MMR; CVX 03) counts: at the age of 11 months 27 days, within the grace period (minimum 12 months, counts from 12 months less 4 days), with an allowable vaccine.
	// HepA Sub-standard Lot expired before the dose was given
	// The dose on 2025-10-12 (Hep A, ped/adol, 2 dose; CVX 83) does not count for HepA: the lot had expired on 2025-09-30.
	// Hib Sub-standard Dose condition: the dose cannot be trusted
	// The dose on 2025-10-12 (Hib (PRP-T); CVX 48) does not count for Hib: the dose is flagged as one that cannot be trusted, as after a break of the cold chain.
	// Dose 2 of MMR is due: it may be given from 2025-11-01 (the age of 13 months), and is recommended on 2028-10-01 (at the age of 4 years); it is overdue after 2031-10-28 (the age of 7 years and 4 weeks).
	// B-lymphocyte [humoral] - Severe antibody deficiencies
	// The dose on 2025-10-20 (MMRV; CVX 94) does not count for MMR: too young at the age of 12 months 19 days (minimum 13 months, counts from 13 months less 4 days, 2025-10-28), too soon, 22 days after dose 1 of 2025-09-28 (minimum 4 weeks, counts from 4 weeks less 4 days, 2025-10-22), too soon after MMR of 2025-09-28, a vaccine it must keep a distance from (from 2025-10-26).
}

// Coverage: how many of many patients have a complete series.
func ExampleEngine_All() {
	engine := forecast.New(forecast.Builtin())
	patients := []*forecast.Patient{
		{Born: coldkeep.NewDate(2023, 1, 5), Assessment: coldkeep.NewDate(2025, 11, 10), Doses: []forecast.Dose{
			{Date: coldkeep.NewDate(2024, 1, 8), CVX: "83"}, {Date: coldkeep.NewDate(2024, 8, 1), CVX: "83"}}},
		{Born: coldkeep.NewDate(2023, 1, 5), Assessment: coldkeep.NewDate(2025, 11, 10)},
	}
	complete := 0
	for _, res := range engine.All(context.Background(), slices.Values(patients), 2) {
		if f := res.Of("HepA"); len(f) > 0 && f[0].Status == forecast.Complete {
			complete++
		}
	}
	fmt.Println(complete, "of", len(patients))
	// Output:
	// 1 of 2
}
