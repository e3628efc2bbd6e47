package web

import (
	"regexp"
	"strings"
	"testing"
)

// settled are choices that begin with an answer, and why that one does no harm. The keys
// are the page and the field.
var settled = map[string]string{
	"adminunit profile":             "as it stands",
	"adminunit scale":               "the unit of what is typed beside it, which is checked against the profile",
	"coverage basis":                "by ownership, as MIROW's guide asks; the result says which",
	"coveragerun by":                "what is looked at of a result",
	"coveragerun measure":           "what is looked at of a result",
	"dosenew cvx":                   "as it stands, of a correction",
	"devices role":                  "vaccine: alarms and holds",
	"devices site":                  "of a code that is shown for that site",
	"exchangesender production":     "as it stands",
	"exchangesender answers":        "as it stands",
	"exchangesender deducts":        "as it stands",
	"forms grade":                   "that of the child's age, which is printed beside the status",
	"forms on":                      "today's visit, whose day is printed",
	"recall stock":                  "the sheet of labels that is printed on",
	"recallcalls number":            "the number that is called first",
	"recallnew mode":                "both, whose cohort is counted before anything is sent",
	"recallnew age_from_unit":       "the unit of what is typed beside it",
	"recallnew age_to_unit":         "the unit of what is typed beside it",
	"schoolstatus grade":            "as it is shown",
	"vis language":                  "as it is shown",
	"layout site":                   "as it stands",
	"parts group":                   "several may be chosen, and none",
	"patientform name_kind":         "the first name is the legal one, a further one an alias",
	"patientform address_kind":      "home: of a line that is filled in",
	"patientform contact_kind":      "of a line that is filled in",
	"patientform guardian_relation": "of a line that is filled in; the mother in most",
	"patientform id_kind":           "the practice's own record number",
	"patients id_kind":              "of a search",
	"person role":                   "as it stands",
	"person site":                   "as it stands",
	"reactionnew recovered":         "unknown",
	"reactionnew pregnant":          "unknown",
	"site profile":                  "CDC's",
	"site role":                     "vaccine: alarms and holds",
}

// A list to choose from begins with nothing chosen, so that no answer is given by whoever
// passes over it, but for those whose first answer is the usual one and does no harm.
func TestNothingIsChosenForAnybody(t *testing.T) {
	begins := regexp.MustCompile(`(?s)<select [^>]*name="([^"]+)"[^>]*>`)
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	met := map[string]bool{}
	for _, f := range files {
		b, err := templateFiles.ReadFile("templates/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range begins.FindAllSubmatchIndex(b, -1) {
			first, _, _ := strings.Cut(string(b[m[1]:]), "</option>")
			name := strings.TrimSuffix(f.Name(), ".html") + " " + strings.ReplaceAll(string(b[m[2]:m[3]]), "{{$i}}", "")
			if strings.Contains(first, `<option value="">`) || strings.Contains(first, `{{template "options"`) || settled[name] != "" {
				met[name] = true
				continue
			}
			t.Errorf("%s begins with an answer: %.80s", name, first)
		}
	}
	for name := range settled {
		if !met[name] {
			t.Errorf("%s is no list to choose from", name)
		}
	}
}
