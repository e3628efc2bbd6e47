package registry_test

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// grantsOf reads who has which permission from the page.
func grantsOf(t *testing.T) map[auth.Permission][]string {
	t.Helper()
	b, err := os.ReadFile(policyPage)
	if err != nil {
		t.Fatal(err)
	}
	out := map[auth.Permission][]string{}
	_, section, _ := strings.Cut(string(b), "\n## Permissions\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if name := strings.TrimSpace(cells[0]); len(cells) == 3 && strings.HasPrefix(name, "`") {
			out[auth.Permission(strings.Trim(name, "`"))] = strings.Split(strings.ReplaceAll(strings.TrimSpace(regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(cells[2], "")), " ", ""), ",")
		}
	}
	return out
}

// principals are everybody, by the column of the table.
func principals() map[string]auth.Principal {
	out := map[string]auth.Principal{"nobody": {}}
	for _, r := range auth.Roles() {
		p := auth.Principal{ID: "p-" + string(r), Name: "The " + string(r), Role: r, Site: ownSite}
		if r.Programme() {
			p.Site = ""
		}
		out[string(r)] = p
	}
	for _, sc := range scopesOf {
		p := auth.Principal{ID: "i-" + sc, Name: "Program", Scopes: []string{sc}, Site: ownSite}
		if sc == auth.ScopeCollector {
			p.Site = ""
		}
		out[sc] = p
	}
	return out
}

// The permissions are those of the page, at one's own practice and nowhere else.
func TestPermissionsOfPage(t *testing.T) {
	grants := grantsOf(t)
	if len(grants) < 27 {
		t.Fatalf("%d permissions in %s", len(grants), policyPage)
	}
	for perm, who := range grants {
		for name, p := range principals() {
			has := slices.Contains(who, name)
			if p.May(perm, ownSite) != has || p.May(perm, otherSite) != (has && p.Site == "") {
				t.Errorf("%s: %s has it: %v at its own, %v at another practice, the page says %v", perm, name, p.May(perm, ownSite), p.May(perm, otherSite), has)
			}
			if p.Lapsed = true; p.Site != "" && p.May(perm, ownSite) != (has && !slices.Contains([]auth.Permission{auth.EditPatients, auth.RecordDoses, auth.RecordExemptions, auth.ImportPatients}, perm)) {
				t.Errorf("%s: %s of a site whose enrolment has ended: %v", perm, name, p.May(perm, ownSite))
			}
		}
	}
}

// method is one of a service, with what the page says of it.
type method struct {
	name   string
	perms  []auth.Permission // any of them opens it
	of     int               // situations: 1, 2, or 5 of a patient
	stock  bool              // a dose of a practice's stock is that practice's
	anyone bool              // does not ask what was searched for, or who has locked it
	not    []string          // who have the permission and no use for it here
	fresh  bool              // has a patient of its own
	call   func(s *services, by auth.Principal, o things) error
}

// says is what the page says of a method for somebody.
func (m *method) says(name string, p auth.Principal, grants map[auth.Permission][]string) []string {
	out := slices.Repeat([]string{refused}, m.of)
	if !slices.ContainsFunc(m.perms, func(perm auth.Permission) bool { return slices.Contains(grants[perm], name) }) || slices.Contains(m.not, name) {
		return out
	}
	state := p.Site == ""
	for i := range out {
		sit := situations[i]
		switch {
		case m.of < 5 && (i == 0 || state), m.anyone:
			out[i] = allowed
		case m.of < 5:
		case sit.locked && sit.site != p.Site && !state:
			out[i] = locked
		case !sit.found, m.stock && sit.site != p.Site && !state:
		default:
			out[i] = allowed
		}
	}
	return out
}

const why = "a good reason"

var form = patient.Form{Signer: "Nora", Relation: "MTH", Signed: coldkeep.DateOf(time.Now()) - 1}

func methods() []method {
	return append(slices.Concat(recordMethods(), programmeMethods()),
		// The last: an emergency opens locked records to who has called it.
		method{name: "patient.BreakGlass", perms: []auth.Permission{auth.BreakGlass}, of: 5, call: func(s *services, by auth.Principal, o things) error {
			_, err := s.people.BreakGlass(s.t.Context(), by, o["patient"], why)
			return err
		}})
}

// The services refuse by themselves, on both engines, what the page refuses: no handler is
// needed for it.
func TestPolicyOfServices(t *testing.T) {
	grants := grantsOf(t)
	databasetest.Each(t, func(t *testing.T, where string) {
		s := serviceOn(t, where)
		s.furnish()
		all, checks := principals(), 0
		for _, p := range all {
			for i, sit := range situations {
				if sit.found && p.Known() {
					s.find(p.ID, s.things[i]["patient"])
				}
			}
		}
		// Those about units first: the last of the others opens locked records.
		for _, m := range append(methodsOfUnits(), methods()...) {
			for name, by := range all {
				want := m.says(name, by, grants)
				for i := range m.of {
					o := s.things[i]
					if m.fresh {
						o = with(o, s.patientOf(i, false))
						if situations[i].found && by.Known() {
							s.find(by.ID, o["patient"])
						}
					}
					if m.name == "patient.BreakGlass" && want[i] == locked {
						want[i] = allowed // that is what it is for
					}
					before := s.entries(by.ID, o["patient"])
					err := m.call(s, by, o)
					checks++
					got := allowed
					switch code := coldkeep.ErrorCode(err); {
					case patient.IsLocked(err):
						got = locked
					case code == coldkeep.EFORBIDDEN, code == coldkeep.EUNAUTHORIZED, code == coldkeep.ENOTFOUND && m.of == 2:
						got = refused
					case code == coldkeep.EINTERNAL && err != io.EOF: //nolint:errorlint // Export's own
						t.Errorf("%s for %s: %v", m.name, name, err)
					}
					if m.of == 5 && by.Known() && (got == refused || got == locked) && !m.anyone && s.entries(by.ID, o["patient"]) == before {
						t.Errorf("%s for %s, %s: %s, and the trail does not say so", m.name, name, situations[i].name, got)
					}
					if got != want[i] {
						t.Errorf("%s for %s, %s: %s (%v), want %s", m.name, name, situations[i].name, got, err, want[i])
					}
				}
			}
		}
		t.Logf("%d methods, %d checks", len(methodsOfUnits())+len(methods()), checks)
	})
}

// entries counts those of the trail by somebody about a patient.
func (s *services) entries(who, id string) (n int) {
	s.t.Helper()
	s.must(s.db.QueryRowContext(s.t.Context(), "SELECT count(*) FROM audit WHERE who_id = $1 AND subject = $2", who, "patient/"+id).Scan(&n))
	return n
}
