package trace

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/sensorstest"
)

// log has four points, 30 s apart, of two probes; the third point is out of order
// in the file, and a row cannot be read.
const log = `time,celsius,probe
2026-08-03T00:00:00Z,4.0,a
2026-08-03T00:00:00Z,-20.5,b
2026-08-03T00:01:30Z,4.3,a
2026-08-03T00:00:30Z,4.1,a
2026-08-03T00:00:30Z,,b
never,4.1,a
2026-08-03T00:01:00Z,4.2,a
`

func player(t *testing.T, cfg PlayerConfig) *Player {
	t.Helper()
	p, err := NewPlayer("log.csv", strings.NewReader(log), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSource(t *testing.T) {
	sensorstest.RunSource(t, func(t *testing.T) sensors.Source { return player(t, PlayerConfig{Speed: 10}) })
}

func text(batches [][]sensors.Sample) string {
	var out []string
	for _, b := range batches {
		var line []string
		for _, s := range b {
			line = append(line, fmt.Sprintf("%s %s %s%s", s.At.Format("04:05"), s.Probe, s.Raw, s.Quality))
		}
		out = append(out, strings.Join(line, ", "))
	}
	return strings.Join(out, "\n")
}

func TestPlayerKeepsTimesAndPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bad []string
		p := player(t, PlayerConfig{Speed: 10, OnError: func(e *RowError) { bad = append(bad, e.Error()) }})
		began := time.Now()
		got := text(sensorstest.Collect(t, p, 0))
		want := "00:00 a 4, 00:00 b -20.5\n00:30 a 4.1, 00:30 b missing\n01:00 a 4.2\n01:30 a 4.3"
		if got != want {
			t.Errorf("played\n%s\nwant\n%s", got, want)
		}
		if took := time.Since(began); took != 9*time.Second {
			t.Errorf("90 s at ten times the speed took %v", took)
		}
		if len(bad) != 1 || !strings.HasPrefix(bad[0], "log.csv:7:") {
			t.Errorf("bad rows %q, want line 7", bad)
		}
	})
}

func TestPlayerUnpacedJoinsBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		got := sensorstest.Collect(t, player(t, PlayerConfig{}), 0)
		if len(got) != 1 || len(got[0]) != 6 || time.Since(began) != 0 {
			t.Errorf("%d batches after %v:\n%s", len(got), time.Since(began), text(got))
		}
	})
}

// However far the log was recorded, the rest of it is played: nothing twice,
// nothing left out.
func TestPlayerResumes(t *testing.T) {
	all := sensorstest.Collect(t, player(t, PlayerConfig{}), 0)[0]
	for n := range len(all) + 1 {
		if n > 0 && n < len(all) && all[n].At.Equal(all[n-1].At) {
			continue // rows of one time are recorded together
		}
		last := map[coldkeep.ProbeID]time.Time{}
		for _, s := range all[:n] {
			last[s.Probe] = s.At
		}
		p := player(t, PlayerConfig{Resume: last})
		var rest []sensors.Sample
		for _, b := range sensorstest.Collect(t, p, 0) {
			rest = append(rest, b...)
		}
		if fmt.Sprint(rest) != fmt.Sprint(append([]sensors.Sample(nil), all[n:]...)) {
			t.Errorf("after %d samples:\n%v\nwant\n%v", n, rest, all[n:])
		}
		if left, passed := p.Rows(); left != len(all)-n || passed != n {
			t.Errorf("after %d samples: %d left, %d passed", n, left, passed)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none.csv"), PlayerConfig{}); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		t.Errorf("missing file: %v, want ENOTFOUND", err)
	}
	if _, err := Open(dir, PlayerConfig{}); err == nil {
		t.Error("a folder was opened as a trace")
	}
	name := filepath.Join(dir, "log.csv")
	if err := os.WriteFile(name, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name, PlayerConfig{Speed: -1}); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("negative speed: %v, want EINVALID", err)
	}
	p, err := Open(name, PlayerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Probes(); len(got) != 2 || got[0].Probe != "a" || got[1].Probe != "b" {
		t.Errorf("probes %v", got)
	}
}
