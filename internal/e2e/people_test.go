package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Sizes of the screens that people have: a laptop at the desk, a telephone.
var screens = []struct {
	name          string
	width, height int64
}{{"desk", 1024, 768}, {"phone", 390, 844}}

// enter signs a person in, after whoever sat there before.
func (d demo) enter(t *testing.T, ctx context.Context, username string) {
	t.Helper()
	do(t, ctx, "sign in as "+username, chromedp.Navigate(d.URL+"/signin"), chromedp.WaitVisible(`main`))
	if out, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`!document.querySelector("input[name=username]")`)); err != nil {
		t.Fatal(err)
	} else if out {
		do(t, ctx, "sign out", chromedp.Click(`form.who button`), chromedp.WaitVisible(`input[name=username]`))
	}
	do(t, ctx, "sign in as "+username, chromedp.SendKeys(`input[name=username]`, username), chromedp.SendKeys(`input[name=password]`, d.password(t, username)),
		chromedp.Click(`main button`), chromedp.WaitVisible(`.who a`))
}

// look checks the page that is open: axe finds nothing, and it fits on the screen.
func look(t *testing.T, ctx context.Context, page string) {
	t.Helper()
	accessible(t, ctx, page)
	wide, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > document.documentElement.clientWidth`))
	if err != nil {
		t.Fatal(err)
	}
	if wide {
		which, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`Array.from(document.querySelectorAll("body *")).filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth).map(e => e.outerHTML.slice(0, 120))`))
		t.Errorf("%s is wider than the screen: %q %v", page, which, err)
	}
}

// set fills in a field, of a date too, whose keys depend on the browser's language.
func set(selector, value string) chromedp.Action[chromedp.Void] {
	return chromedp.SetValue(selector, value)
}

// search is what is typed at the desk.
func search(t *testing.T, ctx context.Context, d demo, family, given, birth string) {
	t.Helper()
	do(t, ctx, "search", chromedp.Navigate(d.URL+"/patients"), chromedp.WaitVisible(`form.search`),
		set(`form.search input[name=family]`, family), set(`form.search input[name=given]`, given), set(`form.search input[name=birth]`, birth),
		chromedp.Click(`form.search button`), chromedp.WaitVisible(`#h-found`))
}

// address is the path of the page that is open.
func address(t *testing.T, ctx context.Context) string {
	t.Helper()
	at, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.pathname`))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// source is the whole page as the browser has it.
func source(t *testing.T, ctx context.Context) string {
	t.Helper()
	html, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.documentElement.outerHTML`))
	if err != nil {
		t.Fatal(err)
	}
	return html
}

// child is a patient of the demo, as the practice's nurse finds it by its number: the
// demo's children are born so many months before it starts.
type child struct{ path, family, given, birth string }

var patientPath = regexp.MustCompile(`/patients/[0-9A-Z]{26}`)

func (d demo) child(t *testing.T, nurse *browser, number, family, given string) child {
	t.Helper()
	found := nurse.post("/patients/search", url.Values{"way": {"number"}, "id_kind": {"MR"}, "id_value": {number}})
	c := child{family: family, given: given}
	for _, a := range find(found, "a", "") {
		for _, attr := range a.Attr {
			if attr.Key == "href" && patientPath.MatchString(attr.Val) {
				c.path = patientPath.FindString(attr.Val)
			}
		}
	}
	for _, cell := range find(found, "td", "nowrap") {
		if born, err := time.Parse("Jan 2, 2006", text(cell)); err == nil {
			c.birth = born.Format(time.DateOnly)
		}
	}
	if c.path == "" || c.birth == "" {
		t.Fatalf("the demo's patient %s is not found: %+v", number, c)
	}
	return c
}

