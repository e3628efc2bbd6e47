package web

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"golang.org/x/net/html"
)

// formKey is where a session keeps a form that was refused, maxForm how long it may be:
// a session is a row of a table.
const (
	formKey = "form"
	maxForm = 16 << 10
)

// sentForm is a form as it was filled in when it was refused.
type sentForm struct {
	Action string     `json:"action"`
	Values url.Values `json:"values"`
}

// keepForm keeps what was typed into a form that is refused, so that nobody has to type
// it again. What is secret is not kept.
func (s *server) keepForm(c *gin.Context) {
	f := sentForm{Action: c.Request.URL.Path, Values: url.Values{}}
	for name, values := range c.Request.PostForm {
		if !secretField[name] {
			f.Values[name] = values
		}
	}
	if b, err := json.Marshal(f); err == nil && len(b) <= maxForm {
		s.sessions.Put(c.Request.Context(), formKey, string(b))
	}
}

// secretField are fields that are never kept.
var secretField = map[string]bool{"password": true, "old": true, "new": true, "again": true, "code": true}

// takeForm returns the form that was kept, nil for none, and lets go of it.
func (s *server) takeForm(c *gin.Context) *sentForm {
	kept := s.sessions.PopString(c.Request.Context(), formKey)
	var f sentForm
	if kept == "" || json.Unmarshal([]byte(kept), &f) != nil {
		return nil
	}
	return &f
}

// refilled is a page with the form that was refused as it was filled in. A page that
// does not have the form stays as it is.
func (s *server) refilled(c *gin.Context, p *page, body []byte) []byte {
	if p.sent == nil {
		return body
	}
	out, err := refill(body, p.sent)
	if err != nil {
		s.Log.Error("registry page: the refused form", "route", c.FullPath(), "err", err)
		return body
	}
	return out
}

// refill fills in the form of a page that sends to where f was sent, and opens what it is
// folded into. Of several such forms it is the first with these fields, whose hidden ones
// are the same.
func refill(body []byte, f *sentForm) ([]byte, error) {
	doc, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" || attribute(n, "action") != f.Action || !sameForm(n, f.Values) {
			continue
		}
		fill(n, f.Values)
		for up := range n.Ancestors() {
			if up.Type == html.ElementNode && up.Data == "details" {
				set(up, "open", "")
			}
		}
		var out bytes.Buffer
		err := html.Render(&out, doc)
		return out.Bytes(), err
	}
	return body, nil
}

// sameForm reports whether a form has every field that was sent, and hidden ones with
// what was sent.
func sameForm(form *html.Node, values url.Values) bool {
	has := map[string]bool{}
	for n := range form.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		name := attribute(n, "name")
		has[name] = true
		if n.Data == "input" && attribute(n, "type") == "hidden" && !slices.Contains(values[name], attribute(n, "value")) {
			return false
		}
	}
	for name := range values {
		if !has[name] {
			return false
		}
	}
	return true
}

func fill(form *html.Node, values url.Values) {
	for n := range form.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		sent, ok := values[attribute(n, "name")]
		if !ok || len(sent) == 0 {
			continue
		}
		set(n, "data-kept", "") // the script that keeps the page up to date leaves it alone
		switch n.Data {
		case "input":
			switch attribute(n, "type") {
			case "hidden", "password", "submit", "file":
			case "checkbox", "radio":
				unset(n, "checked")
				if slices.Contains(sent, attribute(n, "value")) {
					set(n, "checked", "")
				}
			default:
				set(n, "value", sent[0])
			}
		case "textarea":
			for n.FirstChild != nil {
				n.RemoveChild(n.FirstChild)
			}
			n.AppendChild(&html.Node{Type: html.TextNode, Data: strings.ReplaceAll(sent[0], "\r\n", "\n")})
		case "select":
			choose(n, sent)
		}
	}
}

func choose(list *html.Node, sent []string) {
	for o := range list.Descendants() {
		if o.Type != html.ElementNode || o.Data != "option" {
			continue
		}
		value, has := optionValue(o)
		unset(o, "selected")
		if has && slices.Contains(sent, value) {
			set(o, "selected", "")
		}
	}
}

// optionValue is an option's value, which is its text when it has none of its own.
func optionValue(o *html.Node) (string, bool) {
	for _, a := range o.Attr {
		if a.Key == "value" {
			return a.Val, true
		}
	}
	if o.FirstChild != nil && o.FirstChild.Type == html.TextNode {
		return o.FirstChild.Data, true
	}
	return "", false
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func set(n *html.Node, name, value string) {
	unset(n, name)
	n.Attr = append(n.Attr, html.Attribute{Key: name, Val: value})
}

func unset(n *html.Node, name string) {
	n.Attr = slices.DeleteFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}
