package hl7_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

func TestUpdateMakesARecord(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		lot := w.lot("X123", 10)
		text := w.vxu(0, with([]string{pidAda, pd1Ada, nk1Ada}, given("D1", "20260301", "03", "x123", "V02"), told("D2", "20230315", "21", "01"))...)
		first := w.ack(w.lakeside, "AA", text)
		r := w.ada()
		if r.Mother != "Mensah" || r.Sex != patient.Female || r.Ethnicity != "2186-5" || len(r.Races) != 1 || len(r.Guardians) != 1 || r.Guardians[0].Relation != "MTH" || r.Publicity != "02" ||
			len(r.Identifiers) != 1 || r.Identifiers[0].Assigner != "lakeside" || r.Identifiers[0].Value != "4711" || r.Contacts[0].Value != "2175550133" || r.Standing("lakeside") != patient.Active {
			t.Fatalf("%+v", r.Patient)
		}
		v := w.view(r.ID)
		if len(v.Doses) != 2 {
			t.Fatalf("%+v", v.Doses)
		}
		heard, d := v.Doses[0], v.Doses[1]
		if heard.Kind != immunization.Historical || heard.CVX != "21" || heard.Source != "01" || heard.Site != "" {
			t.Errorf("%+v", heard)
		}
		if d.Kind != immunization.Administered || d.Lot != "X123" || d.StockID != lot || d.Site != "lakeside" || d.Eligibility != "V02" || d.Funding != "VXC51" || d.Route != "SC" || d.BodySite != "LA" ||
			!strings.Contains(d.GivenBy, "Hale") || len(d.VIS) != 1 || d.VIS[0].Edition != coldkeep.NewDate(2012, 4, 20) || d.Amount != "0.5" {
			t.Errorf("%+v", d)
		}
		if n := w.onHand(lot); n != 9 {
			t.Errorf("%d doses on hand", n)
		}
		// The very same message is answered the very same, and changes nothing.
		if again := w.send(w.lakeside, text); again != first {
			t.Errorf("%s\nthe first time\n%s", again, first)
		}
		// The same by other words: nothing is there twice, or drawn twice.
		w.ack(w.lakeside, "AA", w.vxu(1, with([]string{pidAda}, given("D1", "20260301", "03", "X123", "V02"), told("D3", "20230315", "21", "01"))...))
		if v := w.view(r.ID); len(v.Doses) != 2 || w.onHand(lot) != 9 {
			t.Errorf("%+v, %d on hand", v.Doses, w.onHand(lot))
		}
	})
}

func TestDeltas(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.ack(w.lakeside, "AA", w.vxu(0, pidAda, pd1Ada, nk1Ada))
		before := w.ada()
		// What is not said stays, and so does what is to be erased.
		w.ack(w.lakeside, "AA", w.vxu(1, `PID|1||4711^^^MYEHR^MR||Okafor^Ada^Mae^^^^L|Mensah^^^^^^M|20220309|F||""|""||""`))
		after := w.ada()
		if after.Revision != before.Revision || len(after.Addresses) != 1 || len(after.Contacts) != 1 || len(after.Races) != 1 || len(after.Guardians) != 1 {
			t.Fatalf("%+v", after.Patient)
		}
		// A later word takes the place of the earlier one, which is kept as it was.
		w.ack(w.lakeside, "AA", w.vxu(2, `PID|1||4711^^^MYEHR^MR||Okafor^Ada^Mae^^^^L|Mensah^^^^^^M|20220309|F|||7 Oak Ave^^Peoria^IL^61602^USA^H||^PRN^CP^^^309^5550188~^NET^Internet^nora@example.org`, `PD1||||||||||||||||M|20260301`))
		after = w.ada()
		if len(after.Addresses) != 2 || after.Addresses[0].City != "Peoria" || after.Addresses[1].Until == nil || after.Standing("lakeside") != patient.Moved {
			t.Fatalf("%+v", after.Patient)
		}
		var phones []string
		for _, c := range after.Contacts {
			if c.Until == nil {
				phones = append(phones, c.Value)
			}
		}
		slices.Sort(phones)
		if strings.Join(phones, " ") != "3095550188 nora@example.org" {
			t.Errorf("%v", phones)
		}
		// One that was made earlier and comes later changes nothing of it.
		w.ack(w.lakeside, "AA", w.vxu(1, `PID|1||4711^^^MYEHR^MR||Okafor^Ada^Mae^^^^L|Mensah^^^^^^M|20220309|F|||1 Elder St^^Springfield^IL^62701^USA^H`))
		if after := w.ada(); after.Addresses[0].City != "Peoria" {
			t.Errorf("%+v", after.Addresses)
		}
	})
}

