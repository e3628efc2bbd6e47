package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/alerts/channel/webhook"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// An answer to a text message is taken from the gateway alone, and tells nobody whether a
// number is known.
func TestAnswersAreSigned(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	const body = `{"from":"+13125550142","text":"STOP"}`
	for _, k := range []struct {
		name, signature string
		want            int
	}{
		{"signed", webhook.Sign([]byte("gateway-secret"), time.Now(), []byte(body)), http.StatusNoContent},
		{"not signed", "", http.StatusUnauthorized},
		{"by another", webhook.Sign([]byte("another secret"), time.Now(), []byte(body)), http.StatusUnauthorized},
		{"of another body", webhook.Sign([]byte("gateway-secret"), time.Now(), []byte(body+" ")), http.StatusUnauthorized},
		{"too old", webhook.Sign([]byte("gateway-secret"), time.Now().Add(-time.Hour), []byte(body)), http.StatusUnauthorized},
		{"no signature", "t=,v1=", http.StatusUnauthorized},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/api/v1/sms/answers", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(webhook.SignatureHeader, k.signature)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close() // only its status is read
		if res.StatusCode != k.want {
			t.Errorf("%s: %d, want %d", k.name, res.StatusCode, k.want)
		}
	}
}
