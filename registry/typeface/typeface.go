// Package typeface is what prints are set in: DejaVu Sans Condensed, which has the letters
// that families here write their names in. Its licence is beside it.
package typeface

import (
	_ "embed"

	"codeberg.org/go-pdf/fpdf"
)

// Family is the name under which Add makes it known.
const Family = "dejavu"

// Regular is the upright face, as a TrueType file.
//
//go:embed DejaVuSansCondensed.ttf
var Regular []byte

//go:embed DejaVuSansCondensed-Bold.ttf
var bold []byte

// Add embeds the regular and the bold ("B") face in a PDF.
func Add(f *fpdf.Fpdf) {
	f.AddUTF8FontFromBytes(Family, "", Regular)
	f.AddUTF8FontFromBytes(Family, "B", bold)
}
