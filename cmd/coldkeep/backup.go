package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
	"github.com/coldkeep/coldkeep/gateway/devices"
	"github.com/coldkeep/coldkeep/gateway/lease"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings/sqlite"
	"github.com/coldkeep/coldkeep/internal/backup"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registryclient"
)

// components are those of all databases of the centre.
func components() backup.Components {
	return backup.Components{
		store.Component: store.Migrations(), ledger.Component: ledger.Migrations(), lease.Component: lease.Migrations(), devices.Component: devices.Migrations(),
		alerts.Component: alerts.Migrations(), registryclient.Component: registryclient.Migrations(), sqlite.Component: sqlite.Migrations(),
	}
}

// databasesFlags say where the centre's databases are.
type databasesFlags struct {
	Data              string `help:"Folder with the SQLite files (default coldkeep-data, unless a URL is given)." placeholder:"DIR" env:"COLDKEEP_DATA"`
	Database          string `help:"PostgreSQL URL of the registry, in place of its SQLite file." env:"COLDKEEP_REGISTRY_DATABASE"`
	CollectorDatabase string `help:"PostgreSQL URL of the collector's book, in place of its SQLite file." env:"COLDKEEP_COLLECTOR_DATABASE"`
}

// The names of the databases in a backup.
const (
	partRegistry  = "registry"
	partCollector = "collector"
	partReadings  = "readings"
)

// where gives a database's URL or path; "" when there is none.
func (f *databasesFlags) where(name string) string {
	switch {
	case name == partRegistry && f.Database != "":
		return f.Database
	case name == partCollector && f.CollectorDatabase != "":
		return f.CollectorDatabase
	}
	data := f.Data
	if data == "" {
		if f.Database != "" || f.CollectorDatabase != "" {
			return ""
		}
		data = "coldkeep-data"
	}
	return filepath.Join(data, name+".db")
}

func (f *databasesFlags) isFile(name string) bool {
	return !(name == partRegistry && f.Database != "" || name == partCollector && f.CollectorDatabase != "")
}

type backupCmd struct {
	databasesFlags `embed:""`
	File           string `arg:"" help:"The file to write; it must not exist."`
}

// Run writes a backup and prints what is in it.
func (cmd *backupCmd) Run(ctx context.Context, std streams) (err error) {
	var parts []backup.Part
	defer func() {
		for _, p := range parts {
			err = errors.Join(err, p.DB.Close())
		}
	}()
	for _, name := range []string{partRegistry, partCollector, partReadings} {
		where := cmd.where(name)
		if where == "" {
			continue
		}
		if cmd.isFile(name) {
			if _, err := os.Stat(where); err != nil {
				continue // nothing was ever kept there
			}
		}
		db, err := database.Open(ctx, where)
		if err != nil {
			return err
		}
		parts = append(parts, backup.Part{Name: name, DB: db})
	}
	if len(parts) == 0 {
		return coldkeep.Errorf(coldkeep.EINVALID, "there is no database to back up: --data names the folder, --database the PostgreSQL URL")
	}
	bar := &shown{progress: newProgress(std.err, "backing up")}
	s, err := backup.Write(ctx, cmd.File, time.Now(), parts, bar.show)
	bar.done()
	if err != nil {
		return err
	}
	return json.NewEncoder(std.out).Encode(s)
}

type restoreCmd struct {
	databasesFlags `embed:""`
	Check          bool   `help:"Only read the backup and say whether it is whole."`
	File           string `arg:"" help:"The backup."`
}

// Run restores a backup into databases that have no tables.
func (cmd *restoreCmd) Run(ctx context.Context, std streams) (err error) {
	known := components()
	c, err := backup.Check(ctx, cmd.File, known)
	if err != nil {
		return err
	}
	if cmd.Check {
		return json.NewEncoder(std.out).Encode(c.Summary)
	}
	var parts []backup.Part
	files := map[string]string{} // the final name by the one it is filled under
	defer func() {
		for _, p := range parts {
			err = errors.Join(err, p.DB.Close())
		}
		for filling, final := range files {
			if err == nil {
				err = os.Rename(filling, final)
			} else {
				_ = os.Remove(filling) // the first error is the one to tell
			}
			for _, rest := range []string{"-wal", "-shm", ".migrating"} {
				_ = os.Remove(filling + rest) // mostly there is none
			}
		}
		if err == nil {
			err = json.NewEncoder(std.out).Encode(c.Summary)
		}
	}()
	for _, name := range c.Databases {
		where := cmd.where(name)
		if where == "" {
			return coldkeep.Errorf(coldkeep.EINVALID, "the backup has the database %q: say where it goes with --data or --collector-database", name)
		}
		if cmd.isFile(name) {
			if _, err := os.Lstat(where); err == nil {
				return coldkeep.Errorf(coldkeep.ECONFLICT, "%s exists: a backup is restored where there is none", where)
			}
			final := where
			where += ".restoring"
			_ = os.Remove(where) // of a restore that was broken off
			if err := private(where); err != nil {
				return err
			}
			files[where] = final
		}
		db, err := database.Open(ctx, where)
		if err != nil {
			return err
		}
		parts = append(parts, backup.Part{Name: name, DB: db})
	}
	bar := &shown{progress: newProgress(std.err, "restoring")}
	_, err = backup.Restore(ctx, cmd.File, parts, known, bar.show)
	bar.done()
	if err == nil {
		fmt.Fprintln(std.err, "Restored. Passwords and tokens in files are not part of a backup: coldkeep makes new ones when they are missing.")
	}
	return err
}

// private makes an empty file that only its owner may read, and its folder.
func private(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "restore", "folder of %s cannot be made", path)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "restore", "%s cannot be written", path)
	}
	return nil
}

// shown is a bar of which the size becomes known with the first step.
type shown struct{ *progress }

func (s *shown) show(done, all int64) {
	s.size = all
	s.add(done - s.read)
}
