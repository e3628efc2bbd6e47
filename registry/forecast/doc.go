// Package forecast says which immunizations a patient has had that count, and
// which are due when. It is CDC's Clinical Decision Support for Immunization
// (CDSi), logic specification 4.6, as a pure function of a patient, a day and a
// schedule:
//
//	history → relevant series → evaluate → forecast → select → vaccine group
//
// Each step is a file: history.go (4.2), relevant.go (5.1), evaluate.go with
// skip.go, interval.go, conflict.go and vaccine.go (6), forecast.go with
// protect.go (7), select.go and score.go (8), group.go (9). Every branch names
// the CDSi rule or table it follows; where the specification is silent the
// comment says "[I]" and why, and docs/forecast-disagreements.md lists what is
// left over.
//
// The vaccines, ages and intervals are data. Builtin gives the schedule that
// comes with the program, LoadXML reads CDC's published files. An Engine holds a
// compiled schedule and may be used by any number of goroutines.
//
// # Asking
//
// Build a Patient from what the record has: doses with CVX, and MVX where it is
// known; the lot's expiry; Dose.Condition for a dose that a cold-chain break
// spoilt; and observations, which are conditions, evidence of immunity,
// contraindications and reactions alike, by CDSi's codes. Leave out doses that were
// entered by mistake, refused doses, and observations that have ended. Then
//
//	Engine.Forecast  the answer for one patient
//	Engine.Explain   the same, with words and decisions (a patient's page)
//	Engine.Try       what would become of a dose about to be given
//	Engine.All       many patients in their order (recall, coverage)
//	Engine.Worker    one after the other without allocation
//	Engine.Catalogue the observations a person can choose from
//	Stream           JSON Lines, as coldkeep forecast
//
// In the Result, DoseResult.Verdicts says for each vaccine group whether a dose
// counts, and Result.Of gives the forecasts of a group: one, or a risk forecast
// beside the standard one, or one that begins to apply within a year
// (Forecast.Begins). Undetermined says what was not taken into account because
// nobody knows it, and Unasked what nobody has asked.
//
// A Live holds the engine in force, for programs in which a schedule can be
// changed while they run; package schedules loads, compares and activates them.
package forecast
