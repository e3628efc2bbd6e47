package audit_test

import (
	"bytes"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep/registry/audit"
)

// What the log says of the lanes' ends is read from it again, as text and as JSON.
func TestAnchorInLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		heads := make([]audit.Head, audit.Lanes)
		for i := range heads {
			heads[i] = audit.Head{Lane: i, Seq: rapid.Int64Range(0, 1<<50).Draw(t, "seq")}
			if heads[i].Seq > 0 {
				heads[i].Hash = rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "hash")
			}
		}
		var b bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
			slog.New(h).Info("registry: the audit ends here", "anchor", audit.Anchor(heads), "more", 1)
		}
		for line := range strings.Lines(b.String()) {
			if got := audit.AnchorIn(line); !reflect.DeepEqual(got, heads) {
				t.Fatalf("%s\n%+v", line, got)
			}
		}
	})
}

func FuzzAnchorIn(f *testing.F) {
	f.Add(`anchor=0:1:ab,1:0:`)
	f.Add(`{"anchor":"0:99999999999999999999:ab"}`)
	f.Fuzz(func(t *testing.T, line string) {
		if heads := audit.AnchorIn(line); len(heads) > 0 && audit.AnchorIn("anchor="+audit.Anchor(heads)) == nil {
			t.Errorf("%q gives %+v", line, heads)
		}
	})
}
