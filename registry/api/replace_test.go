package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// A dead device is replaced by a new one: the unit keeps its history, the probes that
// stood there stand there under the new one's name, with their certificates, and the
// dead one opens nothing any more. Under the same name the new one simply goes on.
func TestDeadDeviceIsReplaced(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		c := serve(t, where)
		c.token = ""
		ctx := t.Context()
		by := auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		secret, err := c.auth.AddDevice(ctx, by, "lakeside", "pi-old")
		must(err)
		must(c.log.AddAppliance(ctx, by, coldkeep.Appliance{ID: "lakeside-cooler", Site: "lakeside", Name: "Cooler", Unit: "refrigerator", Profile: "cdc", InService: true}))
		begin := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
		series := func(agent, probe string) coldkeep.Series {
			return coldkeep.Series{Site: "lakeside", Agent: coldkeep.AgentID(agent), Probe: coldkeep.ProbeID(probe)}
		}
		must(c.log.Assign(ctx, by, coldkeep.Assignment{Series: series("pi-old", "28-1"), Appliance: "lakeside-cooler", Role: coldkeep.RoleVaccine, From: begin}))
		must(c.log.Assign(ctx, by, coldkeep.Assignment{Series: series("pi-old", "28-2"), Appliance: "lakeside-cooler", Role: coldkeep.RoleAir, From: begin}))
		must(c.log.Calibrate(ctx, by, coldkeep.Calibration{Series: series("pi-old", "28-1"), Offset: -120, Certificate: "C-1", Expires: "2030-01-01"}))

		claim := func(seed byte, code, secret string) {
			t.Helper()
			if a := c.do(http.MethodPost, "/api/v1/devices/claims", "", []byte(newDevice(seed, code, secret).claim())); a.status != 202 {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		claim(0, "ABCD-2345", "secret of the new device")
		if err := c.auth.AcceptInPlaceOf(ctx, by, "ABCD-2345", "lakeside", "pi-new", "pi-none"); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			t.Errorf("in the place of nobody: %v", err)
		}
		nurse := auth.Principal{ID: "n", Name: "Nia", Role: auth.Nurse, Site: "lakeside"}
		if err := c.auth.AcceptInPlaceOf(ctx, nurse, "ABCD-2345", "lakeside", "pi-new", "pi-old"); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
			t.Errorf("by a nurse: %v", err)
		}
		must(c.auth.AcceptInPlaceOf(ctx, by, "ABCD-2345", "lakeside", "pi-new", "pi-old"))
		if _, _, ok := c.auth.CheckDevice(ctx, "lakeside/pi-old", secret); ok {
			t.Error("the dead device still opens")
		}
		if _, _, ok := c.auth.CheckDevice(ctx, "lakeside/pi-new", "secret of the new device"); !ok {
			t.Error("the new device does not open")
		}
		all, err := c.log.Assignments(ctx, by, "lakeside-cooler")
		must(err)
		open, ended := map[coldkeep.Series]coldkeep.Role{}, map[coldkeep.Series]bool{}
		for _, a := range all {
			if a.To == nil {
				open[a.Series] = a.Role
			} else if ended[a.Series] = true; !a.From.Equal(begin) {
				t.Errorf("the past of %s begins at %v", a.Series, a.From)
			}
		}
		if len(open) != 2 || open[series("pi-new", "28-1")] != coldkeep.RoleVaccine || open[series("pi-new", "28-2")] != coldkeep.RoleAir ||
			len(ended) != 2 || !ended[series("pi-old", "28-1")] || !ended[series("pi-old", "28-2")] {
			t.Errorf("open %v, ended %v", open, ended)
		}
		m, err := c.log.Mirror(ctx, auth.System("Test"), -1, 0)
		must(err)
		certified := false
		for _, k := range m.Calibrations {
			certified = certified || k.Series == series("pi-new", "28-1") && k.Certificate == "C-1" && k.Offset == -120
		}
		if !certified {
			t.Errorf("the certificate did not come along: %+v", m.Calibrations)
		}
		// The next one takes the same name.
		claim(1, "WXYZ-6789", "secret of the third device")
		must(c.auth.AcceptInPlaceOf(ctx, by, "WXYZ-6789", "lakeside", "", "pi-new"))
		if _, _, ok := c.auth.CheckDevice(ctx, "lakeside/pi-new", "secret of the third device"); !ok {
			t.Error("the third device does not open")
		}
		if now, err := c.log.Assignments(ctx, by, "lakeside-cooler"); err != nil || len(now) != len(all) {
			t.Errorf("%d assignments, %v; want the same %d", len(now), err, len(all))
		}
	})
}
