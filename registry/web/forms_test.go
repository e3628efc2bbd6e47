package web

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

func TestFormsOfAPatient(t *testing.T) {
	s := serve(t)
	s.furnish()
	p := s.child("lakeside")
	at := "/patients/" + p
	s.person("teacher", auth.School, "lakeside")
	s.person("far", auth.Nurse, "northgate")
	b := s.as("nurse")
	today := clinicDay(s.cfg.Clock.Now())
	r := b.post(at+"/doses", url.Values{"kind": {"historical"}, "cvx": {"21"}, "date": {(today - 20).String()}, "day_unknown": {"yes"}, "source": {"02"}})
	b.page(r.header.Get("Location"), "on the record", (today - 20).Midnight(time.UTC).Format("January 2006"))
	b.page(at+"/forms", "Certificate", "Official immunization history", "Nothing official has been printed")
	for _, form := range []string{"certificate.pdf?grade=K", "history.pdf", "visit.pdf", "opt-out.pdf", "new-patient.pdf"} {
		r := b.get(at + "/forms/" + form)
		if r.status != 200 || !strings.HasPrefix(r.body, "%PDF-") || r.header.Get("Content-Type") != "application/pdf" || strings.Contains(r.header.Get("Content-Disposition"), "Okafor") {
			t.Errorf("%s: %d %s", form, r.status, r.header)
		}
	}
	b.page(at+"/forms", "Certificate of Child Health Examination", "The nurse")
	b.page(at+"/forms/certificate?grade=K", "Kindergarten", "Measles", "1 more dose", "!Lund")
	page := b.page(at+"/forms/history", "Okafor, Ada", "Varicella", "Doses on this report: 1")
	for _, bad := range []string{"certificate.pdf?grade=13", "visit.pdf?on=yesterday"} {
		if r := b.get(at + "/forms/" + bad); r.status != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, r.status)
		}
	}
	k := s.as("teacher")
	k.page(at+"/status?grade=K", "Unprotected", "Kindergarten", "15 October", "Certificate (PDF)")
	k.page(at+"/forms", "Certificate", "!Official immunization history")
	if r := k.get(at + "/forms/certificate.pdf"); r.status != 200 {
		t.Errorf("a school's certificate: %d", r.status)
	}
	if r := k.get(at + "/forms/history.pdf"); r.status != http.StatusForbidden {
		t.Errorf("a school's history: %d", r.status)
	}
	if r := s.as("far").get(at + "/forms/certificate.pdf"); r.status != http.StatusForbidden {
		t.Errorf("another practice: %d", r.status)
	}
	b.page("/forms", "New patient", "Opting out")
	// Anybody who holds the print has it verified, and learns nothing else.
	code := regexp.MustCompile(`[0-9A-Z]{4}(-[0-9A-Z]{4}){3}`).FindString(page)
	n := s.browser()
	born := (coldkeep.DateOf(time.Now()) - 400).String() // as child has it
	r = n.post("/verify", url.Values{"code": {code}, "birth": {born}, "doses": {"1"}})
	n.has("verify", words(t, r.body), "The registry printed this", "1 doses in all: agrees", "!Okafor", "!Varicella")
	r = n.post("/verify", url.Values{"code": {code}, "birth": {born}, "doses": {"2"}, "dates": {"01/01/2020"}})
	n.has("verify", words(t, r.body), "Not everything agrees", "does not agree")
	for code, birth := range map[string]string{code: "2001-01-01", "0000-0000-0000-0000": born, "nothing": born} {
		if r = n.post("/verify", url.Values{"code": {code}, "birth": {birth}}); r.status != http.StatusNotFound && r.status != http.StatusBadRequest {
			t.Errorf("%s, %s: %d", code, birth, r.status)
		}
	}
}

