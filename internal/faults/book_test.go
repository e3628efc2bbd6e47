package faults

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // to count in the file, past the collector

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/bench/collector/fleet"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/servers"
)

// csvTime is how the export writes a time.
const csvTime = "2006-01-02T15:04:05.000Z"

// row is a line of the table.
type row struct {
	order                       int
	fault, parts, note          string
	devices                     int
	produced, stored            int64
	lost, doubled, wrong        int64
	excursions, wanted, doubles int // of alerts
	verify                      string
	recovered                   time.Duration
	amiss                       []amiss
}

// table is what was tried, in order.
var table struct {
	mu      sync.Mutex
	rows    []row
	skipped []string
}

// printTable prints it, and writes it to the file that COLDKEEP_FAULTS_TABLE names: go
// test shows what a package printed only with -v or when it failed.
func printTable() error {
	table.mu.Lock()
	defer table.mu.Unlock()
	if len(table.rows) == 0 && len(table.skipped) == 0 {
		return nil
	}
	var out strings.Builder
	fmt.Fprintln(&out, "| fault | on | devices | readings produced | stored | lost | doubled | wrong | excursions found/by replay | alerts doubled | verify | all acknowledged after | |")
	fmt.Fprintln(&out, "|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	slices.SortStableFunc(table.rows, func(a, b row) int { return a.order - b.order })
	for _, r := range table.rows {
		fmt.Fprintf(&out, "| %s | %s | %d | %d | %d | %d | %d | %d | %d/%d | %d | %s | %.1f s | %s |\n", r.fault, r.parts, r.devices, r.produced, r.stored, r.lost, r.doubled, r.wrong,
			r.excursions, r.wanted, r.doubles, r.verify, r.recovered.Seconds(), r.note)
	}
	for _, s := range table.skipped {
		fmt.Fprintln(&out, "| not tried:", s, "| | | | | | | | | | | | |")
	}
	fmt.Printf("\n%s", out.String())
	if name := os.Getenv("COLDKEEP_FAULTS_TABLE"); name != "" {
		return os.WriteFile(name, []byte(out.String()), 0o644) //nolint:gosec // it is for people to read
	}
	return nil
}

// check holds what is stored against the books and enters a row in the table.
func (r *rig) check(order int, s scenario, recovered time.Duration, note string) {
	r.Helper()
	out := row{order: order, fault: s.name, parts: r.parts.String(), devices: r.cfg.Devices, recovered: recovered, note: note}
	if r.trace != nil {
		out.devices++
	}
	r.ready()
	for _, odd := range r.fleet.Odd() {
		r.Error(odd)
	}
	if s.silent {
		r.checkSilent(&out)
		table.mu.Lock()
		table.rows = append(table.rows, out)
		table.mu.Unlock()
		return
	}
	if wrong := r.checkReadings(&out); len(wrong) > 0 {
		r.Error(strings.Join(wrong[:min(5, len(wrong))], "\n"))
	}
	r.checkStore(&out)
	r.checkVerify(&out)
	r.checkExcursions(&out)
	if out.lost != 0 || out.doubled != 0 || out.wrong != 0 {
		r.Errorf("%d readings lost, %d doubled, %d wrong of %d", out.lost, out.doubled, out.wrong, out.produced)
	}
	table.mu.Lock()
	table.rows = append(table.rows, out)
	table.mu.Unlock()
}

// amiss is a record that is not stored as it was produced.
type amiss struct {
	agent coldkeep.AgentID
	epoch string
	seq   int64
}

// checkReadings compares the collector's export of every device with its book, and
// says what is not the same.
func (r *rig) checkReadings(out *row) (wrong []string) {
	r.Helper()
	out.amiss = nil
	for i := range r.cfg.Devices {
		want := map[string]string{} // by epoch and seq
		r.fleet.Records(i, func(seq int64, rec *wire.Record) {
			if !rec.IsEvent() {
				want[fmt.Sprintf("%s,%d", fleet.Epoch(i), seq)] = fmt.Sprintf("%s,%s,%s,%s", time.UnixMilli(rec.At).UTC().Format(csvTime), rec.Celsius, rec.Probe, rec.Quality)
			}
		})
		out.produced += int64(len(want))
		seen := map[string]bool{}
		for _, line := range r.export(r.fleet.Name(i)) {
			f := strings.Split(line, ",")
			id, what := strings.Join(f[4:6], ","), strings.Join(f[:4], ",")
			w, known := want[id]
			switch {
			case seen[id]:
				out.doubled++
			case !known || w != what:
				out.wrong++
				wrong = append(wrong, fmt.Sprintf("%s: stored %q, produced %q", r.fleet.Name(i), line, w))
				out.amiss = append(out.amiss, amiss{r.fleet.Name(i), f[4], number(f[5])})
			default:
				out.stored++
			}
			seen[id] = true
		}
		for id := range want {
			if !seen[id] {
				out.lost++
				epoch, seq, _ := strings.Cut(id, ",")
				out.amiss = append(out.amiss, amiss{r.fleet.Name(i), epoch, number(seq)})
			}
		}
	}
	if r.trace == nil {
		return wrong
	}
	// The agent numbers its records itself; what they say is in the log.
	out.produced += int64(len(r.trace.rows))
	want := map[string]int{}
	for _, line := range r.trace.rows {
		want[line]++
	}
	seen := map[string]bool{}
	for _, line := range r.export(agentName) {
		f := strings.Split(line, ",")
		id, what := strings.Join(f[4:6], ","), f[0]+" "+f[1]
		switch {
		case seen[id] || want[what] == 0 && slices.Contains(r.trace.rows, what):
			out.doubled++
		case want[what] == 0:
			out.wrong++
			wrong = append(wrong, fmt.Sprintf("%s: stored %q, which is not in its log", agentName, line))
		default:
			out.stored++
			want[what]--
		}
		seen[id] = true
	}
	for _, n := range want {
		out.lost += int64(n)
	}
	return wrong
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // our own export
	return n
}

// checkSilent is for faults that nothing but the chain can show: verify points at
// every record that is not what was produced, but for those after the last seal,
// which nothing can prove yet. One that was moved to an epoch that there is not shows
// there.
func (r *rig) checkSilent(out *row) {
	r.Helper()
	r.checkReadings(out)
	text, _ := r.tool(append([]string{"verify"}, r.storeArgs()...)...)
	type finding struct {
		Agent, Epoch string
		Note         bool
		FromSeq      int64 `json:"from_seq"`
		ToSeq        int64 `json:"to_seq"`
	}
	var found []finding
	for line := range bytes.Lines(text) {
		var f finding
		r.must(json.Unmarshal(line, &f))
		found = append(found, f)
	}
	sealed := int64(r.records) - (int64(r.records)-1)%int64(wire.SealEvery/spacing)
	shown, all := 0, 0
	for _, a := range out.amiss {
		if a.seq > sealed {
			continue
		}
		all++
		if slices.ContainsFunc(found, func(f finding) bool {
			return f.Agent == string(a.agent) && f.Epoch == a.epoch && !f.Note && f.FromSeq != 0 && (!r.ours(a.epoch) || f.FromSeq <= a.seq && a.seq <= f.ToSeq)
		}) {
			shown++
		} else {
			r.Errorf("%s record %d of %s is not what was produced, and verify does not say so", a.agent, a.seq, a.epoch)
		}
	}
	out.verify = fmt.Sprintf("points at %d of %d", shown, all)
	if all == 0 {
		r.Error("no record was changed; the fault was none")
	}
}

// ours reports whether an epoch is one of the fleet's.
func (r *rig) ours(epoch string) bool {
	for i := range r.cfg.Devices {
		if fleet.Epoch(i) == epoch {
			return true
		}
	}
	return false
}

// export is all that the read API has of a device's appliance, a line a reading.
func (r *rig) export(agent coldkeep.AgentID) []string {
	r.Helper()
	var text string
	r.must(r.get(fmt.Sprintf("%s/api/v1/readings.csv?appliance=%s&from=%s&to=%s", r.collectorURL, appliance(agent),
		r.from.Add(-time.Hour).Format(time.RFC3339), r.to.Add(time.Hour).Format(time.RFC3339)), &text))
	return strings.Split(strings.TrimSpace(text), "\n")[1:]
}

// checkStore counts in the readings store itself, past the collector.
func (r *rig) checkStore(out *row) {
	r.Helper()
	var all, distinct int64
	if r.parts.influx {
		all, distinct = r.countInflux()
	} else {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(r.dir, "collector", "readings.db")+"?mode=ro&_pragma=busy_timeout(20000)")
		r.must(err)
		defer db.Close()
		r.must(db.QueryRowContext(r.ctx, `SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT series, epoch, seq FROM reading)) FROM reading`).Scan(&all, &distinct))
	}
	if all != out.produced || distinct != out.produced {
		r.Errorf("the store holds %d readings, %d different ones, and %d were produced", all, distinct, out.produced)
	}
	out.doubled = max(out.doubled, all-distinct)
}

