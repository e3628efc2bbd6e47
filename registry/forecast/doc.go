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
package forecast
