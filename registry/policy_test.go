package registry_test

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/registry/auth"
)

// policyPage is the written policy, which the test reads and holds the registry to.
const policyPage = "../docs/permissions.md"

// call is how a route is asked for, where an empty form would not come as far as the
// permission.
type call struct {
	body  string // with {words} for what a situation is about
	query string
	shows string // of a list: what it has in it when it shows the practice's
	plain bool   // concerns no practice and no patient, whatever its path looks like
	fresh string // what is made anew for each try, since who may do it changes it: "patient" or "person"
	last  bool   // comes after all others, since it changes what others meet
	gone  string // a 404 with these words has come past the permission
	words string // a further row of the route in the table: what it is about instead
}

const (
	signedForm = "signer=Nora&relation=MTH&signed={today}&kept=chart"
	signedJSON = `{"signer":"Nora","relation":"MTH","signed":"{today}","kept":"chart"}`
	demography = "name0_family=Brandt&name0_given=Mila&name0_kind=L&birth=2019-04-02&sex=F&revision=99"
	historical = "kind=historical&cvx=21&date=2999-01-01&source=02&revision=99&why=test"
	reasonForm = "why=a+good+reason&reason=a+good+reason&revision=99"
	reasonJSON = `{"why":"a good reason","reason":"a good reason","revision":99}`
)