// countInflux counts the points of the bucket, and the different readings in them.
func (r *rig) countInflux() (all, distinct int64) {
	r.Helper()
	q := url.Values{"db": {"coldkeep"}, "chunked": {"true"}, "q": {`SELECT seq, epoch FROM reading GROUP BY site, agent, probe`}}
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.influxURL+"/query?"+q.Encode(), nil)
	r.must(err)
	resp, err := http.DefaultClient.Do(req)
	r.must(err)
	defer resp.Body.Close()
	seen := map[string]struct{}{}
	for dec := json.NewDecoder(resp.Body); dec.More(); {
		var answer struct {
			Results []struct {
				Series []struct {
					Tags   map[string]string
					Values [][]any
				}
				Error string
			}
		}
		r.must(dec.Decode(&answer))
		for _, res := range answer.Results {
			if res.Error != "" {
				r.Fatal(res.Error)
			}
			for _, s := range res.Series {
				for _, v := range s.Values {
					all++
					seen[fmt.Sprint(s.Tags["agent"], v[2], v[1])] = struct{}{}
				}
			}
		}
	}
	return all, int64(len(seen))
}

// storeArgs are the collector's flags that say where its stores are.
func (r *rig) storeArgs() (args []string) {
	stores := map[string]bool{"--data": true, "--database": true, "--influx-url": true, "--influx-bucket": true}
	for i, a := range r.collector.Args {
		if stores[a] {
			args = append(args, a, r.collector.Args[i+1])
		}
	}
	return args
}

