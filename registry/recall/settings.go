package recall

import (
	"context"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Settings are what a practice has set for its notices: who they come from, and when and
// how fast messages go out.
type Settings struct {
	Site                     coldkeep.SiteID
	Name                     string // of the clinic as families know it
	Street, City, State, ZIP string // to which post comes back
	Phone                    string // that families are to call
	Email                    string // for answers; "" is the sender's of the installation
	Begin, End               int    // minutes of the site's day between which messages go out
	PerHour                  int    // messages at most
	Revision                 int64  // 0: nobody has set them yet
	By                       string
	At                       time.Time
}

// The bounds. 47 CFR 64.1200(c)(1) keeps telephone solicitation to 8 am to 9 pm of the called
// party's time; notices of a clinic keep to no more than that.
const (
	earliest, latest = 8 * 60, 21 * 60
	mostPerHour      = 3600
)

// usual are settings that nobody has changed.
func usual(site coldkeep.SiteID) Settings {
	return Settings{Site: site, Begin: 9 * 60, End: 19 * 60, PerHour: 120}
}

// Ready reports whether there is all that a notice needs.
func (s Settings) Ready() bool { return s.Revision > 0 }

// quiet reports whether nothing goes out at a local time, and when it may again.
func (s *Settings) quiet(local time.Time) (until time.Time, quiet bool) {
	y, m, d := local.Date()
	at := func(day, minute int) time.Time { return time.Date(y, m, d+day, 0, minute, 0, 0, local.Location()) }
	switch {
	case local.Before(at(0, s.Begin)):
		return at(0, s.Begin), true
	case !local.Before(at(0, s.End)):
		return at(1, s.Begin), true
	}
	return local, false
}

func (s *Settings) check() error {
	for _, f := range []struct {
		name  string
		value *string
		most  int
		need  bool
	}{{"Clinic", &s.Name, 60, true}, {"Street", &s.Street, 80, true}, {"City", &s.City, 60, true}, {"State", &s.State, 2, true}, {"ZIP code", &s.ZIP, 10, true}, {"Telephone", &s.Phone, 30, true}, {"E-mail", &s.Email, 120, false}} {
		*f.value = strings.Join(strings.Fields(*f.value), " ")
		switch {
		case f.need && *f.value == "":
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: is missing.", f.name)
		case len(*f.value) > f.most:
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: want at most %d characters.", f.name, f.most)
		case strings.ContainsAny(*f.value, "{}"):
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: braces are for fields.", f.name)
		}
	}
	if w := tells(s.Name); w != "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "Clinic: it is on the outside of what is sent, and the word %q tells others about care.", w)
	}
	if _, ok := patient.NormalPhone(s.Phone); !ok {
		return coldkeep.Errorf(coldkeep.EINVALID, "Telephone: %q is not a telephone number.", s.Phone)
	}
	if zip, ok := patient.NormalZIP(s.ZIP); ok {
		s.ZIP = zip
	} else {
		return coldkeep.Errorf(coldkeep.EINVALID, "ZIP code: %q is none.", s.ZIP)
	}
	if s.Email != "" {
		if a, err := netmail.ParseAddress(s.Email); err != nil || a.Address != s.Email {
			return coldkeep.Errorf(coldkeep.EINVALID, "E-mail: %q is not an address.", s.Email)
		}
	}
	switch {
	case s.Begin < earliest || s.End > latest || s.Begin >= s.End:
		return coldkeep.Errorf(coldkeep.EINVALID, "Hours: want a time between 8:00 and 21:00 that ends after it begins.")
	case s.PerHour < 1 || s.PerHour > mostPerHour:
		return coldkeep.Errorf(coldkeep.EINVALID, "Messages an hour: want 1 to %d.", mostPerHour)
	}
	return nil
}

// Settings gives what by's practice has set; the usual, with Revision 0, when nobody has.
// EFORBIDDEN unless by may recall patients.
func (s *Service) Settings(ctx context.Context, by auth.Principal) (Settings, error) {
	if err := by.Require(auth.RecallPatients, by.Site); err != nil {
		return Settings{}, err
	}
	return settings(ctx, s.store, by.Site)
}

func settings(ctx context.Context, r Reader, site coldkeep.SiteID) (Settings, error) {
	out, err := r.RecallSettings(ctx, site)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return usual(site), nil
	}
	return out, err
}

// SetSettings sets them for by's practice; Revision names those that were changed. EINVALID
// names a wrong field, ECONFLICT, EFORBIDDEN.
func (s *Service) SetSettings(ctx context.Context, by auth.Principal, v Settings) error {
	if err := by.Require(auth.RecallPatients, by.Site); err != nil {
		return err
	}
	v.Site = by.Site
	if err := v.check(); err != nil {
		return err
	}
	from := v.Revision
	v.Revision, v.By, v.At = from+1, by.Name, s.clock.Now()
	return s.store.Tx(ctx, func(tx Tx) error {
		if err := tx.PutRecallSettings(ctx, v, from); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "recall.settings", "recall/settings", by.Site, ""))
	})
}

// Texts gives the texts in force at by's practice, of every kind and language. EFORBIDDEN.
func (s *Service) Texts(ctx context.Context, by auth.Principal) ([]Text, error) {
	if err := by.Require(auth.RecallPatients, by.Site); err != nil {
		return nil, err
	}
	return texts(ctx, s.store, by.Site)
}

func texts(ctx context.Context, r Reader, site coldkeep.SiteID) ([]Text, error) {
	own, err := r.RecallTexts(ctx, site)
	if err != nil {
		return nil, err
	}
	var out []Text
	for _, k := range TextKinds() {
		for _, l := range Languages() {
			t := builtin(k, l)
			t.Site = site
			for _, o := range own {
				if o.Kind == k && o.Language == l {
					t = o
				}
			}
			out = append(out, t)
		}
	}
	return out, nil
}

func textOf(all []Text, kind TextKind, language string) Text {
	for _, t := range all {
		if t.Kind == kind && t.Language == language {
			return t
		}
	}
	return builtin(kind, language)
}

// SetText puts a text of by's practice in place of the one at t.Revision, which is kept.
// EINVALID names what is wrong with it (Text.Check), ECONFLICT, EFORBIDDEN.
func (s *Service) SetText(ctx context.Context, by auth.Principal, t Text) error {
	if err := by.Require(auth.RecallPatients, by.Site); err != nil {
		return err
	}
	if err := t.Check(); err != nil {
		return err
	}
	t.Site, t.By, t.At = by.Site, by.Name, s.clock.Now()
	t.Revision++
	return s.store.Tx(ctx, func(tx Tx) error {
		if err := tx.InsertRecallText(ctx, t); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "recall.text", "recall/text", by.Site, "", string(t.Kind)+" "+t.Language))
	})
}
