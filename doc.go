// Package coldkeep holds the nouns that cross the borders of the system:
// temperatures, readings, profiles, appliances, excursions, holds, and the one
// error type. It imports the standard library only, and every other package may
// import it.
//
// The flow they describe is
//
//	probe → reading → excursion → hold on lots
//
// and docs/architecture.md draws who holds which noun when.
package coldkeep