// TestPeople is a day in the registry: a child is found at the desk and gets a dose, a
// school asks what is missing, another practice meets a locked record and opens it in an
// emergency, and the auditor sees who looked.
func TestPeople(t *testing.T) {
	d := startDemo(t)
	nurse := signIn(t, d.URL, "marcus", d.password(t, "marcus"))
	diego := d.child(t, nurse, "1005", "Garcia Lopez", "Diego")
	aiden := d.child(t, nurse, "1016", "Whitehorse", "Aiden")
	given := map[string]string{"desk": "MMR", "phone": "Pneumococcal"} // of each screen another dose
	for _, screen := range screens {
		t.Run(screen.name, func(t *testing.T) {
			ctx := chromium(t, screen.width, screen.height)
			frontDesk(t, ctx, d, diego)
			recordDose(t, ctx, d, diego, given[screen.name])
			school(t, ctx, d, diego)
			lockedElsewhere(t, ctx, d, aiden)
			auditor(t, ctx, d, aiden)
			if screen.name == "desk" {
				affected(t, ctx, d, diego)
			}
		})
	}
}

// The front desk begins with the search, and finds a child by name and birth date.
func frontDesk(t *testing.T, ctx context.Context, d demo, c child) {
	d.enter(t, ctx, "joan")
	if at := address(t, ctx); at != "/patients" {
		t.Errorf("the front desk begins at %s", at)
	}
	look(t, ctx, "the search")
	search(t, ctx, d, "Gar", "Di", "2001-01-01")
	visible(t, ctx, "nobody is found by a wrong date", "main", "Nobody fits")
	look(t, ctx, "a search without result")
	search(t, ctx, d, c.family, c.given, c.birth)
	look(t, ctx, "a search with a result")
	if at := address(t, ctx); at != "/patients/search" {
		t.Errorf("what was searched for is in the address: %s", at)
	}
	do(t, ctx, "open the record", chromedp.Click(`main tbody th a`), chromedp.WaitVisible(`.due-list`))
	visible(t, ctx, "what is overdue is on the first page", ".due-list", "Overdue")
	look(t, ctx, "the record")
	if strings.Contains(source(t, ctx), "Give a dose") {
		t.Error("the front desk is offered to give a dose")
	}
	for _, page := range []string{"/edit", "/opt-out", "/immunizations"} {
		do(t, ctx, page, chromedp.Navigate(d.URL+c.path+page), chromedp.WaitVisible(`main h1`))
		look(t, ctx, "the record's "+page)
	}
}

// shots names a picture by the screen it is of.
func shots(t *testing.T, name string) string {
	if strings.HasSuffix(t.Name(), "/phone") {
		return name + "-phone"
	}
	return name
}

// dueRow is the row of a vaccine group on a patient's page.
const dueRow = `Array.from(document.querySelectorAll("section[aria-labelledby=h-due] tbody th")).filter(e => e.innerText.startsWith(%q)).length`

