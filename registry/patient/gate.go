package patient

import (
	"errors"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Gate is what decides whether a record opens, read in the transaction that goes on to
// use the record. Every service of the registry that touches a patient asks it.
//
// It is of the person, not of one record: of all records that were merged into one, any
// lock closes it, and every practice of any of them has the person as a patient.
type Gate struct {
	Patient    string        // the record that was asked for
	Head       string        // the record that stands for the person; Patient itself unless it was merged
	Family     []string      // every record of the person, Head first: doses are under each of them
	Birth      coldkeep.Date // of Head
	Locked     bool
	LockSite   coldkeep.SiteID   // who locked it; "" the state, or more than one
	MergedInto string            // the record to ask for instead: Head, when it is another; otherwise ""
	Sites      []coldkeep.SiteID // the practices that have the person as a patient, in any standing
	Granted    bool              // the one who asks has found the record by a specific search, lately
	Emergency  bool              // … or has opened it in an emergency, with a reason
}

// Require is nil when by may do perm with the record. EUNAUTHORIZED when by is nobody.
// EFORBIDDEN when the role does not allow it, when the record is locked (IsLocked tells
// it apart) and when by has neither found it by a search nor has the person as a patient.
func (g *Gate) Require(by auth.Principal, perm auth.Permission) error {
	if err := by.Require(perm, by.Site); err != nil {
		return err
	}
	if g.shut(by) {
		if !g.Emergency || perm != auth.ViewPatients {
			return errLocked
		}
		return nil
	}
	if g.Granted || g.Emergency || g.Own(by.Site) || by.Internal() {
		return nil // a program, too, has found the person: by a search, or by entering who was there already
	}
	return coldkeep.Errorf(coldkeep.EFORBIDDEN, "Search for the patient first: a record opens from a search by name and birth date, or by an identifier.")
}

// shut reports whether the record is locked to by, but for an emergency.
func (g *Gate) shut(by auth.Principal) bool {
	state := by.Site == "" && by.Role.Programme()
	return g.Locked && !state && (by.Site == "" || by.Site != g.LockSite)
}

// ViewOnly reports whether the record is open to by for an emergency, so that nothing can be
// entered: screens then offer no forms that Require would refuse.
func (g *Gate) ViewOnly(by auth.Principal) bool { return g.shut(by) && g.Emergency }

// Own reports whether a practice has the person as a patient, in any standing.
func (g *Gate) Own(site coldkeep.SiteID) bool {
	for _, s := range g.Sites {
		if s == site && site != "" {
			return true
		}
	}
	return false
}

var errLocked = coldkeep.Errorf(coldkeep.EFORBIDDEN, "This record is locked: the patient has opted out of sharing. Only the state and the site that locked it can open it.")

// IsLocked reports whether err is that of a locked record.
func IsLocked(err error) bool { return errors.Is(err, errLocked) }
