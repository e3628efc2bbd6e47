package hl7_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// wants asks and wants an answer of a profile with MSA-1 and QAK-2.
func (w *world) wants(by auth.Principal, profile, ack, status, text string) string {
	w.t.Helper()
	answer := w.send(by, text)
	if !strings.Contains(answer, "|"+profile+"^CDCPHINVS|") || !strings.Contains(answer, "\nMSA|"+ack+"|") || !strings.Contains(answer, "|"+status+"|") {
		w.t.Fatalf("want %s, %s, %s:\n%s\nanswered\n%s", profile, ack, status, strings.ReplaceAll(text, "\r", "\n"), answer)
	}
	return answer
}

func (w *world) furnish() {
	w.t.Helper()
	w.lot("X123", 10)
	w.ack(w.lakeside, "AA", w.vxu(0, with([]string{pidAda, pd1Ada, nk1Ada}, given("D1", "20260301", "03", "X123", "V02"), told("D2", "20230315", "21", "01"), told("D3", "20220715", "110", "02"),
		[]string{`ORC|RE||9999^MYEHR`, `RXA|0|1|20260301||133^PCV 13^CVX|999||||||||||||00^Parental decision^NIP002||RE|A`})...))
}

func TestHistoryQuery(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.furnish()
		answer := w.wants(w.lakeside, "Z32", "AA", "OK", w.query("Z34", strings.Split(qpdAda, "|")...))
		for _, want := range []string{"PID|1|" + "|" + w.ada().ID + "^^^COLDKEEP^SR~4711^^^CLINIC^MR", "ORC|RE||D1^MYEHR", "NK1|1|Okafor^Nora", "|C38299^Subcutaneous^NCIT|LA^", "|00^Parental decision^NIP002", "PD1|||||||||||02^"} {
			if !strings.Contains(answer, want) {
				t.Errorf("no %q in\n%s", want, answer)
			}
		}
		// Another practice gets the same doses, without the first one's numbers.
		answer = w.wants(w.north, "Z32", "AA", "OK", w.query("Z34", strings.Split(strings.Replace(qpdAda, "4711^^^MYEHR^MR", "", 1), "|")...))
		if strings.Contains(answer, "4711") || strings.Contains(answer, "D1^MYEHR") || strings.Count(answer, "\nRXA|") != 4 {
			t.Errorf("%s", answer)
		}
		// Name and birth date alone are not certain: somebody to choose from.
		answer = w.wants(w.north, "Z31", "AA", "OK", w.query("Z34", "", "Okafor^Ada^^^^^L", "", "20220309", "F"))
		if strings.Contains(answer, "Elm") || strings.Contains(answer, "RXA|") || !strings.Contains(answer, "Okafor^Ada^Mae") {
			t.Errorf("%s", answer)
		}
		w.wants(w.north, "Z33", "AA", "NF", w.query("Z44", "", "Okafor^Ada^^^^^L", "", "20220309", "F"))
		// The number that the list gave asks for the history.
		w.wants(w.north, "Z32", "AA", "OK", w.query("Z34", w.ada().ID+"^^^COLDKEEP^SR", "Okafor^Ada^^^^^L", "", "20220309", "F"))
		w.wants(w.north, "Z32", "AA", "OK", w.query("Z34", w.ada().ID+"^^^COLDKEEP^SR"))
		w.wants(w.north, "Z33", "AA", "NF", w.query("Z34", w.ada().ID+"^^^COLDKEEP^SR", "", "", "20220310"))
		w.wants(w.lakeside, "Z32", "AA", "OK", w.query("Z34", "4711^^^MYEHR^MR"))
		w.wants(w.north, "Z33", "AA", "NF", w.query("Z34", "4711^^^MYEHR^MR"))
		w.wants(w.north, "Z33", "AA", "NF", w.query("Z34", "", "Brandt^Bo^^^^^L", "", "20220309", "M"))
		// Too little, and wildcards, are refused with advice.
		for _, text := range []string{w.query("Z34", "", "Okafor^Ada^^^^^L"), w.query("Z34", "", "Oka*^Ad%^^^^^L", "", "20220309"), w.query("Z34", "12^^^MYEHR^MR")} {
			if answer := w.wants(w.north, "Z33", "AE", "AE", text); !strings.Contains(answer, "\nERR|") {
				t.Errorf("%s", answer)
			}
		}
		// Queries, and what they showed, are in the trail of the patient.
		entries, err := w.st.Entries(w.ctx, audit.Query{Patient: w.ada().ID, Limit: 100})
		w.must(err)
		if n := len(slices.DeleteFunc(entries, func(e audit.Entry) bool { return e.WhoID != w.north.ID || e.What != "patient.view" })); n != 3 {
			t.Errorf("%d views", n)
		}
	})
}