// checkVerify runs coldkeep verify beside the collector.
func (r *rig) checkVerify(out *row) {
	r.Helper()
	text, code := r.tool(append([]string{"verify"}, r.storeArgs()...)...)
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	var sum struct {
		Whole                                          bool
		Readings, Quarantined, Seals, Proven, Unsealed int64
	}
	if err := json.Unmarshal(lines[len(lines)-1], &sum); err != nil {
		r.Fatalf("verify says %q: %v", text, err)
	}
	out.verify = "whole"
	told := 0
	for _, line := range lines[:len(lines)-1] {
		var f struct{ Kind string }
		r.must(json.Unmarshal(line, &f))
		if f.Kind == "payload" {
			told++
		}
	}
	if told > 0 {
		out.verify = fmt.Sprintf("whole; notes unreadable payloads of %d devices", told)
	}
	if code != 0 || !sum.Whole {
		out.verify = fmt.Sprintf("%d findings", len(lines)-1)
		r.Errorf("verify ends with %d: %.2000s", code, text)
	}
	if sum.Readings != out.produced || sum.Quarantined != 0 || sum.Seals == 0 {
		r.Errorf("verify has seen %+v, and %d readings were produced", sum, out.produced)
	}
}

// tool runs a command of the program.
func (r *rig) tool(args ...string) (stdout []byte, code int) {
	r.Helper()
	cmd := exec.CommandContext(r.ctx, program, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.Fatal(err)
	}
	if cmd.ProcessState.ExitCode() > 1 {
		r.Fatalf("coldkeep %s: %s", args[0], stderr.String())
	}
	return stdout, cmd.ProcessState.ExitCode()
}

