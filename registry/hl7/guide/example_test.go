package guide_test

import (
	"fmt"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
)

// A message is parsed, judged, and answered; what it says is in the update.
func Example() {
	m, err := er7.Parse([]byte("MSH|^~\\&|EHR|CLINIC|IIS|STATE|20260302101500-0600||VXU^V04^VXU_V04|M1|P|2.5.1|||ER|AL|||||Z22^CDCPHINVS\n" +
		"PID|1||4711^^^CLINIC^MR||Rivera^Ana^Luz^^^^L||20240105|F\n" +
		"ORC|RE||D2^CLINIC\n" +
		"RXA|0|1|20250110||20^DTaP^CVX|999|||01^historical^NIP001|||||||||||CP|A\n" +
		"RXR|C28161^IM^NCIT|XX^?^HL70163\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	checker := &guide.Checker{Today: coldkeep.NewDate(2026, 3, 2)}
	r := checker.Check(m)
	for _, f := range r.Findings {
		fmt.Println(f.Severity, f.Location, f.Text)
	}
	for _, o := range r.Update.Orders {
		fmt.Println(o.Kind, o.Date, o.CVX, o.Route)
	}
	answer := guide.Responder{Now: func() time.Time { return time.Date(2026, 3, 2, 16, 15, 1, 0, time.UTC) }, NewID: func() string { return "A1" }}
	reply, _ := er7.Parse(answer.Ack(r, "", r.Findings).Bytes())
	msa, _ := reply.First("MSA")
	fmt.Println(msa.Raw())
	// Output:
	// E RXR^1^2^1^1 RXR-2 (administration site): it is not in table HL70163: it is left out.
	// historical 2025-01-10 20 IM
	// MSA|AE|M1
}
