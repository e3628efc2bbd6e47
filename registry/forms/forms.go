// Package forms prints what people carry away from a registry: the immunization page of the
// state's Certificate of Child Health Examination, the official immunization history, the
// record of a visit, the opt-out form, the form for a new patient and the report of an
// adverse event. The layouts are the registry's own, made from what the forms ask for.
//
// Every print is in the patient's trail as a view, with the form's name. A record that does
// not open to who asks is not printed.
package forms

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// Form is one that is printed of a patient.
type Form string

// The forms.
const (
	Certificate Form = "certificate" // Certificate of Child Health Examination
	History     Form = "history"     // official immunization history
	Visit       Form = "visit"       // vaccine administration record
	OptOut      Form = "opt-out"     // 77 Ill. Adm. Code 689.80, or opt-in when the record is locked
	NewPatient  Form = "new-patient"
	Reaction    Form = "vaers" // report of an adverse event
)

// Title is the form's name.
func (f Form) Title() string {
	switch f {
	case Certificate:
		return "Certificate of Child Health Examination"
	case History:
		return "Official immunization history"
	case Visit:
		return "Vaccine administration record"
	case OptOut:
		return "Sharing of immunization records"
	case NewPatient:
		return "New patient"
	case Reaction:
		return "Report of an adverse event after vaccination"
	}
	return string(f)
}

// verified reports whether the form carries a code by which it can be verified.
func (f Form) verified() bool { return f == Certificate || f == History }

// Reader reads what a form is made of.
type Reader interface {
	patient.Reader
	SiteEnrolment(ctx context.Context, site coldkeep.SiteID) (enrolment.SiteEnrolment, error)
	// PrintByCode finds a print by the hash of its code. ENOTFOUND.
	PrintByCode(ctx context.Context, hash string) (Print, error)
	// Prints lists what was printed of a person's records, the latest first.
	Prints(ctx context.Context, patients []string) ([]Print, error)
}

// Tx is a transaction on it.
type Tx interface {
	Reader
	immunization.Tx
	InsertPrint(ctx context.Context, p Print) error
	// SealFile keeps the seal of a print's file.
	SealFile(ctx context.Context, id, seals string, pages int) error
}

// Store keeps it.
type Store interface {
	Tx(ctx context.Context, do func(Tx) error) error
}

// Service prints.
type Service struct {
	store Store
	doses *immunization.Service
	clock coldkeep.Clock
	name  string
}

// New returns the service. name is the registry's, as it stands on official prints.
func New(store Store, doses *immunization.Service, clock coldkeep.Clock, name string) *Service {
	if name == "" {
		name = "Immunization registry"
	}
	return &Service{store: store, doses: doses, clock: clock, name: name}
}

// Record is what of a person a form may show to who prints it.
type Record struct {
	Registry string // its name
	Form     Form
	Person   patient.Patient
	Subset   bool // a school's: name, birth date, immunization status and exemptions
	Locked   bool
	View     *immunization.View
	Site     *enrolment.SiteEnrolment // that prints; absent: the state
	Sites    map[coldkeep.SiteID]enrolment.SiteEnrolment
	Codes    *vaccine.Codes
	At       time.Time // in the time zone of the site
	By       string
	Code     string // by which the print can be verified; "" none
	doses    *immunization.Service
}

// Today is the day of the print at its site.
func (r *Record) Today() coldkeep.Date { return r.View.Today }

