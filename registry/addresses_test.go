package registry_test

import (
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/registry/auth"
)

var addresses = regexp.MustCompile(`(?:href|action|src|formaction|hx-[a-z]+|data-[a-z]+)="([^"]*)"`)

// An address stands in a browser's history, in a proxy's log and in what is sent to others:
// none that the registry leads to holds anything of a patient but the record's id.
func TestNoPatientInAddresses(t *testing.T) {
	w := newWorld(t)
	o := w.optedOut()
	secrets := slices.Concat(veiled, recordSecrets[:3], []string{familyName, strings.ToUpper(familyName)})
	for i := range w.things {
		secrets = append(secrets, w.born(i).Format("2006-01-02"), w.born(i).Format("20060102"))
	}
	seen := 0
	look := func(where string, r reply) {
		t.Helper()
		all := []string{r.location}
		for _, m := range addresses.FindAllStringSubmatch(r.body, -1) {
			all = append(all, html.UnescapeString(m[1]))
		}
		seen += len(all)
		for _, a := range all {
			if strings.HasPrefix(a, "tel:") {
				continue // a number to be called, which goes to no server
			}
			for _, s := range secrets {
				if strings.Contains(a, s) {
					t.Errorf("%s leads to %q", where, a)
				}
			}
		}
	}
	for _, v := range []*visitor{w.by(auth.PracticeManager), w.by(auth.Nurse), w.by(auth.FrontDesk), w.by(auth.School), w.by(auth.StateAdmin), w.by(auth.Auditor)} {
		w.find(v.id, o["patient"])
		for _, key := range w.registry.Routes() {
			r := newRow(key)
			path := fill(template(r.path), o)
			if r.call.query != "" {
				path += "?" + fill(r.call.query, o)
			}
			switch {
			case r.path == "/signout" || r.path == "/live" || strings.HasPrefix(r.path, "/admin/people/:id/") || strings.Contains(r.path, "/lock"):
			case r.method == "GET":
				look(key, v.do(t, "GET", path, ""))
			default:
				look(key, v.do(t, "POST", path, fill(r.call.body, o)))
			}
		}
		look("a search", v.do(t, "POST", "/patients/search", "way=number&id_kind=MR&id_value=VEIL77&id_assigner=lakeside"))
		look("nobody found", v.do(t, "POST", "/patients/search", "way=name&family=Quillfeathers&given=Lockelle&birth=2019-04-02"))
		look("a new patient", v.do(t, "POST", "/patients/new", "family=Quillfeather&given=Lockelle&birth=2019-04-02"))
		look("the person again", v.do(t, "POST", "/patients", "name0_family=Quillfeather&name0_given=Lockelle&name0_kind=L&birth="+o["today"]+"&sex=F"))
	}
	if seen < 5000 {
		t.Errorf("%d addresses", seen)
	}
	t.Logf("%d addresses", seen)
}
