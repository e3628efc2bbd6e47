package guide_test

import (
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/registry/hl7/guide"
)

func TestAck(t *testing.T) {
	c, a := &guide.Checker{Today: today}, responder()
	show := func(b interface{ String() string }) string { return strings.ReplaceAll(b.String(), "\r", "\n") }
	bad := c.Check(message(t, good, edit{"RXA", 5, "9999^?^CVX"}))
	for _, d := range []struct{ name, got, want string }{
		{"AA", show(a.Ack(c.Check(message(t, good)), "", nil)),
			"MSH|^~\\&|IIS|STATE|EHR|CLINIC|20261128093000-0600||ACK^V04^ACK|NEW|P|2.5.1|||NE|NE|||||Z23^CDCPHINVS|STATE|CLINIC\nMSA|AA|M1\n"},
		{"AE", show(a.Ack(bad, "", bad.Findings)),
			"MSH|^~\\&|IIS|STATE|EHR|CLINIC|20261128093000-0600||ACK^V04^ACK|NEW|P|2.5.1|||NE|NE|||||Z23^CDCPHINVS|STATE|CLINIC\nMSA|AE|M1\n" +
				"ERR||RXA^1^5^1^1|103^Table value not found^HL70357|E|5^Table value not found^HL70533|||RXA-5 (administered code): the vaccine code is not recognized: it is left out.\n" +
				"ERR||RXA^1|100^Segment sequence error^HL70357|E||||Order 1 is left out, since a required part of it is empty.\n"},
		{"the registry's own finding", show(a.Ack(c.Check(message(t, good)), "", []guide.Finding{{Severity: guide.Error, Code: guide.InternalError, Text: "Try again."}})),
			"MSH|^~\\&|IIS|STATE|EHR|CLINIC|20261128093000-0600||ACK^V04^ACK|NEW|P|2.5.1|||NE|NE|||||Z23^CDCPHINVS|STATE|CLINIC\nMSA|AE|M1\nERR|||207^Application internal error^HL70357|E||||Try again.\n"},
	} {
		if d.got != d.want {
			t.Errorf("%s:\n%s\nwant\n%s", d.name, d.got, d.want)
		}
	}
	// 2.3.1 is answered in 2.3.1: the worst in MSA-3, places in ERR-1.
	old := c.Check(message(t, good, edit{"MSH", 12, "2.3.1"}, edit{"RXA", 3, "2026"}))
	if got, want := show(a.Ack(old, "", old.Findings)), "MSH|^~\\&|IIS|STATE|EHR|CLINIC|20261128093000-0600||ACK^V04|NEW|P|2.3.1\n"+
		"MSA|AE|M1|RXA-3 (date of administration): want a day that exists, as YYYYMMDD: it is left…\n"+
		"ERR|RXA^1^3^102&RXA-3 (date of administration): want a day that exists, as YYYYMMDD: it is left…&HL70357~RXA^1^^100&Order 1 is left out, since a required part of it is empty.&HL70357\n"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	// A query of a type that is not taken is answered by an ACK too.
	refused := c.Check(message(t, z34, edit{"MSH", 11, "X"}))
	if got := show(a.Ack(refused, "", refused.Findings)); !strings.Contains(got, "|ACK^Q11^ACK|") || !strings.Contains(got, "MSA|AR|Q1\nERR||MSH^1^11|202^") {
		t.Error(got)
	}
}

