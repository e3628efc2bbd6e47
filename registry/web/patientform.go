package web

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// patientForm is a record in a form, with lines that are still empty for what is to be
// added: a form without scripts cannot grow.
type patientForm struct {
	patientTables
	patient.Patient
	Action    string
	New       bool
	Error     string
	Base      string // what the form was made from, as JSON: who saves is told what has changed since
	Meanwhile []patient.Meanwhile
}

// HasRace reports whether a race is ticked.
func (f patientForm) HasRace(code string) bool {
	for _, r := range f.Patient.Races {
		if r == code {
			return true
		}
	}
	return false
}

// MultipleIs reports whether the multiple birth is answered so.
func (f patientForm) MultipleIs(answer string) bool {
	switch {
	case f.Multiple == nil:
		return answer == ""
	case *f.Multiple:
		return answer == "yes"
	}
	return answer == "no"
}

// GuardianContact is a guardian's first number, or address of e-mail.
func (f patientForm) GuardianContact(g patient.Guardian, email bool) string {
	for _, c := range g.Contacts {
		if (c.Kind == patient.Email) == email {
			return c.Value
		}
	}
	return ""
}

func inUse[T any](all []T, span func(T) patient.Span) []T {
	out := []T{}
	for _, v := range all {
		if span(v).Until == nil {
			out = append(out, v)
		}
	}
	return out
}

// newForm is the form of a record: what is in use, and room for one more of each.
func newForm(p patient.Patient, action string) patientForm {
	f := patientForm{Patient: p, Action: action}
	f.Names = append(inUse(p.Names, func(v patient.Name) patient.Span { return v.Span }), patient.Name{Kind: patient.Alias})
	f.Addresses = append(inUse(p.Addresses, func(v patient.Address) patient.Span { return v.Span }), patient.Address{Kind: "H"})
	f.Contacts = append(inUse(p.Contacts, func(v patient.Contact) patient.Span { return v.Span }), patient.Contact{Kind: patient.Cell}, patient.Contact{Kind: patient.Email})
	f.Identifiers = append(inUse(p.Identifiers, func(v patient.Identifier) patient.Span { return v.Span }), patient.Identifier{Kind: "MR"})
	f.Guardians = inUse(p.Guardians, func(v patient.Guardian) patient.Span { return v.Span })
	if len(f.Guardians) == 0 { // most children have two
		f.Guardians = append(f.Guardians, patient.Guardian{Relation: "MTH"}, patient.Guardian{Relation: "FTH"})
	} else {
		f.Guardians = append(f.Guardians, patient.Guardian{Relation: "MTH"})
	}
	return f
}

// maxLines is how many lines of one list a form may send.
const maxLines = 25

