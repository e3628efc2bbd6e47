package door_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7/door"
)

// accounts are those of a list, by token.
type accounts struct {
	byToken map[string]auth.Principal
	refused []string
}

func (a *accounts) Account(_ context.Context, token string) (auth.Principal, error) {
	if p, ok := a.byToken[token]; ok {
		return p, nil
	}
	return auth.Principal{}, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "not known")
}

func (a *accounts) AccountRefused(_ context.Context, name, way string) error {
	a.refused = append(a.refused, name+" at "+way)
	return nil
}

// agreed is that Lakeside speaks for a facility of its own.
type agreed struct{}

func (agreed) Sender(_ context.Context, by auth.Principal, _ string) (exchange.Sender, error) {
	if by.Site != "lakeside" {
		return exchange.Sender{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such sender.")
	}
	return exchange.Sender{Facilities: []exchange.Facility{{Code: "IL0042", Site: "lakeside"}}}, nil
}

func known() *accounts {
	return &accounts{byToken: map[string]auth.Principal{
		"right":     {ID: "1", Name: "Lakeside EHR", Site: "lakeside", Scopes: []string{auth.ScopeRecords}},
		"another":   {ID: "2", Name: "Northgate EHR", Site: "northgate", Scopes: []string{auth.ScopeRecords}},
		"collector": {ID: "3", Name: "collector", Scopes: []string{auth.ScopeCollector}},
	}}
}

func TestSignIn(t *testing.T) {
	for _, c := range []struct {
		what        string
		name, token string
		facility    string
		code        string
	}{
		{"bearer", "", "right", "", ""},
		{"name and token", "Lakeside EHR", "right", "", ""},
		{"facility of the practice", "Lakeside EHR", "right", " LAKESIDE ", ""},
		{"facility that is agreed on", "Lakeside EHR", "right", "il0042", ""},
		{"another facility", "Lakeside EHR", "right", "northgate", coldkeep.EFORBIDDEN},
		{"any facility when none is agreed on", "", "another", "EHR1234", ""},
		{"another's token", "Lakeside EHR", "another", "", coldkeep.EUNAUTHORIZED},
		{"no name that is known", "Nobody", "right", "", coldkeep.EUNAUTHORIZED},
		{"wrong token", "Lakeside EHR", "wrong", "", coldkeep.EUNAUTHORIZED},
		{"nothing", "", "", "", coldkeep.EUNAUTHORIZED},
		{"without the scope", "", "collector", "", coldkeep.EFORBIDDEN},
	} {
		_, err := door.New(known(), agreed{}).SignIn(t.Context(), "http", "10.0.0.1", door.Credentials{Name: c.name, Token: c.token}, c.facility)
		if coldkeep.ErrorCode(err) != c.code {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// Who guesses is stopped, in the trail, and stops nobody else.
func TestGuessing(t *testing.T) {
	a := known()
	d := door.New(a, agreed{})
	stopped := 0
	for range 50 {
		_, err := d.SignIn(t.Context(), "http", "10.0.0.9", door.Credentials{Name: "Lakeside EHR", Token: "guess"}, "")
		var wait door.Wait
		if errors.As(err, &wait) && wait.For > 0 && coldkeep.ErrorCode(err) == coldkeep.ETOOMANY {
			stopped++
		}
	}
	if stopped < 40 || len(a.refused) == 0 || len(a.refused) > 10 {
		t.Errorf("%d of 50 guesses stopped, %d in the trail", stopped, len(a.refused))
	}
	if _, err := d.SignIn(t.Context(), "http", "10.0.0.9", door.Credentials{Name: "Lakeside EHR", Token: "right"}, ""); coldkeep.ErrorCode(err) != coldkeep.ETOOMANY {
		t.Errorf("the right one at last: %v", err)
	}
	if _, err := d.SignIn(t.Context(), "http", "10.0.0.1", door.Credentials{Name: "Lakeside EHR", Token: "right"}, ""); err != nil {
		t.Errorf("from the practice's own address: %v", err)
	}
	// Other names do not help.
	d, stopped = door.New(a, agreed{}), 0
	for i := range 60 {
		if _, err := d.SignIn(t.Context(), "http", "10.0.0.9", door.Credentials{Name: "N" + string(rune('A'+i)), Token: "guess"}, ""); coldkeep.ErrorCode(err) == coldkeep.ETOOMANY {
			stopped++
		}
	}
	if stopped < 20 {
		t.Errorf("%d of 60 names stopped", stopped)
	}
}

func TestTooManyMessages(t *testing.T) {
	d, stopped := door.New(known(), agreed{}), 0
	for range 150 {
		if _, err := d.SignIn(t.Context(), "http", "10.0.0.1", door.Credentials{Token: "right"}, ""); coldkeep.ErrorCode(err) == coldkeep.ETOOMANY {
			stopped++
		}
	}
	if stopped == 0 {
		t.Error("150 messages at once were all taken")
	}
	if _, err := d.SignIn(t.Context(), "http", "10.0.0.1", door.Credentials{Token: "another"}, ""); err != nil {
		t.Errorf("another account: %v", err)
	}
}

func TestOne(t *testing.T) {
	const msh, pid = `MSH|^~\&|A|B|C|D|20260101000000-0600||VXU^V04^VXU_V04|1|P|2.5.1`, "PID|1||4^^^A^MR"
	for _, c := range []struct {
		what, text string
		want       error
	}{
		{"one", msh + "\r" + pid + "\r", nil},
		{"line feeds", msh + "\n" + pid + "\n", nil},
		{"both, blank lines", "\r\n" + msh + "\r\n\r\n" + pid, nil},
		{"MLLP", "\v" + msh + "\r" + pid + "\r\x1c\r", nil},
		{"byte order mark", "\ufeff" + msh + "\r" + pid, nil},
		{"MSH in a text", msh + "\rNTE|1||MSH|^~\\&|", nil},
		{"other separators", "MSH#^~\\&#A\rPID#1", nil},
		{"two", msh + "\r" + pid + "\r" + msh + "\r" + pid, door.ErrMany},
		{"two by line feed", msh + "\n" + msh + "\n", door.ErrMany},
		{"batch", `BHS|^~\&` + "\r" + msh + "\r" + pid + "\rBTS|1", door.ErrMany},
		{"file", `FHS|^~\&` + "\r" + msh + "\rFTS", door.ErrMany},
		{"nothing", "", door.ErrNotHL7},
		{"blank", " \r\n ", door.ErrNotHL7},
		{"JSON", `{"a":1}`, door.ErrNotHL7},
		{"XML", `<ClinicalDocument/>`, door.ErrNotHL7},
		{"no separators", "MSHABC", door.ErrNotHL7},
		{"something before", pid + "\r" + msh, door.ErrNotHL7},
	} {
		if got := door.One(c.text); !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

func TestDecode(t *testing.T) {
	latin := func(msh18 string) string {
		return `MSH|^~\&|A|B|C|D|2026||VXU^V04^VXU_V04|1|P|2.5.1||||||` + msh18 + "\rPID|1||||Mu\xf1oz^Ren\xe9"
	}
	for _, c := range []struct {
		what, body, charset string
		want                string
		ok                  bool
	}{
		{"UTF-8", "Muñoz", "", "Muñoz", true},
		{"UTF-8 by name", "Muñoz", "UTF-8", "Muñoz", true},
		{"Latin-1 by name", "Mu\xf1oz", "ISO-8859-1", "Muñoz", true},
		{"windows-1252 by name", "O\x92Neil", "windows-1252", "O’Neil", true},
		{"UTF-16 by name", "M\x00u\x00\xf1\x00", "utf-16le", "Muñ", true},
		{"not UTF-8", "Mu\xf1oz", "", "Mu\xf1oz", true},
		{"not known", "Munoz", "ebcdic", "", false},
		{"MSH-18 says", latin("8859/1"), "iso-8859-1", latin("8859/1"), true},
	} {
		got, err := door.Decode([]byte(c.body), c.charset)
		if string(got) != c.want || (err == nil) != c.ok || err != nil && coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %q %v", c.what, got, err)
		}
	}
	if got, err := door.Decode([]byte(latin("")), "iso-8859-1"); err != nil || !strings.Contains(string(got), "Muñoz^René") {
		t.Errorf("MSH-18 says nothing: %q %v", got, err)
	}
}

func FuzzOne(f *testing.F) {
	f.Add([]byte("MSH|^~\\&|A\rPID|1"), "")
	f.Add([]byte("\vFHS|^~\\&\r\nMSH|"), "latin1")
	f.Add([]byte("MSH|||||||||||||||||8859/1~\xf1"), "")
	f.Fuzz(func(t *testing.T, body []byte, charset string) {
		text, err := door.Decode(body, charset)
		if err != nil {
			if len(text) > 0 {
				t.Error("text beside an error")
			}
			return
		}
		if one := string(text); door.One(one) == nil && door.One(one+"\r"+one) == nil {
			t.Error("twice one message is one")
		}
	})
}
