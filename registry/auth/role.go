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

// The roles. The first two see every site; the others belong to one.
const (
	StateAdmin      Role = "state-admin"
	VFCCoordinator  Role = "vfc-coordinator"
	PracticeManager Role = "practice-manager"
	Nurse           Role = "nurse"
	ViewOnly        Role = "view-only"

	system Role = "system" // the registry's own start-up work
)

// Roles lists those a person may have, from most to least.
func Roles() []Role { return []Role{StateAdmin, VFCCoordinator, PracticeManager, Nurse, ViewOnly} }

// Title is the role in words.
func (r Role) Title() string {
	switch r {
	case StateAdmin:
		return "State administrator"
	case VFCCoordinator:
		return "VFC coordinator"
	case PracticeManager:
		return "Practice manager"
	case Nurse:
		return "Nurse"
	case ViewOnly:
		return "View only"
	}
	return string(r)
}

// Programme reports whether the role is for every site.
func (r Role) Programme() bool { return r == StateAdmin || r == VFCCoordinator || r == system }

// Permission is one thing that may be done.
type Permission string

// The permissions.
const (
	View            Permission = "view"             // units, logs, lots, alerts
	Acknowledge     Permission = "acknowledge"      // answer an alert
	ManageStock     Permission = "manage-stock"     // receive, move, count lots
	DecideHolds     Permission = "decide-holds"     // release or waste held lots
	ManageUnits     Permission = "manage-units"     // units, probes, devices, on-call
	NoteContext     Permission = "note-context"     // defrosts, open doors, transports
	LoosenRules     Permission = "loosen-rules"     // a range or profile wider than the programme's
	ManagePeople    Permission = "manage-people"    // accounts of people
	ManageProgramme Permission = "manage-programme" // sites, people of the programme
	ReadTrail       Permission = "read-trail"
	Collect         Permission = "collect" // post logs, excursions and holds; read the mirror
)

var grants = map[Role][]Permission{
	StateAdmin:      {View, Acknowledge, ManageStock, DecideHolds, ManageUnits, NoteContext, LoosenRules, ManagePeople, ManageProgramme, ReadTrail},
	VFCCoordinator:  {View, Acknowledge, DecideHolds, LoosenRules, ReadTrail},
	PracticeManager: {View, Acknowledge, ManageStock, DecideHolds, ManageUnits, NoteContext, ManagePeople, ReadTrail},
	Nurse:           {View, Acknowledge, ManageStock, NoteContext},
	ViewOnly:        {View},
	system:          {View, ManageStock, ManageUnits, NoteContext, ManagePeople, ManageProgramme, Collect},
}

// The scopes of interface accounts.
const (
	ScopeCollector = "collector" // the collector's
	ScopeUnits     = "units"     // a programme's own tool that keeps units and probes
)

var scopeGrants = map[string][]Permission{ScopeCollector: {Collect}, ScopeUnits: {View, ManageUnits, NoteContext}}

// Principal is whoever acts: a person, an interface account, or the registry
// itself. The zero Principal is nobody.
type Principal struct {
	ID       string
	Name     string
	Username string
	Role     Role
	Site     coldkeep.SiteID // "" is every site
	Scopes   []string        // of an interface account
}

// System is the registry itself at work, named for the trail.
func System(name string) Principal {
	return Principal{ID: "system", Name: name, Role: system}
}

// Known reports whether p is somebody.
func (p Principal) Known() bool { return p.ID != "" }

// May reports whether p may do perm at site; site "" asks for the whole programme.
func (p Principal) May(perm Permission, site coldkeep.SiteID) bool {
	if !p.Known() || p.Site != "" && p.Site != site {
		return false
	}
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
	case p.Role == "":
		return coldkeep.Errorf(coldkeep.EFORBIDDEN, "interface account %q has no scope that allows %q", p.Name, perm)
	}
	return coldkeep.Errorf(coldkeep.EFORBIDDEN, "Your role (%s) does not allow this here.", p.Role.Title())
}
