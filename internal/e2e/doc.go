// Package e2e tests the whole chain with separate operating-system processes over
// TCP: agents, broker, collector and registry, killed and cut off mid-stream, and
// counted against the generator's own ledger. It has tests only.
package e2e
