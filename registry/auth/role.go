// Package auth says who is asking and what they may do: people with roles and
// passwords, interface accounts with tokens, devices with secrets. Every service
// of the registry takes the Principal who acts and checks it itself; handlers
// decide nothing.
package auth

import (
	"slices"

	"github.com/coldkeep/coldkeep"
)

// Role is what a person is in the programme.
type Role string

// The roles. Those of the programme see every site; the others belong to one.
const (
	StateAdmin      Role = "state-admin"
	StateEpi        Role = "state-epi" // state epidemiology: de-identified records only
	VFCCoordinator  Role = "vfc-coordinator"
	Auditor         Role = "auditor"
	PracticeManager Role = "practice-manager"
	Nurse           Role = "nurse"
	FrontDesk       Role = "front-desk"
	ViewOnly        Role = "view-only"
	School          Role = "school" // school or child care: a subset without contact data (77 Ill. Adm. Code 689, App. A)

	system Role = "system" // the registry's own start-up work
)

// Roles lists those a person may have, those of the programme first.
func Roles() []Role {
	return []Role{StateAdmin, StateEpi, VFCCoordinator, Auditor, PracticeManager, Nurse, FrontDesk, ViewOnly, School}
}

// Title is the role in words.
func (r Role) Title() string {
	switch r {
	case StateAdmin:
		return "State administrator"
	case StateEpi:
		return "State epidemiology"
	case VFCCoordinator:
		return "VFC coordinator"
	case Auditor:
		return "Auditor"
	case PracticeManager:
		return "Practice manager"
	case Nurse:
		return "Nurse"
	case FrontDesk:
		return "Front desk"
	case ViewOnly:
		return "View only"
	case School:
		return "School or child care"
	}
	return string(r)
}

// Programme reports whether the role is for every site.
func (r Role) Programme() bool {
	switch r {
	case StateAdmin, StateEpi, VFCCoordinator, Auditor, system:
		return true
	}
	return false
}

// Permission is one thing that may be done.
type Permission string

// The permissions of the cold chain.
const (
	View        Permission = "view"         // units, logs, lots, alerts
	Acknowledge Permission = "acknowledge"  // answer an alert
	ManageStock Permission = "manage-stock" // receive, move, count lots
	DecideHolds Permission = "decide-holds" // release or waste held lots
	ManageUnits Permission = "manage-units" // units, probes, devices, on-call
	NoteContext Permission = "note-context" // defrosts, open doors, transports
	LoosenRules Permission = "loosen-rules" // a range or profile wider than the programme's
	Collect     Permission = "collect"      // post logs, excursions and holds; read the mirror
)

// The permissions over patients and their doses. A permission alone opens no
// record: whether a person has one open depends on what was searched for, and a
// locked record opens to the state and the site that locked it alone (77 Ill. Adm.
// Code 689.80).
const (
	SearchPatients    Permission = "search-patients"
	ViewPatients      Permission = "view-patients"      // the whole record
	ViewSubset        Permission = "view-subset"        // name, birth date and immunization status; no contact data
	EditPatients      Permission = "edit-patients"      // add a patient, demographics, guardians, status
	RecordDoses       Permission = "record-doses"       // doses, refusals, contraindications, reactions, immunity, exemptions
	RecordExemptions  Permission = "record-exemptions"  // exemptions alone, as a school receives them
	LockPatients      Permission = "lock-patients"      // opt a patient out, and back in
	BreakGlass        Permission = "break-glass"        // open a locked record in an emergency, with a reason
	ImportPatients    Permission = "import-patients"    // a practice's own patients and doses from a file
	ResolveDuplicates Permission = "resolve-duplicates" // decide about pairs that may be one person; merge and un-merge
	ReadDeidentified  Permission = "read-de-identified" // records without name, contact and identifiers
	ReadQuality       Permission = "read-quality"       // the data-quality report
	ReadCoverage      Permission = "read-coverage"      // assess coverage, and its rates; who lacks what also needs view-patients, and is of one's own patients
	ExchangeRecords   Permission = "exchange-records"   // submit and query records as a program
	ReadExchange      Permission = "read-exchange"      // messages that came in, what became of them, and how good a sender's data are
)

// The permissions over reminders and recalls. They open no record that is not open anyway; a list
// has what its notice needs, and everybody on it is in the audit trail.
const (
	RecallPatients Permission = "recall-patients" // runs, notices and texts; recalls after a break of the cold chain
	CallPatients   Permission = "call-patients"   // the list of whom to call, what came of it, agreements to messages
)

// The permissions over people, practices and the programme.
const (
	ManagePeople    Permission = "manage-people"    // accounts of people
	ManageProgramme Permission = "manage-programme" // sites, people of the programme, policies, schedules
	ApplyForSite    Permission = "apply-for-site"   // a practice's enrolment and its yearly renewal
	ApproveSites    Permission = "approve-sites"    // decide about enrolments
	ReadTrail       Permission = "read-trail"       // who did what to units, lots and people
	ReadAudit       Permission = "read-audit"       // who looked at which patient; verify and export it
)

