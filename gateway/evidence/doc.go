// Package evidence proves the log. Records are chained and sealed on the device;
// here seals are checked when they come (Arrivals), the chains that could not be
// followed then are followed later (Checker), and a Verifier derives gaps, chain and
// signatures anew from what is stored and says which minutes are missing, altered
// or unsigned.
//
//	batch ─► Arrivals ─► seals in the ledger ◄─ Checker ─┐
//	                                                     ├─ readings store
//	                     findings ◄──────────── Verifier ┘
//
// What a proof rests on is the device's public key. Until devices are enrolled it
// is trusted on first use, and whoever could write to the databases at that moment
// could have put another there: Keys in a Summary are for comparing with the id that
// the device shows.
package evidence
