package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
)

// annotateCmd corrects the log in the only way there is: by a note beside it.
type annotateCmd struct {
	Why string `arg:"" help:"What is to be known of these readings: \"the probe lay on the counter\"."`

	Site     string `help:"Site." required:""`
	Agent    string `help:"This device only."`
	Probe    string `help:"This probe only."`
	From     string `help:"Beginning of the stretch: RFC 3339, or a date in UTC." placeholder:"TIME" required:""`
	To       string `help:"Its end." placeholder:"TIME" required:""`
	Person   string `help:"Name of the person who says so." required:""`
	Data     string `help:"Folder of the collector's files." default:"coldkeep-data" env:"COLDKEEP_DATA"`
	Database string `help:"PostgreSQL URL of the collector's book, in place of the SQLite file." env:"COLDKEEP_COLLECTOR_DATABASE"`
}

// Run adds the note and prints it as a JSON line. It may run beside a collector.
func (cmd *annotateCmd) Run(ctx context.Context, std streams) (err error) {
	for _, name := range []string{cmd.Site, cmd.Agent} {
		if name != "" && !wire.ValidName(name) {
			return coldkeep.Errorf(coldkeep.EINVALID, "%q is no name of a site or device: want [a-z0-9-], 1 to 64 of them", name)
		}
	}
	a := ledger.Annotation{Site: coldkeep.SiteID(cmd.Site), Agent: coldkeep.AgentID(cmd.Agent), Probe: coldkeep.ProbeID(cmd.Probe), Person: cmd.Person, Why: cmd.Why}
	if a.From, err = parseTime("--from", cmd.From); err != nil {
		return err
	}
	if a.To, err = parseTime("--to", cmd.To); err != nil {
		return err
	}
	where := cmd.Database
	if where == "" {
		where = filepath.Join(cmd.Data, "collector.db")
		if _, err := os.Stat(where); err != nil {
			return coldkeep.Wrap(err, coldkeep.EINVALID, "annotate", "there is no collector's book %s; --data names the folder, --database a PostgreSQL URL", where)
		}
	}
	db, err := database.Open(ctx, where)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	led, err := ledger.Open(ctx, db)
	if err != nil {
		return err
	}
	if a, err = led.Annotate(ctx, time.Now(), a); err != nil {
		return err
	}
	return coldkeep.Wrap(json.NewEncoder(std.out).Encode(a), coldkeep.EUNAVAILABLE, "annotate", "standard output")
}