var grants = map[Role][]Permission{
	StateAdmin: {View, Acknowledge, ManageStock, DecideHolds, ManageUnits, NoteContext, LoosenRules,
		SearchPatients, ViewPatients, EditPatients, RecordDoses, RecordExemptions, LockPatients, ImportPatients, ResolveDuplicates, ReadDeidentified, ReadQuality, ReadExchange, ReadCoverage,
		RecallPatients, CallPatients,
		ManagePeople, ManageProgramme, ApplyForSite, ApproveSites, ReadTrail, ReadAudit},
	StateEpi:       {ReadDeidentified, ReadQuality, ReadCoverage},
	VFCCoordinator: {View, Acknowledge, DecideHolds, LoosenRules, ReadTrail, ApproveSites, ReadCoverage},
	Auditor:        {ReadTrail, ReadAudit},
	PracticeManager: {View, Acknowledge, ManageStock, DecideHolds, ManageUnits, NoteContext,
		SearchPatients, ViewPatients, EditPatients, RecordDoses, RecordExemptions, LockPatients, BreakGlass, ImportPatients, ReadQuality, ReadExchange, ReadCoverage,
		RecallPatients, CallPatients,
		ManagePeople, ApplyForSite, ReadTrail},
	Nurse: {View, Acknowledge, ManageStock, NoteContext,
		SearchPatients, ViewPatients, EditPatients, RecordDoses, RecordExemptions, LockPatients, BreakGlass, ReadCoverage,
		RecallPatients, CallPatients},
	FrontDesk: {View, Acknowledge, SearchPatients, ViewPatients, EditPatients, LockPatients, CallPatients},
	ViewOnly:  {View, SearchPatients, ViewPatients},
	School:    {SearchPatients, ViewSubset, RecordExemptions, ApplyForSite}, // a school enrols again every year, and has no other role
	system:    {View, ManageStock, ManageUnits, NoteContext, SearchPatients, ViewPatients, EditPatients, LockPatients, RecordDoses, ImportPatients, ManagePeople, ManageProgramme, Collect},
}

// The scopes of interface accounts.
const (
	ScopeCollector = "collector" // the collector's
	ScopeUnits     = "units"     // a programme's own tool that keeps units and probes
	ScopeRecords   = "records"   // a practice's EHR: submits and queries patients and doses
)

var scopeGrants = map[string][]Permission{
	ScopeCollector: {Collect},
	ScopeUnits:     {View, ManageUnits, NoteContext},
	ScopeRecords:   {ExchangeRecords, ReadExchange, SearchPatients, ViewPatients, EditPatients, RecordDoses},
}

// recording is what a practice may not do once its yearly enrolment has ended: to add to
// patients' records. It may still look, lock a record for a patient who opts out, and keep
// vaccine safe: alarms, holds and moving lots do not wait for paper.
var recording = []Permission{EditPatients, RecordDoses, RecordExemptions, ImportPatients}

// known reports whether a person may have the role.
func (r Role) known() bool { return len(grants[r]) > 0 && r != system }

// Scopes lists those that an interface account may have.
func Scopes() []string { return []string{ScopeRecords, ScopeUnits, ScopeCollector} }

// Principal is whoever acts: a person, an interface account, or the registry
// itself. The zero Principal is nobody.
type Principal struct {
	ID       string
	Name     string
	Username string
	Role     Role
	Site     coldkeep.SiteID // the one that is acted for; "" is every site
	Scopes   []string        // of an interface account
	Lapsed   bool            // the enrolment of Site has ended: nothing is recorded until it is renewed
}

// System is the registry itself at work, named for the trail.
func System(name string) Principal {
	return Principal{ID: "system", Name: name, Role: system}
}

// Internal reports whether p is the registry itself at work.
func (p Principal) Internal() bool { return p.Role == system }

// Known reports whether p is somebody.
func (p Principal) Known() bool { return p.ID != "" }

// May reports whether p may do perm at site; site "" asks for the whole programme.
func (p Principal) May(perm Permission, site coldkeep.SiteID) bool {
	if !p.Known() || p.Site != "" && p.Site != site || p.Lapsed && slices.Contains(recording, perm) {
		return false
	}
	return p.granted(perm)
}

func (p Principal) granted(perm Permission) bool {
	if slices.Contains(grants[p.Role], perm) {
		return true
	}
	for _, s := range p.Scopes {
		if slices.Contains(scopeGrants[s], perm) {
			return true
		}
	}
	return false
}

// Anywhere reports whether p may do perm at some site.
func (p Principal) Anywhere(perm Permission) bool { return p.May(perm, p.Site) }

// Require is nil when p may do perm at site, EUNAUTHORIZED when p is nobody and
// EFORBIDDEN otherwise.
func (p Principal) Require(perm Permission, site coldkeep.SiteID) error {
	switch {
	case !p.Known():
		return coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	case p.May(perm, site):
		return nil
	case p.Lapsed && p.granted(perm) && p.Site == site:
		return coldkeep.Errorf(coldkeep.EFORBIDDEN, "The yearly enrolment of this site has ended. Records may be viewed; to record again, the site has to be enrolled for another year.")
	case p.Role == "":
		return coldkeep.Errorf(coldkeep.EFORBIDDEN, "interface account %q has no scope that allows %q", p.Name, perm)
	}
	return coldkeep.Errorf(coldkeep.EFORBIDDEN, "Your role (%s) does not allow this here.", p.Role.Title())
}
