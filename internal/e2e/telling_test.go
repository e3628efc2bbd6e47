package e2e

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/internal/servers"
	"github.com/coldkeep/coldkeep/internal/webhookfake"
)

// telling is what the clinic's people and programs get to hear: a mailbox on a
// real SMTP server (Debian's aiosmtpd) and a webhook.
type telling struct {
	t       *testing.T
	mailbox string
	addr    string
	hook    *webhookfake.Receiver
}

func newTelling(t *testing.T) *telling {
	t.Helper()
	const program = "/usr/bin/aiosmtpd"
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no aiosmtpd (the test command in the README installs it)")
	}
	hook, err := webhookfake.New("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hook.Close)
	tell := &telling{t: t, mailbox: filepath.Join(t.TempDir(), "mail"), addr: freeAddr(t), hook: hook}
	newProcess(t, "aiosmtpd", program, "-n", "-l", tell.addr, "-c", "aiosmtpd.handlers.Mailbox", tell.mailbox).start()
	if err := servers.Listening(t.Context(), tell.addr); err != nil {
		t.Fatal(err)
	}
	return tell
}

// flags point a collector at the mail server.
func (w *telling) flags() []string {
	host, port, _ := strings.Cut(w.addr, ":")
	return []string{"--smtp-host", host, "--smtp-port", port, "--smtp-tls", "none", "--smtp-from", "Coldkeep <alerts@lakeside.example>", "--screens-url", "https://coldkeep.lakeside.example"}
}

// onCall puts the mailbox and the webhook on call at Lakeside, at the screens.
func (w *telling) onCall(manager *browser) {
	manager.post("/admin/sites/lakeside/on-call", url.Values{"emails": {"dana@lakeside.example"}, "webhooks": {w.hook.URL() + "/alert"}, "repeat": {"1440"}})
}

// once checks that the alert was raised once by each way, with words that help and
// nothing twice under one id.
func (w *telling) once() {
	w.t.Helper()
	eventually(w.t, 60*time.Second, "one e-mail about the alert", func() error {
		files, err := filepath.Glob(filepath.Join(w.mailbox, "new", "*"))
		if err != nil {
			return err
		}
		ids, raised := map[string]bool{}, 0
		for _, name := range files {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			m, err := mail.ReadMessage(f)
			_ = f.Close() // it was only read
			if err != nil {
				return err
			}
			id := m.Header.Get("Message-Id")
			subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
			if err != nil {
				return err
			}
			if !ids[id] && strings.Contains(subject, "Recorded freezer") && strings.HasPrefix(strings.ToUpper(subject), "ALERT") {
				raised++
			}
			ids[id] = true
			if to := m.Header.Get("To"); !strings.Contains(to, "dana@lakeside.example") {
				return fmt.Errorf("mail to %q", to)
			}
		}
		if raised != 1 {
			return fmt.Errorf("%d e-mails raise an alert, of %d: %v", raised, len(files), ids)
		}
		return nil
	})
	eventually(w.t, 60*time.Second, "one webhook about the alert", func() error {
		ids, raised := map[string]bool{}, 0
		for _, r := range w.hook.Requests() {
			var body struct{ ID, Event string }
			if err := json.Unmarshal(r.Body, &body); err != nil {
				return err
			}
			if !ids[body.ID] && body.Event == "raised" {
				raised++
			}
			ids[body.ID] = true
		}
		if raised != 1 {
			return fmt.Errorf("%d webhooks raise an alert", raised)
		}
		return nil
	})
}