// readPatientForm reads a record from its form. Lines that were left empty are none.
func readPatientForm(c *gin.Context, kept *patient.Patient) (patient.Patient, error) {
	p := patient.Patient{Sex: patient.Sex(c.PostForm("sex")), Races: c.PostFormArray("race"), Ethnicity: c.PostForm("ethnicity"), Language: c.PostForm("language"),
		Mother: c.PostForm("mother"), BirthState: c.PostForm("birth_state"), BirthNation: c.PostForm("birth_nation"), Publicity: c.PostForm("publicity")}
	var err error
	if p.Birth, err = formDate(c, "birth", "Birth date"); err != nil {
		return p, err
	}
	if v := c.PostForm("multiple"); v == "yes" || v == "no" {
		yes := v == "yes"
		p.Multiple = &yes
	}
	if c.PostForm("birth_order") != "" {
		if p.BirthOrder, err = formNumber(c, "birth_order"); err != nil {
			return p, coldkeep.Errorf(coldkeep.EINVALID, "Birth order: want a whole number.")
		}
	}
	for i := range maxLines {
		at := func(list, field string) string { return c.PostForm(list + strconv.Itoa(i) + "_" + field) }
		if n := (patient.Name{Family: at("name", "family"), Given: at("name", "given"), Middle: at("name", "middle"), Suffix: at("name", "suffix"), Kind: patient.NameKind(at("name", "kind"))}); n.Family+n.Given+n.Middle != "" {
			p.Names = append(p.Names, n)
		}
		if a := (patient.Address{Street: at("address", "street"), Street2: at("address", "street2"), City: at("address", "city"), State: at("address", "state"), ZIP: at("address", "zip"),
			County: at("address", "county"), Country: at("address", "country"), Kind: at("address", "kind")}); a.Street+a.Street2+a.City+a.State+a.ZIP+a.County != "" {
			p.Addresses = append(p.Addresses, a)
		}
		if v := at("contact", "value"); v != "" {
			p.Contacts = append(p.Contacts, patient.Contact{Kind: patient.ContactKind(at("contact", "kind")), Value: v})
		}
		if v := at("id", "value"); v != "" {
			p.Identifiers = append(p.Identifiers, patient.Identifier{Kind: at("id", "kind"), Assigner: at("id", "assigner"), Value: v})
		}
		if g := (patient.Guardian{Family: at("guardian", "family"), Given: at("guardian", "given"), Middle: at("guardian", "middle"), Relation: at("guardian", "relation")}); g.Family+g.Given+g.Middle+at("guardian", "phone")+at("guardian", "email") != "" { // a number without a name is refused, not dropped
			keepGuardian(&g, kept, at("guardian", "seq"))
			for kind, v := range map[patient.ContactKind]string{patient.Phone: at("guardian", "phone"), patient.Email: at("guardian", "email")} {
				setContact(&g, kind, v)
			}
			p.Guardians = append(p.Guardians, g)
		}
	}
	return p, nil
}

// keepGuardian takes over what the form does not show of a guardian.
func keepGuardian(g *patient.Guardian, kept *patient.Patient, seq string) {
	n, err := strconv.Atoi(seq)
	if kept == nil || err != nil || n == 0 {
		return
	}
	for _, old := range kept.Guardians {
		if old.Seq == n {
			g.Address, g.Contacts = old.Address, append([]patient.Contact(nil), old.Contacts...)
		}
	}
}

// setContact puts a number or an address of e-mail in place of the first of its kind.
func setContact(g *patient.Guardian, kind patient.ContactKind, value string) {
	for i, c := range g.Contacts {
		if (c.Kind == patient.Email) != (kind == patient.Email) {
			continue
		}
		if value == "" {
			g.Contacts = append(g.Contacts[:i:i], g.Contacts[i+1:]...)
		} else {
			g.Contacts[i].Value = value
		}
		return
	}
	if value != "" {
		g.Contacts = append(g.Contacts, patient.Contact{Kind: kind, Value: value})
	}
}

// newPatient shows the form of a person who was not found, with what was searched for.
func (s *server) newPatient(c *gin.Context) {
	who := principal(c)
	if err := who.Require(auth.EditPatients, who.Site); err != nil {
		s.fail(c, err)
		return
	}
	p := patient.Patient{Names: []patient.Name{{Family: c.PostForm("family"), Given: c.PostForm("given"), Kind: patient.Legal}}}
	p.Birth, _ = formDate(c, "birth", "Birth date") // one that is none is asked for again
	s.showNew(c, http.StatusOK, p, "")
}

func (s *server) showNew(c *gin.Context, status int, p patient.Patient, wrong string) {
	f := newForm(p, "/patients")
	f.New, f.Error = true, wrong
	s.render(c, status, "patientform", &page{Title: "Add a patient", Nav: "patients", Path: "/patients", Data: f})
}

func (s *server) addPatient(c *gin.Context) {
	p, err := readPatientForm(c, nil)
	var added patient.Added
	if err == nil {
		added, err = s.Patients.Add(c.Request.Context(), principal(c), p)
	}
	switch {
	case coldkeep.ErrorCode(err) == coldkeep.EINVALID:
		s.showNew(c, http.StatusBadRequest, p, coldkeep.ErrorMessage(err))
		return
	case patient.IsLocked(err):
		s.lockedPage(c, "")
		return
	case err != nil:
		s.fail(c, err)
		return
	}
	word := "The patient has been added."
	switch {
	case added.Outcome == patient.Matched:
		word = "This person has a record already; here it is. Nothing has been added. Bring it up to date if it needs it."
	case added.Possible > 0:
		word = "The patient has been added. The state will look at a record that may be the same person's."
	}
	s.done(c, "/patients/"+added.ID, word, nil)
}

