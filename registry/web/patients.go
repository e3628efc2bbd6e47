package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
)

// patientRoutes are the screens of people: search, record, edit, opt-out, emergencies.
// Each names the permission that its service asks for. What a person is searched by is
// posted and never part of an address.
func (s *server) patientRoutes(in *gin.RouterGroup) {
	in.GET("/patients", s.patients)                            // search-patients
	in.POST("/patients/search", s.searching, s.searchPatients) // search-patients
	in.POST("/patients/new", s.newPatient)                     // edit-patients
	in.POST("/patients", s.addPatient)                         // edit-patients
	in.GET("/patients/:id", s.patient)                         // view-patients, or view-subset
	in.GET("/patients/:id/edit", s.editPatientForm)            // edit-patients
	in.POST("/patients/:id/edit", s.editPatient)               // edit-patients
	in.POST("/patients/:id/standing", s.setStanding)           // edit-patients
	in.POST("/patients/:id/deceased", s.setDeceased)           // edit-patients
	in.GET("/patients/:id/opt-out", s.optOut)                  // view-patients
	in.POST("/patients/:id/opt-out/offered", s.offerOptOut)    // edit-patients
	in.POST("/patients/:id/lock", s.lockPatient)               // lock-patients
	in.POST("/patients/:id/unlock", s.unlockPatient)           // lock-patients
	in.GET("/patients/:id/emergency", s.emergencyForm)         // break-glass
	in.POST("/patients/:id/emergency", s.openInEmergency)      // break-glass
	in.GET("/emergencies", s.emergencies)                      // read-audit
	in.POST("/emergencies/:id", s.reviewEmergency)             // read-audit
	in.GET("/duplicates", s.duplicates)                        // resolve-duplicates
	in.GET("/duplicates/:a/:b", s.duplicate)                   // resolve-duplicates
	in.POST("/duplicates/:a/:b/merge", s.mergePatients)        // resolve-duplicates
	in.POST("/duplicates/:a/:b/different", s.notDuplicate)     // resolve-duplicates
	in.GET("/merges/:id", s.unmerging)                         // resolve-duplicates
	in.POST("/merges/:id/undo", s.unmergePatients)             // resolve-duplicates
	in.GET("/deidentified", s.deidentified)                    // read-de-identified
	in.GET("/deidentified/people.csv", s.deidentifiedPeople)   // read-de-identified
}

// dates gives a template words for days.
type dates struct{}

// Date is a day as people read it, "–" when not known.
func (dates) Date(d coldkeep.Date) string {
	if !d.Known() {
		return "–"
	}
	return d.Midnight(time.UTC).Format("Jan 2, 2006")
}

// Title gives the words for a code.
func (dates) Title(table []patient.Code, code any) string {
	switch v := code.(type) {
	case string:
		return patient.Title(table, v)
	case patient.Sex:
		return patient.Title(table, string(v))
	case patient.NameKind:
		return patient.Title(table, string(v))
	case patient.Standing:
		if v == patient.Deceased {
			return "Deceased"
		}
		return patient.Title(table, string(v))
	}
	return ""
}

// Phone is a number as people write it.
func (dates) Phone(v string) string {
	if len(v) == 10 && !strings.Contains(v, "@") {
		return "(" + v[:3] + ") " + v[3:6] + "-" + v[6:]
	}
	return v
}

// Full is a name as it is read out.
func (dates) Full(n patient.Name) string {
	return strings.Join(slices.DeleteFunc([]string{n.Given, n.Middle, n.Family, n.Suffix}, func(s string) bool { return s == "" }), " ")
}

// Sorted is a name as it stands in a list.
func (dates) Sorted(n patient.Name) string {
	s := n.Family
	if n.Suffix != "" {
		s += " " + n.Suffix
	}
	return strings.TrimSpace(s + ", " + strings.TrimSpace(n.Given+" "+n.Middle))
}

// patientTables are the code tables that forms offer.
type patientTables struct{ dates }

func (patientTables) Sexes() []patient.Code           { return patient.Sexes }
func (patientTables) NameKinds() []patient.Code       { return patient.NameKinds }
func (patientTables) AddressKinds() []patient.Code    { return patient.AddressKinds }
func (patientTables) AllRaces() []patient.Code        { return patient.Races }
func (patientTables) Ethnicities() []patient.Code     { return patient.Ethnicities }
func (patientTables) Relations() []patient.Code       { return patient.Relations }
func (patientTables) IdentifierKinds() []patient.Code { return patient.IdentifierKinds }
func (patientTables) Publicities() []patient.Code     { return patient.Publicities }
func (patientTables) Languages() []patient.Code       { return patient.Languages }
func (patientTables) Standings() []patient.Code       { return patient.Standings }
func (patientTables) States() []string                { return patient.States() }

