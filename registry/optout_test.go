package registry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/coverage"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
)

// veiled is what the registry knows of a person who opts out, in no other's record, as
// screens, calls, exports and messages write it.
var veiled = []string{"Quillfeather", "Lockelle", "QUILLFEATHER", "5550199", "555-0199", "9 Veiled Row", "Guardrun", "VEIL77", "veiled@family.example"}

// optedOut is a patient of two practices, whom both have vaccinated, sent messages about,
// called in and counted, and who then opts out at the other practice.
func (w *world) optedOut() things {
	w.t.Helper()
	ctx, now := w.t.Context(), time.Now().UTC().Truncate(time.Millisecond)
	seq, yes := patient.Span{Seq: 1}, immunization.Confirm{Yes: true, Why: "Test"}
	nurse, manager := at(auth.Nurse, ownSite), at(auth.PracticeManager, ownSite)
	p := patient.Patient{ID: ulid.Make().String(), Birth: coldkeep.DateOf(now) - 1000, Sex: patient.Female, Revision: 1, CreatedBy: ownSite, CreatedAt: now, UpdatedAt: now,
		Names:       []patient.Name{{Family: "Quillfeather", Given: "Lockelle", Kind: patient.Legal, Span: seq}},
		Addresses:   []patient.Address{{Street: "9 Veiled Row", City: "Cairo", State: "IL", ZIP: "62914", Kind: "H", Span: seq}},
		Contacts:    []patient.Contact{{Kind: patient.Phone, Value: "3125550199", Span: seq}, {Kind: patient.Email, Value: "veiled@family.example", Span: patient.Span{Seq: 2}}},
		Identifiers: []patient.Identifier{{Kind: "MR", Assigner: string(ownSite), Value: "VEIL77", Span: seq}},
		Guardians:   []patient.Guardian{{Family: "Guardrun", Given: "Gus", Relation: "FTH", Span: seq}},
		Statuses:    []patient.Status{{Site: ownSite, Standing: patient.Active, Since: now, By: "Test", Span: seq}, {Site: otherSite, Standing: patient.Active, Since: now, By: "Test", Span: patient.Span{Seq: 2}}}}
	p.Head = p.ID
	w.must(w.store.Patients().Tx(ctx, func(tx patient.Tx) error { return tx.InsertPatient(ctx, p) }))
	o := with(w.things[0], things{"patient": p.ID})
	lot, err := w.stock.Receive(ctx, system, inventory.Lot{Site: ownSite, Number: "VEILLOT", Product: "M-M-R II", CVX: "03", NDC: "00006-4681-00", MVX: "MSD", Expires: "2031-06-30", Funding: inventory.Public, DosesOnHand: 10}, coldkeep.ApplianceID(o["unit"]), now.Add(-48*time.Hour))
	w.must(err)
	o["lot"], o["held"] = lot.ID, lot.ID
	given, err := w.doses.Record(ctx, nurse, immunization.Dose{Patient: p.ID, Kind: immunization.Administered, Date: coldkeep.DateOf(now.Add(-24 * time.Hour)), StockID: lot.ID, Site: ownSite, Eligibility: "V02", BodySite: "LT", Route: "SC", Amount: "0.5", GivenBy: "Marcus Hale, RN"}, yes)
	w.must(err)
	told, err := w.doses.Record(ctx, nurse, immunization.Dose{Patient: p.ID, Kind: immunization.Historical, Date: coldkeep.DateOf(now) - 60, CVX: "21", Source: "02", Elsewhere: "Dr. Lund"}, yes)
	w.must(err)
	fact, err := w.doses.AddFact(ctx, nurse, immunization.Fact{Patient: p.ID, Kind: "immunity", Code: o["immunity"], Basis: "titre"})
	w.must(err)
	exemption, err := w.doses.AddExemption(ctx, nurse, immunization.Exemption{Patient: p.ID, Kind: immunization.Medical, Groups: []string{"Polio"}, From: coldkeep.DateOf(now) - 1, Signer: "Dr. Lund", Source: "Form"})
	w.must(err)
	reaction, err := w.doses.AddReaction(ctx, nurse, immunization.Reaction{Patient: p.ID, Doses: []string{told.ID}, Event: "Fever", Results: []string{"none"}})
	w.must(err)
	o = with(o, things{"dose": given.ID, "told": told.ID, "fact": fact.ID, "exemption": exemption.ID, "reaction": reaction.ID})
	// A hold from before the dose's day, in whatever zone.
	collector := auth.Principal{ID: "c", Name: "collector", Scopes: []string{auth.ScopeCollector}}
	start := now.Add(-47 * time.Hour)
	_, err = w.log.PutExcursion(ctx, collector, coldkeep.Excursion{ID: "x-veil", Revision: 1, Site: ownSite, Appliance: coldkeep.ApplianceID(o["unit"]), Probe: "lakeside/pi-1/p", Kind: coldkeep.TooWarm, Rule: coldkeep.Consecutive,
		Profile: "cdc@1", Start: start, PeakAt: start.Add(time.Hour), Extreme: 12_600, MinutesOut: 120, Actions: []coldkeep.Action{"log", "alert", "hold"}, State: coldkeep.ExcursionOpen})
	w.must(err)
	_, err = w.stock.Hold(ctx, collector, coldkeep.HoldRequest{ID: "h-veil", Excursion: "x-veil", Appliance: coldkeep.ApplianceID(o["unit"]), Since: start, Reason: "above 8 °C"})
	w.must(err)
	o["hold"], o["excursion"] = "h-veil", "x-veil"
	// Messages: an update with a dose that is of no lot in stock, which waits to be deducted, and a query.
	ehr := auth.Principal{ID: o["account"], Name: "Victim EHR of lakeside", Site: ownSite, Scopes: []string{auth.ScopeRecords}}
	w.find(ehr.ID, p.ID)
	x := exchange.New(w.store.Exchange(), hl7.New(w.people, w.doses, coldkeep.RealClock{}, hl7.DefaultIdentity), coldkeep.RealClock{}, nil)
	_, err = x.PutSender(ctx, auth.Principal{ID: "a", Name: "Admin", Role: auth.StateAdmin}, exchange.Sender{Account: ehr.ID, Production: true, Answers: exchange.Always})
	w.must(err)
	day := func(before int) string {
		return strings.ReplaceAll((coldkeep.DateOf(now) - coldkeep.Date(before)).String(), "-", "")
	}
	pid := "PID|1||VEIL77^^^lakeside^MR||Quillfeather^Lockelle^^^^^L||" + day(1000) + "|F|||9 Veiled Row^^Cairo^IL^62914^USA^H||^PRN^PH^^1^312^5550199\r"
	msh := func(kind, profile, control string) string {
		return "MSH|^~\\&|EHR|lakeside|COLDKEEP|IIS|" + now.Format("20060102150405") + "+0000||" + kind + "|" + control + "|P|2.5.1|||ER|AL|||||" + profile + "^CDCPHINVS\r"
	}
	update := msh("VXU^V04^VXU_V04", "Z22", "veil-1") + pid + "ORC|RE||VEIL-D1^lakeside\r" + "RXA|0|1|" + day(1) + "||21^varicella^CVX|0.5|mL^milliliter^UCUM||00^New immunization record^NIP001||^^^lakeside||||NOSUCHLOT|20310630|MSD^Merck and Co., Inc.^MVX|||CP|A\r" +
		"RXR|C38299^Subcutaneous^NCIT|LT^Left thigh^HL70163\rOBX|1|CE|64994-7^Vaccine funding program eligibility category^LN|1|V02^VFC eligible^HL70064||||||F|||" + day(1) + "|||VXC40^Eligibility captured at the immunization level^CDCPHINVS\r"
	query := msh("QBP^Q11^QBP_Q11", "Z44", "veil-2") + "QPD|Z44^Request Evaluated History and Forecast^CDCPHINVS|VEIL-Q1|VEIL77^^^lakeside^MR|Quillfeather^Lockelle^^^^^L||" + day(1000) + "|F\rRCP|I|5^RD&Records&HL70126\r"
	for _, m := range []string{update, query} {
		answer, err := x.Submit(ctx, ehr, exchange.Submission{Text: []byte(m)})
		w.must(err)
		if !strings.Contains(string(answer), "MSA|AA|") {
			w.t.Fatalf("%s", strings.ReplaceAll(string(answer), "\r", "\n"))
		}
	}
	all, err := x.Messages(ctx, ehr, exchange.Filter{})
	w.must(err)
	o["message"] = all[0].ID
	f, err := x.SubmitFile(ctx, ehr, exchange.FileSubmission{Name: "x"}, strings.NewReader(update+strings.ReplaceAll(update, "veil-1", "veil-3")))
	w.must(err)
	o["file"] = f.ID
	for more := true; more; {
		more, err = x.Step(ctx)
		w.must(err)
	}
	// A file of the practice's patients, an assessment, notices and a recall.
	in, err := w.imports.Upload(ctx, manager, strings.NewReader("family_name,given_name,birth_date,sex,mrn\nQuillfeather,Lockelle,"+p.Birth.String()+",F,VEIL77\n"))
	w.must(err)
	o["import"] = in.ID
	for more := true; more; {
		more, err = w.imports.Step(ctx)
		w.must(err)
	}
	w.must(w.doses.Trust(ctx, nurse, given.ID, given.Revision, "too warm", "Test"))
	_, err = w.recall.Open(ctx)
	w.must(err)
	set, err := w.recall.Settings(ctx, manager)
	w.must(err)
	set.Name, set.Phone, set.Street, set.City, set.State, set.ZIP = "Clinic", "6185550100", "1 Way", "Cairo", "IL", "62914"
	w.must(w.recall.SetSettings(ctx, manager, set))
	r, err := w.recall.Start(ctx, manager, recall.Params{})
	w.must(err)
	step := func() {
		for more := true; more; {
			more, err = w.recall.Step(ctx)
			w.must(err)
		}
	}
	step()
	for round, ch := range []recall.Channel{recall.Letter, recall.Phone} {
		w.must(w.recall.Issue(ctx, manager, r.ID, round, []recall.Channel{ch}))
		step()
	}
	o["run"] = r.ID
	colds, err := w.recall.Colds(ctx, nurse)
	w.must(err)
	o["cold"] = colds[0].ID
	a, err := w.cover.Begin(ctx, manager, coverage.Ask{Measures: []string{"cis-3"}, Ages: coverage.Ages{From: "0 days", Until: "120 years"}})
	w.must(err)
	for a.Busy() {
		_, err := w.cover.Step(ctx)
		w.must(err)
		a, err = w.cover.Get(ctx, manager, a.ID)
		w.must(err)
	}
	o["assessment"] = a.ID
	w.must(w.store.Patients().Tx(ctx, func(tx patient.Tx) error {
		a, b := o["patient"], w.things[0]["patient"]
		if b < a {
			a, b = b, a
		}
		_, err := tx.PutPair(ctx, patient.Pair{A: a, B: b, State: patient.PairOpen, FoundAt: now})
		return err
	}))
	o["query"] = query
	o["update"] = update
	return o
}

