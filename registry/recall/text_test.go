package recall

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBuiltinTexts(t *testing.T) {
	for _, k := range TextKinds() {
		for _, l := range Languages() {
			text := builtin(k, l)
			if err := text.Check(); err != nil {
				t.Errorf("%s %s: %v", k, l, err)
			}
			values := map[string]string{}
			for _, f := range k.Fields() {
				values[f] = "«" + f + "»"
			}
			subject, body := text.fill(values)
			if braces.MatchString(subject + body) {
				t.Errorf("%s %s: %s", k, l, body)
			}
		}
	}
}

func TestCheckedAtSave(t *testing.T) {
	const fine = "Call {clinic} at {phone}."
	for _, c := range []struct {
		name string
		text Text
		want string // "" is fine
	}{
		{"fine", Text{Kind: SMSText, Language: "en", Body: fine}, ""},
		{"a patient's field in a message", Text{Kind: SMSText, Language: "en", Body: fine + " {names}"}, "Field {names}"},
		{"in the subject", Text{Kind: EmailText, Language: "en", Subject: "For {guardian}", Body: fine}, "Field {guardian}"},
		{"on a postcard", Text{Kind: PostcardText, Language: "es", Body: fine + " {vaccines}"}, "Field {vaccines}"},
		{"of another letter", Text{Kind: LetterText, Language: "en", Body: fine + " {given}"}, "Field {given}"},
		{"unknown", Text{Kind: LetterText, Language: "en", Body: fine + " {birth}"}, "Field {birth}"},
		{"half a field", Text{Kind: LetterText, Language: "en", Body: fine + " {names"}, "Field {names"},
		{"half a field at its end", Text{Kind: LetterText, Language: "en", Body: fine + " names}"}, "Field }"},
		{"no number", Text{Kind: SMSText, Language: "en", Body: "Call {clinic}."}, "{phone} is missing"},
		{"no clinic", Text{Kind: SMSText, Language: "en", Body: "Call {phone}."}, "{clinic} is missing"},
		{"a vaccine", Text{Kind: EmailText, Language: "en", Subject: "x", Body: fine + " Your child's MMR is late."}, "MMR"},
		{"a disease", Text{Kind: EmailText, Language: "es", Subject: "Sarampión", Body: fine}, "Sarampión"},
		{"a vaccine in other letters", Text{Kind: SMSText, Language: "es", Body: fine + " VACÚNELO"}, "VACÚNELO"},
		{"a flu shot", Text{Kind: PostcardText, Language: "en", Body: fine + " Flu season!"}, "Flu"},
		{"with a hyphen", Text{Kind: PostcardText, Language: "en", Body: fine + " (anti-polio)"}, "polio"},
		{"a letter may", Text{Kind: LetterText, Language: "en", Body: fine + " MMR"}, ""},
		{"too long", Text{Kind: SMSText, Language: "en", Body: fine + strings.Repeat("x", 220)}, "want at most 220"},
		{"empty", Text{Kind: SMSText, Language: "en", Body: " "}, "is empty"},
		{"a language", Text{Kind: SMSText, Language: "pl", Body: fine}, "Language"},
		{"a kind", Text{Kind: "fax", Language: "en", Body: fine}, "Kind"},
		{"an e-mail's subject", Text{Kind: EmailText, Language: "en", Body: fine}, "Subject"},
		{"a message's subject", Text{Kind: SMSText, Language: "en", Subject: "x", Body: fine}, "Subject"},
	} {
		err := c.text.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// Whatever a practice writes: what passes the check of an open text holds no field but the
// clinic's two, and a value never becomes a field.
func TestOpenTextsHoldNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]TextKind{PostcardText, EmailText, SMSText}).Draw(t, "kind")
		piece := rapid.SampledFrom([]string{"{clinic}", "{phone}", "{names}", "{", "}", "{{names}}", "{ names }", "call", " ", "\n", "{vaccines}", "%s", "{clinic", "é"})
		body := strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), "")
		text := Text{Kind: kind, Language: "en", Body: body}
		if kind == EmailText {
			text.Subject = "Please call"
		}
		if text.Check() != nil {
			return
		}
		_, out := text.fill(map[string]string{"clinic": "{names}", "phone": "1", "names": "SECRET", "vaccines": "SECRET", "guardian": "SECRET"})
		if strings.Contains(out, "SECRET") {
			t.Fatalf("%q gives %q", body, out)
		}
	})
}

func TestIsStop(t *testing.T) {
	for text, want := range map[string]bool{"STOP": true, " stop. ": true, "Stop please": true, "ALTO": true, "¡Alto!": true, "parar": true, "unsubscribe": true, "": false, "Please stop by": false, "yes": false, "NONSTOP": false} {
		if got := IsStop(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// The hours are the site's: also on the days on which clocks change.
func TestQuietHours(t *testing.T) {
	zone, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	s := Settings{Begin: 9 * 60, End: 19*60 + 30}
	for _, c := range []struct {
		at, until string // "" is not quiet
	}{
		{"2026-03-02 08:59", "2026-03-02 09:00"}, {"2026-03-02 09:00", ""}, {"2026-03-02 19:29", ""}, {"2026-03-02 19:30", "2026-03-03 09:00"},
		{"2026-03-07 20:00", "2026-03-08 09:00"}, {"2026-03-08 08:30", "2026-03-08 09:00"}, {"2026-11-01 01:30", "2026-11-01 09:00"}, {"2026-12-31 23:00", "2027-01-01 09:00"},
	} {
		at, err := time.ParseInLocation("2006-01-02 15:04", c.at, zone)
		if err != nil {
			t.Fatal(err)
		}
		until, quiet := s.quiet(at)
		if quiet != (c.until != "") || quiet && until.Format("2006-01-02 15:04") != c.until {
			t.Errorf("%s: %v until %s", c.at, quiet, until)
		}
	}
	if !slices.Contains(Languages(), "es") {
		t.Error("no Spanish")
	}
}
