package published_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/fstest"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/vaccine"
	"github.com/coldkeep/coldkeep/registry/vaccine/published"
)

// The built-in sets are what the tool makes of the published ones.
func TestBuiltinIsOfThePublished(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "..", "shared", "data", "codes")
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("the published code sets are not beside the checkout: %v", err)
	}
	sets, err := published.Read(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	// As they come back from the compact form.
	b, err := json.Marshal(sets)
	if err != nil {
		t.Fatal(err)
	}
	var again vaccine.Sets
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	c, err := vaccine.New(again)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.Vaccines(false), vaccine.Builtin().Vaccines(false)) || !reflect.DeepEqual(c.CurrentStatements("03"), vaccine.Builtin().CurrentStatements("03")) {
		t.Error("the built-in sets are not those that are published: run go generate ./registry/vaccine")
	}
	if len(sets.Vaccines) != 288 || len(sets.Makers) != 89 || len(sets.Products) != 223 || len(sets.Packages) != 1070 {
		t.Errorf("%d CVX, %d MVX, %d trade names, %d NDC", len(sets.Vaccines), len(sets.Makers), len(sets.Products), len(sets.Packages))
	}
}

func TestRefused(t *testing.T) {
	for name, fsys := range map[string]fstest.MapFS{
		"empty":     {},
		"malformed": {"cvx.xml": {Data: []byte("<CVXCodes><CVXInfo>")}},
		"no rows":   {"cvx.xml": {Data: []byte("<CVXCodes/>")}},
	} {
		if _, err := published.Read(fsys); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
}
