package hl7_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// retold is a Z32 as an update of who has been answered with it.
func retold(answer string) []string {
	var lines []string
	for line := range strings.Lines(answer) {
		if line = strings.TrimSuffix(line, "\n"); !slices.Contains([]string{"MSH", "MSA", "ERR", "QAK", "QPD"}, line[:min(3, len(line))]) {
			lines = append(lines, line)
		}
	}
	return lines
}

// protects is what a record says of somebody's protection, without who entered it and when.
// What two registries may differ in is left out: the note of a refusal but the other reason's,
// which is for the practice's own people; the words of a basis; and exemptions, which are
// documents: they are listed as what they are told as.
func protects(v *immunization.View) string {
	var out []string
	for _, d := range v.Doses {
		if d.Deleted != nil || d.DuplicateOf != "" {
			continue
		}
		note := ""
		if d.Refusal == "02" {
			note = d.Note
		}
		out = append(out, fmt.Sprintln("dose", d.Kind, d.Date, d.DayUnknown, d.CVX, d.MVX, d.Lot, d.Expires, d.BodySite, d.Route, d.Amount, d.Eligibility, d.Funding, d.VIS, d.GivenBy, d.Site, d.Source, d.Elsewhere, d.Refusal, d.NonViable, note))
	}
	for _, f := range v.Facts {
		if f.Ended == nil {
			out = append(out, fmt.Sprintln("fact", f.Kind, f.Code, f.Title, f.From, f.Until, strings.HasPrefix(f.Basis, "titre")))
		}
	}
	for _, e := range v.Exemptions {
		switch {
		case e.Ended != nil || e.Until.Known() && e.Until < v.Today || e.Kind == immunization.Medical && e.Outlasted(v.Exemptions):
		case e.Kind == immunization.Medical:
			out = append(out, fmt.Sprintln("fact", immunization.Precaution, "", e.Words(), e.From, e.Until, false))
		default:
			for _, g := range e.Groups {
				out = append(out, fmt.Sprintln("dose", immunization.Refused, e.From, false, ofGroup[g], "", "", coldkeep.Date(0), "", "", "", "", "", []immunization.VIS(nil), "", "", "", "", "01", "", ""))
			}
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "")
}

// ofGroup are the codes by which CDC names some groups.
var ofGroup = map[string]string{"MMR": "03", "Varicella": "21", "Polio": "89", "HepB": "45"}

// What one registry answers (Z32) says the same in another that takes it as an update, and
// there is answered the same; what comes back to the first adds nothing.
func TestHistoriesSayTheSame(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w, other := open(t, where), open(t, databasetest.SQLite(t))
		catalogue := w.doses.Catalogue()
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			c := newChild(n)
			w.clock.add(10 * time.Minute)
			other.clock.add(10 * time.Minute)
			pid := c.words.Replace(pidAda)
			day := func(name string) coldkeep.Date {
				return coldkeep.NewDate(2022, 1, 1) + coldkeep.Date(rapid.IntRange(0, 1500).Draw(rt, name))
			}
			pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(rt, name) }
			w.ack(w.lakeside, "AA", strings.Replace(w.vxu(1, pid), "|M", fmt.Sprintf("|C%dM", n), 1))
			id := w.find("Okafor", c.words.Replace("^Ada^")[1:6], c.birth)[0].ID
			add := func(d immunization.Dose) {
				d.Patient = id
				if _, err := w.doses.Record(w.ctx, nurse, d, immunization.Confirm{Yes: true, Why: "It was so"}); err != nil {
					rt.Fatal(err)
				}
			}
			for range rapid.IntRange(0, 4).Draw(rt, "doses") {
				d := immunization.Dose{Kind: immunization.Historical, Date: day("on"), DayUnknown: rapid.Bool().Draw(rt, "only the month"), CVX: pick("cvx", "20", "107", "03", "94", "110"), Source: pick("source", "01", "02", "03", "07"),
					Lot: pick("lot", "", "AB12"), Elsewhere: pick("elsewhere", "", "County clinic")}
				switch pick("kind", "historical", "refused", "given") {
				case "refused":
					d = immunization.Dose{Kind: immunization.Refused, Date: d.Date, CVX: d.CVX, Refusal: pick("refusal", "00", "01", "02", "03")}
					if d.Refusal == "02" {
						d.Note = pick("why", "Moves next week", "Religious exemption")
					}
				case "given":
					d = immunization.Dose{Kind: immunization.Administered, Site: "lakeside", Date: d.Date, CVX: "03", MVX: "MSD", Lot: "L77", GivenBy: "Marcus Hale, RN", Eligibility: "V01", BodySite: "LA", Route: "SC"}
				}
				add(d)
			}
			for range rapid.IntRange(0, 4).Draw(rt, "facts") {
				f := immunization.Fact{Patient: id, From: day("since")}
				if rapid.Bool().Draw(rt, "undated") {
					f.From = 0
				}
				list := catalogue.Contraindications
				switch pick("fact", "contraindication", "precaution", "words", "immunity", "condition") {
				case "contraindication":
					f.Kind, f.Until = immunization.Contraindication, f.From
				case "precaution":
					f.Kind = immunization.Precaution
				case "words":
					f.Kind, f.Title = immunization.Precaution, pick("words", "Fainted at the last visit", "Bleeds ~ easily ^ & much")
				case "immunity":
					f.Kind, f.Basis, list = immunization.Immunity, pick("basis", "titre of 2025", "disease, seen by Dr. Lee"), catalogue.Immunity
				case "condition":
					f.Kind, list = immunization.Condition, catalogue.Conditions
					if f.From.Known() {
						f.Until = f.From + 270
					}
				}
				if f.Title == "" {
					f.Code = rapid.SampledFrom(codesOf(list)).Draw(rt, "code")
				}
				if _, err := w.doses.AddFact(w.ctx, admin, f); err != nil && coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
					rt.Fatal(err)
				}
			}
			for range rapid.IntRange(0, 2).Draw(rt, "exemptions") {
				e := immunization.Exemption{Patient: id, Kind: rapid.SampledFrom([]immunization.ExemptionKind{immunization.Medical, immunization.Religious}).Draw(rt, "ground"), From: day("exempt from"), Signer: "Dr. Lee", Source: "Form",
					Groups: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"MMR", "Varicella", "Polio", "HepB"}), 1, 3, rapid.ID[string]).Draw(rt, "groups")}
				if rapid.Bool().Draw(rt, "ends") {
					e.Until = e.From + 365
				}
				if _, err := w.doses.AddExemption(w.ctx, admin, e); err != nil {
					rt.Fatal(err)
				}
			}
			ask := func(w *world) string {
				return w.wants(w.lakeside, "Z32", "AA", "OK", w.query("Z34", strings.Split(c.words.Replace(qpdAda), "|")...))
			}
			take := func(w *world, answer string, at int) {
				text := strings.Replace(w.vxu(at, retold(answer)...), "|M", fmt.Sprintf("|C%dM", n), 1)
				if got := w.send(w.lakeside, text); strings.Contains(got, "|E|") {
					rt.Fatalf("%s\nanswered\n%s", strings.ReplaceAll(text, "\r", "\n"), got)
				}
			}
			first := ask(w)
			for _, f := range structure(first) {
				rt.Errorf("%s in\n%s", f, first)
			}
			take(other, first, 10)
			theirs := other.find("Okafor", c.words.Replace("^Ada^")[1:6], c.birth)[0].ID
			if a, b := protects(w.view(id)), protects(other.view(theirs)); a != b {
				rt.Fatalf("%s\nwas answered as\n%s\nand read as\n%s", a, first, b)
			}
			second := ask(other)
			before := w.everything(id)
			take(w, second, 20)
			if after := w.everything(id); after != before {
				rt.Fatalf("%s\ncame back as\n%s\nand left\n%s", before, second, after)
			}
		})
	})
}

// everything is what counts of a record, with its facts and exemptions as they are kept. Which
// of several reports of one dose stands for all may change when one of them is told again.
func (w *world) everything(id string) string {
	v := w.view(id)
	out := protects(v)
	for _, d := range v.Doses {
		if d.Counts() {
			out += fmt.Sprintln(d.Kind, d.Date, d.DayUnknown, d.CVX)
		}
	}
	for _, f := range v.Facts {
		out += fmt.Sprintf("%+v\n", f)
	}
	return out + fmt.Sprintf("%+v", v.Exemptions)
}

func codesOf(list []forecast.CatalogueEntry) []string {
	var out []string
	for i := range list {
		out = append(out, list[i].Code)
	}
	return out
}