func TestQueries(t *testing.T) {
	c, a := &guide.Checker{Today: today}, responder()
	r := c.Check(message(t, z34))
	q := r.Query
	if r.Outcome != guide.AA || told(r) != "" || q.Forecast || q.Tag != "TAG7" || q.Limit != 5 || q.Person.Identifiers[0].Value != "4711" || q.Person.Names[0].Given != "Ana" || q.Person.Birth.String() != "2024-01-05" || q.Person.Contacts[0].Value != "2175550142" {
		t.Errorf("%s %s %+v", r.Outcome, told(r), q)
	}
	got := a.Response(r, guide.None, guide.NotFound, "", nil).String()
	want := "MSH|^~\\&|COLDKEEP|IIS|EHR|CLINIC|20261128093000-0600||RSP^K11^RSP_K11|NEW|P|2.5.1|||NE|NE|||||Z33^CDCPHINVS|STATE|CLINIC\r" +
		"MSA|AA|Q1\rQAK|TAG7|NF|Z34^Request Immunization History^CDCPHINVS\r" + z34[1] + "\r"
	if got != want {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	for _, d := range []struct {
		name     string
		edits    []edit
		told     string
		rejected bool
	}{
		{"Z44", []edit{{"MSH", 21, "Z44^CDCPHINVS"}, {"QPD", 1, "Z44^Request Evaluated History and Forecast^CDCPHINVS"}}, "", false},
		{"older name", []edit{{"QPD", 1, "Z34^Request Complete Immunization History^HL70471"}}, "W QPD^1^1 103/5", false},
		{"other name", []edit{{"QPD", 1, "Z44^x^CDCPHINVS"}}, "W QPD^1^1 999/3", false},
		{"no name", []edit{{"QPD", 1, ""}}, "W QPD^1^1 103/5", false},
		{"no tag", []edit{{"QPD", 2, ""}}, "E QPD^1^2 101/7, E QPD^1 100", true},
		{"birth date", []edit{{"QPD", 6, "20240230"}}, "E QPD^1^6^1^1 102/2", false},
		{"nobody", []edit{{"QPD", 3, ""}, {"QPD", 6, ""}}, "E QPD^1^6 101/7, E QPD^1 100", true},
		{"no RCP", []edit{{"RCP", 0, ""}}, "E RCP 100", true},
		{"no limit", []edit{{"RCP", 2, ""}}, "W RCP^1^2 101/7", false},
		{"no QPD", []edit{{"QPD", 0, ""}}, "E QPD 100", true},
	} {
		r := c.Check(message(t, z34, d.edits...))
		if told(r) != d.told || r.Rejected != d.rejected || !r.Asked {
			t.Errorf("%s: rejected %v: %s, want %v: %s", d.name, r.Rejected, told(r), d.rejected, d.told)
		}
	}
	// A rejected query is echoed in its Z33.
	r = c.Check(message(t, z34, edit{"QPD", 2, ""}))
	if got := a.Response(r, guide.None, guide.Bad, "", r.Findings).String(); strings.Count(got, "ERR|") != 1 || !strings.Contains(got, "MSA|AE|Q1\rERR||QPD^1^2|101^") || !strings.Contains(got, "QAK||AE|Z34^") {
		t.Errorf("%q", got)
	}
}

func TestOldQuery(t *testing.T) {
	c, a := &guide.Checker{Today: today}, responder()
	r := c.Check(message(t, vxq))
	q := r.Query
	if q == nil || told(r) != "" || q.Tag != "TAG8" || q.Limit != 25 || q.Person.Birth.String() != "2024-01-05" || q.Person.Maiden != "SOTO" {
		t.Fatalf("%s %+v", told(r), q)
	}
	if got := line(q.Person.Identifiers); got != "[{4711 {CLINIC  } MR} {B77 {CLINIC  } BR} {MA88 {CLINIC  } MA}]" {
		t.Error(got)
	}
	got := a.Response(r, guide.History, guide.OK, "", nil).String()
	if want := "MSH|^~\\&|COLDKEEP|STATE||CLINIC|20261128093000-0600||VXR^V03|NEW|P|2.3.1\rMSA|AA|Q2\r" + vxq[1] + "\r" + vxq[2] + "\r"; got != want {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	if got := a.Response(r, guide.None, guide.NotFound, "", nil).String(); !strings.Contains(got, "QCK^Q02") || !strings.Contains(got, "QAK|TAG8|NF\r") {
		t.Errorf("%q", got)
	}
	if r := c.Check(message(t, vxq, edit{"QRF", 0, ""}, edit{"QRD", 8, "^RIVERA^ANA"})); !r.Rejected {
		t.Error(told(r))
	}
}