// shows tells what of the person stands in an answer.
func shows(r reply) (found []string) {
	for _, s := range veiled {
		if strings.Contains(r.body, s) || strings.Contains(r.location, s) {
			found = append(found, s)
		}
	}
	return found
}

// A person who has opted out at one practice is closed to another one that has the same
// person as its patient: by every route there is, for everybody of that practice, whatever
// was sent, printed, counted or begun before (77 Ill. Adm. Code 689.80).
func TestOptOutHoldsEverywhere(t *testing.T) {
	w := newWorld(t)
	o := w.optedOut()
	var insiders []*visitor
	for _, v := range w.visitors {
		if v.id != "" && !slices.Contains([]string{"state-admin", "auditor"}, v.name) {
			insiders = append(insiders, v)
			w.find(v.id, o["patient"])
		}
	}
	routes := w.registry.Routes()
	read := func(v *visitor, key string) reply {
		r := newRow(key)
		path := fill(template(r.path), o)
		if r.call.query != "" {
			path += "?" + fill(r.call.query, o)
		}
		got := v.do(t, "GET", path, "")
		if got.status == 303 && strings.HasPrefix(got.location, "/") && !strings.HasPrefix(got.location, "/signin") {
			got = v.do(t, "GET", got.location, "")
		}
		return got
	}
	// Before, the manager meets the person on many pages: it is these that the test is about.
	manager := w.by(auth.PracticeManager)
	var seen []string
	for _, key := range routes {
		if strings.HasPrefix(key, "GET ") && len(shows(read(manager, key))) > 0 {
			seen = append(seen, key)
		}
	}
	for _, want := range []string{"GET /patients/:id", "GET /lots/:id/doses", "GET /cold-recalls/:id", "GET /recalls/:id/calls", "GET /recalls/:id/merge.csv", "GET /coverage/runs/:id/missing", "GET /exchange/messages/:id", "GET /holds/:id/lots/:lot/doses"} {
		if !slices.Contains(seen, want) {
			t.Errorf("before the opt-out, the person is not on %s, so that the test shows nothing of it", want)
		}
	}
	t.Logf("the person is on %d pages before: %v", len(seen), seen)
	w.must(w.people.Lock(t.Context(), at(auth.FrontDesk, otherSite), o["patient"], form))
	state := func() string {
		v, err := w.doses.View(t.Context(), at(auth.Nurse, otherSite), o["patient"])
		w.must(err)
		r, err := w.people.Standing(t.Context(), at(auth.FrontDesk, otherSite), o["patient"])
		w.must(err)
		b, err := json.Marshal([]any{v.Doses, v.Facts, v.Exemptions, v.Reactions, r})
		w.must(err)
		return string(b)
	}
	before, tries := state(), 0
	for _, key := range routes {
		r := newRow(key)
		for _, v := range insiders {
			var got reply
			if r.method == "GET" {
				got = read(v, key)
			} else {
				if r.path == "/signout" || strings.Contains(r.path, "/emergency") || strings.HasPrefix(r.path, "/admin/people/:id") || strings.HasPrefix(r.path, "/api/v1/people/:id") {
					continue
				}
				body := r.call.body
				if body == "" && strings.HasPrefix(r.path, "/api/") {
					body = "{}"
				}
				got = v.do(t, "POST", fill(template(r.path), o), fill(body, o))
				if got.status == 303 && strings.HasPrefix(got.location, "/") {
					got = v.do(t, "GET", got.location, "")
				}
			}
			tries++
			if found := shows(got); len(found) > 0 {
				t.Errorf("%s shows %s %v", key, v.name, found)
			}
			if ofPatient(r.path) && v.token == "" && got.status == 200 && r.method == "GET" && r.path != "/patients/:id/emergency" {
				t.Errorf("%s opens to %s: %d", key, v.name, got.status)
			}
		}
	}
	if after := state(); after != before {
		t.Errorf("the record was changed:\n%s\n%s", before, after)
	}
	t.Logf("%d tries", tries)

	// What is asked by words that name the person.
	birth := coldkeep.DateOf(time.Now()) - 1000
	locked := manager.do(t, "POST", "/patients/search", url.Values{"way": {"number"}, "id_kind": {"MR"}, "id_value": {"VEIL77"}}.Encode())
	if !strings.Contains(locked.body, "locked") || len(shows(reply{body: strings.ReplaceAll(locked.body, "VEIL77", "")})) > 0 {
		t.Errorf("the search: %v\n%s", shows(locked), locked.body)
	}
	call := manager.do(t, "POST", "/api/v1/patients/search", `{"identifier_kind":"MR","identifier":"VEIL77"}`)
	if call.status != 200 || !strings.Contains(call.body, `"locked":true`) || len(shows(call)) > 0 {
		t.Errorf("the call: %v %s", shows(call), call.body)
	}
	add := fmt.Sprintf(`{"names":[{"kind":"L","family":"Quillfeather","given":"Lockelle"}],"birth":%q,"sex":"F","identifiers":[{"kind":"MR","assigner":"lakeside","value":"VEIL77"}]}`, birth)
	for _, v := range []*visitor{manager, w.visitors[len(w.visitors)-1]} {
		got := v.do(t, "POST", "/api/v1/patients", add)
		for _, s := range []string{"5550199", "9 Veiled Row", "Guardrun", "veiled@family.example"} {
			if strings.Contains(got.body, s) {
				t.Errorf("adding the same person tells %s %q: %s", v.name, s, got.body)
			}
		}
		t.Logf("adding: %d %s", got.status, got.body)
	}
	ehr := &visitor{name: "records", client: w.visitors[len(w.visitors)-1].client, base: w.url, token: w.visitors[len(w.visitors)-1].token}
	for _, m := range []string{o["query"], o["update"]} {
		got := ehr.do(t, "POST", "/hl7", m, "Content-Type", "application/hl7-v2")
		for _, s := range []string{"5550199", "9 Veiled Row", "Guardrun", "veiled@family.example", o["patient"]} {
			if strings.Contains(got.body, s) {
				t.Errorf("a message is answered with %q:\n%s", s, strings.ReplaceAll(got.body, "\r", "\n"))
			}
		}
	}
	var file bytes.Buffer
	m := multipart.NewWriter(&file)
	part, err := m.CreateFormFile("file", "x.csv")
	w.must(err)
	_, err = part.Write([]byte("family_name,given_name,birth_date,sex,mrn\nQuillfeather,Lockelle," + birth.String() + ",F,VEIL77\n"))
	w.must(err)
	w.must(m.Close())
	up := manager.do(t, "POST", "/import", file.String(), "Content-Type", m.FormDataContentType())
	for more := true; more; {
		more, err = w.imports.Step(t.Context())
		w.must(err)
	}
	page := manager.do(t, "GET", up.location, "")
	for _, s := range []string{"5550199", "9 Veiled Row", "Guardrun", "veiled@family.example", o["patient"]} {
		if strings.Contains(page.body, s) {
			t.Errorf("the findings of a file have %q", s)
		}
	}
	if after := state(); after != before {
		t.Errorf("the record was changed:\n%s\n%s", before, after)
	}

	// De-identified records have nobody in them who has opted out.
	for _, path := range []string{"/deidentified/people.csv", "/api/v1/deidentified/people.csv"} {
		got := w.by(auth.StateEpi).do(t, "GET", path, "")
		if got.status != 200 || strings.Contains(got.body, birth.String()) {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	// By form it opens again.
	w.must(w.people.Unlock(t.Context(), at(auth.Nurse, otherSite), o["patient"], form))
	for _, key := range seen {
		if strings.HasPrefix(key, "GET /patients/:id") && len(shows(read(manager, key))) == 0 {
			t.Errorf("%s does not open again", key)
		}
	}
}

// A call that is repeated gets its first answer again, which shows a dose: not any more once
// the person has opted out elsewhere. A repeated answer is a view.
func TestOptOutHoldsForRepeatedCalls(t *testing.T) {
	w := newWorld(t)
	nurse, id := w.by(auth.Nurse), w.things[1]["patient"]
	body := `{"kind":"historical","cvx":"21","date":"` + (coldkeep.DateOf(w.born(1)) + 380).String() + `","source":"02","note":"Veiled note","confirm":true,"why":"Test"}`
	send := func() reply {
		return nurse.do(t, "POST", "/api/v1/patients/"+id+"/doses", body, "Idempotency-Key", "the-same")
	}
	first := send()
	if first.status != 200 || !strings.Contains(first.body, "Veiled note") {
		t.Fatalf("%d %s", first.status, first.body)
	}
	views := w.entries(nurse.id, id)
	if again := send(); again.status != 200 || again.body != first.body {
		t.Errorf("%d %s", again.status, again.body)
	}
	if got := w.entries(nurse.id, id) - views; got != 1 {
		t.Errorf("the trail has %d views of a repeated answer", got)
	}
	w.lock(id, otherSite)
	if again := send(); again.status != 403 || strings.Contains(again.body, "Veiled") || !strings.Contains(again.body, "This record is locked") {
		t.Errorf("%d %s", again.status, again.body)
	}
	if got := w.entries(nurse.id, id) - views; got != 2 {
		t.Errorf("the trail has %d of 2 tries", got)
	}
}