func TestStatements(t *testing.T) {
	s := serve(t)
	s.furnish()
	p, lot := s.child("lakeside"), s.freeLot()
	at := "/patients/" + p
	b, admin := s.as("nurse"), s.as("state-admin")
	b.page("/vis", "MMR Vaccine", "Jan 31, 2025", "!A new edition")
	const mmr, old = "253088698300012711250131", "253088698300012711210806"
	b.page("/vis/editions/"+mmr, "current", "English", "Other editions")
	b.page("/vis/editions/"+old, "outdated")
	if r := b.get("/vis/editions/" + mmr + "/text"); r.status != http.StatusFound || !strings.HasPrefix(r.header.Get("Location"), "https://www.cdc.gov/") {
		t.Errorf("%d %s", r.status, r.header.Get("Location"))
	}
	// The state puts in a Spanish one.
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	s.must(w.WriteField("language", "spa"))
	f, err := w.CreateFormFile("file", "mmr.pdf")
	s.must(err)
	_, err = io.WriteString(f, "%PDF-1.7 spa")
	s.must(err)
	s.must(w.Close())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/vis/editions/"+mmr+"/texts", &body)
	s.must(err)
	req.Header.Set("Content-Type", w.FormDataContentType())
	r := admin.send(req)
	admin.page(r.header.Get("Location"), "The statement is there in Spanish", "Open to print")
	if r := b.get("/vis/editions/" + mmr + "/text?language=spa"); r.status != 200 || r.body != "%PDF-1.7 spa" {
		t.Errorf("%d %q", r.status, r.body)
	}
	b.page("/vis?language=spa", "Spanish", "not in this language")
	// It is recorded with the dose: ticked, or scanned; an outdated one is a warning.
	b.page(at+"/doses/new?lot="+lot, "MMR Vaccine", "Spanish", "Or scan it")
	form := url.Values{"kind": {"administered"}, "stock": {lot}, "site": {"lakeside"}, "date": {clinicDay(s.cfg.Clock.Now()).String()}, "eligibility": {"V02"}, "body_site": {"LT"}, "route": {"SC"}, "amount": {"0.5"}, "given_by": {"Marcus Hale, RN"},
		"vis_given": {clinicDay(s.cfg.Clock.Now()).String()}, "vis_language": {"spa"}, "vis_scan": {"]d2" + old}}
	r = b.post(at+"/doses", form)
	b.has("warning", words(t, r.body), "Not recorded yet", "is outdated")
	form.Set("vis_scan", "hello")
	b.has("scan", words(t, b.post(at+"/doses", form).body), "24 digits")
	form.Set("vis_scan", "(253)0886983000127(11)250131")
	form.Set("vis", mmr)
	r = b.post(at+"/doses", form)
	b.page(r.header.Get("Location"), "The dose is on the record")
	b.page(at+"/statements", "MMR Vaccine", "Spanish", "!outdated", "!Without")
	m := s.as("practice-manager")
	m.page("/vis/report", "MMR", "All 1 0 0 0 0")
	if r := m.get("/vis/report.csv"); r.status != 200 || !strings.Contains(r.body, "lakeside") {
		t.Errorf("%d %s", r.status, r.body)
	}
	admin.page("/vis/report", "Choose")
	admin.page("/vis/report?site=lakeside", "MMR")
	// A new edition follows.
	r = admin.post("/vis/editions", url.Values{"code": {"253088698300012711260201"}, "name": {"MMR Vaccine"}, "edition": {"2026-02-01"}, "cvx": {"03"}, "why": {"CDC"}})
	admin.page(r.header.Get("Location"), "current now", "Feb 1, 2026")
	b.page("/vis/editions/"+mmr, "historic")
	r = admin.post("/vis/editions/253088698300012711260201/status", url.Values{"current": {"no"}, "why": {"withdrawn"}})
	admin.page(r.header.Get("Location"), "noted", "withdrawn")
	r = admin.post("/vis/editions/"+mmr+"/texts/withdraw", url.Values{"language": {"spa"}, "why": {"a mistake"}})
	admin.page(r.header.Get("Location"), "no longer offered")
	for _, path := range []string{"/vis/editions", "/vis/editions/" + mmr + "/status", "/vis/editions/" + mmr + "/texts"} {
		if r := b.post(path, url.Values{"why": {"x"}}); r.status != http.StatusForbidden {
			t.Errorf("a nurse at %s: %d", path, r.status)
		}
	}
}