func (s *server) editPatientForm(c *gin.Context) {
	ctx, who, id := c.Request.Context(), principal(c), c.Param("id")
	var r patient.Record
	err := s.Patients.May(ctx, who, auth.EditPatients, "patient.edit", id)
	if err == nil {
		r, err = s.Patients.Open(ctx, who, id, "to edit")
	}
	if patient.IsLocked(err) {
		s.lockedPage(c, id)
		return
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	p, err := s.own(c, &r)
	if err != nil {
		s.fail(c, err)
		return
	}
	f, err := editForm(p, p)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "patientform", &page{Title: "Edit a patient", Nav: "patients", Data: f})
}

// own is the standing record alone, without the entries of those merged into it, which are
// edited nowhere.
func (s *server) own(c *gin.Context, r *patient.Record) (patient.Patient, error) {
	if len(r.Gate.Family) < 2 {
		return r.Patient, nil
	}
	return s.Patients.Standing(c.Request.Context(), principal(c), r.ID)
}

// editForm is the form of what is entered, made from a version of the record.
func editForm(entered, base patient.Patient) (patientForm, error) {
	f := newForm(entered, "/patients/"+base.ID+"/edit")
	f.ID, f.Revision = base.ID, base.Revision
	b, err := json.Marshal(base)
	f.Base = string(b)
	return f, coldkeep.Wrap(err, coldkeep.EINTERNAL, "web.editForm", "record")
}

// formBase is the version of the record that a form was made from.
func formBase(c *gin.Context, id string) (patient.Patient, error) {
	var base patient.Patient
	if json.Unmarshal([]byte(c.PostForm("base")), &base) != nil || base.Revision <= 0 {
		return base, coldkeep.Errorf(coldkeep.EINVALID, "Open the record's form again: this one does not say which version it was made from.")
	}
	base.ID = id // the rest decides only what the person has changed
	return base, nil
}

func (s *server) editPatient(c *gin.Context) {
	ctx, who, id := c.Request.Context(), principal(c), c.Param("id")
	kept, err := s.Patients.Standing(ctx, who, id)
	if err != nil {
		s.patientDone(c, "/patients/"+id, "", err)
		return
	}
	base, err := formBase(c, kept.ID)
	if err != nil {
		s.done(c, "/patients/"+id, "", err)
		return
	}
	p, err := readPatientForm(c, &base)
	p.ID, p.Deceased, p.Died, p.Revision = kept.ID, kept.Deceased, kept.Died, base.Revision
	if err == nil {
		_, err = s.Patients.Edit(ctx, who, p, c.PostForm("why"))
	}
	var f patientForm
	wrong := err
	switch coldkeep.ErrorCode(err) {
	case coldkeep.EINVALID: // as it was filled in, of the version it was made from
		f, err = editForm(p, base)
		f.Error = coldkeep.ErrorMessage(wrong)
	case coldkeep.ECONFLICT: // what was entered, on the version that stands now
		f, err = s.rebasedForm(c, base, p)
	default:
		s.patientDone(c, "/patients/"+id, "The record has been changed.", err)
		return
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, coldkeep.Status(coldkeep.ErrorCode(wrong)), "patientform", &page{Title: "Edit a patient", Nav: "patients", Path: "/patients/" + id, Data: f})
}

// rebasedForm is the form after somebody else has changed the record: what they have
// changed stands in it unless the person has changed it too, and is told.
func (s *server) rebasedForm(c *gin.Context, base, mine patient.Patient) (patientForm, error) {
	theirs, err := s.Patients.Standing(c.Request.Context(), principal(c), base.ID)
	if err != nil {
		return patientForm{}, err
	}
	entered, told, err := s.Patients.Rebase(base, theirs, mine)
	if err != nil {
		return patientForm{}, err
	}
	f, err := editForm(entered, theirs)
	f.Meanwhile = told
	f.Error = "Somebody else has changed this record while you were at it. Nothing has been saved yet: the form below has their changes and yours. Look at it, then save."
	return f, err
}
