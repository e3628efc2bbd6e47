package guide_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
)

// good is a message that breaks no rule.
var good = []string{
	`MSH|^~\&|EHR|CLINIC|IIS|STATE|20260302101500-0600||VXU^V04^VXU_V04|M1|P|2.5.1|||ER|AL|||||Z22^CDCPHINVS|CLINIC|STATE`,
	`PID|1||4711^^^CLINIC^MR||Rivera^Ana^Luz^^^^L|Soto^Eva^^^^^M|20240105|F||2106-3^White^CDCREC|12 Oak St^^Springfield^IL^62701^USA^H||^PRN^PH^^^217^5550142~^NET^Internet^a@example.org|||||||||2135-2^Hispanic^CDCREC||N`,
	`PD1|||||||||||02^any^HL70215|N|20260302|||A|20260302|20260302`,
	`NK1|1|Rivera^Eva^^^^^L|MTH^Mother^HL70063|12 Oak St^^Springfield^IL^62701^USA^H|^PRN^PH^^^217^5550142`,
	`ORC|RE||D1^CLINIC|||||||7^Clerk^Myra||8^Order^Olga^^^^^^NPI&2.16.840.1.113883.4.6&ISO^L|||||CLINIC`,
	`RXA|0|1|20260302||03^MMR^CVX|0.5|mL^^UCUM||00^new^NIP001|9^Nurse^Nina|^^^CLINIC||||ABC123|20270101|MSD^Merck^MVX|||CP|A`,
	`RXR|C38299^SC^NCIT|LA^Left Arm^HL70163`,
	`OBX|1|CE|64994-7^Eligibility^LN|1|V02^Medicaid^HL70064||||||F|||20260302|||VXC40^^CDCPHINVS`,
	`OBX|2|CE|69764-9^VIS^LN|2|253088698300012711120420^MMR^cdcgs1vis||||||F|||20260302`,
	`OBX|3|DT|29769-7^presented^LN|2|20260302||||||F|||20260302`,
	`ORC|RE||D2^CLINIC`,
	`RXA|0|1|20250110||20^DTaP^CVX|999|||01^historical^NIP001|||||||||||CP|A`,
}

// edit is a message with a field of a segment changed; segments are found by the name and
// their number, "RXA2". A field of 0 takes the segment away, or puts text in its place.
type edit struct {
	segment string
	field   int
	text    string
}