// The nurse gives a dose from a lot that may be used, and the forecast no longer asks for
// it.
func recordDose(t *testing.T, ctx context.Context, d demo, c child, group string) {
	d.enter(t, ctx, "marcus")
	search(t, ctx, d, c.family, c.given, c.birth)
	do(t, ctx, "open the record", chromedp.Click(`main tbody th a`), chromedp.WaitVisible(`.due-list`))
	shot(t, ctx, shots(t, "13-patient"))
	do(t, ctx, "its immunizations", chromedp.Navigate(d.URL+c.path+"/immunizations"), chromedp.WaitVisible(`#h-due`))
	if n, err := chromedp.Run(ctx, chromedp.Evaluate[int](fmt.Sprintf(dueRow, group))); err != nil || n != 1 {
		t.Fatalf("%s is due %d times: %v", group, n, err)
	}
	look(t, ctx, "immunizations")
	do(t, ctx, "choose a lot", chromedp.Navigate(d.URL+c.path+"/doses/new?group="+url.QueryEscape(group)), chromedp.WaitVisible(`#h-pick`))
	look(t, ctx, "the choice of a lot")
	do(t, ctx, "take the first", chromedp.Click(`main tbody a.button`), chromedp.WaitVisible(`select[name=eligibility]`),
		set(`select[name=eligibility]`, "V02"))
	look(t, ctx, "a dose's form")
	shot(t, ctx, shots(t, "14-record-a-dose"))
	do(t, ctx, "record it", chromedp.Click(`main form.grid button.strong`), chromedp.WaitVisible(`.flash`))
	visible(t, ctx, "it is on the record", ".flash", "The dose is on the record")
	if n, err := chromedp.Run(ctx, chromedp.Evaluate[int](fmt.Sprintf(dueRow, group))); err != nil || n != 0 {
		t.Errorf("%s is still due after its dose (%d rows): %v", group, n, err)
	}
	visible(t, ctx, "the dose counts", "section[aria-labelledby=h-history]", "Lakeside Family Clinic")
	look(t, ctx, "immunizations after a dose")
	for name, page := range map[string]string{"a historical dose": "/doses/new?kind=historical", "an adverse event": "/reactions/new", "the reasons": "/immunizations/why"} {
		do(t, ctx, name, chromedp.Navigate(d.URL+c.path+page), chromedp.WaitVisible(`main h1`))
		look(t, ctx, name)
	}
	dose := `Array.from(document.querySelectorAll("a[href*='/doses/']")).map(a => a.closest("tr")).find(r => r && r.innerText.includes("Lakeside")).querySelector("a").href`
	do(t, ctx, "immunizations", chromedp.Navigate(d.URL+c.path+"/immunizations"), chromedp.WaitVisible(`#h-due`))
	href, err := chromedp.Run(ctx, chromedp.Evaluate[string](dose))
	if err != nil {
		t.Fatal(err)
	}
	do(t, ctx, "the dose", chromedp.Navigate(href), chromedp.WaitVisible(`#h-trust`))
	look(t, ctx, "a dose")
	trust := `section[aria-labelledby=h-trust] `
	do(t, ctx, "it was drawn from a warm vial", set(trust+`input[name=spoilt]`, "Left on the counter"), set(trust+`input[name=why]`, "Found after the visit"),
		chromedp.Click(trust+`button`), chromedp.WaitVisible(`.flash`))
	visible(t, ctx, "the dose does not count", ".notice-warning", "does not count")
	look(t, ctx, "a dose that does not count")
	// That it counts after all is said by who decides about holds, and a nurse does not.
	if n, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll("`+strings.TrimSpace(trust)+` button").length`)); err != nil || n != 0 {
		t.Errorf("a nurse may say that the dose counts after all (%d buttons): %v", n, err)
	}
	d.enter(t, ctx, "dana")
	do(t, ctx, "it was another vial", chromedp.Navigate(href), chromedp.WaitVisible(`#h-trust`), set(trust+`input[name=why]`, "It was the other vial"), chromedp.Click(trust+`button`), chromedp.WaitVisible(trust+`input[name=spoilt]`))
	visible(t, ctx, "it counts again", ".flash", "counts again")
}

// A school sees who the child is and what is missing: no address, telephone, guardian,
// lot, maker or provider is anywhere in what its browser is sent.
func school(t *testing.T, ctx context.Context, d demo, c child) {
	d.enter(t, ctx, "grace")
	search(t, ctx, d, c.family, c.given, c.birth)
	pages := []string{source(t, ctx)}
	do(t, ctx, "open the child", chromedp.Click(`main tbody th a`), chromedp.WaitVisible(`main a.button.strong`))
	look(t, ctx, "a child for a school")
	pages = append(pages, source(t, ctx))
	do(t, ctx, "its status", chromedp.Click(`main a.button.strong`), chromedp.WaitVisible(`#h-exemptions`))
	visible(t, ctx, "what is overdue", "main tbody", "Overdue")
	look(t, ctx, "the status for a school")
	pages = append(pages, source(t, ctx))
	do(t, ctx, "the doses", chromedp.Navigate(d.URL+c.path+"/immunizations"), chromedp.WaitVisible(`#h-exemptions`)) // leads to the status
	pages = append(pages, source(t, ctx))
	for _, page := range []string{"/edit", "/opt-out", "/doses/new", "/reactions/new"} {
		do(t, ctx, page, chromedp.Navigate(d.URL+c.path+page), chromedp.WaitVisible(`main h1`))
		visible(t, ctx, page+" is refused", "main h1", "Not allowed")
		pages = append(pages, source(t, ctx))
	}
	for i, html := range pages {
		for _, secret := range []string{"Sheridan", "60085", "555-0102", "2245550102", "Elena Garcia", "Mateo", "1005", "DM4207A", "Lakeside", "Before Coldkeep", "SKB", "MSD", "Marcus"} {
			// A short one may stand inside an id or a token by chance: it is looked for as a word.
			short := len(secret) < 5 && !regexp.MustCompile(`\b`+secret+`\b`).MatchString(html)
			if strings.Contains(html, secret) && !short {
				t.Errorf("page %d that a school is sent has %q", i, secret)
			}
		}
	}
}

