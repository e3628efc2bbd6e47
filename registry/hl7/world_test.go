package hl7_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/hl7"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

var (
	noon   = time.Date(2026, 3, 2, 18, 0, 0, 0, time.UTC) // noon in Chicago
	system = auth.System("Test")
	nurse  = auth.Principal{ID: "n", Name: "Marcus", Role: auth.Nurse, Site: "lakeside"}
	admin  = auth.Principal{ID: "s", Name: "Rosa", Role: auth.StateAdmin}
)

type clock struct {
	coldkeep.RealClock
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// fixed is the built-in schedule.
type fixed struct{ e *forecast.Engine }

func (f fixed) Engine() *forecast.Engine { return f.e }

var engine = sync.OnceValue(func() *forecast.Engine { return forecast.New(forecast.Builtin()) })

// world is a registry with two practices, each with an EHR in production.
type world struct {
	t        testing.TB
	ctx      context.Context
	clock    *clock
	st       *store.Store
	people   *patient.Service
	doses    *immunization.Service
	stock    *inventory.Service
	exchange *exchange.Service
	lakeside auth.Principal
	north    auth.Principal
	tested   auth.Principal // an account of lakeside that is being tested
	controls int
	sealer   *auth.Sealer
	drawn    map[string]int // doses that were taken off each lot, of the children looked at
}

func open(t testing.TB, where string) *world {
	t.Helper()
	st, err := store.Open(t.Context(), databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: noon}
	w := &world{t: t, ctx: t.Context(), clock: c, st: st, stock: inventory.New(st.Inventory(), c), people: patient.New(st.Patients(), c),
		doses: immunization.New(st.Immunizations(), fixed{engine()}, vaccine.Builtin(), c)}
	w.people.Follow(w.doses)
	w.sealer, err = auth.NewSealer(strings.Repeat("a1", 32))
	w.must(err)
	w.exchange = exchange.New(st.Exchange(), hl7.New(w.people, w.doses, c, hl7.DefaultIdentity), c, w.sealer)
	log := templog.New(st.Templog(), c)
	accounts, err := auth.New(st.Auth(), c)
	w.must(err)
	for _, site := range []coldkeep.SiteID{"lakeside", "northgate"} {
		w.must(log.AddSite(w.ctx, system, coldkeep.Site{ID: site, Name: string(site), TimeZone: "America/Chicago"}))
		w.must(log.AddAppliance(w.ctx, system, coldkeep.Appliance{ID: coldkeep.ApplianceID(site + "-fridge"), Site: site, Name: "Fridge", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}))
	}
	account := func(name string, site coldkeep.SiteID, production bool) auth.Principal {
		a, _, err := accounts.AddAccount(w.ctx, admin, name, site, []string{auth.ScopeRecords})
		w.must(err)
		if production {
			_, err = w.exchange.PutSender(w.ctx, admin, exchange.Sender{Account: a.ID, Production: true, Answers: exchange.Always, Deducts: true})
			w.must(err)
		}
		return auth.Principal{ID: a.ID, Name: name, Site: site, Scopes: []string{auth.ScopeRecords}}
	}
	w.lakeside, w.north, w.tested = account("Lakeside EHR", "lakeside", true), account("Northgate EHR", "northgate", true), account("New EHR", "lakeside", false)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) lot(number string, doses int, change ...func(*inventory.Lot)) string {
	w.t.Helper()
	l := inventory.Lot{Site: "lakeside", Number: number, Product: "M-M-R II", CVX: "03", NDC: "00006-4681-00", MVX: "MSD", Expires: "2027-06-30", Funding: inventory.Public, DosesOnHand: doses}
	for _, f := range change {
		f(&l)
	}
	l, err := w.stock.Receive(w.ctx, system, l, coldkeep.ApplianceID(l.Site+"-fridge"), noon.Add(-90*24*time.Hour))
	w.must(err)
	return l.ID
}

func (w *world) onHand(lot string) int {
	w.t.Helper()
	l, err := w.st.Lot(w.ctx, lot)
	w.must(err)
	return l.DosesOnHand
}

// vxu writes an update. at is minutes after 10:00 of 1 March at which it was made.
func (w *world) vxu(at int, segments ...string) string {
	w.controls++
	made := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC).Add(time.Duration(at) * time.Minute)
	return strings.Join(append([]string{fmt.Sprintf(`MSH|^~\&|MYEHR|CLINIC|COLDKEEP|IIS|%s-0600||VXU^V04^VXU_V04|M%d|P|2.5.1|||ER|AL|||||Z22^CDCPHINVS|CLINIC|IIS`, made.Format("20060102150405"), w.controls)}, segments...), "\r") + "\r"
}

