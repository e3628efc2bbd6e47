package forms

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Print is that a form was printed. Its code is known to the paper alone: the registry keeps
// a hash to find the print by, and of what stands on the paper keyed hashes under the code
// (HMAC-SHA-256), which tell nothing to who has the database but not the paper.
type Print struct {
	ID         string
	CodeSHA256 string
	Form       Form
	Patient    string
	Site       coldkeep.SiteID
	ByID, By   string
	At         time.Time
	Pages      int
	Seals      string // JSON of seals
}

// seals are the keyed hashes of what stands on a print.
type seals struct {
	Birth string   `json:"birth"`
	Count string   `json:"count"`           // of doses
	Dates []string `json:"dates,omitempty"` // of doses, as printed, in the order of the hashes
	File  string   `json:"file,omitempty"`  // of the PDF
}

func seal(code, what, value string) string {
	m := hmac.New(sha256.New, []byte(code))
	m.Write([]byte(what + "\x00" + value))
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// letters of codes: Crockford's base 32, without those that are taken for others.
const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// newCode makes a code of 80 random bits, in four groups of four letters.
func newCode() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails
	var out strings.Builder
	for i, v := range b {
		if i > 0 && i%4 == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(letters[v%32])
	}
	return out.String()
}

// plainCode is a code as somebody has typed it, in its one form. Letters that Crockford
// leaves out are taken for those they look like.
func plainCode(s string) string {
	s = strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1", "U", "V").Replace(strings.ToUpper(strings.TrimSpace(s)))
	if len(s) != 16 || strings.Trim(s, letters) != "" {
		return ""
	}
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
}

func hashOf(code string) string {
	h := sha256.Sum256([]byte(code))
	return hex.EncodeToString(h[:])
}

// printed are the doses that a form counts.
func printed(r *Record) []*immunization.Dose {
	var out []*immunization.Dose
	for i := range r.View.Doses {
		if d := &r.View.Doses[i]; d.Counts() {
			out = append(out, d)
		}
	}
	return out
}

// keep writes down that a form is printed, and gives the record its code.
func (s *Service) keep(ctx context.Context, tx Tx, by auth.Principal, r *Record) error {
	r.Code = newCode()
	doses := printed(r)
	k := seals{Birth: seal(r.Code, "birth", r.Person.Birth.String()), Count: seal(r.Code, "count", strconv.Itoa(len(doses)))}
	for _, d := range doses {
		if h := seal(r.Code, "date", GivenOn(d)); !slices.Contains(k.Dates, h) {
			k.Dates = append(k.Dates, h)
		}
	}
	slices.Sort(k.Dates)
	b, err := json.Marshal(k)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINTERNAL, "forms.keep", "seals")
	}
	p := Print{ID: ulid.Make().String(), CodeSHA256: hashOf(r.Code), Form: r.Form, Patient: r.Person.ID, Site: by.Site, ByID: by.ID, By: by.Name, At: s.clock.Now(), Seals: string(b)}
	return tx.InsertPrint(ctx, p)
}

// sealFile adds the seal of the file that a print has become.
func (s *Service) sealFile(ctx context.Context, r *Record, pdf []byte, pages int) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		p, err := tx.PrintByCode(ctx, hashOf(r.Code))
		if err != nil {
			return err
		}
		var k seals
		if err := json.Unmarshal([]byte(p.Seals), &k); err != nil {
			return coldkeep.Wrap(err, coldkeep.EINTERNAL, "forms.sealFile", "seals")
		}
		k.File = seal(r.Code, "file", string(pdf))
		b, err := json.Marshal(k)
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EINTERNAL, "forms.sealFile", "seals")
		}
		return tx.SealFile(ctx, p.ID, string(b), pages)
	})
}

// Question is what somebody who holds a print has read off it. Code and birth date are
// needed; the rest may be absent.
type Question struct {
	Code  string
	Birth coldkeep.Date
	Doses int      // -1: not asked
	Dates []string // days or months of doses, as printed
	File  []byte   // the PDF
}

