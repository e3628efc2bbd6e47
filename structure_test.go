package coldkeep_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/coldkeep/coldkeep"

// mayImport is the house's import direction (docs/architecture.md): a package
// under the first name may import, of this module, only what is under the others.
// The longest name that fits counts. "." is the root package.
var mayImport = []struct {
	folder  string
	allowed []string
	why     string
}{
	{".", nil, "the root holds the nouns that cross borders, and imports the standard library only"},
	{"sensors", []string{".", "sensors"}, "a driver knows the hardware and a temperature, nothing of the network"},
	{"firmware", []string{".", "firmware", "sensors", "gateway/wire"}, "the device knows the wire contract, not the collector"},
	{"gateway/wire", []string{"."}, "the contract is shared by both ends and depends on neither"},
	{"gateway/excursion", []string{"."}, "the engine is pure"},
	{"gateway/foresight", []string{"."}, "foresight is pure"},
	{"gateway", []string{".", "gateway", "internal/database", "internal/tracing"}, "the collector's half knows neither alerts nor registry: cmd joins them"},
	{"alerts", []string{".", "alerts", "internal/database"}, "alerts hear of changes by a feed that cmd hands them"},
	{"registryclient", []string{".", "registryclient", "internal/database", "internal/tracing"}, "no patient data passes here"},
	{"registry/forecast", []string{".", "registry/forecast"}, "the forecast is pure"},
	{"registry/hl7/er7", []string{"."}, "the text form knows nothing of what messages mean"},
	{"registry/hl7/guide", []string{".", "registry/hl7/er7", "registry/vaccine", "registry/patient", "registry/immunization"}, "the guide judges a message alone; the records are for registry/hl7"},
	{"registry", []string{".", "registry", "alerts/channel", "internal/database"}, "the registry never imports the gateway"},
	{"cmd/coldkeep-agent", []string{".", "firmware", "sensors", "gateway/wire"}, "the Pi program stays small"},
	{"cmd", []string{"."}, "cmd joins everything"},
	{"internal", []string{".", "internal"}, "helpers and fakes stand apart from what they help"},
	{"bench", []string{"."}, "benchmarks may measure everything"},
}

// anything lists the folders that may import all of the module.
var anything = map[string]bool{"cmd": true, "bench": true}

type goPackage struct {
	ImportPath   string
	Doc          string
	Imports      []string
	TestGoFiles  []string
	XTestGoFiles []string
	GoFiles      []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,GoFiles,TestGoFiles,XTestGoFiles", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// folder gives a package's folder in this module; "." is the root.
func folder(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

func under(dir, parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }

func TestImportDirection(t *testing.T) {
	for _, p := range packages(t) {
		dir, _ := folder(p.ImportPath)
		best := -1
		for i, r := range mayImport {
			if under(dir, r.folder) && (best < 0 || len(r.folder) > len(mayImport[best].folder)) {
				best = i
			}
		}
		if best < 0 {
			t.Errorf("%s is in no folder of the house: give it a line in mayImport or another place", dir)
			continue
		}
		rule := mayImport[best]
		if anything[rule.folder] {
			continue
		}
		for _, im := range p.Imports {
			to, ours := folder(im)
			if !ours {
				if rule.folder == "." && strings.Contains(im, ".") {
					t.Errorf("the root package imports %s: %s", im, rule.why)
				}
				continue
			}
			ok := false
			for _, a := range rule.allowed {
				ok = ok || to == a || a != "." && under(to, a)
			}
			if !ok {
				t.Errorf("%s imports %s: %s", dir, to, rule.why)
			}
		}
	}
}

// A newcomer learns what a package is from its first lines.
func TestEveryPackageHasAComment(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
