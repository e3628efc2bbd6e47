package main

import (
	"os/exec"
	"strings"
	"testing"
)

// The agent runs on a Pi Zero with 512 MB, is updated over clinic networks, and
// stands unattended for years: what it links is paid for in megabytes of image
// and in security updates.
var forbidden = []struct{ prefix, why string }{
	{"github.com/gin-gonic/gin", "the local page is a few handlers of net/http"},
	{"github.com/alecthomas/kong", "it calls methods by name, for which the linker keeps all methods of all types; see options.go"},
	{"go.opentelemetry.io", "the agent sends no traces"},
	{"github.com/jackc/pgx", "PostgreSQL is the centre's"},
	{"github.com/influxdata", "the agent's only store is its outbox; readings reach InfluxDB through the collector"},
	{"html/template", "the local page is written by hand; linking it also keeps the linker from dropping unused methods"},
	{"github.com/pressly/goose", "the outbox migrates by PRAGMA user_version"},
	{"github.com/chromedp", "the agent prints nothing"},
	{"github.com/go-pdf", "the agent prints nothing"},
	{"github.com/jung-kurt/gofpdf", "the agent prints nothing"},
	{"github.com/johnfercher/maroto", "the agent prints nothing"},
	{"github.com/mochi-mqtt", "the broker is the centre's; tests only"},
	{"github.com/coldkeep/coldkeep/registry", "patients' data has no place on a device at the fridge"},
	{"github.com/coldkeep/coldkeep/registryclient", "the collector speaks with the registry, not the device"},
	{"github.com/coldkeep/coldkeep/alerts", "the collector calls people, not the device"},
	{"github.com/coldkeep/coldkeep/gateway", "the agent shares the wire contract with the gateway, and nothing else"},
	{"periph.io/x/host/v3/bcm283x", "buses are the kernel's; the registers of the board are not for us"},
	{"periph.io/x/host/v3/rpi", "as bcm283x"},
	{"periph.io/x/host/v3/netlink", "it fills short 1-Wire answers with zeros, which read as 0 °C, and gives no strong pull-up"},
	{"periph.io/x/devices/v3/pca9548", "it remembers the channel of a switch that may have restarted"},
	{"github.com/coldkeep/coldkeep/sensors/chiptest", "models, for tests"},
	{"github.com/coldkeep/coldkeep/internal", "fakes of outside parties, for tests"},
}

const allowed = "github.com/coldkeep/coldkeep/gateway/wire"

func TestDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		for _, f := range forbidden {
			if dep != allowed && (dep == f.prefix || strings.HasPrefix(dep, f.prefix+"/")) {
				t.Errorf("the agent links %s: %s", dep, f.why)
			}
		}
	}
}
