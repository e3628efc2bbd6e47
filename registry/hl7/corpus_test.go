package hl7_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

const corpusDir = "../../../shared/data/hl7/corpus"

// corpusWhole has every message of the corpus applied; otherwise a share is, which is one
// of each shape and the beginning of the large files.
const corpusWhole = "COLDKEEP_HL7_CORPUS"

func corpus(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(corpusDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not there", corpusDir)
		}
		t.Skipf("%s is not there", corpusDir)
	}
	return files
}

// Every message that others have sent in the field is answered, whatever is in it; none
// stops another, and the registry is whole afterwards.
func TestCorpus(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		files := corpus(t)
		whole := os.Getenv(corpusWhole) != ""
		w := open(t, where)
		outcomes, types := map[string]int{}, map[string]int{}
		var unread, sent int
		for i, name := range files {
			if !whole && i%2 != 0 {
				continue
			}
			text, err := os.ReadFile(name)
			w.must(err)
			n := 0
			for item, err := range er7.Split(bytes.NewReader(text)) {
				if err != nil || item.Kind != "MSH" {
					continue
				}
				if n++; !whole && n > 6 {
					break
				}
				sent++
				answer, err := w.exchange.Submit(w.ctx, w.lakeside, exchange.Submission{Door: exchange.HTTP, Text: item.Text})
				if err != nil {
					if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
						t.Fatalf("%s, message %d: %v", filepath.Base(name), n, err)
					}
					unread++
					continue
				}
				code := acknowledged(t, name, n, answer)
				outcomes[code]++
				types[kindOf(item.Text)+" "+code]++
			}
		}
		t.Logf("%d messages: %v, no HL7 %d", sent, outcomes, unread)
		for _, k := range slices.Sorted(func(yield func(string) bool) {
			for k := range types {
				if !yield(k) {
					return
				}
			}
		}) {
			t.Logf("  %-14s %d", k, types[k])
		}
		if sent < 100 || outcomes["AA"] == 0 || unread > sent/20 {
			t.Errorf("%d sent, %v, %d unread", sent, outcomes, unread)
		}
	})
}

// acknowledged gives MSA-1 of an answer, which has to be readable and about the message.
func acknowledged(t *testing.T, name string, n int, answer []byte) string {
	t.Helper()
	m, err := er7.Parse(answer)
	if err != nil {
		t.Fatalf("%s, message %d: the answer: %v", filepath.Base(name), n, err)
	}
	msa, ok := m.First("MSA")
	code := msa.Field(1).Text()
	if !ok || !slices.Contains([]string{"AA", "AE", "AR"}, code) {
		t.Fatalf("%s, message %d: answered %s", filepath.Base(name), n, answer)
	}
	if code != "AA" && !strings.Contains(string(answer), "\rERR|") {
		t.Fatalf("%s, message %d: no ERR in %s", filepath.Base(name), n, answer)
	}
	return code
}

func kindOf(text []byte) string {
	m, err := er7.Parse(text)
	if err != nil {
		return "?"
	}
	msh, _ := m.First("MSH")
	return first(msh.Field(9).Text(), 6)
}

func first(s string, most int) string { return s[:min(len(s), most)] }
