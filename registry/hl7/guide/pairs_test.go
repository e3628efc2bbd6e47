package guide_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
)

// differ are the pairs of the corpus in which another receiver said something else, and
// why this one does not say so.
var differ = map[string]string{
	"MCIR3943959049":              "an exchange code of telephone numbers never begins with 0: the field breaks its type here",
	"NIST-IZ-AD-9.1_Send_V04_Z22": "the answer pretends that the receiver does not know a body site that is in the table",
	"NIST-IZ-001.01":              "a dose is a month before the birth, and two body sites are not in the guide's table",
}

// TestPairs compares with the answers that stand beside their messages in the corpus.
func TestPairs(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(corpus(t), "*"))
	ours, theirs, times := map[string]guide.Outcome{}, map[string]string{}, map[string]int{}
	why := map[string]string{}
	c := &guide.Checker{Today: today}
	for _, f := range files {
		in, err := os.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		for it, err := range er7.Split(in) {
			if it.Kind != "MSH" || err != nil {
				continue
			}
			m, err := er7.Parse(it.Text)
			if err != nil {
				continue
			}
			if msa, ok := m.First("MSA"); ok {
				id := msa.Field(2).Text()
				if old, seen := theirs[id]; seen && old != msa.Field(1).Text() {
					times[id] = 2 // several answers that are not of one mind
				}
				theirs[id] = msa.Field(1).Text()
				continue
			}
			r := c.Check(m)
			if r.Header.Type == "ACK" { // an answer to an answer
				continue
			}
			id := r.Header.ControlID
			if old, seen := ours[id]; seen && old != r.Outcome {
				times[id] = 2
			}
			ours[id], why[id] = r.Outcome, told(r)
		}
		in.Close()
	}
	pairs, same := 0, 0
	for id, want := range theirs {
		got, ok := ours[id]
		if !ok || id == "" || times[id] > 1 {
			continue
		}
		pairs++
		reason, known := differ[id]
		switch {
		case string(got) == want:
			same++
		case !known:
			t.Errorf("%s: %s, the answer in the corpus is %s: %s", id, got, want, why[id])
		default:
			t.Logf("%s: %s, the answer in the corpus is %s: %s", id, got, want, reason)
		}
	}
	t.Logf("%d pairs, %d with the same outcome", pairs, same)
	if pairs < 8 {
		t.Errorf("only %d pairs were found", pairs)
	}
}