// Another practice meets a locked record, and a nurse opens it in an emergency: for
// viewing, with a reason that the state reads.
func lockedElsewhere(t *testing.T, ctx context.Context, d demo, c child) {
	d.enter(t, ctx, "nadia")
	search(t, ctx, d, c.family, c.given, c.birth)
	visible(t, ctx, "a locked record exists", "main", "locked record")
	look(t, ctx, "a search that finds a locked record")
	for _, secret := range []string{"Green Bay", "June", "Talia"} {
		if strings.Contains(source(t, ctx), secret) {
			t.Errorf("the search tells %q of a locked record", secret)
		}
	}
	opened, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`fetch(`+fmt.Sprintf("%q", c.path)+`).then(r => r.ok)`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	if !opened { // on the second screen the nurse's hour is not over
		do(t, ctx, "open it", chromedp.Navigate(d.URL+c.path), chromedp.WaitVisible(`main h1`))
		visible(t, ctx, "it is locked", "main h1", "locked")
		look(t, ctx, "a locked record")
		do(t, ctx, "its doses", chromedp.Navigate(d.URL+c.path+"/immunizations"), chromedp.WaitVisible(`main h1`))
		visible(t, ctx, "they are locked", "main h1", "locked")
		if html := source(t, ctx); strings.Contains(html, c.family) || strings.Contains(html, c.given) {
			t.Error("a locked record tells its name")
		}
	}
	do(t, ctx, "the emergency", chromedp.Navigate(d.URL+c.path+"/emergency"), chromedp.WaitVisible(`textarea`))
	look(t, ctx, "an emergency")
	if opened {
		return
	}
	do(t, ctx, "open it in an emergency", chromedp.SendKeys(`textarea`, "Bitten by a dog, needs the tetanus history"), chromedp.Click(`main form button`), chromedp.WaitVisible(`#h-who`))
	visible(t, ctx, "it says that it is locked", ".notice-warning", "This record is locked")
	look(t, ctx, "a locked record in an emergency")
}

// The auditor sees who looked at a record, and the emergency with its reason.
func auditor(t *testing.T, ctx context.Context, d demo, c child) {
	d.enter(t, ctx, "walter")
	look(t, ctx, "the audit")
	do(t, ctx, "entries", chromedp.Navigate(d.URL+"/audit/entries?who=nadia"), chromedp.WaitVisible(`#h-found`))
	look(t, ctx, "entries of the audit")
	do(t, ctx, "who looked", chromedp.Navigate(d.URL+"/audit"+c.path), chromedp.WaitVisible(`main table`))
	visible(t, ctx, "the nurse of the other practice", "main tbody", "Nadia Rahman")
	visible(t, ctx, "the reason", "main tbody", "Bitten by a dog")
	look(t, ctx, "who looked at a record")
	if html := source(t, ctx); strings.Contains(html, c.family) {
		t.Error("the audit tells a patient's name")
	}
	do(t, ctx, "emergencies", chromedp.Navigate(d.URL+"/emergencies"), chromedp.WaitVisible(`main article`))
	visible(t, ctx, "the emergency", "main article", "Bitten by a dog")
	look(t, ctx, "emergencies")
	do(t, ctx, "trail", chromedp.Navigate(d.URL+"/trail"), chromedp.WaitVisible(`main h1`))
	look(t, ctx, "the trail")
}

