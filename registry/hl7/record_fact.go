package hl7

import (
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// coding is a code of one of the guide's tables with its name there.
type coding struct{ code, name, system string }

// diseases are those of which immunity is told by the disease (59784-9), each with the word
// by which the schedule's evidence of immunity names it; the first of a word is the one that
// answers have. They are the guide's table of the history of disease as evidence of immunity,
// as far as the schedule has such evidence, and what senders write beside it.
var diseases = []struct {
	word string
	coding
}{
	{"varicella", coding{"38907003", "Varicella", "SCT"}}, {"measles", coding{"14189004", "Measles", "SCT"}}, {"mumps", coding{"36989005", "Mumps", "SCT"}}, {"rubella", coding{"36653000", "Rubella", "SCT"}},
	{"hepatitis a", coding{"40468003", "Viral hepatitis, type A", "SCT"}}, {"hepatitis b", coding{"66071002", "Type B viral hepatitis", "SCT"}}, {"zoster", coding{"4740000", "Herpes zoster", "SCT"}},
	{"polio", coding{"398102009", "Acute poliomyelitis", "SCT"}}, {"diphtheria", coding{"397428000", "Diphtheria", "SCT"}}, {"diphtheria", coding{"397430003", "Diphtheria", "SCT"}}, {"tetanus", coding{"76902006", "Tetanus", "SCT"}},
	{"pertussis", coding{"27836007", "Pertussis", "SCT"}}, {"rabies", coding{"14168008", "Rabies", "SCT"}},
}

// titres are the guide's table of serological evidence of immunity (75505-8), in the same way.
var titres = []struct {
	word string
	coding
}{
	{"varicella", coding{"371113008", "Varicella immune", "SCT"}}, {"measles", coding{"371111005", "Measles immune", "SCT"}}, {"mumps", coding{"341112003", "Mumps immune", "SCT"}},
	{"rubella", coding{"278968001", "Rubella immune", "SCT"}}, {"hepatitis b", coding{"271511000", "Hepatitis B immune", "SCT"}}, {"hepatitis a", coding{"278971009", "Hepatitis A immune", "SCT"}},
}

// contraindicated are the guide's table of contraindications and precautions (30945-0).
var contraindicated = []coding{
	{"VXC17", "allergy (anaphylactic) to 2-phenoxyethanol", "CDCPHINVS"}, {"VXC18", "allergy to baker's yeast (anaphylactic)", "CDCPHINVS"}, {"91930004", "Allergy to eggs", "SCT"}, {"294847001", "Gelatin allergy", "SCT"},
	{"294468006", "Neomycin allergy", "SCT"}, {"294466005", "Streptomycin allergy", "SCT"}, {"402306009", "Allergy to aluminum", "SCT"}, {"300916003", "Latex allergy", "SCT"}, {"294530006", "Polymyxin B allergy", "SCT"},
	{"VXC21", "Previous history of intussusception", "CDCPHINVS"}, {"VXC22", "encephalopathy within 7 days of previous dose of DTP or DTaP", "CDCPHINVS"}, {"VXC26", "underlying unstable, evolving neurologic disorders", "CDCPHINVS"},
	{"77386006", "Patient currently pregnant", "SCT"},
}

// facts writes what is true of the person, in an order that has no vaccine. What the guide's
// tables have is told in their words, with the schedule's own code beside it.
func (w *writer) facts(v *immunization.View) {
	var o *observations
	begin := func() {
		if o == nil {
			w.nothing(v.Today)
			o = &observations{w: w}
		}
		o.group++
	}
	for _, f := range v.Facts {
		if f.Ended != nil {
			continue
		}
		begin()
		value := []string{f.Code, f.Title, ourCodes}
		switch {
		case f.Code == "":
			value = []string{"", f.Title, "L"}
		case f.Kind == immunization.Precaution:
			value[2] = ourPrecautions
		default:
			if c, ok := w.guideCode(&f); ok {
				value = append([]string{c.code, c.name, c.system}, value...)
			}
		}
		switch f.Kind {
		case immunization.Contraindication, immunization.Precaution:
			o.add("CE", loincContraindication, "Vaccination contraindication", value...)
			o.span(f.From, f.Until)
		case immunization.Immunity:
			code, title := loincImmunity, "Disease with presumed immunity"
			if byTitre(&f) {
				code, title = loincSerology, "Disease with serological evidence of immunity"
			}
			o.add("CE", code, title, value...).Set(14, hl7dateOr(f.From)...)
		case immunization.Condition:
			o.add("CE", loincIndication, "Special indication for vaccination", value...).Set(14, hl7dateOr(f.From)...)
			o.date(loincUntil, untilTitle, f.Until)
		}
	}
	for _, e := range v.Exemptions {
		if e.Ended != nil || e.Kind != immunization.Medical || e.Until.Known() && e.Until < v.Today || e.Outlasted(v.Exemptions) {
			continue
		}
		begin()
		o.add("CE", loincContraindication, "Vaccination contraindication", "", e.Words(), "L")
		o.span(e.From, e.Until)
	}
}

// exemptions writes religious exemptions, as the guide has them: each as the refusal of a
// vaccine on the ground of one (RXA-18 01). One that has ended or ran out is no more told.
func (w *writer) exemptions(v *immunization.View) {
	for _, e := range v.Exemptions {
		if e.Ended != nil || e.Kind != immunization.Religious || e.Until.Known() && e.Until < v.Today {
			continue
		}
		groups := e.Groups
		if len(groups) == 0 {
			groups = w.m.doses.GroupNames()
		}
		for _, g := range groups {
			if cvx := groupCVX[g]; cvx != "" {
				w.dose(&immunization.Dose{Kind: immunization.Refused, Date: e.From, CVX: cvx, Refusal: "01"}, nil)
			}
		}
	}
}

const untilTitle = "Vaccination temporary contraindication/precaution expiration date"

func (o *observations) span(from, until coldkeep.Date) {
	o.date(loincFrom, "Vaccination contraindication/precaution effective date", from)
	o.date(loincUntil, untilTitle, until)
}

func hl7dateOr(d coldkeep.Date) []string {
	if !d.Known() {
		return nil
	}
	return []string{hl7date(d)}
}

// byTitre reports whether evidence of immunity is that of a laboratory.
func byTitre(f *immunization.Fact) bool { return strings.HasPrefix(f.Basis, "titre") }

// guideCode is the code of the guide's tables for a fact; one that stands for others as well
// is not.
func (w *writer) guideCode(f *immunization.Fact) (coding, bool) {
	switch f.Kind {
	case immunization.Immunity:
		table := diseases
		if byTitre(f) {
			table = titres
		}
		for _, d := range table {
			if strings.Contains(strings.ToLower(f.Title), d.word) {
				return d.coding, true
			}
		}
	case immunization.Contraindication:
		for _, c := range contraindicated {
			if slices.Equal(w.m.doses.Coded(system(c.system), c.code), []string{f.Code}) {
				return c, true
			}
		}
	case immunization.Precaution, immunization.Condition:
	}
	return coding{}, false
}