func TestEvaluatedHistoryQuery(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.furnish()
		answer := w.wants(w.lakeside, "Z42", "AA", "OK", w.query("Z44", strings.Split(qpdAda, "|")...))
		m, err := er7.Parse([]byte(answer))
		w.must(err)
		orders, forecasts, groups := 0, 0, 0
		for _, s := range m.Segments {
			switch {
			case s.Name == "ORC":
				orders++
			case s.Name == "RXA" && s.Field(5).Text() == "998":
				forecasts++
			case s.Name == "OBX" && s.Field(3).Text() == "30956-7":
				groups++
			}
		}
		// Three doses, one of them of three groups, and one forecast that has each group of the schedule once or more.
		if orders != 4 || forecasts != 1 || groups != 5+16 || strings.Contains(answer, "|RE|A\n") {
			t.Errorf("%d orders, %d forecasts, %d groups in\n%s", orders, forecasts, groups, answer)
		}
		for _, want := range []string{"|59781-5^Dose validity^LN|1|Y|", "|30980-7^Date vaccine due^LN|", "|59783-1^Status in immunization series^LN|", "|VXC16^ACIP^CDCPHINVS|"} {
			if !strings.Contains(answer, want) {
				t.Errorf("no %q in\n%s", want, answer)
			}
		}
	})
}

// What a registry answers is read by another registry to the same doses and facts.
func TestRoundTrip(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w, other := open(t, where), open(t, databasetest.SQLite(t))
		w.furnish()
		w.ack(w.lakeside, "AA", w.vxu(5, with([]string{pidAda}, []string{`ORC|RE||9999^MYEHR`, `RXA|0|1|20260301||998^No vaccine administered^CVX|999||||||||||||||NA`,
			`OBX|1|CE|59784-9^Disease with presumed immunity^LN|1|38907003^Varicella infection^SCT||||||F|||20250101`,
			`OBX|2|CE|30945-0^Contraindication^LN|2|VXC23^current fever^CDCPHINVS||||||F|||20260301`, `OBX|3|DT|30946-8^From^LN|2|20260301||||||F|||20260301`})...))
		w.must(w.exchangeFact("020"))
		answer := w.wants(w.lakeside, "Z32", "AA", "OK", w.query("Z34", strings.Split(qpdAda, "|")...))
		// The answer as the update of a system that has all of it.
		var lines []string
		for line := range strings.Lines(answer) {
			if line = strings.TrimSuffix(line, "\n"); !slices.Contains([]string{"MSH", "MSA", "ERR", "QAK", "QPD"}, line[:min(3, len(line))]) {
				lines = append(lines, line)
			}
		}
		other.ack(other.lakeside, "AA", other.vxu(10, lines...))
		a, b := w.ada(), other.ada()
		if x, y := person(a.Patient), person(b.Patient); x != y {
			t.Errorf("%s\nwas read as\n%s", x, y)
		}
		x, y := facts(w.view(a.ID)), facts(other.view(b.ID))
		if x != y {
			t.Errorf("%s\nwas read as\n%s", x, y)
		}
	})
}

func (w *world) exchangeFact(code string) error {
	_, err := w.doses.AddFact(w.ctx, admin, immunization.Fact{Patient: w.ada().ID, Kind: immunization.Immunity, Code: code, Basis: "titre of 2025"})
	return err
}