func TestOrders(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		lot, other := w.lot("X123", 10), w.lot("Y9", 3)
		send := func(at int, want string, order []string) string {
			return w.ack(w.lakeside, want, w.vxu(at, with([]string{pidAda}, order)...))
		}
		one := func() immunization.Dose {
			t.Helper()
			for _, d := range w.view(w.ada().ID).Doses {
				if d.Deleted == nil {
					return d
				}
			}
			return immunization.Dose{}
		}
		send(0, "AA", given("D1", "20260301", "03", "X123", "V02"))
		// An update by its number moves the dose to the other lot.
		changed := given("D1", "20260228", "03", "Y9", "V02")
		changed[1] = strings.TrimSuffix(changed[1], "A") + "U"
		send(1, "AA", changed)
		if d := one(); d.Date != coldkeep.NewDate(2026, 2, 28) || d.StockID != other || w.onHand(lot) != 10 || w.onHand(other) != 2 {
			t.Fatalf("%+v, %d and %d on hand", d, w.onHand(lot), w.onHand(other))
		}
		// A delete takes it back.
		gone := given("D1", "20260228", "03", "Y9", "V02")
		gone[1] = strings.TrimSuffix(gone[1], "A") + "D"
		send(2, "AA", gone)
		if d := one(); d.ID != "" || w.onHand(other) != 3 {
			t.Fatalf("%+v, %d on hand", d, w.onHand(other))
		}
		// What comes late does not bring it back; what is said later does.
		send(1, "AA", given("D1", "20260301", "03", "X123", "V02"))
		if d := one(); d.ID != "" {
			t.Fatalf("%+v", d)
		}
		send(3, "AA", given("D1", "20260301", "03", "X123", "V02"))
		if d := one(); d.StockID != lot {
			t.Fatalf("%+v", d)
		}
		// A delete of what is not known is told, and remembered.
		unknown := told("D7", "20230315", "21", "01")
		unknown[1] = strings.TrimSuffix(unknown[1], "A") + "D"
		if answer := send(5, "AA", unknown); !strings.Contains(answer, "|204^") {
			t.Errorf("%s", answer)
		}
		send(4, "AA", told("D7", "20230315", "21", "01"))
		if v := w.view(w.ada().ID); len(v.Doses) != 2 {
			t.Errorf("%+v", v.Doses)
		}
		// A number that stands for somebody else's dose.
		bo := strings.NewReplacer("Okafor^Ada^Mae", "Brandt^Bo^Karl", "4711", "4712", "20220309", "20210511", "12 Elm St", "99 Low Rd", "5550133", "5550999").Replace(pidAda)
		if answer := w.ack(w.lakeside, "AE", w.vxu(6, with([]string{bo}, given("D1", "20260301", "03", "X123", "V02"))...)); !strings.Contains(answer, "|205^") {
			t.Errorf("%s", answer)
		}
	})
}

func TestRefusalsAndFacts(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.ack(w.lakeside, "AA", w.vxu(0, with([]string{pidAda},
			[]string{`ORC|RE||9999^MYEHR`, `RXA|0|1|20260301||133^PCV 13^CVX|999||||||||||||00^Parental decision^NIP002||RE|A`},
			told("D2", "20230315", "20", "01"),
			[]string{`OBX|1|CE|31044-1^Reaction^LN|1|39579001^Anaphylaxis^SCT||||||F|||20230315`},
			[]string{`ORC|RE||9999^MYEHR`, `RXA|0|1|20260301||998^No vaccine administered^CVX|999||||||||||||||NA`,
				`OBX|1|CE|59784-9^Disease with presumed immunity^LN|1|38907003^Varicella infection^SCT||||||F|||20250101`,
				`OBX|2|CE|30945-0^Contraindication^LN|2|VXC23^current fever^CDCPHINVS||||||F|||20260301`, `OBX|3|DT|30946-8^From^LN|2|20260301||||||F|||20260301`,
				`OBX|4|DT|30944-3^Until^LN|2|20260310||||||F|||20260301`})...))
		v := w.view(w.ada().ID)
		if len(v.Doses) != 2 || v.Doses[1].Kind != immunization.Refused || v.Doses[1].Refusal != "00" {
			t.Errorf("%+v", v.Doses)
		}
		if len(v.Reactions) != 1 || v.Reactions[0].Event != "Anaphylaxis" || v.Reactions[0].Doses[0] != v.Doses[0].ID {
			t.Errorf("%+v", v.Reactions)
		}
		if len(v.Facts) != 2 || v.Facts[0].Kind != immunization.Immunity && v.Facts[1].Kind != immunization.Immunity {
			t.Fatalf("%+v", v.Facts)
		}
		for _, f := range v.Facts {
			if f.Kind == immunization.Immunity && f.Code != "024" || f.Kind == immunization.Precaution && (f.Until != coldkeep.NewDate(2026, 3, 10) || f.Title != "current fever") {
				t.Errorf("%+v", f)
			}
		}
	})
}

