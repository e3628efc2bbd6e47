package forms

import (
	"strings"

	"github.com/coldkeep/coldkeep/registry/forms/paper"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// The second page of the certificate: health history, which the parent fills in, and the
// examination. The registry keeps none of it; what it knows of contraindications and
// conditions is printed for the examiner.

// historyItems are what a parent is asked, each yes or no, with what is to be told beside.
var historyItems = []string{
	"Allergies (food, drug, insect, other): list", "Medication prescribed or taken regularly: list", "Diagnosis of asthma", "Child wakes at night coughing", "Birth defects", "Developmental delay",
	"Blood disorder (hemophilia, sickle cell, other): explain", "Diabetes", "Head injury, concussion, passed out", "Seizures: what are they like", "Heart problem, shortness of breath", "Heart murmur, high blood pressure",
	"Dizziness or chest pain with exercise", "Eye or vision problems (glasses, contacts, last exam; crossed eye, drooping lids, squinting, difficulty reading)", "Ear or hearing problems", "Bone or joint problem, injury, scoliosis",
	"Loss of function of one of paired organs (eye, ear, kidney, testicle)", "Hospitalization: when, what for", "Surgery: list, when, what for", "Serious injury or illness", "TB skin test positive, past or present (if yes, refer to local health department)",
	"TB disease, past or present (if yes, refer to local health department)", "Tobacco use: type, frequency", "Alcohol or drug use", "Family history of sudden death before age 50: cause", "Dental (braces, bridge, plate)",
}

// systems are what is looked at in the examination, each normal or with a comment.
var systems = []string{"Skin", "Ears (screening result)", "Eyes (screening result)", "Nose", "Throat", "Mouth, dental", "Cardiovascular, heart murmur", "Respiratory (asthma: quick-relief, controller medication)", "Gastrointestinal", "Genito-urinary",
	"Neurological", "Musculoskeletal", "Spinal", "Nutritional status", "Endocrine", "Mental health"}

func (p *CertificatePage) exam(s *paper.Sheet) {
	s.NewPage()
	s.Title("Health history and physical examination")
	p.headingAgain(s)
	s.Heading("Health history: completed and signed by parent or guardian, verified by health care provider", 30)
	yesNo := paper.Tick(false, "Yes") + "  " + paper.Tick(false, "No")
	var rows [][]string
	for i := 0; i < len(historyItems); i += 2 {
		row := []string{historyItems[i], yesNo, "", ""}
		if i+1 < len(historyItems) {
			row[2], row[3] = historyItems[i+1], yesNo
		}
		rows = append(rows, row)
	}
	s.Dense([]paper.Column{{Title: "Item", Share: 4}, {Title: "", Share: 1.1}, {Title: "Item", Share: 4}, {Title: "", Share: 1.1}}, rows)
	s.FieldsOf(7, paper.Field{Label: "Additional information", Value: p.known()})
	s.Small("Information may be shared with appropriate personnel for health and educational purposes.")
	s.Sign("Parent or guardian: signature", "Date")
	s.Heading("Physical examination: completed by MD, DO, APN or PA", 40)
	s.Fields(paper.Field{Label: "Head circumference (under 2-3 years)"}, paper.Field{Label: "Height"}, paper.Field{Label: "Weight"}, paper.Field{Label: "BMI"}, paper.Field{Label: "BMI percentile"}, paper.Field{Label: "Blood pressure"})
	s.Fields(paper.Field{Label: "Diabetes screening (not for day care): BMI over 85 % for age and sex; and any two of: family history, ethnic minority, signs of insulin resistance; at risk",
		Value: "BMI " + yesNo + "   Family history " + yesNo + "   Minority " + yesNo + "   Signs " + yesNo + "   At risk " + yesNo})
	s.Fields(paper.Field{Label: "Lead risk questionnaire (6 months to 6 years, for day care, preschool, kindergarten): given / blood test indicated", Value: yesNo + " / " + yesNo, Share: 3}, paper.Field{Label: "Blood test date", Share: 1}, paper.Field{Label: "Result", Share: 1})
	s.Fields(paper.Field{Label: "TB test (only of children at high risk): skin or blood, date read", Share: 3}, paper.Field{Label: "mm", Share: 1}, paper.Field{Label: "Result", Value: paper.Tick(false, "Positive") + " " + paper.Tick(false, "Negative"), Share: 2}, paper.Field{Label: "Blood: value", Share: 1})
	s.Fields(paper.Field{Label: "Hemoglobin or hematocrit: date, result"}, paper.Field{Label: "Urinalysis: date, result"}, paper.Field{Label: "Sickle cell (when indicated): date, result"}, paper.Field{Label: "Developmental screening: date, result"})
	rows = nil
	normal := paper.Tick(false, "Normal")
	for i := 0; i < len(systems); i += 2 {
		rows = append(rows, []string{systems[i], normal, "", systems[i+1], normal, ""})
	}
	s.Gap(1)
	s.Dense([]paper.Column{{Title: "System", Share: 2.2}, {Title: "", Share: 0.9}, {Title: "Comment, follow-up", Share: 2}, {Title: "System", Share: 2.2}, {Title: "", Share: 0.9}, {Title: "Comment, follow-up", Share: 2}}, rows)
	s.FieldsOf(7, paper.Field{Label: "Needs or modifications required in the school setting; special instructions or devices"})
	s.FieldsOf(7, paper.Field{Label: "Mental health or other: is there anything else the school should know"}, paper.Field{Label: "Emergency action needed at school for a condition (asthma, seizures, insect sting, food or peanut allergy, bleeding, diabetes, heart)", Value: yesNo})
	three := paper.Tick(false, "Yes") + "  " + paper.Tick(false, "No") + "  " + paper.Tick(false, "Modified")
	s.Fields(paper.Field{Label: "May take part in physical education", Value: three}, paper.Field{Label: "May take part in interscholastic sports", Value: three})
	s.Heading("Vision and hearing screening (pass, fail, unable, referred, glasses or contacts)", 14)
	s.Dense([]paper.Column{{Title: "Age, grade", Share: 1}, {Title: "Date", Share: 1}, {Title: "Vision right", Share: 1}, {Title: "Vision left", Share: 1}, {Title: "Hearing right", Share: 1}, {Title: "Hearing left", Share: 1}}, [][]string{{" ", "", "", "", "", ""}, {" ", "", "", "", "", ""}})
	s.Sign("Examiner: name in print (MD, DO, APN, PA)", "Signature", "Date")
	site, line := "", ""
	if p.Site != nil && !p.Subset {
		site, line = p.Site.Name, SiteLine(p.Site)
	}
	s.Fields(paper.Field{Label: "Address and telephone of the examiner", Value: strings.TrimSuffix(site+", "+line, ", "), Share: 1})
}

// known is what the registry knows and the examiner should.
func (p *CertificatePage) known() string {
	if p.Subset {
		return ""
	}
	var out []string
	for _, f := range p.View.Facts {
		if f.Ended == nil && f.Kind != immunization.Immunity {
			out = append(out, f.Title+" ("+string(f.Kind)+")")
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "In the registry: " + strings.Join(out, "; ")
}