// guarded runs do on a record that opens to by for perm. One that does not is in the trail
// as well, in a transaction of its own: do's has been given up.
func (s *Service) guarded(ctx context.Context, by auth.Principal, id string, perm auth.Permission, about string, do func(Tx, patient.Gate) error) error {
	if !by.Known() {
		return coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	head := id
	err := s.store.Tx(ctx, func(tx Tx) error {
		g, err := tx.PatientGate(ctx, id, by.ID, s.clock.Now())
		if err != nil {
			return err
		}
		head = g.Head
		if err := g.Require(by, perm); err != nil {
			return err
		}
		return do(tx, g)
	})
	if coldkeep.ErrorCode(err) == coldkeep.EFORBIDDEN {
		if e := s.store.Tx(ctx, func(tx Tx) error { return tx.Audit(ctx, s.entry(by, "form.refused", head, about)) }); e != nil {
			return e
		}
	}
	return err
}

// wholeOrSubset is the permission by which somebody sees a record: whole, or a school's part.
func wholeOrSubset(by auth.Principal) auth.Permission {
	if by.Anywhere(auth.ViewPatients) {
		return auth.ViewPatients
	}
	return auth.ViewSubset
}

// open reads what a form may show, and writes the print into the trail. more may be nil.
func (s *Service) open(ctx context.Context, by auth.Principal, id string, form Form, detail string, more func(Tx, *Record) error) (*Record, error) {
	perm := auth.ViewPatients
	if form == Certificate {
		perm = wholeOrSubset(by)
	}
	var r *Record
	err := s.guarded(ctx, by, id, perm, form.Title(), func(tx Tx, g patient.Gate) error {
		var err error
		if r, err = s.read(ctx, tx, by, g, form, perm == auth.ViewSubset); err != nil {
			return err
		}
		if more != nil {
			if err := more(tx, r); err != nil {
				return err
			}
		}
		if form.verified() {
			if err := s.keep(ctx, tx, by, r); err != nil {
				return err
			}
		}
		return tx.Audit(ctx, s.entry(by, "form.print", g.Head, form.Title()+detail))
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (s *Service) entry(by auth.Principal, what, id, detail string) audit.Entry {
	return audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what, Subject: "patient/" + id, Site: by.Site, Detail: detail}
}

func (s *Service) read(ctx context.Context, tx Tx, by auth.Principal, g patient.Gate, form Form, subset bool) (*Record, error) {
	r := &Record{Registry: s.name, Form: form, Subset: subset, Locked: g.Locked, Codes: s.doses.Codes(), By: by.Name, At: s.clock.Now().UTC(),
		Sites: map[coldkeep.SiteID]enrolment.SiteEnrolment{}, doses: s.doses}
	var err error
	if r.Person, err = patient.Person(ctx, tx, g); err != nil {
		return nil, err
	}
	if r.View, err = s.doses.ViewIn(ctx, tx, g, by.Site); err != nil {
		return nil, err
	}
	want := []coldkeep.SiteID{by.Site}
	if !subset {
		for i := range r.View.Doses {
			want = append(want, r.View.Doses[i].Site)
		}
	}
	for _, id := range want {
		if _, has := r.Sites[id]; has || id == "" {
			continue
		}
		site, err := tx.SiteEnrolment(ctx, id)
		if err != nil {
			return nil, err
		}
		r.Sites[id] = site
	}
	if site, ok := r.Sites[by.Site]; ok {
		r.Site = &site
		if zone, err := time.LoadLocation(site.TimeZone); err == nil {
			r.At = r.At.In(zone)
		}
	}
	if subset {
		mask(r)
	}
	return r, nil
}

// mask leaves what a school may see: who the child is, which vaccines on which days and
// whether they count, evidence of immunity and exemptions.
func mask(r *Record) {
	r.Person = patient.Subset(r.Person)
	bare := func(d immunization.Dose) immunization.Dose {
		return immunization.Dose{ID: d.ID, Patient: d.Patient, Kind: d.Kind, Date: d.Date, DayUnknown: d.DayUnknown, CVX: d.CVX, DuplicateOf: d.DuplicateOf, Deleted: d.Deleted, NonViable: d.NonViable}
	}
	v := *r.View
	v.Subject = immunization.Subject{ID: v.Subject.ID, Birth: v.Subject.Birth}
	v.Reactions, v.Due, v.Undetermined, v.Upcoming = nil, nil, nil, nil
	v.Doses, v.Groups, v.Facts, v.Exemptions = nil, nil, nil, nil
	for _, d := range r.View.Doses {
		if d.Counts() {
			v.Doses = append(v.Doses, bare(d))
		}
	}
	for _, g := range r.View.Groups {
		out := immunization.Group{Name: g.Name}
		for _, e := range g.Doses {
			out.Doses = append(out.Doses, immunization.Evaluated{Dose: bare(e.Dose), Verdict: e.Verdict})
		}
		v.Groups = append(v.Groups, out)
	}
	for _, f := range r.View.Facts {
		if f.Kind == immunization.Immunity && f.Ended == nil {
			v.Facts = append(v.Facts, immunization.Fact{ID: f.ID, Kind: f.Kind, Code: f.Code, Title: f.Title, From: f.From, Until: f.Until, Basis: basisWord(&f)})
		}
	}
	for _, e := range r.View.Exemptions {
		v.Exemptions = append(v.Exemptions, immunization.Exemption{ID: e.ID, Kind: e.Kind, Groups: e.Groups, From: e.From, Until: e.Until, Ended: e.Ended})
	}
	r.View = &v
}

// basisWord says what evidence of immunity rests on, without the words of who entered it.
func basisWord(f *immunization.Fact) string {
	if rests(f) {
		return "disease"
	}
	return "laboratory"
}

// rests reports whether evidence of immunity rests on the disease, not on a laboratory: its
// code says so, or what was written down begins with the word.
func rests(f *immunization.Fact) bool {
	return f.Code == "024" || f.Code == "025" || strings.HasPrefix(strings.ToLower(strings.TrimSpace(f.Basis)), "disease")
}

// Day is a date as forms write it: month, day and year.
func Day(d coldkeep.Date) string {
	if !d.Known() {
		return ""
	}
	y, m, day := d.Civil()
	return fmt.Sprintf("%02d/%02d/%04d", m, day, y)
}

// GivenOn is the day of a dose, or its month alone when no more is known.
func GivenOn(d *immunization.Dose) string {
	if d.DayUnknown && d.Date.Known() {
		y, m, _ := d.Date.Civil()
		return fmt.Sprintf("%02d/%04d", m, y)
	}
	return Day(d.Date)
}

// Name is a person's name as forms write it: last, first, middle.
func Name(n patient.Name) string {
	out := n.Family
	if n.Suffix != "" {
		out += " " + n.Suffix
	}
	if n.Given != "" || n.Middle != "" {
		out += ", " + strings.TrimSpace(n.Given+" "+n.Middle)
	}
	return out
}

// SexWord is a sex in words; "" when it is not known.
func SexWord(s patient.Sex) string {
	if s == "" || s == patient.UnknownSex {
		return ""
	}
	return patient.Title(patient.Sexes, string(s))
}

// SiteLine is a site's address in one line.
func SiteLine(e *enrolment.SiteEnrolment) string {
	var parts []string
	for _, p := range []string{e.Street, e.City, strings.TrimSpace(e.State + " " + e.ZIP), e.Phone} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}
