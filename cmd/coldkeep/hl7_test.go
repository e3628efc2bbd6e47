package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

const vxu = "MSH|^~\\&|EHR|CLINIC|IIS|STATE|20260302101500-0600||VXU^V04^VXU_V04|M1|P|2.5.1|||ER|AL|||||Z22^CDCPHINVS|CLINIC|STATE\r" +
	"PID|1||4711^^^CLINIC^MR||Rivera^Ana^Luz^^^^L||20240105|F\r" +
	"ORC|RE||D2^CLINIC\rRXA|0|1|20250110||20^DTaP^CVX|999|||01^historical^NIP001|||||||||||CP|A\r"

// A message alone, in the contract's line.
func TestHL7Check(t *testing.T) {
	file := write(t, "one.hl7", vxu)
	code, out, stderr := program(t, "hl7", "check", file)
	name, _ := json.Marshal(file)
	want := `{"file":` + string(name) + `,"n":1,"type":"VXU^V04","version":"2.5.1","profile":"Z22","control_id":"M1","outcome":"AA","errors":[],` +
		`"patient":{"identifiers":[{"id":"4711","authority":"CLINIC","type":"MR"}],"family":"Rivera","given":"Ana","middle":"Luz","birth_date":"2024-01-05","sex":"F"},"doses":1}` + "\n"
	if code != 0 || out != want || stderr != "" {
		t.Errorf("ends with %d: %s\nwant %s\n%s", code, out, want, stderr)
	}
	bad := write(t, "bad.hl7", strings.ReplaceAll(vxu, "20^DTaP", "9999^?"))
	if code, out, _ := program(t, "hl7", "check", bad); code != 1 || !strings.Contains(out, `"outcome":"AE","errors":[{"severity":"E","segment":"RXA","field":"5","code":"103","text":"`) || !strings.Contains(out, `"patient":{},"doses":0`) {
		t.Errorf("ends with %d: %s", code, out)
	}
	if _, out, _ := program(t, "hl7", "check", "--details", bad); !strings.Contains(out, `"location":"RXA^1^5^1^1","app_code":"5","rule":"vaccine"`) {
		t.Error(out)
	}
}

// A batch is split; what is not a message is told, and stops nothing.
func TestHL7CheckBatch(t *testing.T) {
	batch := write(t, "batch.hl7", "FHS|^~\\&\nBHS|^~\\&\n"+strings.ReplaceAll(vxu, "\r", "\r\n")+"MSH|||||\n"+vxu+"BTS|2\nFTS|1\n")
	missing := filepath.Join(t.TempDir(), "missing.hl7")
	noise := write(t, "noise.bin", "\x00\x01\xff\xfe nothing of HL7 \x7f")
	code, out, stderr := program(t, "hl7", "check", batch, missing, noise)
	var outcomes []string
	for line := range strings.Lines(out) {
		var m checkedMessage
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err, line)
		}
		outcomes = append(outcomes, string(m.Outcome))
	}
	if code != 3 || strings.Join(outcomes, " ") != "AA AR AA" {
		t.Errorf("ends with %d: %s", code, out)
	}
	for _, want := range []string{"BTS-1 says 2 messages; 3 came", "missing.hl7 cannot be opened", "noise.bin: there is no HL7 message in it", "1 of 3 files could not be read"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr does not say %q: %s", want, stderr)
		}
	}
	if code, _, _ := program(t, "hl7", "check"); code != 2 {
		t.Errorf("without a file it ends with %d", code)
	}
}

// Every message of the corpus has its line.
func TestHL7CheckCorpus(t *testing.T) {
	dir, _ := filepath.Abs("../../../shared/data/hl7/corpus")
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("the corpus is not at ", dir)
		}
		t.Skip("the corpus is not beside the checkout")
	}
	want := 0
	for _, f := range files {
		in, err := os.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		for it := range er7.Split(in) {
			if it.Kind == "MSH" {
				want++
			}
		}
		in.Close()
	}
	code, out, stderr := program(t, append([]string{"hl7", "check"}, files...)...)
	outcomes := map[string]int{}
	for line := range strings.Lines(out) {
		var m checkedMessage
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err, line)
		}
		outcomes[string(m.Outcome)]++
	}
	if n := outcomes["AA"] + outcomes["AE"] + outcomes["AR"]; code != 1 || n != want || n < 300 {
		t.Errorf("ends with %d, %v of %d messages: %s", code, outcomes, want, stderr)
	}
	t.Logf("%d messages: %v", want, outcomes)
}