func person(p patient.Patient) string {
	var b strings.Builder
	for _, n := range p.Names {
		fmt.Fprintln(&b, n.Family, n.Given, n.Middle, n.Suffix, n.Kind)
	}
	for _, a := range p.Addresses {
		a.Span = patient.Span{}
		fmt.Fprintf(&b, "%+v\n", a)
	}
	for _, c := range p.Contacts {
		fmt.Fprintln(&b, c.Kind, c.Value)
	}
	for _, g := range p.Guardians {
		fmt.Fprintln(&b, g.Family, g.Given, g.Relation, g.Address.Street, len(g.Contacts))
	}
	fmt.Fprintln(&b, p.Birth, p.Sex, p.Races, p.Ethnicity, p.Language, p.Mother, p.Publicity, *p.Multiple, p.Deceased)
	return b.String()
}

func facts(v *immunization.View) string {
	var b strings.Builder
	for _, d := range v.Doses {
		d.ID, d.Patient, d.StockID, d.Unit, d.EnteredBy, d.EnteredAt, d.OrderedBy, d.Note, d.NDC = "", "", "", "", "", noon, "", "", ""
		fmt.Fprintf(&b, "%+v\n", d)
	}
	var more []string
	for _, f := range v.Facts {
		more = append(more, fmt.Sprintln(f.Kind, f.Code, f.Title, f.From, f.Until))
	}
	slices.Sort(more)
	return b.String() + strings.Join(more, "")
}

// locked is what each message is answered with when the record is locked by lakeside.
// docs/hl7-records.md has the same table.
func TestLocked(t *testing.T) {
	for _, c := range []struct {
		name, by                  string
		update, history, forecast string
	}{
		{"the site that locked it", "lakeside", "AA", "Z32 OK", "Z42 OK"},
		{"another site", "northgate", "AE", "Z33 NF", "Z33 NF"},
		{"another site whose patient it is as well", "northgate, own", "AE", "Z33 NF", "Z33 NF"},
	} {
		databasetest.Each(t, func(t *testing.T, where string) {
			w := open(t, where)
			if strings.HasSuffix(c.by, ", own") {
				w.ack(w.north, "AA", w.vxu(0, strings.Replace(pidAda, "4711^^^MYEHR^MR", "N7^^^OTHER^MR", 1)))
			}
			w.furnish()
			locking := strings.Replace(pd1Ada, "|N|", "|Y|", 1)
			w.ack(w.lakeside, "AA", w.vxu(10, pidAda, locking))
			r := w.ada()
			if r.Lock == nil || r.Lock.Site != "lakeside" || !strings.Contains(r.Lock.Form, "protection indicator Y") {
				t.Fatalf("%+v", r.Lock)
			}
			by := w.lakeside
			if c.by != "lakeside" {
				by = w.north
			}
			before := w.state(r.ID)
			answer := w.ack(by, c.update, w.vxu(20, with([]string{strings.Replace(pidAda, "12 Elm St", "13 Elm St", 1)}, told("Z1", "20240101", "45", "01"))...))
			if c.update == "AE" {
				if after := w.state(r.ID); after != before {
					t.Errorf("%s: changed\n%s\n%s", c.name, before, after)
				}
				for _, word := range []string{"lock", "opt", r.ID, "lakeside", "206"} {
					if strings.Contains(strings.ToLower(answer), strings.ToLower(word)) {
						t.Errorf("%s: it is told by %q in\n%s", c.name, word, answer)
					}
				}
			}
			for profile, want := range map[string]string{"Z34": c.history, "Z44": c.forecast} {
				p, status, _ := strings.Cut(want, " ")
				w.wants(by, p, "AA", status, w.query(profile, strings.Split(strings.Replace(qpdAda, "12 Elm St", "13 Elm St", 1), "|")...))
				w.wants(by, p, "AA", status, w.query(profile, r.ID+"^^^COLDKEEP^SR"))
			}
			if c.update == "AE" { // as if there were nobody
				w.wants(by, "Z33", "AA", "NF", w.query("Z34", "", "Okafor^Ada^^^^^L", "", "20220309", "F"))
				entries, err := w.st.Entries(w.ctx, audit.Query{Patient: r.ID, Limit: 100})
				w.must(err)
				refused := 0
				for _, e := range entries {
					if e.WhoID == by.ID && strings.HasSuffix(e.What, ".refused") {
						refused++
					}
				}
				if refused != 6 {
					t.Errorf("%s: %d refusals in the trail", c.name, refused)
				}
				// What was sent about the record does not open either.
				all, err := w.exchange.Messages(w.ctx, by, exchange.Filter{})
				w.must(err)
				for _, m := range all {
					_, err := w.exchange.Message(w.ctx, by, m.ID)
					if m.Patient != "" != patient.IsLocked(err) {
						t.Errorf("%s: %s of %q: %v", c.name, m.Type, m.Patient, err)
					}
				}
			}
			// N opens nothing, and a form does.
			answer = w.ack(w.lakeside, "AA", w.vxu(30, pidAda, pd1Ada))
			if !strings.Contains(answer, "stays locked") || w.ada().Lock == nil {
				t.Errorf("%s", answer)
			}
			w.must(w.people.Unlock(w.ctx, admin, r.ID, patient.Form{Signer: "Nora Okafor", Relation: "MTH", Signed: coldkeep.NewDate(2026, 3, 2)}))
			w.wants(w.north, "Z32", "AA", "OK", w.query("Z34", r.ID+"^^^COLDKEEP^SR"))
			// A Y that was said before the form was signed does not lock it again.
			w.ack(w.lakeside, "AA", w.vxu(10, pidAda, locking))
			if w.ada().Lock != nil {
				t.Error("locked again")
			}
		})
	}
}

