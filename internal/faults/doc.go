// Package faults does to the chain from device to store what will be done to it in
// the field, and counts: stored is what was produced, each record once, the log
// proves itself, and the excursions are those that a replay of the same readings
// finds, with nobody called twice. It has no code outside of its tests.
//
// Everything runs in processes of its own: broker, collector, stores and agents. The
// readings come from a fleet that keeps its own book, and from the real agent
// playing a log. At the end there is a table of what was tried.
//
//	go test ./internal/faults                                              # the short form, in CI
//	COLDKEEP_FAULTS=long go test -timeout 3h -v -count=1 ./internal/faults # the long form
//
// COLDKEEP_FAULTS_TABLE names a file for the table.
//
// A power cut is played by kill -9 of all processes at once. That loses what only
// they had in memory, and not what the kernel has not yet written: for that one
// would have to take the machine's power away.
package faults