const (
	pidAda  = `PID|1||4711^^^MYEHR^MR||Okafor^Ada^Mae^^^^L|Mensah^^^^^^M|20220309|F||2054-5^Black^CDCREC|12 Elm St^^Springfield^IL^62701^USA^H||^PRN^CP^^^217^5550133|||||||||2186-5^Not Hispanic^CDCREC||N`
	pd1Ada  = `PD1|||||||||||02^Reminder/Recall^HL70215|N|20260301|||A|20260301`
	nk1Ada  = `NK1|1|Okafor^Nora^^^^^L|MTH^Mother^HL70063|12 Elm St^^Springfield^IL^62701^USA^H|^PRN^CP^^^217^5550133`
	orcGive = `ORC|RE||D1^MYEHR|||||||^Clerk^Kim||1234567893^Lee^Ann^^^^MD^^NPI^L^^^NPI`
)

// given is an order of a dose from the stock of the site.
func given(order, date, cvx, lot, eligibility string) []string {
	return []string{
		`ORC|RE||` + order + `^MYEHR|||||||^Clerk^Kim||1234567893^Lee^Ann^^^^^^NPI^L^^^NPI`,
		`RXA|0|1|` + date + `||` + cvx + `^Vaccine^CVX|0.5|mL^milliliter^UCUM||00^New immunization record^NIP001|1234567893^Hale^Marcus^^^^^^NPI^L^^^NPI^^^^^^^^RN|^^^CLINIC||||` + lot + `|20270630|MSD^Merck^MVX|||CP|A`,
		`RXR|C38299^Subcutaneous^NCIT|LA^Left Arm^HL70163`,
		`OBX|1|CE|64994-7^Eligibility^LN|1|` + eligibility + `^VFC^HL70064||||||F|||` + date + `|||VXC40^per immunization^CDCPHINVS`,
		`OBX|2|CE|69764-9^Document type^LN|2|253088698300012711120420^MMR VIS^cdcgs1vis||||||F|||` + date,
		`OBX|3|DT|29769-7^Presented^LN|2|` + date + `||||||F|||` + date,
	}
}

// told is an order of a dose that was given elsewhere.
func told(order, date, cvx, source string) []string {
	return []string{`ORC|RE||` + order + `^MYEHR`, `RXA|0|1|` + date + `||` + cvx + `^Vaccine^CVX|999|||` + source + `^Historical^NIP001|||||||||||CP|A`}
}

func with(parts ...[]string) []string {
	var out []string
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func (w *world) send(by auth.Principal, text string) string {
	w.t.Helper()
	answer, err := w.exchange.Submit(w.ctx, by, exchange.Submission{Door: exchange.HTTP, Text: []byte(text)})
	w.must(err)
	return strings.ReplaceAll(string(answer), "\r", "\n")
}

// ack sends and wants an acknowledgement.
func (w *world) ack(by auth.Principal, want, text string) string {
	w.t.Helper()
	answer := w.send(by, text)
	if !strings.Contains(answer, "\nMSA|"+want+"|") {
		w.t.Fatalf("want %s:\n%s\nanswered\n%s", want, strings.ReplaceAll(text, "\r", "\n"), answer)
	}
	return answer
}

// find gives the whole records of a name and birth date, as the state sees them.
func (w *world) find(family, given string, birth coldkeep.Date) []patient.Record {
	w.t.Helper()
	found, err := w.people.Search(w.ctx, admin, patient.Query{Family: family, Given: given, Birth: birth})
	w.must(err)
	var out []patient.Record
	for _, h := range found.Hits {
		r, err := w.people.Open(w.ctx, admin, h.ID, "")
		w.must(err)
		out = append(out, r)
	}
	return out
}

func (w *world) ada() patient.Record {
	w.t.Helper()
	all := w.find("Okafor", "Ada", coldkeep.NewDate(2022, 3, 9))
	if len(all) != 1 {
		w.t.Fatalf("%d records of Ada", len(all))
	}
	return all[0]
}

func (w *world) view(id string) *immunization.View {
	w.t.Helper()
	v, err := w.doses.View(w.ctx, admin, id)
	w.must(err)
	return v
}

func (w *world) query(profile string, qpd ...string) string {
	w.controls++
	name := map[string]string{"Z34": "Request Immunization History", "Z44": "Request Evaluated History and Forecast"}[profile]
	return strings.Join([]string{fmt.Sprintf(`MSH|^~\&|MYEHR|CLINIC|COLDKEEP|IIS|20260302120000-0600||QBP^Q11^QBP_Q11|Q%d|P|2.5.1|||ER|AL|||||%s^CDCPHINVS|CLINIC|IIS`, w.controls, profile),
		`QPD|` + profile + `^` + name + `^CDCPHINVS|T` + fmt.Sprint(w.controls) + `|` + strings.Join(qpd, "|"), `RCP|I|5^RD&records&HL70126`}, "\r") + "\r"
}

const qpdAda = `4711^^^MYEHR^MR|Okafor^Ada^Mae^^^^L|Mensah^^^^^^M|20220309|F|12 Elm St^^Springfield^IL^62701^USA^H`
