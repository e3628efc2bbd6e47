// Package demo furnishes a registry with two invented clinics, so that a newcomer
// sees the whole chain without entering anything. Clinics and people are made up;
// vaccine codes are those that CDC publishes, lot numbers are not of real lots.
package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/templog"
)

// Services is what the demo is furnished through: the same services, with the same
// checks, that the screens use.
type Services struct {
	Auth          *auth.Service
	Enrolment     *enrolment.Service
	Templog       *templog.Service
	Inventory     *inventory.Service
	Patients      *patient.Service
	Immunizations *immunization.Service
	Exchange      *exchange.Service
	Recall        *recall.Service
	Clock         coldkeep.Clock
}

// Person is somebody of the demo, with the password to be printed.
type Person struct {
	Name     string
	Username string
	Password string
	Role     string
	Site     string // "" for the whole programme
}

// Devices lists the demo's devices as "site/agent".
func Devices() []string { return []string{"lakeside/pi-1", "lakeside/recorder", "northgate/pi-1"} }

var sites = []coldkeep.Site{
	{ID: "lakeside", Name: "Lakeside Family Clinic", VFCPIN: "104217", TimeZone: "America/Chicago"},
	{ID: "northgate", Name: "Northgate Pediatrics", VFCPIN: "108853", TimeZone: "America/Chicago"},
}

// school is the demo's school. It has no units, so it is in the registry for its people
// alone.
var school = coldkeep.Site{ID: "maple", Name: "Maple Street School", TimeZone: "America/Chicago"}

var people = []Person{
	{Name: "Dana Whitfield", Username: "dana", Password: "lakeside-manager", Role: string(auth.PracticeManager), Site: "lakeside"},
	{Name: "Marcus Bell", Username: "marcus", Password: "lakeside-nurse-demo", Role: string(auth.Nurse), Site: "lakeside"},
	{Name: "Ines Okafor", Username: "ines", Password: "northgate-manager", Role: string(auth.PracticeManager), Site: "northgate"},
	{Name: "Peter Lund", Username: "peter", Password: "lakeside-view-only", Role: string(auth.ViewOnly), Site: "lakeside"},
	{Name: "Joan Ferreira", Username: "joan", Password: "lakeside-front-desk", Role: string(auth.FrontDesk), Site: "lakeside"},
	{Name: "Nadia Rahman", Username: "nadia", Password: "northgate-nurse-demo", Role: string(auth.Nurse), Site: "northgate"},
	{Name: "Grace Lindqvist", Username: "grace", Password: "maple-school-nurse", Role: string(auth.School), Site: "maple"},
	{Name: "Ruth Castellano", Username: "ruth", Password: "vfc-coordinator", Role: string(auth.VFCCoordinator)},
	{Name: "Walter Nkemelu", Username: "walter", Password: "state-auditor-demo", Role: string(auth.Auditor)},
	{Name: "Elena Novak", Username: "elena", Password: "state-epi-demo", Role: string(auth.StateEpi)},
	{Name: "Sam Abara", Username: "sam", Password: "state-admin-demo", Role: string(auth.StateAdmin)},
}

var units = []coldkeep.Appliance{
	{ID: "lakeside-fridge-1", Site: "lakeside", Name: "Refrigerator 1", Unit: coldkeep.Refrigerator},
	{ID: "lakeside-fridge-2", Site: "lakeside", Name: "Refrigerator 2", Unit: coldkeep.Refrigerator},
	{ID: "lakeside-freezer-1", Site: "lakeside", Name: "Freezer 1", Unit: coldkeep.Freezer},
	{ID: "lakeside-ultra-1", Site: "lakeside", Name: "Ultra-cold 1", Unit: coldkeep.UltraCold},
	{ID: "lakeside-recorded", Site: "lakeside", Name: "Recorded freezer", Unit: coldkeep.Freezer},
	{ID: "northgate-fridge-1", Site: "northgate", Name: "Refrigerator 1", Unit: coldkeep.Refrigerator},
	{ID: "northgate-freezer-1", Site: "northgate", Name: "Freezer 1", Unit: coldkeep.Freezer},
}

// probe is one probe and the unit it stands in.
type probe struct {
	coldkeep.Series
	unit coldkeep.ApplianceID
	from time.Time // zero: history before the demo's start
}

// recordedSince is from when the recorder's probes count; its traces are from years
// past and keep their own times.
var recordedSince = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

var probes = []probe{
	{Series: coldkeep.Series{Site: "lakeside", Agent: "pi-1", Probe: "fridge-1"}, unit: "lakeside-fridge-1"},
	{Series: coldkeep.Series{Site: "lakeside", Agent: "pi-1", Probe: "fridge-2"}, unit: "lakeside-fridge-2"},
	{Series: coldkeep.Series{Site: "lakeside", Agent: "pi-1", Probe: "freezer-1"}, unit: "lakeside-freezer-1"},
	{Series: coldkeep.Series{Site: "lakeside", Agent: "pi-1", Probe: "ultra-1"}, unit: "lakeside-ultra-1"},
	{Series: coldkeep.Series{Site: "lakeside", Agent: "recorder", Probe: "T0"}, unit: "lakeside-recorded", from: recordedSince},
	{Series: coldkeep.Series{Site: "lakeside", Agent: "recorder", Probe: "T1"}, unit: "lakeside-recorded", from: recordedSince},
	{Series: coldkeep.Series{Site: "northgate", Agent: "pi-1", Probe: "fridge-1"}, unit: "northgate-fridge-1"},
	{Series: coldkeep.Series{Site: "northgate", Agent: "pi-1", Probe: "freezer-1"}, unit: "northgate-freezer-1"},
}

