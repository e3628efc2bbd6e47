package registry_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// unkept are texts that no engine keeps, or that break what is built from them.
var unkept = []string{
	"a\x00b", "a\xff\xfeb", "x\r\nSet-Cookie: a=b", "../../../../etc/passwd", "=cmd|' /C calc'!A0", "%27%20OR%201=1--", "-1", "99999999999999999999999999", "NaN", "\u202e\u0000",
	strings.Repeat("9", 4000), `' UNION SELECT username, password_hash FROM people --`, `{"$ne":null}`, `1; DELETE FROM audit; --`,
}

var fieldName = regexp.MustCompile(`(?:PostForm|PostFormArray|Query|QueryArray|formDate|formInt|field|json:)\(?(?:c, )?"([a-zA-Z0-9_]+)`)

// fieldsOf are the names of all fields that the sources of a package read of forms, addresses
// and calls.
func fieldsOf(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fieldName.FindAllStringSubmatch(string(b), -1) {
			out = append(out, m[1])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// bodies are what a route is sent: every field that there is, hostile; and each field of what
// the route is asked for properly, hostile by itself.
func bodies(r *row, o things, bad string, fields []string) []string {
	var out []string
	if strings.HasPrefix(r.path, "/api/") {
		all := map[string]any{}
		for _, f := range fields {
			all[f] = bad
		}
		b, _ := json.Marshal(all) //nolint:errchkjson // strings
		out = append(out, string(b))
		var proper map[string]any
		if json.Unmarshal([]byte(fill(r.call.body, o)), &proper) == nil {
			for k := range proper {
				one := map[string]any{}
				for name, v := range proper {
					one[name] = v
				}
				one[k] = bad
				b, _ := json.Marshal(one) //nolint:errchkjson // strings
				out = append(out, string(b))
			}
		}
		return out
	}
	all := url.Values{}
	for _, f := range fields {
		all.Set(f, bad)
	}
	out = append(out, all.Encode())
	if proper, err := url.ParseQuery(fill(r.call.body, o)); err == nil && r.call.body != "" && !strings.HasPrefix(r.call.body, "<") {
		for k := range proper {
			one, _ := url.ParseQuery(fill(r.call.body, o)) //nolint:errcheck // it was read before
			one.Set(k, bad)
			out = append(out, one.Encode())
		}
	}
	return out
}

// Whatever is sent to whichever route, in its path, its address and its fields: nothing of it
// is run by the database, a template, a header or a spreadsheet, nothing fails inside, and
// nothing of patients is in the log.
func TestHostileEverywhere(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := newWorldOn(t, where)
		count := func(table string) (n int) {
			w.must(w.db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
			return n
		}
		people, users, doses := count("patients"), count("people"), count("doses")
		screens, calls := fieldsOf(t, "web"), fieldsOf(t, "api")
		if len(screens) < 100 || len(calls) < 100 {
			t.Fatalf("%d fields of screens, %d of calls", len(screens), len(calls))
		}
		who := map[string]*visitor{"screens": w.by(auth.StateAdmin), "practice": w.by(auth.PracticeManager), "program": w.visitors[len(w.visitors)-1], "nobody": w.visitors[0]}
		tries := 0
		safe := func(key, bad string, r reply) {
			t.Helper()
			tries++
			if r.status >= 500 && r.status != 503 && !strings.HasSuffix(key, "/soap/iis") {
				t.Errorf("%s with %.60q: %d %.300s", key, bad, r.status, r.body)
			}
			// A file of values has them as they are, and no formula.
			if csv := strings.HasSuffix(key, ".csv"); csv && (strings.Contains(r.body, "\n"+bad) || strings.Contains(r.body, ","+bad)) && strings.ContainsAny(bad[:1], "=+-@") {
				t.Errorf("%s: %q is a formula of a spreadsheet", key, bad)
			} else if raw(bad) && !csv && strings.Contains(r.body, bad) {
				t.Errorf("%s: %q stands in the answer as it was sent", key, bad)
			}
			if strings.ContainsAny(r.location, "\r\n") || strings.Contains(r.body, "root:x:0") || strings.Contains(r.body, "$argon2id$") {
				t.Errorf("%s with %.60q: %q", key, bad, r.location)
			}
			for _, word := range []string{"SQLSTATE", "SQL logic error", "syntax error at", "pq:", "sqlite", "no such column", "goroutine "} {
				if strings.Contains(r.body, word) {
					t.Errorf("%s with %.60q tells of the database: %q", key, bad, word)
				}
			}
		}
		all := append(slices.Clone(hostile), unkept...)
		for n, key := range w.registry.Routes() {
			r := newRow(key)
			if r.path == "/signout" || r.path == "/live" || strings.HasPrefix(r.path, "/signin") || strings.HasPrefix(r.path, "/account/") || r.path == "/setup" {
				continue // these end or slow the sign-ins of the test, and have tests of their own
			}
			// Several of the texts for each route, all of them over the routes.
			for i := range 5 {
				bad := all[(n*5+i)%len(all)]
				v := who["screens"]
				if i%2 == 1 {
					v = who["practice"]
				}
				fields := screens
				if strings.HasPrefix(r.path, "/api/") || strings.HasPrefix(r.path, "/fhir/") || r.path == "/hl7" || r.path == "/soap/iis" {
					v, fields = who["program"], calls
					if i%2 == 1 {
						v = who["screens"]
					}
				}
				path := fill(template(r.path), w.things[0])
				if strings.Contains(r.path, ":") || strings.Contains(r.path, "*") {
					safe(key, bad, v.do(t, r.method, param.ReplaceAllString(r.path, strings.ReplaceAll(url.PathEscape(bad), "$", "$$")), ""))
				}
				if r.method == "GET" {
					q := url.Values{}
					for _, f := range fields {
						q.Set(f, bad)
					}
					safe(key, bad, v.do(t, "GET", path+"?"+q.Encode(), ""))
					continue
				}
				// What a person would do rightly with the world's own things is not what is tried.
				if strings.Contains(r.path, "/emergency") || strings.HasSuffix(r.path, "/take") || strings.HasPrefix(r.path, "/admin/people/:id") || strings.HasPrefix(r.path, "/api/v1/people/:id") {
					path = fill(strings.ReplaceAll(r.path, ":id", "{none}"), w.things[0])
				}
				for _, body := range bodies(&r, w.things[0], bad, fields) {
					safe(key, bad, v.do(t, "POST", path, body))
				}
			}
		}
		// Messages, and files of patients and of messages.
		program, manager := who["program"], who["practice"]
		for i, bad := range all {
			m := "MSH|^~\\&|EHR|lakeside|COLDKEEP|IIS|20260301100000+0000||VXU^V04^VXU_V04|H" + strconv.Itoa(i) + "|P|2.5.1|||ER|AL|||||Z22^CDCPHINVS\rPID|1||H" + strconv.Itoa(i) + "^^^lakeside^MR||" + bad + "^" + bad + "^^^^^L||20240301|F|||" + bad + "^^Cairo^IL^62914\r"
			for _, c := range [][3]string{{"/hl7", "text/plain", m}, {"/hl7", "application/x-www-form-urlencoded", url.Values{"MESSAGEDATA": {m}, "FACILITYID": {bad}}.Encode()}, {"/soap/iis", "application/soap+xml", soapOf("", "", m)},
				{"/api/v1/exchange/files", "text/plain", m}, {"/api/v1/imports", "text/csv", "family_name,given_name,birth_date,sex\n" + bad + "," + bad + ",2025-01-15,F\n"}} {
				v := program
				if c[0] == "/api/v1/imports" {
					v = manager
				}
				safe("POST "+c[0], bad, v.do(t, "POST", c[0], c[2], "Content-Type", c[1]))
			}
		}
		t.Logf("%d tries", tries)
		if tries < 2000 {
			t.Errorf("%d tries", tries)
		}
		if now := count("patients"); now != people {
			t.Errorf("%d patients, there were %d", now, people)
		}
		if now := count("people"); now != users {
			t.Errorf("%d people, there were %d", now, users)
		}
		if now := count("doses"); now != doses {
			t.Errorf("%d doses, there were %d", now, doses)
		}
		if r := who["screens"].do(t, "GET", "/units", ""); r.status != 200 {
			t.Errorf("the registry does not go on: %d", r.status)
		}
	})
}