// A hold leads to the patients who got doses from the lot.
func affected(t *testing.T, ctx context.Context, d demo, c child) {
	d.enter(t, ctx, "marcus")
	eventually(t, 90*time.Second, "lots on hold", func() error {
		do(t, ctx, "lots", chromedp.Navigate(d.URL+"/lots"), chromedp.WaitVisible(`main h1`))
		n, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll("article.hold tbody tr").length`))
		if err == nil && n == 0 {
			err = errors.New("none yet")
		}
		return err
	})
	// A dose that was given before anybody knew: the form warns, and wants a reason.
	do(t, ctx, "a lot on hold", chromedp.Navigate(d.URL+c.path+"/doses/new"), chromedp.WaitVisible(`tr.greyed a`), chromedp.Click(`tr.greyed a`), chromedp.WaitVisible(`select[name=eligibility]`),
		set(`select[name=eligibility]`, "V02"), chromedp.Click(`main form.grid button.strong`), chromedp.WaitVisible(`#warnings`))
	visible(t, ctx, "the hold is named", "#warnings", "on hold")
	look(t, ctx, "a dose from a lot on hold")
	do(t, ctx, "it was given already", chromedp.Click(`#warnings input[name=confirm]`), set(`#warnings input[name=confirm_why]`, "Given before the alarm"),
		chromedp.Click(`main form.grid button.strong`), chromedp.WaitVisible(`.flash`))
	do(t, ctx, "lots", chromedp.Navigate(d.URL+"/lots"), chromedp.WaitVisible(`article.hold a[href*='/doses']`), chromedp.Click(`article.hold a[href*='/doses']`), chromedp.WaitVisible(`main tbody th`))
	visible(t, ctx, "who got the dose", "main tbody", c.family)
	look(t, ctx, "who got doses of a held lot")
}

// TestPeopleScreens opens the other screens of the people half as those who use them: axe
// finds nothing, and they fit on a desk's screen and a telephone's.
func TestPeopleScreens(t *testing.T) {
	d := startDemo(t)
	pages := map[string][]string{
		"dana":  {"/patients", "/import", "/admin", "/admin/people", "/admin/interfaces", "/admin/sites/lakeside", "/enrolment", "/quality", "/trail", "/account", "/policies"},
		"sam":   {"/duplicates", "/admin", "/admin/people", "/admin/schedules", "/enrolments", "/policies", "/admin/policies/confidentiality", "/quality", "/deidentified", "/audit/entries", "/emergencies"},
		"elena": {"/deidentified", "/quality", "/account"},
		"ruth":  {"/units", "/enrolments", "/trail"},
		"grace": {"/patients", "/enrolment"},
		"peter": {"/patients"},
	}
	for _, screen := range screens {
		t.Run(screen.name, func(t *testing.T) {
			ctx := chromium(t, screen.width, screen.height)
			for _, path := range []string{"/apply", "/apply/status"} {
				do(t, ctx, path, chromedp.Navigate(d.URL+path), chromedp.WaitVisible(`main h1`))
				look(t, ctx, path)
			}
			for person, paths := range pages {
				d.enter(t, ctx, person)
				for _, path := range paths {
					do(t, ctx, person+" at "+path, chromedp.Navigate(d.URL+path), chromedp.WaitVisible(`main h1`))
					if title := source(t, ctx); strings.Contains(title, "Not allowed ·") {
						t.Errorf("%s is not allowed at %s", person, path)
					}
					look(t, ctx, person+" at "+path)
				}
				if person == "sam" {
					do(t, ctx, "compare", chromedp.Navigate(d.URL+"/duplicates"), chromedp.WaitVisible(`main tbody a`), chromedp.Click(`main tbody a`), chromedp.WaitVisible(`table.compare`))
					look(t, ctx, "two records compared")
				}
			}
		})
	}
}