// replay gives the excursions that the books hold, as coldkeep replay finds them: a
// line each, and those among them that call a person.
func (r *rig) replay() (lines []string, calls int) {
	r.Helper()
	dir := filepath.Join(r.dir, "replay")
	r.must(os.MkdirAll(dir, 0o700))
	names := map[string]coldkeep.AgentID{}
	for i := range r.cfg.Devices {
		var rows [][]string
		r.fleet.Records(i, func(_ int64, rec *wire.Record) {
			if !rec.IsEvent() {
				rows = append(rows, []string{time.UnixMilli(rec.At).UTC().Format(csvTime), rec.Celsius.String(), fmt.Sprint(i)})
			}
		})
		names[fmt.Sprint(i)] = r.fleet.Name(i)
		r.writeCSV(filepath.Join(dir, fmt.Sprint(i, ".csv")), rows)
	}
	if r.trace != nil {
		var rows [][]string
		for _, line := range r.trace.rows {
			at, c, _ := strings.Cut(line, " ")
			rows = append(rows, []string{at, c, agentName})
		}
		names[agentName] = agentName
		r.writeCSV(filepath.Join(dir, agentName+".csv"), rows)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.csv"))
	r.must(err)
	text, code := r.tool(append([]string{"replay", "--profile", "cdc", "--unit", "refrigerator"}, files...)...)
	if code != 0 {
		r.Fatalf("replay ends with %d", code)
	}
	for in := bufio.NewScanner(bytes.NewReader(text)); in.Scan(); {
		var f struct {
			Probe      string               `json:"probe"`
			Kind       coldkeep.Kind        `json:"kind"`
			Rule       coldkeep.RuleType    `json:"rule"`
			Start      time.Time            `json:"start"`
			End        *time.Time           `json:"end"`
			PeakAt     time.Time            `json:"peak_at"`
			Extreme    coldkeep.Temperature `json:"extreme_c"`
			MinutesOut float64              `json:"minutes_out"`
			Actions    []coldkeep.Action    `json:"actions"`
		}
		f.Extreme = coldkeep.NoTemperature
		r.must(json.Unmarshal(in.Bytes(), &f))
		if f.Kind != coldkeep.TooWarm && f.Kind != coldkeep.TooCold {
			continue
		}
		x := coldkeep.Excursion{Appliance: appliance(names[f.Probe]), Kind: f.Kind, Rule: f.Rule, Start: f.Start, End: f.End, PeakAt: f.PeakAt, Extreme: f.Extreme, MinutesOut: f.MinutesOut, Actions: f.Actions}
		lines = append(lines, line(&x))
		if x.Has(coldkeep.ActionAlert) {
			calls++
		}
	}
	slices.Sort(lines)
	return lines, calls
}

// line is what an excursion says, in words that both sides share.
func line(x *coldkeep.Excursion) string {
	end := "open"
	if x.End != nil {
		end = x.End.UTC().Format(csvTime)
	}
	return fmt.Sprintf("%s %s %s %s–%s peak %s at %s, %.2f min, %v", x.Appliance, x.Kind, x.Rule, x.Start.UTC().Format(csvTime), end, x.Extreme, x.PeakAt.UTC().Format(csvTime), x.MinutesOut, x.Actions)
}

// checkExcursions compares what the registry has been told with the replay, and
// counts the calls.
func (r *rig) checkExcursions(out *row) {
	r.Helper()
	want, calls := r.replay()
	out.wanted = len(want)
	var got []string
	err := servers.Until(r.ctx, time.Minute, func() error {
		latest := map[string]coldkeep.Excursion{}
		for _, e := range r.registry.Effects() {
			if !strings.HasSuffix(e.Path, "/excursions") {
				continue
			}
			var x coldkeep.Excursion
			if err := json.Unmarshal(e.Body, &x); err != nil {
				return err
			}
			if x.Revision > latest[x.ID].Revision {
				latest[x.ID] = x
			}
		}
		got = got[:0]
		for _, x := range latest {
			if x.State != coldkeep.ExcursionWithdrawn && (x.Kind == coldkeep.TooWarm || x.Kind == coldkeep.TooCold) {
				got = append(got, line(&x))
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return errors.New(difference(got, want))
		}
		return nil
	})
	out.excursions = len(got)
	if err != nil {
		r.Errorf("excursions are not those of the replay: %v", err)
	}
	// Whatever has been said twice, a person was called once.
	err = servers.Until(r.ctx, time.Minute, func() error {
		var alerts []coldkeep.Alert
		if err := r.get(r.collectorURL+"/api/v1/alerts?site="+string(site), &alerts); err != nil {
			return err
		}
		of := map[string]int{} // alerts by excursion
		live := 0
		for _, a := range alerts {
			if k := a.Excursion.Kind; k != coldkeep.TooWarm && k != coldkeep.TooCold {
				continue
			}
			of[a.Excursion.ID]++
			if a.Excursion.State != coldkeep.ExcursionWithdrawn {
				live++
			}
		}
		out.doubles = 0
		for _, n := range of {
			out.doubles += n - 1
		}
		// Deliveries that raise, by alert. One that was over before it could be told is
		// told as that.
		told, ids := map[string]int{}, map[string]bool{}
		for _, req := range r.hook.Requests() {
			var body struct {
				ID, Event string
				Alert     coldkeep.Alert
			}
			if err := json.Unmarshal(req.Body, &body); err != nil {
				return err
			}
			if k := body.Alert.Excursion.Kind; !ids[body.ID] && (k == coldkeep.TooWarm || k == coldkeep.TooCold) {
				told[body.Alert.ID] += 0
				if body.Event == "raised" {
					told[body.Alert.ID]++
				}
			}
			ids[body.ID] = true
		}
		for _, n := range told {
			out.doubles += max(0, n-1)
		}
		switch {
		case out.doubles > 0:
			return fmt.Errorf("%d alerts too many", out.doubles)
		case live != calls:
			return fmt.Errorf("%d alerts, and %d excursions call for one", live, calls)
		case len(told) < calls:
			return fmt.Errorf("%d alerts have reached the webhook, of %d", len(told), calls)
		}
		return nil
	})
	if err != nil {
		r.Error(err)
	}
}

// difference names the first lines that only one side has.
func difference(got, want []string) string {
	var out []string
	for _, l := range want {
		if !slices.Contains(got, l) && len(out) < 3 {
			out = append(out, "missing: "+l)
		}
	}
	for _, l := range got {
		if !slices.Contains(want, l) && len(out) < 6 {
			out = append(out, "only here: "+l)
		}
	}
	return fmt.Sprintf("%d for %d\n%s", len(got), len(want), strings.Join(out, "\n"))
}

// state is the collector's own word on its parts.
func (r *rig) state(ctx context.Context) (ready bool, parts map[string]string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.collectorURL+"/readyz", nil)
	r.must(err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, nil
	}
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&parts) // what is not readable names nothing
	return resp.StatusCode == http.StatusOK, parts
}
