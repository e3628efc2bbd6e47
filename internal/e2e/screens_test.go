package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// browser is a person at the screens, without scripts.
type browser struct {
	t    *testing.T
	base string
	http *http.Client
}

func signIn(t *testing.T, base, username, password string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, base: base, http: &http.Client{Jar: jar, Timeout: 20 * time.Second}}
	b.post("/signin", url.Values{"username": {username}, "password": {password}})
	return b
}

func (b *browser) do(req *http.Request, err error) *html.Node {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 2000))
		b.t.Fatalf("%s %s answers %s: %s", req.Method, req.URL, resp.Status, body)
	}
	doc, err := html.Parse(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return doc
}

func (b *browser) get(path string) *html.Node {
	b.t.Helper()
	return b.do(http.NewRequest(http.MethodGet, b.base+path, nil))
}

func (b *browser) post(path string, form url.Values) *html.Node {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodPost, b.base+path, strings.NewReader(form.Encode()))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return b.do(req, err)
}

// find returns the elements of a name and class below n.
func find(n *html.Node, name, class string) (out []*html.Node) {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && c.Data == name && (class == "" || hasClass(c, class)) {
			out = append(out, c)
		}
	}
	return out
}

func hasClass(n *html.Node, class string) bool {
	for _, a := range n.Attr {
		if a.Key == "class" {
			for c := range strings.FieldsSeq(a.Val) {
				if c == class {
					return true
				}
			}
		}
	}
	return false
}

// text is all text below n, blanks folded.
func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// hold is a hold as the lots screen shows it.
type hold struct {
	unit string
	lots []string
}

func (b *browser) holds(unit string) (out []hold) {
	b.t.Helper()
	for _, article := range find(b.get("/lots"), "article", "hold") {
		heads := find(article, "h3", "")
		if len(heads) != 1 || !strings.HasPrefix(text(heads[0]), unit) {
			continue
		}
		h := hold{unit: text(heads[0])}
		for _, body := range find(article, "tbody", "") {
			for _, row := range find(body, "tr", "") {
				h.lots = append(h.lots, text(find(row, "td", "")[0]))
			}
		}
		out = append(out, h)
	}
	return out
}

// oneHold checks that the unit has exactly one hold and that it has lots.
func (b *browser) oneHold(unit string) error {
	holds := b.holds(unit)
	if len(holds) != 1 || len(holds[0].lots) == 0 {
		return fmt.Errorf("%s has holds %+v, want one with lots", unit, holds)
	}
	return nil
}
