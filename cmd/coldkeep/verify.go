package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
)

type verifyCmd struct {
	Site     string `help:"Verify this site only."`
	Agent    string `help:"Verify this device only."`
	From     string `help:"Verify from this time on: RFC 3339, or a date in UTC. Widened to the seal before." placeholder:"TIME"`
	To       string `help:"Verify up to this time. Widened to the seal after." placeholder:"TIME"`
	Data     string `help:"Folder of the collector's files." default:"coldkeep-data" env:"COLDKEEP_DATA"`
	Database string `help:"PostgreSQL URL of the collector's book, in place of the SQLite file." env:"COLDKEEP_COLLECTOR_DATABASE"`
	Temp     string `help:"Folder for what memory does not hold, about 50 bytes a reading of one device; empty: the system's." placeholder:"DIR"`

	Audit            bool   `help:"Verify the registry's audit trail in place of the temperature log."`
	RegistryDatabase string `help:"PostgreSQL URL of the registry, in place of the SQLite file." env:"COLDKEEP_REGISTRY_DATABASE"`
	Anchor           string `help:"File with the output of an earlier verify --audit that was kept elsewhere: what it saw must still be there." placeholder:"FILE"`

	storesFlags `embed:""`
}

// summaryLine is the last line of verify's output.
type summaryLine struct {
	Kind string `json:"kind"` // "summary"
	evidence.Summary
	Seconds float64 `json:"seconds"`
}

// Run verifies what is stored, prints a line a finding and a summary, and answers
// no when the log is not whole.
func (cmd *verifyCmd) Run(ctx context.Context, std streams) (err error) {
	if cmd.Audit {
		return cmd.verifyAudit(ctx, std)
	}
	if cmd.Anchor != "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "--anchor is of the audit trail: it needs --audit")
	}
	scope, err := cmd.scope()
	if err != nil {
		return err
	}
	where, err := cmd.database()
	if err != nil {
		return err
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
	store, err := cmd.open(ctx, cmd.Data, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	source, ok := store.(evidence.Source)
	if !ok {
		return coldkeep.Errorf(coldkeep.EINVALID, "this readings store cannot be verified")
	}
	show := newProgress(std.err, "verifying")
	out := bufio.NewWriter(std.out)
	enc := json.NewEncoder(out)
	v := evidence.Verifier{Ledger: led, Readings: source, Temp: cmd.Temp}
	if show.w != nil {
		v.Progress = func(done, total int64) {
			show.read, show.size = done, total
			_, _ = show.Write(nil) // draws; a bar that cannot be drawn is none
		}
	}
	began := time.Now()
	sum, err := v.Verify(ctx, scope, func(f evidence.Finding) error { return enc.Encode(f) })
	show.done()
	if err == nil {
		err = enc.Encode(summaryLine{"summary", sum, time.Since(began).Seconds()})
	}
	if flush := out.Flush(); err == nil {
		err = flush
	}
	if err != nil {
		return verifyFailed(err)
	}
	if sum.Whole {
		fmt.Fprintf(std.err, "coldkeep: whole: %d readings, %d events and %d seals of %d devices\n", sum.Readings, sum.Events, sum.Seals, sum.Devices)
		return nil
	}
	fmt.Fprintln(std.err, "coldkeep: the log is not whole; each line says what and where")
	return errNo
}

// verifyFailed tells an error of standard output from those of the stores. A
// device that is not there is a wrong argument.
func verifyFailed(err error) error {
	var ours *coldkeep.Error
	switch {
	case coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND:
		return coldkeep.Errorf(coldkeep.EINVALID, "%s", coldkeep.ErrorMessage(err))
	case errors.As(err, &ours), errors.Is(err, context.Canceled):
		return err
	}
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "verify", "standard output")
}

// database finds the collector's book. A folder without one, or without readings, is a wrong argument,
// where opening it would make an empty book that is whole.
func (cmd *verifyCmd) database() (string, error) {
	where := cmd.Database
	if where == "" {
		where = filepath.Join(cmd.Data, "collector.db")
		if _, err := os.Stat(where); err != nil {
			return "", coldkeep.Wrap(err, coldkeep.EINVALID, "verify", "there is no collector's book %s; --data names the folder, --database a PostgreSQL URL", where)
		}
	}
	if cmd.InfluxURL == "" {
		if _, err := os.Stat(filepath.Join(cmd.Data, "readings.db")); err != nil {
			return "", coldkeep.Wrap(err, coldkeep.EINVALID, "verify", "there are no readings in %s; --influx-url names an InfluxDB", cmd.Data)
		}
	}
	return where, nil
}

func (cmd *verifyCmd) scope() (s evidence.Scope, err error) {
	for _, name := range []string{cmd.Site, cmd.Agent} {
		if name != "" && !wire.ValidName(name) {
			return s, coldkeep.Errorf(coldkeep.EINVALID, "%q is no name of a site or device: want [a-z0-9-], 1 to 64 of them", name)
		}
	}
	s.Site, s.Agent = coldkeep.SiteID(cmd.Site), coldkeep.AgentID(cmd.Agent)
	if s.From, err = parseTime("--from", cmd.From); err != nil {
		return s, err
	}
	if s.To, err = parseTime("--to", cmd.To); err != nil {
		return s, err
	}
	if !s.To.IsZero() && !s.From.Before(s.To) {
		return s, coldkeep.Errorf(coldkeep.EINVALID, "--to %s is not after --from %s", cmd.To, cmd.From)
	}
	return s, nil
}

// parseTime reads RFC 3339, or a date as its beginning in UTC; "" is the zero time.
func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, coldkeep.Errorf(coldkeep.EINVALID, "%s %q: want a time such as 2026-03-01T08:00:00Z or a date", flag, text)
}