// ContactKinds are the kinds of contacts in words.
func (patientTables) ContactKinds() []patient.Code {
	return []patient.Code{{Code: "cell", Title: "Cell phone"}, {Code: "phone", Title: "Telephone"}, {Code: "work", Title: "Work"}, {Code: "email", Title: "E-mail"}}
}

// asked is a search as it was typed.
type asked struct {
	Family, Given, Birth, IDKind, IDAssigner, IDValue, GuardianFamily, GuardianGiven, GuardianBirth, Phone, PhoneBirth string
}

type searchPage struct {
	patientTables
	Asked  asked
	Found  *patient.Found // absent before a search
	Error  string
	Way    string // which of the forms was used
	MayAdd bool
}

// Short reports whether a name was asked for by fewer letters than a beginning takes: it was
// then looked for as a whole name (patient.Query), which who finds nobody should know.
func (p searchPage) Short() bool {
	letters := func(name string, want int) bool {
		return utf8.RuneCountInString(strings.TrimSpace(name)) < want
	}
	return p.Way == "name" && (letters(p.Asked.Family, 3) || letters(p.Asked.Given, 2))
}

func (s *server) patients(c *gin.Context) {
	who := principal(c)
	if err := who.Require(auth.SearchPatients, who.Site); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "patients", &page{Title: "Patients", Nav: "patients", Data: searchPage{Way: "name", MayAdd: principal(c).Anywhere(auth.EditPatients)}})
}

// formDate reads a date field; an empty one is the zero Date.
func formDate(c *gin.Context, field, label string) (coldkeep.Date, error) {
	v := strings.TrimSpace(c.PostForm(field))
	if v == "" {
		return 0, nil
	}
	if d, err := coldkeep.ParseDate(v); err == nil {
		return d, nil
	}
	// Fields without a calendar are filled in as dates are written here.
	for _, layout := range []string{"1/2/2006", "01/02/2006", "1-2-2006", "01022006"} {
		if t, err := time.Parse(layout, v); err == nil {
			return coldkeep.DateOf(t), nil
		}
	}
	return 0, coldkeep.Errorf(coldkeep.EINVALID, "%s: want a date such as 2019-04-02 or 4/2/2019.", label)
}

// searchPatients shows the result on the page that answers the form: what was searched for
// is kept nowhere.
func (s *server) searchPatients(c *gin.Context) {
	way := c.PostForm("way")
	a := asked{Family: c.PostForm("family"), Given: c.PostForm("given"), Birth: c.PostForm("birth"), IDKind: c.PostForm("id_kind"), IDAssigner: c.PostForm("id_assigner"), IDValue: c.PostForm("id_value"),
		GuardianFamily: c.PostForm("guardian_family"), GuardianGiven: c.PostForm("guardian_given"), GuardianBirth: c.PostForm("guardian_birth"), Phone: c.PostForm("phone"), PhoneBirth: c.PostForm("phone_birth")}
	d := searchPage{Asked: a, Way: way, MayAdd: principal(c).Anywhere(auth.EditPatients)}
	found, err := func() (patient.Found, error) {
		var q patient.Query
		var err error
		switch way {
		case "number":
			q = patient.Query{IDKind: a.IDKind, IDAssigner: a.IDAssigner, IDValue: a.IDValue}
		case "guardian":
			q = patient.Query{GuardianFamily: a.GuardianFamily, GuardianGiven: a.GuardianGiven}
			q.Birth, err = formDate(c, "guardian_birth", "Birth date")
		case "phone":
			q = patient.Query{Phone: a.Phone}
			q.Birth, err = formDate(c, "phone_birth", "Birth date")
		default:
			d.Way = "name"
			q = patient.Query{Family: a.Family, Given: a.Given}
			q.Birth, err = formDate(c, "birth", "Birth date")
		}
		if err != nil {
			return patient.Found{}, err
		}
		return s.Patients.Search(c.Request.Context(), principal(c), q)
	}()
	status := http.StatusOK
	switch code := coldkeep.ErrorCode(err); code {
	case "":
		d.Found = &found
	case coldkeep.EINVALID, coldkeep.ETOOMANY:
		status, d.Error = coldkeep.Status(code), coldkeep.ErrorMessage(err)
	default:
		s.fail(c, err)
		return
	}
	s.render(c, status, "patients", &page{Title: "Patients", Nav: "patients", Path: "/patients", Data: d})
}