func message(t testing.TB, lines []string, edits ...edit) *er7.Message {
	t.Helper()
	out := slices.Clone(lines)
	for _, e := range edits {
		name, number := e.segment[:3], 1
		if len(e.segment) > 3 {
			number = int(e.segment[3] - '0')
		}
		at := -1
		for i, l := range out {
			if strings.HasPrefix(l, name) {
				if number--; number == 0 {
					at = i
				}
			}
		}
		switch {
		case at < 0:
			t.Fatalf("no segment %s", e.segment)
		case e.field == 0 && e.text == "":
			out[at] = ""
			continue
		case e.field == 0:
			out[at] = e.text
			continue
		}
		f := strings.Split(out[at], "|")
		n := e.field
		if name == "MSH" {
			n--
		}
		for len(f) <= n {
			f = append(f, "")
		}
		f[n] = e.text
		out[at] = strings.Join(f, "|")
	}
	m, err := er7.Parse([]byte(strings.Join(out, "\r")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// told are findings in short: severity, place, code, detail.
func told(r *guide.Result) string {
	var out []string
	for i := range r.Findings {
		f := &r.Findings[i]
		s := fmt.Sprintf("%s %s %s", f.Severity, f.Location, f.Code)
		if f.AppCode != "" {
			s += "/" + f.AppCode
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func line(values ...any) string { return strings.TrimSuffix(fmt.Sprintln(values...), "\n") }

func TestGood(t *testing.T) {
	r := (&guide.Checker{Today: today}).Check(message(t, good))
	if r.Outcome != guide.AA || r.Guide != guide.Claimed || told(r) != "" {
		t.Fatalf("%s by %s: %s", r.Outcome, r.Guide, told(r))
	}
	u := r.Update
	p := &u.Patient
	got := line(p.Identifiers, p.Names, p.Maiden, p.Birth, p.Sex, p.Races, p.Ethnicity, p.Addresses, p.Contacts, *p.Multiple, p.Publicity, p.PublicityFrom, *p.Protected, p.Status, p.Kin[0].Relation, p.Kin[0].Contacts)
	if want := "[{4711 {CLINIC  } MR}] [{Rivera Ana Luz   L}] Soto 2024-01-05 F [2106-3] 2135-2 [{12 Oak St  Springfield IL 62701 USA  H}] [{phone 2175550142 PRN} {email a@example.org NET}] false 02 2026-03-02 false A MTH [{phone 2175550142 PRN}]"; got != want {
		t.Errorf("patient\n%s\n%s", got, want)
	}
	o := &u.Orders[0]
	got = line(o.Kind, o.Action, o.Filler.Value, o.Date, o.CVX, o.MVX, o.Lot, o.Expires, o.Amount, o.Unit, o.Source, o.Route, o.BodySite, o.Eligibility, o.Method, o.VIS, o.GivenBy.Family, o.OrderedBy.Family, o.Facility.Namespace, len(o.Observations))
	if want := "given A D1 2026-03-02 03 MSD ABC123 2027-01-01 0.5 mL 00 SC LA V02 VXC40 [{253088698300012711120420   2026-03-02}] Nurse Order CLINIC 3"; got != want {
		t.Errorf("order\n%s\n%s", got, want)
	}
	if o := &u.Orders[1]; o.Kind != guide.Historical || o.Source != "01" || o.Amount != "" || o.CVX != "20" {
		t.Errorf("%+v", o)
	}
}

// TestRules is table 3-1 and the conformance statements, one broken at a time.
func TestRules(t *testing.T) {
	type does struct {
		name     string
		edits    []edit
		outcome  guide.Outcome
		told     string
		rejected bool
		orders   int
	}
	e := func(segment string, field int, text string) []edit { return []edit{{segment, field, text}} }
	cases := []does{
		// Refused: only what the guide says.
		{"type", e("MSH", 9, "ADT^A04^ADT_A01"), "AR", "E MSH^1^9 200", true, 0},
		{"answer", e("MSH", 9, "ACK^V04^ACK"), "AR", "E MSH^1^9 200", true, 0},
		{"event", e("MSH", 9, "VXU^V05^VXU_V04"), "AR", "E MSH^1^9 201", true, 0},
		{"processing", e("MSH", 11, "X"), "AR", "E MSH^1^11 202", true, 0},
		{"version", e("MSH", 12, "3.0"), "AR", "E MSH^1^12 203", true, 0},
		// Read as the nearest guide.
		{"no profile", e("MSH", 21, ""), "AA", "W MSH^1^21 101/7", false, 2},
		{"profile of another", e("MSH", 21, "Z34^CDCPHINVS"), "AA", "W MSH^1^21 103/5", false, 2},
		{"2.6", e("MSH", 12, "2.6"), "AA", "W MSH^1^12 203", false, 2},
		{"2.3.1", e("MSH", 12, "2.3.1"), "AA", "", false, 2},
		{"2.4", e("MSH", 12, "2.4"), "AA", "W MSH^1^12 203", false, 2},
		{"no version", e("MSH", 12, ""), "AA", "W MSH^1^12 101/7", false, 2},
		{"structure", e("MSH", 9, "VXU^V04"), "AA", "W MSH^1^9 102/4", false, 2},
		{"seconds", e("MSH", 7, "202603021015-0600"), "AA", "W MSH^1^7^1^1 102/2", false, 2},
		{"no control ID", e("MSH", 10, ""), "AE", "E MSH^1^10 101/7, E MSH^1 100", true, 0},
		// R fields of PID reject.
		{"no PID", e("PID", 0, ""), "AE", "E PID 100", true, 0},
		{"no identifier", e("PID", 3, ""), "AE", "E PID^1^3 101/7, E PID^1 100", true, 0},
		{"no given name", e("PID", 5, "Rivera"), "AE", "E PID^1^5^1^2 101/7, E PID^1 100", true, 0},
		{"no birth date", e("PID", 7, ""), "AE", "E PID^1^7 101/7, E PID^1 100", true, 0},
		{"30 February", e("PID", 7, "20240230"), "AE", "E PID^1^7^1^1 102/2, E PID^1 100", true, 0},
		{"month of birth", e("PID", 7, "202402"), "AE", "E PID^1^7^1^1 102/2, E PID^1 100", true, 0},
		{"born tomorrow", e("PID", 7, "20261129"), "AE", "E PID^1^7 999/1, E PID^1 100", true, 0},
		{"no sex", e("PID", 8, ""), "AE", "E PID^1^8 101/7, E PID^1 100", true, 0},
		{"sex", e("PID", 8, "Q"), "AE", "E PID^1^8^1^1 103/5, E PID^1 100", true, 0},
		{"null birth date", e("PID", 7, `""`), "AE", "E PID^1^7 101/7, E PID^1 100", true, 0},
		// RE fields: nothing when empty, an error and empty when wrong.
		{"no race", e("PID", 10, ""), "AA", "", false, 2},
		{"race", e("PID", 10, "9999-9^?^CDCREC"), "AE", "E PID^1^10^1^1 103/5", false, 2},
		{"old race", e("PID", 10, "W^White^HL70005"), "AA", "", false, 2},
		{"phone", e("PID", 13, "^PRN^PH^^^217^555"), "AE", "E PID^1^13^1 102/4", false, 2},
		{"state", e("PID", 11, "12 Oak St^^Springfield^XX^62701^USA^H"), "AA", "W PID^1^11^1^4 103/5", false, 2},
		{"authority", e("PID", 3, "4711^^^^MR"), "AA", "W PID^1^3^1^4 101/7", false, 2},
		{"ssn", e("PID", 3, "4711^^^CLINIC^MR~123456789^^^SSA^SS"), "AA", "W PID^1^3^2^1 999", false, 2},
		{"X field", e("PID", 19, "123456789"), "AA", "W PID^1^19 999", false, 2},
		{"name type", e("PID", 5, "Rivera^Ana"), "AA", "W PID^1^5^1^7 101/7", false, 2},
		{"placeholder", e("PID", 5, "Rivera^Baby Girl^^^^^L"), "AA", "W PID^1^5 999/4", false, 2},
		{"dead, no day", e("PID", 30, "Y"), "AA", "W PID^1^29 999/7", false, 2},
		{"died before birth", []edit{{"PID", 30, "Y"}, {"PID", 29, "20200101"}}, "AE", "E PID^1^29 999/1", false, 2},
		{"publicity", e("PD1", 11, "77^?^HL70215"), "AE", "E PD1^1^11^1^1 103/5", false, 2},
		// RE segments: theirs alone is lost.
		{"no relation", e("NK1", 3, ""), "AE", "E NK1^1^3 101/7, I NK1^1 100", false, 2},
		{"no NK1", e("NK1", 0, ""), "AA", "", false, 2},
		{"route", e("RXR", 1, "XYZ^?^NCIT"), "AE", "E RXR^1^1^1^1 103/5, I RXR^1 100", false, 2},
		{"site", e("RXR", 2, "XX^?^HL70163"), "AE", "E RXR^1^2^1^1 103/5", false, 2},
		{"optional segment", e("RXR", 0, "ZZZ|1|2"), "AA", "", false, 2},
		{"PD1 out of order", []edit{{"PD1", 0, ""}, {"OBX3", 0, "PD1|||||||||||02"}}, "AE", "E PD1^1 100, W RXA^1 999/6", false, 2},
		{"second PID", e("NK1", 0, good[1]), "AE", "E PID^2 100", true, 0},
		// Segments of an order: the group falls, and with the last one the message.
		{"no RXA-3", e("RXA", 3, ""), "AE", "E RXA^1^3 101/7, E RXA^1 100", false, 1},
		{"RXA-3", e("RXA", 3, "20261301"), "AE", "E RXA^1^3^1^1 102/2, E RXA^1 100", false, 1},
		{"CVX", e("RXA", 5, "9999^?^CVX"), "AE", "E RXA^1^5^1^1 103/5, E RXA^1 100", false, 1},
		{"no amount", e("RXA", 6, ""), "AE", "E RXA^1^6 101/7, E RXA^1 100", false, 1},
		{"no ORC", e("ORC", 0, ""), "AE", "E ORC 100, E RXA^1 100", false, 1},
		{"no ORC-3", e("ORC", 3, ""), "AE", "E ORC^1^3 101/7, E RXA^1 100", false, 1},
		{"no RXA", e("RXA", 0, ""), "AE", "E RXR^1 100, E OBX^1 100, E OBX^2 100, E OBX^3 100, E RXA 100", false, 1},
		{"both dates", []edit{{"RXA", 3, ""}, {"RXA2", 3, "x"}}, "AE", "E RXA^1^3 101/7, E RXA^1 100, E RXA^2^3^1^1 102/2, E RXA^2 100, E RXA^1 100", true, 0},
		{"status", e("RXA", 20, "??"), "AE", "E RXA^1^20^1^1 103/5, E RXA^1 100", false, 1},
		// C(R) fields: an error, and the dose is told of all the same.
		{"no lot", e("RXA", 15, ""), "AE", "E RXA^1^15 101/7", false, 2},
		{"no manufacturer", e("RXA", 17, ""), "AE", "E RXA^1^17 101/7", false, 2},
		{"manufacturer", e("RXA", 17, "QQQ^?^MVX"), "AE", "E RXA^1^17^1^1 103/5", false, 2},
		{"no units", e("RXA", 7, ""), "AE", "E RXA^1^7 101/7", false, 2},
		{"no source", e("RXA2", 9, ""), "AE", "E RXA^2^9 101/7", false, 2},
		{"no action", e("RXA", 21, ""), "AA", "W RXA^1^21 101/7", false, 2},
		// Statements and business rules.
		{"IZ-23", e("OBX", 0, ""), "AE", "E RXA^1 999/6", false, 2},
		{"IZ-24", e("OBX3", 0, ""), "AA", "W RXA^1 999/6", false, 2},
		{"eligibility", e("OBX", 5, "V99^?^HL70064"), "AE", "E OBX^1^5 103/5", false, 2},
		{"presented", e("OBX3", 5, "20260231"), "AE", "E OBX^3^5 102/2, W RXA^1 999/6", false, 2},
		{"unknown observation", e("OBX3", 3, "9-9^?^LN"), "AA", "W OBX^3^3^1^1 103/5, W RXA^1 999/6", false, 2},
		{"IZ-30", e("RXA", 4, "20260301"), "AA", "W RXA^1^4 999/3", false, 2},
		{"before birth", e("RXA2", 3, "20240104"), "AE", "E RXA^2^3 999/1, E RXA^2 100", false, 1},
		{"tomorrow", e("RXA", 3, "20261129"), "AE", "E RXA^1^3 999/1, W RXA^1^3 999/1, E RXA^1 100", false, 1},
		{"after the message", e("RXA", 3, "20260310"), "AA", "W RXA^1^3 999/1", false, 2},
		{"unspecified", e("RXA", 5, "45^HepB NOS^CVX"), "AA", "W RXA^1^5 999/3", false, 2},
		{"maker", e("RXA", 17, "PFR^Pfizer^MVX"), "AA", "W RXA^1^17 999/3", false, 2},
		{"expired", e("RXA", 16, "202602"), "AA", "W RXA^1^16 999/1", false, 2},
		{"expires this month", e("RXA", 16, "202603"), "AA", "", false, 2},
		{"NDC", e("RXA", 5, "00006-4681-00^MMR II^NDC"), "AA", "", false, 2},
		{"NDC of another", e("RXA", 5, "03^MMR^CVX^58160-0820-11^ENGERIX-B^NDC"), "AA", "W RXA^1^5^1^4 999/3", false, 2},
		{"delete", e("RXA", 21, "D"), "AA", "", false, 2},
		{"delete what", []edit{{"RXA", 21, "D"}, {"ORC", 3, "9999^IIS"}}, "AE", "E RXA^1^21 204, E RXA^1 100", false, 1},
		{"same key", e("ORC2", 3, "D1^CLINIC"), "AA", "W ORC^1^3 205, W ORC^2^3 205", false, 2},
		{"same day", []edit{{"RXA2", 3, "20260302"}, {"RXA2", 5, "03^MMR^CVX"}}, "AA", "W RXA^2^3 999/3", false, 2},
		{"refusal", e("RXA2", 0, `RXA|0|1|20260302||03^MMR^CVX|999||||||||||||00^Parental^NIP002||RE|A`), "AA", "I ORC^2^3 999/4", false, 2},
		{"refusal without reason", e("RXA2", 0, `RXA|0|1|20260302||03^MMR^CVX|999||||||||||||||RE|A`), "AE", "E RXA^2^18 101/7, I ORC^2^3 999/4", false, 2},
		{"refusal unsaid", e("RXA2", 0, `RXA|0|1|20260302||03^MMR^CVX|999||||||||||||00^Parental^NIP002|||A`), "AA", "W RXA^2^20 999/3, I ORC^2^3 999/4", false, 2},
		{"IZ-47", e("RXA2", 0, `RXA|0|1|20260302||998^none^CVX|999|||00^new^NIP001|||||||||||NA`), "AA", "I ORC^2^3 999/4, W RXA^2^9 999/3", false, 2},
		{"IZ-32", e("RXA", 18, "00^Parental^NIP002"), "AA", "W RXA^1^18 999/3", false, 2},
		{"vfc age", e("PID", 7, "20000101"), "AA", "W RXA^1 999/3", false, 2},
	}
	c := &guide.Checker{Today: today}
	for _, d := range cases {
		r := c.Check(message(t, good, d.edits...))
		orders := 0
		if r.Update != nil {
			orders = len(r.Update.Orders)
		}
		if r.Outcome != d.outcome || told(r) != d.told || r.Rejected != d.rejected || orders != d.orders {
			t.Errorf("%s: %s rejected %v, %d orders: %s\nwant %s rejected %v, %d orders: %s", d.name, r.Outcome, r.Rejected, orders, told(r), d.outcome, d.rejected, d.orders, d.told)
			for _, f := range r.Findings {
				t.Log(f.Text)
			}
		}
	}
}
