package e2e

import (
	"database/sql"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // to alter the readings behind the collector's back
)

// verdictLine is the part of a line of verify that is looked at.
type verdictLine struct {
	Kind     string `json:"kind"`
	Whole    bool   `json:"whole"`
	Readings int    `json:"readings"`
	Proven   int    `json:"proven"`
	Unsealed int    `json:"unsealed"`
	Seals    int    `json:"seals"`
	From     string `json:"from"`
	To       string `json:"to"`
}

// verify runs coldkeep verify on the collector's stores, beside the collector.
func (c *chain) verify() (code int, lines []verdictLine) {
	t := c.t
	t.Helper()
	args := []string{"verify"}
	stores := map[string]bool{"--data": true, "--database": true, "--influx-url": true, "--influx-bucket": true}
	for i, a := range c.collector.Args {
		if stores[a] {
			args = append(args, a, c.collector.Args[i+1])
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "coldkeep"), args...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for _, text := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var l verdictLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%q: %v\n%s", text, err, said.String())
		}
		lines = append(lines, l)
	}
	return cmd.ProcessState.ExitCode(), lines
}

// proves checks that the log proves itself after whatever has happened to the
// chain, and that a reading that is altered in the SQLite file is pointed at.
func (c *chain) proves(readings int, inSQLite bool) {
	t := c.t
	t.Helper()
	code, lines := c.verify()
	sum := lines[len(lines)-1]
	if code != 0 || !sum.Whole || sum.Readings != readings || sum.Seals < 10 || sum.Proven+sum.Unsealed < readings || sum.Unsealed > 100 {
		t.Errorf("verify ends with %d: %+v, want %d readings proven", code, lines, readings)
	}
	if !inSQLite {
		return
	}
	alterReading(t, filepath.Join(c.dir, "collector", "readings.db"), +1)
	code, lines = c.verify()
	if code != 1 || len(lines) < 2 || lines[0].Kind != "altered" || lines[0].From == "" || lines[len(lines)-1].Whole {
		t.Errorf("a reading was altered, and verify ends with %d: %+v", code, lines)
	}
	alterReading(t, filepath.Join(c.dir, "collector", "readings.db"), -1)
	if code, lines = c.verify(); code != 0 {
		t.Errorf("it was altered back, and verify ends with %d: %+v", code, lines)
	}
}

// alterReading changes one reading by thousandths of a degree.
func alterReading(t *testing.T, path string, by int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	res, err := db.ExecContext(t.Context(), `UPDATE reading SET celsius = celsius + $1 WHERE seq = 100`, by)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("%d readings altered, %v", n, err)
	}
}
