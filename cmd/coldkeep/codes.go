package main

import (
	"log/slog"
	"os"

	"github.com/coldkeep/coldkeep/registry"
	"github.com/coldkeep/coldkeep/registry/vaccine"
	"github.com/coldkeep/coldkeep/registry/vaccine/published"
)

// codesFlags are the vaccine code sets that a registry works by.
type codesFlags struct {
	Codes string `help:"Folder with newer code sets (CVX, MVX, NDC, VIS) as CDC publishes them, in place of those that come with the program." placeholder:"DIR" env:"COLDKEEP_CODES"`
}

// load reads the code sets. A folder that is not whole, or malformed, is EINVALID, and
// nothing starts: half of a code set would refuse doses that were given.
func (f *codesFlags) load(cfg *registry.Config, log *slog.Logger) error {
	if f.Codes == "" {
		return nil
	}
	sets, err := published.Read(os.DirFS(f.Codes))
	if err != nil {
		return err
	}
	if cfg.Codes, err = vaccine.New(sets); err != nil {
		return err
	}
	log.Info("code sets", "folder", f.Codes, "newest", sets.Newest.String(), "cvx", len(sets.Vaccines), "mvx", len(sets.Makers), "ndc", len(sets.Packages), "vis", len(sets.Statements))
	return nil
}
