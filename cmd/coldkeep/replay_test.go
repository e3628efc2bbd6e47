package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// minutely writes a log of one reading a minute.
func minutely(t *testing.T, temps ...string) string {
	t.Helper()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var b strings.Builder
	b.WriteString("time,celsius,probe\n")
	for _, c := range temps {
		fmt.Fprintf(&b, "%s,%s,T0\n", at.Format(time.RFC3339), c)
		at = at.Add(time.Minute)
	}
	return write(t, "log.csv", b.String())
}

func times(n int, c string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = c
	}
	return out
}

// A log without a row has no findings, and it is said why.
func TestReplayEmptyLog(t *testing.T) {
	log := minutely(t)
	code, out, stderr := program(t, "replay", "--unit", "freezer", log)
	if code != 0 || out != "" || !strings.Contains(stderr, "no reading") || !strings.Contains(stderr, log) {
		t.Errorf("ends with %d: %q, %q", code, out, stderr)
	}
	// A log in which nothing is found is another thing.
	if code, out, stderr := program(t, "replay", "--unit", "freezer", minutely(t, "-20")); code != 0 || out+stderr != "" {
		t.Errorf("ends with %d: %q, %q", code, out, stderr)
	}
}

// The figures beside the contract's come when they are asked for.
func TestReplayDetails(t *testing.T) {
	// 9 °C for 10 minutes and 12 for 5, from the log's first reading.
	log := minutely(t, append(append(times(10, "9"), times(5, "12")...), times(11, "5")...)...)
	code, plain, stderr := program(t, "replay", "--unit", "refrigerator", log)
	const contract = `{"probe":"T0","kind":"too-warm","rule":"instant","start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:15:00Z","peak_at":"2026-01-01T00:10:00Z","extreme_c":12,"minutes_out":15,"actions":["log"],"profile":"cdc@1"`
	if code != 0 || plain != contract+"}\n" {
		t.Fatalf("ends with %d: %s%s", code, plain, stderr)
	}
	// 10·1 + 5·4 °C·min above 8 °C; the mean kinetic temperature was worked out by hand.
	_, more, _ := program(t, "replay", "--unit", "refrigerator", "--details", log)
	if want := contract + `,"degree_minutes":30,"mkt_c":10.121,"warm_up":true}` + "\n"; more != want {
		t.Errorf("got %swant %s", more, want)
	}
}

// The same log by each profile: the line names the profile, and Maryland's 46 °F are
// less than 8 °C.
func TestReplayProfiles(t *testing.T) {
	log := minutely(t, append(times(61, "7.9"), times(11, "5")...)...)
	for profile, want := range map[string]string{"cdc": "", "texas": "", "illinois": "", "california": "", "alabama": "", "who-pqs": "", "maryland": "log,warn,alert,hold"} {
		code, out, stderr := program(t, "replay", "--unit", "refrigerator", "--profile", profile, log)
		var f struct {
			Profile string
			Actions []string
		}
		if out != "" {
			if err := json.Unmarshal([]byte(out), &f); err != nil {
				t.Fatal(err)
			}
		}
		if code != 0 || strings.Join(f.Actions, ",") != want || want != "" && f.Profile != profile+"@1" {
			t.Errorf("%s ends with %d: %s%s", profile, code, out, stderr)
		}
	}
	if code, _, stderr := program(t, "replay", "--unit", "ultra-cold", "--profile", "who-pqs", log); code != 2 || !strings.Contains(stderr, "who-pqs@1") {
		t.Errorf("an ultra-cold freezer by PQS ends with %d: %s", code, stderr)
	}
}