// state is all of a record in a text.
func (w *world) state(id string) string {
	r, err := w.people.Open(w.ctx, admin, id, "")
	w.must(err)
	return person(r.Patient) + facts(w.view(id))
}

// A dose from one practice's stock is that practice's alone.
func TestOtherPracticesDoseStays(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.furnish()
		gone := given("D1", "20260301", "03", "X123", "V02")
		gone[1] = strings.TrimSuffix(gone[1], "A") + "D"
		w.send(w.north, w.vxu(5, with([]string{strings.Replace(pidAda, "4711^^^MYEHR^MR", "N7^^^OTHER^MR", 1)}, gone)...))
		w.send(w.north, w.vxu(6, with([]string{strings.Replace(pidAda, "4711^^^MYEHR^MR", "N7^^^OTHER^MR", 1)}, told("D1", "20260301", "03", "02"))...))
		v := w.view(w.ada().ID)
		i := slices.IndexFunc(v.Doses, func(d immunization.Dose) bool { return d.StockID != "" })
		if d := v.Doses[i]; d.Deleted != nil || d.Revision != 1 || !d.Counts() {
			t.Errorf("%+v", d)
		}
		// The other's word of the same dose is kept, and not counted twice.
		counted := 0
		for _, d := range v.Doses {
			if d.Counts() && d.Date == coldkeep.NewDate(2026, 3, 1) {
				counted++
			}
		}
		if counted != 1 {
			t.Errorf("%+v", v.Doses)
		}
	})
}

