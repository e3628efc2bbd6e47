package onboarding

import (
	"strconv"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// Entry is what a row says: a patient, and a dose when there is one.
type Entry struct {
	Patient patient.Patient
	Dose    *immunization.Dose
}

// Entry reads a row's values. practice is whose file it is, in words: doses that name
// nobody are from it.
func (r *Row) Entry(codes *vaccine.Codes, practice string) (Entry, []Finding) {
	var e Entry
	findings := r.Findings
	if len(r.Values) == 0 {
		return e, findings // it could not be read
	}
	refuse := func(column, what, advice string) {
		findings = append(findings, Finding{Column: column, What: what, Advice: advice, Refuse: true})
	}
	v := r.Values
	for _, c := range Columns() {
		if c.Needed && v[c.Name] == "" {
			refuse(c.Name, "It is empty.", "Every row needs it.")
		}
	}
	p := &e.Patient
	p.Names = []patient.Name{{Family: v["family_name"], Given: v["given_name"], Middle: v["middle_name"], Suffix: v["suffix"], Kind: patient.Legal}}
	p.Mother = v["mother_maiden_name"]
	p.Sex = patient.Sex(strings.ToUpper(v["sex"]))
	if b, ok := day(v["birth_date"]); ok {
		p.Birth = b
	} else if v["birth_date"] != "" {
		refuse("birth_date", "It is not a date.", "Write 2025-01-15 or 1/15/2025.")
	}
	if n := v["record_number"]; n != "" {
		p.Identifiers = append(p.Identifiers, patient.Identifier{Kind: "MR", Value: n})
	}
	if n := v["medicaid_id"]; n != "" {
		p.Identifiers = append(p.Identifiers, patient.Identifier{Kind: "MA", Assigner: "Medicaid", Value: n})
	}
	if v["street"] != "" || v["city"] != "" || v["zip"] != "" {
		p.Addresses = append(p.Addresses, patient.Address{Street: v["street"], City: v["city"], State: v["state"], ZIP: v["zip"], Kind: "H"})
	}
	if t := v["phone"]; t != "" {
		p.Contacts = append(p.Contacts, patient.Contact{Kind: patient.Phone, Value: t})
	}
	if m := v["email"]; m != "" {
		p.Contacts = append(p.Contacts, patient.Contact{Kind: patient.Email, Value: m})
	}
	if v["guardian_family"] != "" || v["guardian_given"] != "" {
		relation := strings.ToUpper(v["guardian_relation"])
		if relation == "" {
			relation = "GRD"
		}
		p.Guardians = append(p.Guardians, patient.Guardian{Family: v["guardian_family"], Given: v["guardian_given"], Relation: relation})
	}
	if v["vaccine_date"] == "" {
		for _, c := range []string{"cvx", "ndc", "lot"} {
			if v[c] != "" {
				refuse("vaccine_date", "It is empty, and the row names a vaccine.", "Give the day of the dose, or take the vaccine out.")
				break
			}
		}
		return e, findings
	}
	d := &immunization.Dose{Kind: immunization.Historical, CVX: v["cvx"], NDC: v["ndc"], MVX: v["mvx"], Lot: v["lot"], BodySite: strings.ToUpper(v["body_site"]), Route: strings.ToUpper(v["route"]),
		Source: v["source"], Elsewhere: v["given_by"]}
	if d.Elsewhere == "" {
		d.Elsewhere = practice
	}
	var ok bool
	if d.Date, ok = day(v["vaccine_date"]); !ok {
		refuse("vaccine_date", "It is not a date.", "Write 2025-03-17 or 3/17/2025.")
	}
	if d.Expires, ok = day(v["lot_expiry"]); !ok && v["lot_expiry"] != "" {
		findings = append(findings, Finding{Column: "lot_expiry", What: "It is not a date and is left out.", Advice: "Write 2027-06-30 or 6/30/2027."})
	}
	if d.NDC != "" {
		switch pack, known := codes.NDC(d.NDC); {
		case known && d.CVX == "":
			d.CVX, d.NDC = pack.CVX, pack.NDC
			if d.MVX == "" {
				d.MVX = pack.MVX
			}
		case known && !sameCVX(d.CVX, pack.CVX):
			findings = append(findings, Finding{Column: "ndc", What: "It is of another vaccine than cvx says; the CVX is taken.", Advice: "Look which of the two is right."})
			d.NDC = ""
		case !known && d.CVX == "":
			refuse("ndc", "It is not in the code sets.", "Give the CVX code.")
		}
	}
	if d.CVX == "" && d.NDC == "" {
		refuse("cvx", "It is empty, and so is ndc.", "Give one of them.")
	}
	e.Dose = d
	return e, findings
}

func sameCVX(a, b string) bool { return strings.TrimLeft(a, "0") == strings.TrimLeft(b, "0") }

// day reads 2025-01-15 or 1/15/2025.
func day(s string) (coldkeep.Date, bool) {
	if d, err := coldkeep.ParseDate(s); err == nil {
		return d, true
	}
	p := strings.Split(s, "/")
	if len(p) != 3 || len(p[2]) != 4 {
		return 0, false
	}
	var n [3]int
	for i := range p {
		v, err := strconv.Atoi(p[i])
		if err != nil {
			return 0, false
		}
		n[i] = v
	}
	d := coldkeep.NewDate(n[2], n[0], n[1])
	return d, d.Known()
}
