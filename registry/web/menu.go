package web

import (
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep/registry/auth"
)

// menuEntry is a link of the menu, or of the tabs below it.
type menuEntry struct {
	Label, Href string
	Current     bool
}

// menuTab is a screen that the menu leads to, for who has one of the permissions
// somewhere.
type menuTab struct {
	label, href string
	nav         string // what pages of it call themselves, besides their address
	may         []auth.Permission
	also        string // another address of the same screen
}

// menuSection is a word of the menu. Of a section of which a person may use one screen
// alone, the menu has that screen's own word.
type menuSection struct {
	label string
	tabs  []menuTab
}

// menuSections are what there is, in the order of a working day. Units, alerts, lots and
// devices are words of their own: who answers an alarm wants them at one touch.
var menuSections = []menuSection{
	{"Patients", []menuTab{
		{"Find a patient", "/patients", "patients", []auth.Permission{auth.SearchPatients}, "/patients/search"},
		{"Recalls", "/recalls", "recalls", []auth.Permission{auth.RecallPatients, auth.CallPatients}, ""},
		{"Duplicates", "/duplicates", "duplicates", []auth.Permission{auth.ResolveDuplicates}, ""},
		{"Statements (VIS)", "/vis", "vis", []auth.Permission{auth.SearchPatients, auth.ManageProgramme}, ""},
		{"Blank forms", "/forms", "forms", []auth.Permission{auth.SearchPatients}, ""},
		{"Import a file", "/import", "import", []auth.Permission{auth.ImportPatients}, ""},
	}},
	{"Units", []menuTab{{"Units", "/units", "units", []auth.Permission{auth.View}, ""}}},
	{"Alerts", []menuTab{{"Alerts", "/alerts", "alerts", []auth.Permission{auth.View}, ""}}},
	{"Lots", []menuTab{
		{"Lots", "/lots", "lots", []auth.Permission{auth.View}, ""},
		{"Not taken off", undeductedPath, "lots", []auth.Permission{auth.ManageStock}, ""},
	}},
	{"Devices", []menuTab{{"Devices", "/devices", "devices", []auth.Permission{auth.View}, ""}}},
	{"Exchange", []menuTab{
		{"Messages", "/exchange", "exchange", []auth.Permission{auth.ReadExchange}, ""},
		{"Files", "/exchange/files", "exchange", []auth.Permission{auth.ReadExchange}, ""},
		{"Senders", "/exchange/senders", "exchange", []auth.Permission{auth.ReadExchange}, ""},
	}},
	{"Reports", []menuTab{
		{"Coverage", "/coverage", "coverage", []auth.Permission{auth.ReadCoverage}, ""},
		{"Quality", "/quality", "quality", []auth.Permission{auth.ReadQuality}, ""},
		{"Statements", "/vis/report", "visreport", []auth.Permission{auth.ReadQuality}, ""},
		{"De-identified", "/deidentified", "deidentified", []auth.Permission{auth.ReadDeidentified}, ""},
	}},
	{"Set-up", []menuTab{
		{"Sites", "/admin", "admin", []auth.Permission{auth.ManageUnits}, ""},
		{"People", "/admin/people", "people", []auth.Permission{auth.ManagePeople}, ""},
		{"Interfaces", "/admin/interfaces", "interfaces", []auth.Permission{auth.ManagePeople}, ""},
		{"Enrolments", "/enrolments", "enrolment", []auth.Permission{auth.ApproveSites}, ""},
		{"Enrolment", "/enrolment", "enrolment", []auth.Permission{auth.ApplyForSite}, ""},
		{"Schedule", "/admin/schedules", "schedules", []auth.Permission{auth.ManageProgramme}, ""},
		{"Policies", "/policies", "policies", []auth.Permission{auth.ManageProgramme}, ""},
	}},
	{"Audit", []menuTab{
		{"Audit", "/audit", "audit", []auth.Permission{auth.ReadAudit}, "/audit/entries"},
		{"Emergencies", "/emergencies", "emergencies", []auth.Permission{auth.ReadAudit}, ""},
		{"Trail", "/trail", "trail", []auth.Permission{auth.ReadTrail}, ""},
	}},
}

// tabsOf are the screens of a section that the person may use.
func (p *page) tabsOf(s menuSection) (out []menuTab) {
	for _, t := range s.tabs {
		if t.href == "/enrolment" && p.Person.Anywhere(auth.ApproveSites) {
			continue // who decides about all sees them there
		}
		if t.href == "/import" && p.Person.Site == "" {
			continue // a file is a practice's
		}
		if slices.ContainsFunc(t.may, p.Person.Anywhere) {
			out = append(out, t)
		}
	}
	return out
}

// Menu is the menu as the person has it.
func (p *page) Menu() (out []menuEntry) {
	for _, s := range menuSections {
		tabs := p.tabsOf(s)
		if len(tabs) == 0 {
			continue
		}
		e := menuEntry{Label: s.label, Href: tabs[0].href, Current: slices.ContainsFunc(tabs, func(t menuTab) bool { return t.nav == p.Nav })}
		if len(tabs) == 1 {
			e.Label = tabs[0].label
		}
		if s.label == "Patients" {
			e.Label = s.label
		}
		out = append(out, e)
	}
	return out
}

// Tabs are the screens beside this one, when the page is one that the menu leads to and
// there are others.
func (p *page) Tabs() (out []menuEntry) {
	path, _, _ := strings.Cut(p.Path, "?")
	for _, s := range menuSections {
		tabs := p.tabsOf(s)
		at := slices.IndexFunc(tabs, func(t menuTab) bool { return t.href == path || t.also != "" && t.also == path })
		if at < 0 || len(tabs) < 2 {
			continue
		}
		for i, t := range tabs {
			out = append(out, menuEntry{t.label, t.href, i == at})
		}
	}
	return out
}
