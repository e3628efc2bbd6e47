package forms_test

import (
	"testing"

	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// BenchmarkCertificate is a print of a full record, from the database to the PDF.
func BenchmarkCertificate(b *testing.B) {
	w := open(b, databasetest.SQLite(b))
	id := sixthGrader(w)
	for b.Loop() {
		if _, err := w.CertificatePDF(w.ctx, nurse, id, "6"); err != nil {
			b.Fatal(err)
		}
	}
}
