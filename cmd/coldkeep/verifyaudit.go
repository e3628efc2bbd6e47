package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/store"
)

// auditLine is the last line of verify --audit. Kept elsewhere, it is the anchor of a
// later one.
type auditLine struct {
	Kind string `json:"kind"` // "summary"
	audit.Summary
	Seconds float64 `json:"seconds"`
}

// verifyAudit verifies the registry's trail, prints a line a finding and a summary, and
// answers no when it is not whole. It changes nothing, not even the tables' version.
func (cmd *verifyCmd) verifyAudit(ctx context.Context, std streams) (err error) {
	if cmd.Site != "" || cmd.Agent != "" || cmd.From != "" || cmd.To != "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "--audit verifies the whole trail: an entry is chained to all before it")
	}
	anchor, err := readAnchor(cmd.Anchor)
	if err != nil {
		return err
	}
	where := cmd.RegistryDatabase
	if where == "" {
		where = filepath.Join(cmd.Data, "registry.db")
		if _, err := os.Stat(where); err != nil {
			return coldkeep.Wrap(err, coldkeep.EINVALID, "verify", "there is no registry %s; --data names the folder, --registry-database a PostgreSQL URL", where)
		}
	}
	db, err := database.Open(ctx, where)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	out := bufio.NewWriter(std.out)
	enc := json.NewEncoder(out)
	began := time.Now()
	sum, err := audit.Verify(ctx, store.Look(db), anchor, func(f audit.Finding) error { return enc.Encode(f) })
	if err == nil {
		err = enc.Encode(auditLine{"summary", sum, time.Since(began).Seconds()})
	}
	if flush := out.Flush(); err == nil {
		err = flush
	}
	if err != nil {
		return verifyFailed(err)
	}
	if !sum.Whole {
		fmt.Fprintln(std.err, "coldkeep: the audit trail is not whole; each line says what and where")
		return errNo
	}
	fmt.Fprintf(std.err, "coldkeep: whole: %d entries, and %d from before the chain. Keep the last line elsewhere as the anchor of the next time.\n", sum.Entries, sum.Earlier)
	return nil
}

// readAnchor reads the heads of earlier summaries, or those that the registry has said in its
// log: all that the file holds.
func readAnchor(path string) ([]audit.Head, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "verify", "anchor %s cannot be read", path)
	}
	defer func() { _ = f.Close() }() // nothing was written
	var heads []audit.Head
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l auditLine
		if json.Unmarshal(lines.Bytes(), &l) == nil && l.Kind == "summary" {
			heads = append(heads, l.Heads...)
			continue
		}
		heads = append(heads, audit.AnchorIn(lines.Text())...)
	}
	if err := lines.Err(); err != nil || len(heads) == 0 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "anchor %s: want the output of an earlier verify --audit, or the registry's log", path)
	}
	return heads, nil
}