// Answer says whether a print is as the registry printed it, and nothing that was not asked.
type Answer struct {
	Form   Form
	At     time.Time
	Pages  int // 0: printed as a page of the screens
	Checks []Check
}

// Agrees reports whether everything that was asked agrees.
func (a Answer) Agrees() bool {
	return !slices.ContainsFunc(a.Checks, func(c Check) bool { return !c.Agrees })
}

// Check is one thing that was asked.
type Check struct {
	What   string
	Agrees bool
}

// maxDates bounds how many days are compared at once.
const maxDates = 100

// Verify answers anybody who holds a print. ENOTFOUND when there is no print with that code
// and birth date, without saying which of them is wrong; EINVALID for what cannot be a code
// or a date. It is in the person's trail.
func (s *Service) Verify(ctx context.Context, q Question) (Answer, error) {
	var a Answer
	code := plainCode(q.Code)
	switch {
	case code == "":
		return a, coldkeep.Errorf(coldkeep.EINVALID, "Code: want the sixteen letters and digits from the print, such as 7KQ2-….")
	case !q.Birth.Known():
		return a, coldkeep.Errorf(coldkeep.EINVALID, "Birth date: want the one on the print.")
	case len(q.Dates) > maxDates:
		return a, coldkeep.Errorf(coldkeep.EINVALID, "Dates of doses: want at most %d.", maxDates)
	}
	none := coldkeep.Errorf(coldkeep.ENOTFOUND, "The registry has printed nothing with this code and this birth date. Look at both again.")
	err := s.store.Tx(ctx, func(tx Tx) error {
		a = Answer{}
		p, err := tx.PrintByCode(ctx, hashOf(code))
		if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
			return none
		}
		if err != nil {
			return err
		}
		var k seals
		if err := json.Unmarshal([]byte(p.Seals), &k); err != nil {
			return coldkeep.Wrap(err, coldkeep.EINTERNAL, "forms.Verify", "seals")
		}
		if !equal(k.Birth, seal(code, "birth", q.Birth.String())) {
			return none
		}
		if site, err := tx.SiteEnrolment(ctx, p.Site); err == nil { // the day of the print is its site's
			if zone, err := time.LoadLocation(site.TimeZone); err == nil {
				p.At = p.At.In(zone)
			}
		} else if coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			return err
		}
		a = Answer{Form: p.Form, At: p.At, Pages: p.Pages, Checks: []Check{{"Code and birth date", true}}}
		if q.Doses >= 0 {
			a.Checks = append(a.Checks, Check{strconv.Itoa(q.Doses) + " doses in all", equal(k.Count, seal(code, "count", strconv.Itoa(q.Doses)))})
		}
		for _, d := range q.Dates {
			a.Checks = append(a.Checks, Check{"A dose on " + d, slices.Contains(k.Dates, seal(code, "date", d))})
		}
		if q.File != nil {
			a.Checks = append(a.Checks, Check{"The file, byte by byte", k.File != "" && equal(k.File, seal(code, "file", string(q.File)))})
		}
		e := s.entry(auth.Principal{Name: "Somebody with the print"}, "form.verify", p.Patient, p.Form.Title())
		return tx.Audit(ctx, e)
	})
	return a, err
}

func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

// PrintsOf lists what was printed of a person, the latest first, and writes the view into
// the trail. EFORBIDDEN when the record does not open to by, ENOTFOUND.
func (s *Service) PrintsOf(ctx context.Context, by auth.Principal, id string) ([]Print, error) {
	var out []Print
	perm := wholeOrSubset(by)
	err := s.guarded(ctx, by, id, perm, "", func(tx Tx, g patient.Gate) error {
		if perm == auth.ViewPatients { // a school sees what it may print, not who has printed
			var err error
			if out, err = tx.Prints(ctx, g.Family); err != nil {
				return err
			}
		}
		return tx.Audit(ctx, s.entry(by, "forms.view", g.Head, ""))
	})
	return out, err
}