// While a sender is tested, and when a message says that it is a test, nothing is kept.
func TestTested(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		answer := w.ack(w.tested, "AA", w.vxu(0, pidAda))
		if !strings.Contains(answer, "nothing of it was kept") {
			t.Errorf("%s", answer)
		}
		w.ack(w.lakeside, "AA", strings.Replace(w.vxu(0, pidAda), "|P|2.5.1", "|T|2.5.1", 1))
		if all := w.find("Okafor", "Ada", coldkeep.NewDate(2022, 3, 9)); len(all) != 0 {
			t.Errorf("%+v", all)
		}
		messages, err := w.exchange.Messages(w.ctx, admin, exchange.Filter{})
		w.must(err)
		if len(messages) != 2 || messages[0].Kept || !messages[0].Test || messages[0].Patient != "" {
			t.Errorf("%+v", messages)
		}
	})
}

// A sender that is being tested learns nothing of anybody: the answers to its queries and the
// findings about its updates are the same whether or not there is such a person.
func TestTestedLearnsNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w, empty := open(t, where), open(t, databasetest.SQLite(t))
		w.furnish()
		r := w.ada()
		// What would be told of her: her record, her own number's, a locked one, a number of a
		// dose of hers, and a birth date that is after a dose.
		update := func(w *world) string {
			return w.send(w.tested, w.vxu(30, with([]string{strings.Replace(pidAda, "20220309", "20230309", 1), strings.Replace(pd1Ada, "|N|", "|Y|", 1)}, told("D1", "20240115", "20", "01"))...))
		}
		for _, locked := range []bool{false, true} {
			if locked {
				w.ack(w.lakeside, "AA", w.vxu(40, pidAda, strings.Replace(pd1Ada, "|N|", "|Y|", 1)))
			}
			for _, profile := range []string{"Z34", "Z44"} {
				for _, ask := range [][]string{strings.Split(qpdAda, "|"), {"4711^^^MYEHR^MR"}, {r.ID + "^^^COLDKEEP^SR"}, {"", "Okafor^Ada^^^^^L", "", "20220309", "F"}} {
					answer := w.wants(w.tested, "Z33", "AA", "NF", w.query(profile, ask...))
					if !strings.Contains(answer, "This was a test") || strings.Contains(answer, "PID|") {
						t.Errorf("%s", answer)
					}
					if structure(answer) != nil {
						t.Errorf("%s in %s", structure(answer), answer)
					}
				}
			}
			w.wants(w.tested, "Z33", "AE", "AE", w.query("Z34", "", "Okafor^Ada^^^^^L"))
			w.wants(w.lakeside, "Z33", "AA", "NF", strings.Replace(w.query("Z34", strings.Split(qpdAda, "|")...), "|P|2.5.1", "|T|2.5.1", 1))
			_, a, _ := strings.Cut(update(w), "\nMSA|")
			_, b, _ := strings.Cut(update(empty), "\nMSA|")
			if a == "" || control.ReplaceAllString(a, "") != control.ReplaceAllString(b, "") {
				t.Errorf("of somebody who is there\n%s\nof nobody\n%s", a, b)
			}
		}
		w.wants(w.lakeside, "Z32", "AA", "OK", w.query("Z34", strings.Split(qpdAda, "|")...))
	})
}

// control is the control id of what is answered.
var control = regexp.MustCompile(`M\d+`)
