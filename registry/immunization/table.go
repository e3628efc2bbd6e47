package immunization

import "slices"

// Choice is a code with what it means, for people.
type Choice struct{ Code, Text string }

// Eligibility lists HL7 table 0064 as the CDC addendum has it.
func Eligibility() []Choice {
	return []Choice{
		{"V01", "Not eligible for VFC (insured)"},
		{"V02", "VFC: Medicaid"},
		{"V03", "VFC: uninsured"},
		{"V04", "VFC: American Indian or Alaska Native"},
		{"V05", "VFC: underinsured, at an FQHC, RHC or deputized provider"},
		{"V22", "CHIP"},
		{"V23", "Section 317"},
		{"V24", "Medicare"},
		{"V25", "State programme"},
	}
}

// BodySites lists HL7 table 0163 as far as vaccines are given there.
func BodySites() []Choice {
	return []Choice{
		{"LA", "Left arm"}, {"RA", "Right arm"}, {"LD", "Left deltoid"}, {"RD", "Right deltoid"}, {"LT", "Left thigh"}, {"RT", "Right thigh"},
		{"LVL", "Left vastus lateralis"}, {"RVL", "Right vastus lateralis"}, {"LG", "Left gluteus"}, {"RG", "Right gluteus"},
		{"LLFA", "Left lower forearm"}, {"RLFA", "Right lower forearm"},
	}
}

// Routes lists HL7 table 0162 as far as vaccines are given so.
func Routes() []Choice {
	return []Choice{{"IM", "Intramuscular"}, {"SC", "Subcutaneous"}, {"ID", "Intradermal"}, {"NS", "Nasal"}, {"PO", "Oral"}, {"TD", "Percutaneous"}}
}

// Sources lists HL7 table NIP001 for historical doses.
func Sources() []Choice {
	return []Choice{
		{"01", "Historical, source not specified"}, {"02", "Other provider"}, {"03", "Parent's written record"}, {"04", "Parent's recall"},
		{"05", "Other registry"}, {"06", "Birth certificate"}, {"07", "School record"}, {"08", "Public agency"},
	}
}

// Refusals lists HL7 table NIP002.
func Refusals() []Choice {
	return []Choice{{"00", "Parental decision"}, {"01", "Religious exemption"}, {"02", "Other (say which in the note)"}, {"03", "Patient decision"}}
}

// Fundings lists the funding sources of a dose (LOINC 30963-3).
func Fundings() []Choice {
	return []Choice{{"PHC70", "Private"}, {"VXC50", "Public"}, {"VXC51", "Public, VFC"}, {"VXC52", "Public, not VFC"}}
}

// In reports whether a code is in a table.
func In(table []Choice, code string) bool {
	return slices.ContainsFunc(table, func(c Choice) bool { return c.Code == code })
}

// Text is what a code of a table means, or the code itself.
func Text(table []Choice, code string) string {
	for _, c := range table {
		if c.Code == code {
			return c.Text
		}
	}
	return code
}