// patientPage is a record.
type patientPage struct {
	patientTables
	patient.Record
	Full0    patient.Name // the name at the head of the page
	Age      string
	Here     patient.Standing // with the person's own practice
	Mine     bool             // may edit
	ViewOnly bool             // open for an emergency alone
	MayLock  bool
	MayMerge bool
	Due      *dueSummary        // absent for who sees a part of the record alone, and of the deceased
	Cold     []recall.ColdEntry // recalls after a break of the cold chain that have not come to an end
}

func (s *server) patient(c *gin.Context) {
	id, who := c.Param("id"), principal(c)
	r, err := s.Patients.Open(c.Request.Context(), who, id, "")
	if patient.IsLocked(err) {
		s.lockedPage(c, id)
		return
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if r.Asked != "" {
		s.flash(c, "ok:The record you asked for was merged into this one.")
		c.Redirect(http.StatusSeeOther, "/patients/"+r.ID)
		return
	}
	p := patientPage{Record: r, Full0: r.Name(), Age: age(r.Birth, coldkeep.DateOf(s.Clock.Now())), Here: r.Standing(string(who.Site)), Mine: who.Anywhere(auth.EditPatients) && !r.Gate.ViewOnly(who), ViewOnly: r.Gate.ViewOnly(who), MayLock: who.Anywhere(auth.LockPatients),
		MayMerge: who.Anywhere(auth.ResolveDuplicates)}
	if !r.Subset && !r.Deceased && who.Anywhere(auth.ViewPatients) {
		if p.Due, err = s.summaryOf(c, id); err != nil {
			s.fail(c, err)
			return
		}
	}
	if !r.Subset {
		if p.Cold, err = s.Recall.Waiting(c.Request.Context(), who, r.Gate); err != nil {
			s.fail(c, err)
			return
		}
	}
	s.render(c, http.StatusOK, "patient", &page{Title: "Patient", Nav: "patients", Data: p})
}

// MultipleYes reports whether the person is said to be one of a multiple birth.
func (p patientPage) MultipleYes() bool { return p.Multiple != nil && *p.Multiple }

// Said is a value of the record's history in words: history keeps codes, so that it stays
// as it was when a table of words changes.
func (p patientPage) Said(f patient.FieldChange, value string) string {
	in := func(table []patient.Code) string {
		codes := strings.Fields(value)
		for i, c := range codes {
			codes[i] = patient.Title(table, c)
		}
		return strings.Join(codes, ", ")
	}
	switch f.Field {
	case "sex":
		return in(patient.Sexes)
	case "race":
		return in(patient.Races)
	case "ethnicity":
		return in(patient.Ethnicities)
	case "language":
		return in(patient.Languages)
	case "reminder and recall":
		return in(patient.Publicities)
	case "multiple birth":
		return map[string]string{"true": "yes", "false": "no"}[value]
	case "birth date":
		if d, err := coldkeep.ParseDate(value); err == nil {
			return p.Date(d)
		}
	case "deceased":
		if d, err := coldkeep.ParseDate(strings.TrimPrefix(value, "deceased ")); err == nil {
			return "deceased " + p.Date(d)
		}
	case "opt-out form offered":
		when, site, _ := strings.Cut(value, " ")
		if at, err := time.Parse(time.RFC3339, when); err == nil {
			return strings.TrimSpace(at.Format("Jan 2, 2006") + " " + site)
		}
	}
	return value
}

// age is a child's in months or years, an adult's in years.
func age(birth, today coldkeep.Date) string {
	y, m, d := birth.Civil()
	ty, tm, td := today.Civil()
	months := (ty-y)*12 + tm - m
	if td < d {
		months--
	}
	switch {
	case months < 1:
		return plural(max(0, int(today-birth)), "day")
	case months < 24:
		return plural(months, "month")
	}
	return plural(months/12, "year")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// lockedPage tells that a record is locked, and nothing of it.
func (s *server) lockedPage(c *gin.Context, id string) {
	s.render(c, http.StatusForbidden, "locked", &page{Title: "Locked record", Nav: "patients",
		Data: struct {
			ID        string
			Emergency bool
		}{id, principal(c).Anywhere(auth.BreakGlass)}})
}

// patientDone answers a form of a record; a locked one gets the locked page.
func (s *server) patientDone(c *gin.Context, back, word string, err error) {
	if patient.IsLocked(err) {
		s.lockedPage(c, c.Param("id"))
		return
	}
	s.done(c, back, word, err)
}

func (s *server) setStanding(c *gin.Context) {
	id := c.Param("id")
	_, err := s.Patients.SetStatus(c.Request.Context(), principal(c), id, coldkeep.SiteID(c.PostForm("site")), patient.Standing(c.PostForm("standing")), c.PostForm("why"))
	s.patientDone(c, "/patients/"+id+"#status", "The status has been recorded.", err)
}

func (s *server) setDeceased(c *gin.Context) {
	id := c.Param("id")
	died, err := formDate(c, "died", "Date of death")
	if err == nil {
		_, err = s.Patients.SetDeceased(c.Request.Context(), principal(c), id, c.PostForm("deceased") == "yes", died, c.PostForm("why"))
	}
	s.patientDone(c, "/patients/"+id+"#status", "It has been recorded.", err)
}

func (s *server) optOut(c *gin.Context) {
	ctx, who, id := c.Request.Context(), principal(c), c.Param("id")
	var r patient.Record
	err := s.Patients.May(ctx, who, auth.ViewPatients, "patient.view", id)
	if err == nil {
		r, err = s.Patients.Open(ctx, who, id, "opt-out form")
	}
	if patient.IsLocked(err) {
		s.lockedPage(c, id)
		return
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "optout", &page{Title: "Opt-out form", Nav: "patients", Data: patientPage{Record: r, Full0: r.Name(), Mine: principal(c).Anywhere(auth.EditPatients) && !r.Gate.ViewOnly(principal(c)), MayLock: principal(c).Anywhere(auth.LockPatients) && !r.Gate.ViewOnly(principal(c))}})
}

func (s *server) offerOptOut(c *gin.Context) {
	id := c.Param("id")
	_, err := s.Patients.OfferOptOut(c.Request.Context(), principal(c), id)
	s.patientDone(c, "/patients/"+id+"/opt-out", "It has been recorded that the form was offered.", err)
}

func signedForm(c *gin.Context) (patient.Form, error) {
	signed, err := formDate(c, "signed", "Signed on")
	return patient.Form{Signer: c.PostForm("signer"), Relation: c.PostForm("relation"), Signed: signed, Kept: c.PostForm("kept")}, err
}

func (s *server) lockPatient(c *gin.Context) {
	id := c.Param("id")
	f, err := signedForm(c)
	if err == nil {
		err = s.Patients.Lock(c.Request.Context(), principal(c), id, f)
	}
	s.patientDone(c, "/patients/"+id+"/opt-out", "The record is locked. Only your practice and the state can open it.", err)
}

func (s *server) unlockPatient(c *gin.Context) {
	id := c.Param("id")
	f, err := signedForm(c)
	if err == nil {
		err = s.Patients.Unlock(c.Request.Context(), principal(c), id, f)
	}
	s.patientDone(c, "/patients/"+id+"/opt-out", "The record is open again to those who need to know.", err)
}

func (s *server) emergencyForm(c *gin.Context) {
	if err := s.Patients.May(c.Request.Context(), principal(c), auth.BreakGlass, "patient.emergency", c.Param("id")); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "emergency", &page{Title: "Open in an emergency", Nav: "patients", Data: c.Param("id")})
}

func (s *server) openInEmergency(c *gin.Context) {
	id := c.Param("id")
	until, err := s.Patients.BreakGlass(c.Request.Context(), principal(c), id, c.PostForm("why"))
	back := "/patients/" + id
	if code := coldkeep.ErrorCode(err); code == coldkeep.EINVALID {
		back += "/emergency"
	}
	s.done(c, back, "The record is open to you for viewing until "+until.In(s.localZoneOf(c)).Format("3:04 PM")+". The state has been told.", err)
}

// localZoneOf is the time zone of the person's practice.
func (s *server) localZoneOf(c *gin.Context) *time.Location {
	if site, err := s.Templog.Sites(c.Request.Context(), principal(c)); err == nil && len(site) > 0 {
		return zone(site[0])
	}
	return time.UTC
}

func (s *server) emergencies(c *gin.Context) {
	ctx, who := c.Request.Context(), principal(c)
	open, err := s.Patients.Emergencies(ctx, who, true)
	if err != nil {
		s.fail(c, err)
		return
	}
	past, err := s.Patients.Emergencies(ctx, who, false)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "emergencies", &page{Title: "Emergencies", Nav: "emergencies", Data: struct{ Open, Past []patient.Emergency }{open, past}})
}

func (s *server) reviewEmergency(c *gin.Context) {
	err := s.Patients.ReviewEmergency(c.Request.Context(), principal(c), c.Param("id"), c.PostForm("review"))
	s.done(c, "/emergencies", "Reviewed.", err)
}