// calls are the routes that need more than an empty form to be asked properly.
var calls = map[string]call{
	"POST /soap/iis":                                {body: `<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><submitSingleMessage xmlns="urn:cdc:iisb:2011"><hl7Message>none</hl7Message></submitSingleMessage></e:Body></e:Envelope>`},
	"GET /soap/iis":                                 {query: `wsdl`},
	"GET /exchange":                                 {shows: `{message}`},
	"GET /exchange/files":                           {shows: `{file}`},
	"GET /exchange/senders":                         {shows: `Victim EHR of {site}`},
	"POST /exchange/senders/:id":                    {body: `answers=none`},
	"GET /api/v1/exchange/messages":                 {shows: `{message}`},
	"GET /api/v1/exchange/files":                    {shows: `{file}`},
	"GET /api/v1/exchange/senders":                  {shows: `Victim EHR of {site}`},
	"GET /api/v1/exchange/reports":                  {shows: `Victim EHR of {site}`},
	"POST /api/v1/exchange/senders/:id":             {body: `{"answers":"none"}`},
	"POST /api/v1/imports":                          {body: `x`},
	"GET /api/v1/imports":                           {shows: `{import}`},
	"POST /api/v1/patients/:id/reactions":           {body: `{"doses":["{none}"],"event":"Fever"}`},
	"POST /api/v1/reactions/:id/end":                {body: reasonJSON},
	"POST /api/v1/emergencies/:id/review":           {body: `{"review":""}`},
	"POST /api/v1/schedules/compare":                {body: `{"release":"none"}`},
	"POST /api/v1/schedules/activate":               {body: `{"release":"none","why":"a good reason"}`},
	"POST /fhir/Immunization/_search":               {body: `patient={patient}`},
	"POST /fhir/ImmunizationRecommendation/_search": {body: `patient={patient}`},
	"POST /fhir/Patient/_search":                    {body: `family=Nobody&given=Here&birthdate=2019-04-02`},
	"POST /patients/:id/doses/:dose/trust (counts)": {body: `revision=99&counts=yes&why=test`},
	"POST /patients/:id/doses/:dose/trust":          {body: `revision=99&spoilt=x&why=test`},
	"POST /admin/interfaces/:id/keys/remove":        {body: `fingerprint=none`, gone: "There is no such key"},
	"GET /recalls":                                  {shows: `/cold-recalls/{cold}`},
	"GET /api/v1/cold-recalls":                      {shows: `{cold}`},
	"GET /recalls/:id/letters.pdf":                  {gone: "There is nothing to print"},
	"GET /recalls/:id/postcards.pdf":                {gone: "There is nothing to print"},
	"GET /recalls/:id/labels.pdf":                   {gone: "There is nothing to print"},
	"GET /recalls/:id/merge.csv":                    {gone: "There is nothing to print"},
	"POST /recalls":                                 {body: `mode=none`},
	"POST /recalls/texts":                           {body: `kind=none`},
	"POST /recalls/settings":                        {body: `name=&begin=09:00&end=17:00&per_hour=5&revision=0`},
	"POST /recalls/:id/issue":                       {body: `round=99&channel=letter`},
	"POST /recalls/:id/calls/:patient":              {body: `result=no-answer`},
	"POST /cold-recalls/:id/people/:patient":        {body: `state=reached&revision=99`},
	"POST /patients/:id/agreements":                 {body: `channel=email&target=nobody&agreed=x`},
	"POST /patients/:id/attempts":                   {body: `channel=phone&result=no-answer`},
	"POST /patients/:id/lost":                       {body: `why=test`},
	"POST /api/v1/recalls":                          {body: `{"mode":"none"}`},
	"POST /api/v1/recalls/:id/issue":                {body: `{"round":99,"channels":["letter"]}`},
	"POST /api/v1/cold-recalls/:id/people/:patient": {body: `{"state":"reached","revision":99}`},
	"GET /admin":                                    {shows: `/admin/sites/{site}`},
	"GET /admin/interfaces":                         {shows: `Victim EHR of {site}`},
	"GET /admin/people":                             {shows: `Known of {site}`},
	"GET /alerts":                                   {shows: `Fridge {unit}`},
	"GET /api/v1/applications":                      {shows: `Clinic {site}`},
	"GET /api/v1/calibrations":                      {query: `site={site}`},
	"GET /api/v1/enrolments":                        {shows: `Clinic {site}`},
	"GET /api/v1/interface-accounts":                {shows: `Victim EHR of {site}`},
	"GET /api/v1/people":                            {shows: `Known of {site}`},
	"GET /api/v1/quality":                           {query: `site={site}`},
	"GET /audit/entries":                            {query: `what=patient.view`},
	"GET /banner":                                   {plain: true},
	"GET /devices":                                  {shows: `Fridge {unit}`},
	"GET /enrolments":                               {shows: `Clinic {site}`},
	"GET /import":                                   {shows: `{import}`},
	"GET /live":                                     {plain: true},
	"GET /lots":                                     {shows: `{number}`},
	"GET /lots/not-deducted":                        {query: `site={site}`},
	"GET /api/v1/exchange/not-deducted":             {query: `site={site}`},
	"GET /quality":                                  {query: `site={site}`},
	"GET /vis/report":                               {query: `site={site}`},
	"GET /vis/report.csv":                           {query: `site={site}`},
	"GET /api/v1/vis/report":                        {query: `site={site}&from={today}&to={today}`},
	"GET /quality.csv":                              {query: `site={site}`},
	"GET /trail":                                    {shows: `Fridge {unit}`},
	"GET /units":                                    {shows: `Fridge {unit}`},
	"POST /account/site":                            {body: `site={site}`},
	"POST /admin/interfaces":                        {body: `name=&site={site}&scope=records`},
	"POST /admin/interfaces/:id/keys":               {body: `key=ssh-ed25519+AAAAC3NzaC1lZDI1NTE5AAAAIB4kY9XPmvI5d3cM4Y1G4VnE5p1b0gC5mYy9Jd3Xw2oN`},
	"POST /admin/people":                            {body: `name=&username=&role=nurse&site={site}`},
	"POST /admin/people/:id":                        {body: `active=yes&role=view-only&site={site}`, fresh: "person"},
	"POST /admin/people/:id/leave":                  {body: `active=yes&role=view-only&site={site}`, fresh: "person"},
	"POST /admin/people/:id/reset":                  {body: `active=yes&role=view-only&site={site}`, fresh: "person"},
	"POST /admin/people/:id/role":                   {body: `active=yes&role=view-only&site={site}`, fresh: "person"},
	"POST /admin/people/:id/second-factor":          {body: `active=yes&role=view-only&site={site}`, fresh: "person"},
	"POST /admin/sites/:site/calibrations":          {body: `agent=&probe=&correction=0.1`},
	"POST /admin/sites/:site/devices":               {body: `agent=`},
	"POST /admin/sites/:site/on-call":               {body: `repeat=0&webhooks=nothing`},
	"POST /admin/sites/:site/probes":                {body: `agent=pi-1&probe=p&unit={unit}&role=none`},
	"POST /admin/sites/:site/probes/end":            {body: `agent=pi-1&probe=p&unit={unit}&from={now}&to=2020-01-01T00:00`},
	"POST /admin/sites/:site/units":                 {body: `id=&name=`},
	"POST /admin/sites/:site/units/:id/limits":      {body: `low=3&high=7&scale=C`},
	"POST /admin/sites/:site/units/:id/profile":     {body: `profile=cdc`},
	"POST /admin/sites/:site/units/:id/service":     {body: `in_service=yes&in=yes`},
	"POST /alerts/:id/acknowledge":                  {body: `note=seen`},
	"POST /api/v1/appliance-status":                 {body: `[]`},
	"POST /api/v1/appliances/:id/contexts":          {body: `{"kind":"none"}`},
	"POST /api/v1/appliances/:id/limits":            {body: `{}`},
	"POST /api/v1/appliances/:id/profile":           {body: `{"profile":"cdc"}`},
	"POST /api/v1/appliances/:id/service":           {body: `{"in_service":true}`},
	"POST /api/v1/applications/:id/refuse":          {body: reasonJSON},
	"POST /api/v1/assignments":                      {body: `{"site":"{site}","agent":"","probe":"p","appliance":"{unit}"}`},
	"POST /api/v1/assignments/end":                  {body: `{"site":"{site}","agent":"pi-1","probe":"p","appliance":"{unit}","from":"2020-01-01T00:00:00Z","to":"2019-01-01T00:00:00Z"}`},
	"POST /api/v1/calibrations":                     {body: `{"site":"{site}","agent":"","probe":"p"}`},
	"POST /api/v1/doses/:id":                        {body: `{"kind":"historical","cvx":"21","date":"2999-01-01","source":"02","revision":99,"why":"test"}`},
	"POST /api/v1/doses/:id/delete":                 {body: reasonJSON},
	"POST /api/v1/exemptions/:id/end":               {body: reasonJSON},
	"POST /api/v1/facts/:id/end":                    {body: reasonJSON},
	"POST /api/v1/forecast":                         {body: `{"dob":"2024-01-01"}`},
	"POST /api/v1/holds":                            {body: `{"id":"q","excursion":"q","appliance":"nothing","since":"2026-01-01T00:00:00Z","reason":"r"}`},
	"POST /api/v1/holds/:id/proposal":               {body: `{"action":"release","reason":"r"}`, plain: true},
	"POST /api/v1/patients/:id":                     {body: `{"revision":99,"names":[{"kind":"L","family":"Brandt","given":"Mila"}],"birth":"2019-04-02","sex":"F"}`},
	"POST /api/v1/patients/:id/doses":               {body: `{"kind":"historical","cvx":"21","date":"2999-01-01","source":"02"}`},
	"POST /api/v1/patients/:id/emergency":           {body: reasonJSON, last: true},
	"POST /api/v1/patients/:id/exemptions":          {body: `{"kind":"medical","vaccine_groups":["Polio"],"from":"{today}","signer":"Dr. Lund","source":"Form"}`},
	"POST /api/v1/patients/:id/facts":               {body: `{"kind":"immunity","code":"{immunity}","basis":"titre"}`},
	"POST /api/v1/patients/:id/lock":                {body: signedJSON, fresh: "patient"},
	"POST /api/v1/patients/:id/merge":               {body: `{"into":"{patient}","why":"a good reason"}`, plain: true},
	"POST /api/v1/patients/:id/status":              {body: `{"site":"lakeside","standing":"active"}`, fresh: "patient"},
	"POST /api/v1/patients/:id/unlock":              {body: signedJSON, fresh: "patient"},
	"POST /api/v1/people":                           {body: `{"name":"","username":"","password":"x","role":"nurse","site":"{site}"}`},
	"POST /api/v1/people/:id/active":                {body: `{"active":true}`, fresh: "person"},
	"POST /api/v1/people/:id/role":                  {body: `{"role":"view-only","site":"{site}"}`, fresh: "person"},
	"POST /api/v1/temperature-log/intervals":        {body: `[]`},
	"POST /devices/claims/accept":                   {body: `code={code}&site={site}&agent=pi-9`, gone: "There is no device"},
	"POST /devices/claims/refuse":                   {body: `code={code}`},
	"POST /enrolments/:id/refuse":                   {body: reasonForm},
	"POST /enrolments/sites/:site/end":              {body: `until=2031-01-01`},
	"POST /holds/:id/lots/:lot":                     {body: `outcome=released&reason=a+good+reason`, last: true},
	"POST /lots":                                    {body: `unit={spare}&number=N&product=P&cvx=03&doses=-1&funding=public`},
	"POST /lots/:id/budget":                         {body: `source=&warm=&cold=`},
	"POST /lots/:id/doses":                          {body: `doses=100&reason=counted`},
	"POST /lots/:id/move":                           {body: `unit={spare}`},
	"POST /patients/:id/doses":                      {body: historical},
	"POST /patients/:id/doses/:dose":                {body: historical},
	"POST /patients/:id/doses/:dose/delete":         {body: reasonForm},
	"POST /patients/:id/doses/:dose/distinct":       {body: reasonForm},
	"POST /patients/:id/edit":                       {body: demography},
	"POST /patients/:id/emergency":                  {body: reasonForm, last: true},
	"POST /patients/:id/exemptions":                 {body: `kind=medical&group=Polio&from={today}&signer=Dr.+Lund&source=Form`},
	"POST /patients/:id/exemptions/:exemption/end":  {body: reasonForm},
	"POST /patients/:id/facts":                      {body: `kind=immunity&code={immunity}&basis=titre`},
	"POST /patients/:id/facts/:fact/end":            {body: reasonForm},
	"POST /patients/:id/lock":                       {body: signedForm, fresh: "patient"},
	"POST /patients/:id/reactions":                  {body: `dose={none}&event=Fever&result=none`},
	"POST /patients/:id/reactions/:reaction/end":    {body: reasonForm},
	"POST /patients/:id/standing":                   {body: `site=lakeside&standing=active`, fresh: "patient"},
	"POST /patients/:id/unlock":                     {body: signedForm, fresh: "patient"},
	"POST /proposals/:id":                           {body: `answer=accept&reason=a+good+reason`, last: true},
	"POST /signout":                                 {last: true},
	"POST /units/:id/acknowledge":                   {body: `note=seen&alert={alert}`},
	"POST /units/:id/contexts":                      {body: `kind=none`},

	// Coverage.
	"GET /coverage":                                  {shows: `/coverage/runs/{assessment}`},
	"GET /coverage/runs/:id/missing":                 {query: `measure=cis-3`},
	"GET /api/v1/coverage/runs":                      {shows: `{assessment}`},
	"GET /api/v1/coverage/runs/:id/missing":          {query: `measure=cis-3`},
	"POST /coverage":                                 {body: `site={site}&measure=cis-3&day=2999-01-01`},
	"POST /api/v1/coverage/runs":                     {body: `{"site":"{site}","measures":["cis-3"],"day":"2999-01-01"}`},
	"POST /coverage/measures":                        {body: `id=`},
	"POST /coverage/measures/:measure/retire":        {plain: true},
	"POST /api/v1/coverage/measures/:measure/retire": {plain: true},
	"POST /coverage/smallest":                        {body: `n=0&why=none`},
	"POST /api/v1/coverage/smallest":                 {body: `{"n":0,"why":"none"}`},
}