// certificateDays is how long the demo's certificates hold yet; one is about to end.
var certificateDays = []int{400, 21, 580, 300}

// history is how long before its start the demo's units have been in use.
const history = 60 * 24 * time.Hour

// PhonePath is the path of the webhook that stands for a telephone in the demo.
const PhonePath = "/demo-phone"

// Furnish adds what is missing of the demo and returns its people. secrets holds
// one per device by "site/agent"; one that is missing is EINVALID. phone, when not
// empty, is a webhook ending in PhonePath that alarms call; it takes the place of
// an earlier start's.
func Furnish(ctx context.Context, s Services, secrets map[string]string, phone string) ([]Person, error) {
	for _, d := range Devices() {
		if secrets[d] == "" {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "demo: no secret for device %s", d)
		}
	}
	by := auth.System("Demo")
	start := s.Clock.Now().Add(-history).Truncate(24 * time.Hour)
	f := furnisher{ctx, s, by, start, map[string]string{}}
	for _, step := range []func() error{f.sites, f.people, f.policies, func() error { return f.devices(secrets) }, f.units, f.lots, f.patients, f.doses, f.sender, f.notices, f.spoil, func() error { return f.onCall(phone) }} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return append([]Person(nil), people...), nil
}

type furnisher struct {
	ctx   context.Context
	s     Services
	by    auth.Principal
	start time.Time
	added map[string]string // patients of this start, by site and record number
}

// there takes ECONFLICT for "it is there already".
func there(err error) error {
	if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
		return nil
	}
	return err
}

func (f furnisher) sites() error {
	for _, site := range sites {
		err := f.s.Templog.AddSite(f.ctx, f.by, site)
		if err == nil {
			err = f.s.Templog.SetOnCall(f.ctx, f.by, coldkeep.OnCall{Site: site.ID, RepeatAfter: 900})
		}
		if err := there(err); err != nil {
			return err
		}
	}
	return f.s.Enrolment.EnsureSite(f.ctx, f.by, enrolment.SiteEnrolment{Site: school, Kind: enrolment.School,
		Street: "400 Maple Street", City: "Springfield", State: "IL", ZIP: "62701"})
}

func (f furnisher) onCall(phone string) error {
	if phone == "" {
		return nil
	}
	for _, site := range sites {
		o, err := f.s.Templog.OnCall(f.ctx, f.by, site.ID)
		if err != nil {
			return err
		}
		if slices.Contains(o.Webhooks, phone) {
			continue
		}
		o.Webhooks = slices.DeleteFunc(slices.Clone(o.Webhooks), func(w string) bool { return strings.HasSuffix(w, PhonePath) })
		o.Webhooks = append(o.Webhooks, phone)
		if err := f.s.Templog.SetOnCall(f.ctx, f.by, o); err != nil {
			return err
		}
	}
	return nil
}

func (f furnisher) people() error {
	for _, p := range people {
		_, err := f.s.Auth.AddPerson(f.ctx, f.by, auth.NewPerson{Name: p.Name, Username: p.Username, Password: p.Password,
			Role: auth.Role(p.Role), Site: coldkeep.SiteID(p.Site)})
		if err := there(err); err != nil {
			return err
		}
	}
	return nil
}

// policies has the demo's people accept the texts in advance, so that a newcomer comes
// straight to the screens.
func (f furnisher) policies() error {
	all, err := f.s.Auth.People(f.ctx, f.by)
	if err != nil {
		return err
	}
	for _, p := range all {
		if !slices.ContainsFunc(people, func(d Person) bool { return d.Username == p.Username }) {
			continue
		}
		pending, err := f.s.Enrolment.Pending(f.ctx, p.Principal())
		if err != nil {
			return err
		}
		if len(pending) == 0 {
			continue
		}
		versions := map[enrolment.PolicyKind]int64{}
		for _, t := range pending {
			versions[t.Kind] = t.Version
		}
		if err := f.s.Enrolment.Accept(f.ctx, p.Principal(), versions); err != nil {
			return err
		}
	}
	return nil
}

func (f furnisher) devices(secrets map[string]string) error {
	for _, p := range probes {
		name := string(p.Site) + "/" + string(p.Agent)
		if err := f.s.Auth.EnsureDevice(f.ctx, f.by, p.Site, p.Agent, secrets[name]); err != nil {
			return err
		}
	}
	return nil
}

func (f furnisher) units() error {
	for _, u := range units {
		u.Profile, u.InService = "cdc", true
		err := f.s.Templog.AddAppliance(f.ctx, f.by, u)
		if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
			continue // with its probes, from an earlier start
		}
		if err != nil {
			return err
		}
		for i, p := range probes {
			if p.unit != u.ID {
				continue
			}
			from := p.from
			if from.IsZero() {
				from = f.start
			}
			if err := f.s.Templog.Assign(f.ctx, f.by, coldkeep.Assignment{Series: p.Series, Appliance: p.unit, Role: coldkeep.RoleVaccine, From: from}); err != nil {
				return err
			}
			if p.Agent == "recorder" {
				continue // what it plays was calibrated when it was recorded
			}
			if err := f.s.Templog.Calibrate(f.ctx, f.by, coldkeep.Calibration{Series: p.Series, Certificate: fmt.Sprintf("DEMO-%d", 1040+i),
				Expires: f.s.Clock.Now().AddDate(0, 0, certificateDays[i%len(certificateDays)]).Format(time.DateOnly)}); err != nil {
				return err
			}
		}
	}
	return nil
}