func TestOldVersion(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.ack(w.lakeside, "AA", "MSH|^~\\&|MYEHR|CLINIC|COLDKEEP|IIS|20260301||VXU^V04|O1|P|2.3.1\rPID|||4711||Okafor^Ada^Mae|Mensah|20220309|F||B|12 Elm St^^Springfield^IL^62701||(217)555-0133\rNK1|1|Okafor^Nora|MTH\rRXA|0|999|20230315||21^Varicella^CVX|999|||01\r")
		answer := w.send(w.lakeside, "MSH|^~\\&|MYEHR|CLINIC|COLDKEEP|IIS|20260302||VXQ^V01|O2|P|2.3.1\rQRD|20260302|R|I|Q7|||25^RD|4711^Okafor^Ada^Mae|VXI|SIIS\rQRF|MYEHR||||4711~~~20220309\r")
		if !strings.Contains(answer, "|VXR^V03|") || !strings.Contains(answer, "|2.3.1\n") || strings.Count(answer, "\nRXA|") != 1 || !strings.Contains(answer, "\nQRD|") {
			t.Errorf("%s", answer)
		}
		answer = w.send(w.lakeside, "MSH|^~\\&|MYEHR|CLINIC|COLDKEEP|IIS|20260302||VXQ^V01|O3|P|2.3.1\rQRD|20260302|R|I|Q8|||25^RD|^Brandt^Bo|VXI|SIIS\rQRF|MYEHR||||~~~20200101\r")
		if !strings.Contains(answer, "|QCK^Q02|") || !strings.Contains(answer, "QAK|Q8|NF") {
			t.Errorf("%s", answer)
		}
	})
}

// Every answer is one that the guide's own rules take.
func TestAnswersAreOfTheGuide(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.furnish()
		for _, answer := range []string{w.send(w.lakeside, w.query("Z44", strings.Split(qpdAda, "|")...)), w.send(w.lakeside, w.query("Z34", strings.Split(qpdAda, "|")...)),
			w.send(w.north, w.query("Z34", "", "Okafor^Ada^^^^^L", "", "20220309", "F")), w.send(w.lakeside, w.query("Z34", "", "Brandt^Bo^^^^^L", "", "20220309", "M")), w.send(w.lakeside, "MSH|^~\\&|A|B|||20260101||ADT^A01|1|P|2.5.1\r")} {
			for _, f := range structure(answer) {
				t.Errorf("%s in\n%s", f, answer)
			}
		}
		_ = guide.History
	})
}

// structure looks at the order and the number of an answer's segments (NIST's profiles of
// Z23, Z31, Z32, Z33 and Z42).
func structure(answer string) (wrong []string) {
	m, err := er7.Parse([]byte(answer))
	if err != nil {
		return []string{err.Error()}
	}
	msh, _ := m.First("MSH")
	var names strings.Builder
	for _, s := range m.Segments {
		names.WriteString(s.Name + " ")
	}
	pattern := map[string]string{"Z23": `^MSH MSA (ERR )*$`, "Z33": `^MSH MSA (ERR )?QAK QPD $`, "Z31": `^MSH MSA (ERR )?QAK QPD (PID (PD1 )?(NK1 )*)+$`,
		"Z32": `^MSH MSA (ERR )?QAK QPD PID (PD1 )?(NK1 )*(ORC RXA (RXR )?(OBX )*)*$`, "Z42": `^MSH MSA (ERR )?QAK QPD PID (ORC RXA (RXR )?(OBX )+)+$`}[msh.Field(21).Text()]
	if pattern == "" || !matches(pattern, names.String()) {
		wrong = append(wrong, "segments "+names.String())
	}
	if msh.Field(15).Text() != "NE" || msh.Field(16).Text() != "NE" || msh.Field(10).Empty() || msh.Field(12).Text() != "2.5.1" {
		wrong = append(wrong, "MSH")
	}
	for _, s := range m.Segments {
		need := map[string][]int{"PID": {1, 3, 5, 7, 8}, "RXA": {1, 2, 3, 5, 6, 20}, "ORC": {1, 3}, "OBX": {1, 2, 3, 4, 5, 11}, "QAK": {2}, "MSA": {1, 2}, "ERR": {3, 4, 8}, "NK1": {1, 2, 3}, "RXR": {1}}[s.Name]
		for _, n := range need {
			if s.Field(n).Empty() && !(s.Name == "RXA" && n == 5) {
				wrong = append(wrong, fmt.Sprintf("%s-%d is empty", s.Name, n))
			}
		}
	}
	return wrong
}

func matches(pattern, s string) bool { return regexp.MustCompile(pattern).MatchString(s) }