// Rows of the table beyond one for each route.
var variants = map[string]string{
	"POST /patients/:id/doses/:dose (told of)": "told",
	"POST /api/v1/doses/:id (told of)":         "told",
	// To say that a dose which was called spoilt counts is a decision about a hold.
	"POST /patients/:id/doses/:dose/trust (counts)": "dose",
}

// openTo are the beginnings of what nobody needs to sign in for: a wrong password is no
// refusal of the route.
var openTo = []string{"/signin", "/verify", "/setup", "/apply", "/static/", "/api/openapi.json", "/api/v1/devices/claims", "/fhir/metadata", "/stop/"}

func isOpen(path string) bool {
	return slices.ContainsFunc(openTo, func(p string) bool { return strings.HasPrefix(path, p) })
}

// ofPatient reports whether a route opens one patient's record.
func ofPatient(path string) bool {
	for _, p := range []string{"/patients/:id", "/api/v1/patients/:id", "/api/v1/doses/:id", "/api/v1/facts/:id", "/api/v1/exemptions/:id", "/api/v1/reactions/:id", "/fhir/Patient/:id", "/fhir/Immunization/:id", "/fhir/Immunization/_search",
		"/fhir/ImmunizationRecommendation/:id", "/fhir/ImmunizationRecommendation/_search"} {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

var param = regexp.MustCompile(`[:*]([a-z]+)`)

// template writes a route's path with the words for what it names.
func template(path string) string {
	of := ""
	for _, p := range [][2]string{{"/admin/sites/:site/units/", "unit"}, {"/units/", "unit"}, {"/api/v1/appliances/", "unit"}, {"/alerts/", "alert"}, {"/lots/", "lot"}, {"/holds/", "hold"}, {"/api/v1/holds/", "hold"},
		{"/proposals/", "proposal"}, {"/admin/people/", "person"}, {"/api/v1/people/", "person"}, {"/admin/interfaces/", "account"}, {"/api/v1/interface-accounts/", "account"},
		{"/recalls/", "run"}, {"/api/v1/recalls/", "run"}, {"/cold-recalls/", "cold"}, {"/api/v1/cold-recalls/", "cold"},
		{"/enrolments/", "application"}, {"/api/v1/applications/", "application"}, {"/import/", "import"}, {"/api/v1/contexts/", "context"}, {"/patients/", "patient"}, {"/api/v1/patients/", "patient"},
		{"/audit/patients/", "patient"}, {"/api/v1/audit/patients/", "patient"}, {"/api/v1/doses/", "dose"}, {"/api/v1/facts/", "fact"}, {"/api/v1/exemptions/", "exemption"}, {"/api/v1/reactions/", "reaction"}, {"/api/v1/lots/", "lot"}, {"/api/v1/imports/", "import"},
		{"/exchange/messages/", "message"}, {"/exchange/files/", "file"}, {"/exchange/senders/", "account"}, {"/api/v1/exchange/messages/", "message"}, {"/api/v1/exchange/files/", "file"}, {"/api/v1/exchange/senders/", "account"},
		{"/coverage/runs/", "assessment"}, {"/api/v1/coverage/runs/", "assessment"}, {"/fhir/Patient/", "patient"}, {"/fhir/Immunization/", "dose"}, {"/fhir/ImmunizationRecommendation/", "patient"}} {
		if strings.HasPrefix(path, p[0]) {
			of = p[1]
			break
		}
	}
	return param.ReplaceAllStringFunc(path, func(name string) string {
		switch name = name[1:]; {
		case name == "id":
			return "{" + cmp.Or(of, "none") + "}"
		case name == "lot" && strings.Contains(path, "/holds/"):
			return "{held}"
		case name == "dose" && strings.Contains(path, "/not-deducted/"):
			return "{waiting}"
		case name == "path":
			return "nothing.css"
		}
		return "{" + name + "}"
	})
}

var word = regexp.MustCompile(`\{([a-z]+)\}`)

func fill(s string, o things) string {
	return word.ReplaceAllStringFunc(s, func(w string) string {
		if v, ok := o[w[1:len(w)-1]]; ok {
			return v
		}
		return w
	})
}

// outcome of a request.
const (
	allowed = "allowed"
	masked  = "masked"
	refused = "refused"
	locked  = "locked"
)

// row is a line of the table.
type row struct {
	key    string // "METHOD /path", perhaps with " (words)"
	method string
	path   string
	call   call
	// situations that the route knows: 1 when it concerns no practice, 2, or 5 of a patient
	of int
}

func newRow(key string) row {
	route, _, _ := strings.Cut(key, " (")
	method, path, _ := strings.Cut(route, " ")
	r := row{key: key, method: method, path: path, call: calls[route]}
	if c, ok := calls[key]; ok {
		r.call = c
	}
	r.call.words = variants[key]
	switch t := template(path) + r.call.body + r.call.query + r.call.shows; {
	case r.call.plain || isOpen(path):
		r.of = 1
	case ofPatient(path):
		r.of = 5
	case slices.ContainsFunc(word.FindAllString(t, -1), func(w string) bool {
		return !slices.Contains([]string{"{none}", "{kind}", "{code}", "{today}", "{now}", "{a}", "{b}"}, w)
	}):
		r.of = 2
	default:
		r.of = 1
	}
	return r
}

// try runs a row for somebody in a situation.
func (w *world) try(v *visitor, r *row, i int) string {
	o := w.things[i]
	switch r.call.fresh {
	case "person":
		o = with(o, things{"person": w.person(situations[i].site, "Known of "+o["site"])})
	case "patient":
		o = with(o, w.patientOf(i, false))
		if situations[i].found && v.id != "" {
			w.find(v.id, o["patient"])
		}
	}
	t, path := w.t, template(r.path)
	if r.call.words != "" {
		path = strings.ReplaceAll(path, "{dose}", "{"+r.call.words+"}")
	}
	path = fill(path, o)
	if r.call.query != "" {
		path += "?" + fill(r.call.query, o)
	}
	body := r.call.body
	if body == "" && r.method == "POST" && strings.HasPrefix(path, "/api/") {
		body = "{}"
	}
	before := w.lastEntry()
	got := v.do(t, r.method, path, fill(body, o))
	if r.method == "GET" && got.status == 303 && strings.HasPrefix(got.location, "/") && !strings.HasPrefix(got.location, "/signin") {
		got = v.do(t, "GET", got.location, "")
	}
	out := w.judge(v, r, o, got)
	where := fmt.Sprintf("%s for %s, %s", r.key, v.name, situations[i].name)
	if got.status >= 500 && got.status != 503 && r.path != "/soap/iis" { // where every fault has 500
		t.Errorf("%s: %d %s", where, got.status, got.body)
	}
	w.leaks(where, v, r, out, got)
	if r.of == 5 && v.id != "" && (out == refused || out == locked) && !w.noted(before, v.id, o["patient"]) && !(v.token != "" && !strings.HasPrefix(r.path, "/api/") && !strings.HasPrefix(r.path, "/fhir/")) {
		t.Errorf("%s: %s, and the trail does not say so", where, out)
	}
	return out
}

func (w *world) judge(v *visitor, r *row, o things, got reply) string {
	switch {
	case isOpen(r.path):
		if got.status == 403 || strings.Contains(got.body, "Sign in first") {
			return refused
		}
		return allowed
	case strings.Contains(got.body, "<SecurityFault "), got.status == 401 || r.method == "GET" && got.status == 303 && strings.HasPrefix(got.location, "/signin"):
		return refused
	case got.status == 403 && strings.Contains(got.body, "This record is locked"):
		return locked
	case got.status == 403 || got.status == 404 && r.of == 2 && (r.call.gone == "" || !strings.Contains(got.body, r.call.gone)):
		return refused
	case r.call.shows != "" && !strings.Contains(got.body, fill(r.call.shows, o)):
		return refused
	case r.of == 5 && r.method == "GET" && v.name == string(auth.School):
		return masked // leaks looks at what is in it
	case (strings.HasSuffix(r.path, "/patients/:id") || r.path == "/fhir/Patient/:id") && r.of == 5 && r.method == "GET" && !strings.Contains(got.body, "5550142") && !strings.Contains(got.body, "555-0142"):
		return masked
	}
	return allowed
}

// leaks looks for what an answer must not have in it.
func (w *world) leaks(where string, v *visitor, r *row, out string, got reply) {
	not := func(words ...string) {
		for _, s := range words {
			if strings.Contains(got.body, s) {
				w.t.Errorf("%s (%s) shows %q", where, out, s)
			}
		}
	}
	switch {
	case r.of == 5 && (out == refused || out == locked):
		not(append([]string{familyName}, recordSecrets...)...)
	case v.name == string(auth.School):
		not(recordSecrets...)
	case slices.Contains([]string{string(auth.StateEpi), string(auth.VFCCoordinator), string(auth.Auditor), auth.ScopeCollector, auth.ScopeUnits, "nobody"}, v.name):
		not(append([]string{familyName}, recordSecrets[:4]...)...)
	}
}

// lastEntry is the place of the trail's last entry, and noted whether somebody's about a
// patient has come after it.
func (w *world) lastEntry() (n int64) {
	w.t.Helper()
	w.must(w.db.QueryRowContext(w.t.Context(), "SELECT COALESCE(max(rowid), 0) FROM audit").Scan(&n))
	return n
}

func (w *world) noted(after int64, who, id string) bool {
	w.t.Helper()
	var n int
	w.must(w.db.QueryRowContext(w.t.Context(), "SELECT count(*) FROM audit WHERE rowid > $1 AND who_id = $2 AND subject = $3", after, who, "patient/"+id).Scan(&n))
	return n > 0
}

// page is the written policy.
type page struct {
	columns []string
	words   map[string][]string // a word's outcomes in the five situations
	rows    map[string][]string // a route's words by column
	what    map[string]string
}

// readPage reads the tables out of docs/permissions.md.
func readPage(t *testing.T) page {
	t.Helper()
	b, err := os.ReadFile(policyPage)
	if err != nil {
		t.Fatal(err)
	}
	p := page{words: map[string][]string{}, rows: map[string][]string{}, what: map[string]string{}}
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		switch {
		case cells[0] == "route":
			p.columns = cells[2:]
		case regexp.MustCompile(`^(GET|POST) /`).MatchString(cells[0]):
			if p.rows[cells[0]] != nil {
				t.Errorf("%s is in the table twice", cells[0])
			}
			p.rows[cells[0]], p.what[cells[0]] = cells[2:], cells[1]
		case len(cells) == 6 && slices.Contains([]string{allowed, masked, refused}, cells[1]):
			p.words[cells[0]] = cells[1:]
		}
	}
	return p
}

// Every route of the screens and the API answers everybody as docs/permissions.md says, and
// every one is in it.
func TestPolicy(t *testing.T) {
	w := newWorld(t)
	p := readPage(t)
	keys := w.registry.Routes()
	for k := range variants {
		keys = append(keys, k)
	}
	for i, v := range w.visitors {
		if i >= len(p.columns) || p.columns[i] != v.name {
			t.Fatalf("columns of %s: %v, want %s at %d", policyPage, p.columns, v.name, i)
		}
	}
	for k := range p.rows {
		if !slices.Contains(keys, k) {
			t.Errorf("%s has a row for %s, which is no route", policyPage, k)
		}
	}
	slices.Sort(keys)
	slices.SortStableFunc(keys, func(a, b string) int {
		rank := map[bool]int{true: 1}
		return cmp.Compare(rank[newRow(a).call.last], rank[newRow(b).call.last])
	})
	checks := 0
	var draft strings.Builder
	for _, k := range keys {
		r := newRow(k)
		says, wrong := p.rows[k], false
		line := "| `" + k + "` | " + p.what[k] + " |"
		for c, v := range w.visitors {
			var got []string
			for i := range r.of {
				got = append(got, w.try(v, &r, i))
				checks++
			}
			if c >= len(says) || len(p.words[says[c]]) < r.of || !slices.Equal(p.words[says[c]][:r.of], got) {
				wrong = true
				if c < len(says) {
					t.Errorf("%s for %s is %q on the page, and it is %v", k, v.name, says[c], got)
				}
			}
			line += " " + p.word(got) + " |"
		}
		if wrong || len(says) != len(w.visitors) {
			t.Errorf("%s: the page and the registry differ; the registry does:\n%s", k, line)
		}
		draft.WriteString(line + "\n")
	}
	t.Logf("%d routes, %d checks", len(keys), checks)
	if to := os.Getenv("COLDKEEP_POLICY_DRAFT"); to != "" {
		w.must(os.WriteFile(to, []byte(draft.String()), 0o600))
	}
}

// word is the page's for outcomes, or the outcomes when it has none.
func (p *page) word(got []string) string {
	for _, w := range []string{"yes", "all", "any", "open", "mask", "own", "–"} {
		if of := p.words[w]; len(of) >= len(got) && slices.Equal(of[:len(got)], got) && (w == "yes") == (len(got) == 1 && got[0] == allowed) {
			return w
		}
	}
	return "?" + strings.Join(got, "/")
}
