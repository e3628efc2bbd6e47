package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// patientRoutes are the calls about people. Each names the permission that its service
// asks for. What a person is searched by is in the body, never in the address; a search
// is a POST that changes nothing and whose answer is kept nowhere.
func (s *server) patientRoutes(v1 *gin.RouterGroup) {
	v1.POST("/patients/search", s.searching, s.ask(16<<10, s.searchPatients)) // search-patients
	v1.POST("/patients", s.post(64<<10, s.addPatient))                        // edit-patients
	v1.GET("/patients/:id", s.patient)                                        // view-patients, or view-subset
	v1.POST("/patients/:id", s.post(64<<10, s.editPatient))                   // edit-patients
	v1.POST("/patients/:id/status", s.post(16<<10, s.patientStatus))          // edit-patients
	v1.POST("/patients/:id/deceased", s.post(16<<10, s.patientDeceased))      // edit-patients
	v1.POST("/patients/:id/lock", s.post(16<<10, s.lockPatient))              // lock-patients
	v1.POST("/patients/:id/unlock", s.post(16<<10, s.unlockPatient))          // lock-patients
	v1.POST("/patients/:id/emergency", s.post(16<<10, s.openInEmergency))     // break-glass
	v1.GET("/duplicates", s.duplicates)                                       // resolve-duplicates
	v1.POST("/duplicates/different", s.post(16<<10, s.notDuplicate))          // resolve-duplicates
	v1.POST("/patients/:id/merge", s.post(16<<10, s.mergePatients))           // resolve-duplicates
	v1.GET("/merges/:id", s.unmerging)                                        // resolve-duplicates
	v1.POST("/merges/:id/undo", s.post(16<<10, s.unmergePatients))            // resolve-duplicates
}

// ask wraps a POST that changes nothing: it needs no idempotency key, and its answer, which
// may be of patients, is not kept.
func (s *server) ask(limit int64, call func(*gin.Context, []byte) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		if media, _, _ := strings.Cut(c.GetHeader("Content-Type"), ";"); media != "" && !strings.EqualFold(strings.TrimSpace(media), "application/json") {
			write(c, http.StatusUnsupportedMediaType, coldkeep.EINVALID, "Content-Type: want application/json")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, limit))
		if err != nil {
			var tooLarge *http.MaxBytesError
			if errors.As(err, &tooLarge) {
				s.tooLarge(c, limit)
				return
			}
			s.problem(c, coldkeep.Wrap(err, coldkeep.EINVALID, "api.ask", "body: could not be read"))
			return
		}
		if hasNUL(body) {
			s.problem(c, errNUL)
			return
		}
		value, err := call(c, body)
		if err != nil {
			s.problem(c, err)
			return
		}
		c.JSON(http.StatusOK, value)
	}
}

type nameJSON struct {
	Kind   patient.NameKind `json:"kind,omitempty"`
	Family string           `json:"family"`
	Given  string           `json:"given"`
	Middle string           `json:"middle,omitempty"`
	Suffix string           `json:"suffix,omitempty"`
	Until  *time.Time       `json:"until,omitempty"`
}

type addressJSON struct {
	Kind    string     `json:"kind,omitempty"`
	Street  string     `json:"street,omitempty"`
	Street2 string     `json:"street2,omitempty"`
	City    string     `json:"city,omitempty"`
	State   string     `json:"state,omitempty"`
	ZIP     string     `json:"zip,omitempty"`
	County  string     `json:"county,omitempty"`
	Country string     `json:"country,omitempty"`
	Until   *time.Time `json:"until,omitempty"`
}

type contactJSON struct {
	Kind  patient.ContactKind `json:"kind"`
	Value string              `json:"value"`
	Until *time.Time          `json:"until,omitempty"`
}

type identifierJSON struct {
	Kind     string     `json:"kind"`
	Assigner string     `json:"assigner,omitempty"`
	Value    string     `json:"value"`
	Until    *time.Time `json:"until,omitempty"`
}

type guardianJSON struct {
	Relation string        `json:"relation"`
	Family   string        `json:"family"`
	Given    string        `json:"given,omitempty"`
	Middle   string        `json:"middle,omitempty"`
	Address  *addressJSON  `json:"address,omitempty"`
	Contacts []contactJSON `json:"contacts,omitempty"`
	Until    *time.Time    `json:"until,omitempty"`
}

type statusJSON struct {
	Site     coldkeep.SiteID  `json:"site"`
	Standing patient.Standing `json:"standing"`
	Since    time.Time        `json:"since"`
}

type lockJSON struct {
	Site coldkeep.SiteID `json:"site"`
	At   time.Time       `json:"at"`
}

// patientJSON is a record as it is sent and answered.
type patientJSON struct {
	ID          string           `json:"id,omitempty"`
	Revision    int64            `json:"revision,omitempty"`
	MergedFrom  string           `json:"merged_from,omitempty"` // the id that was asked for, when it was merged into this one
	Names       []nameJSON       `json:"names"`
	Birth       coldkeep.Date    `json:"birth"`
	BirthState  string           `json:"birth_state,omitempty"`
	BirthNation string           `json:"birth_nation,omitempty"`
	Sex         patient.Sex      `json:"sex,omitempty"`
	Multiple    *bool            `json:"multiple_birth,omitempty"`
	BirthOrder  int              `json:"birth_order,omitempty"`
	Races       []string         `json:"races,omitempty"`
	Ethnicity   string           `json:"ethnicity,omitempty"`
	Language    string           `json:"language,omitempty"`
	Mother      string           `json:"mothers_maiden_name,omitempty"`
	Publicity   string           `json:"publicity,omitempty"`
	Addresses   []addressJSON    `json:"addresses,omitempty"`
	Contacts    []contactJSON    `json:"contacts,omitempty"`
	Identifiers []identifierJSON `json:"identifiers,omitempty"`
	Guardians   []guardianJSON   `json:"guardians,omitempty"`
	Statuses    []statusJSON     `json:"statuses,omitempty"`
	Deceased    bool             `json:"deceased,omitempty"`
	Died        coldkeep.Date    `json:"died,omitempty"`
	Lock        *lockJSON        `json:"lock,omitempty"`
	Why         string           `json:"why,omitempty"` // of a change
}

func toJSON(p *patient.Patient) patientJSON {
	out := patientJSON{ID: p.ID, Revision: p.Revision, Birth: p.Birth, BirthState: p.BirthState, BirthNation: p.BirthNation, Sex: p.Sex, Multiple: p.Multiple, BirthOrder: p.BirthOrder,
		Races: p.Races, Ethnicity: p.Ethnicity, Language: p.Language, Mother: p.Mother, Publicity: p.Publicity, Deceased: p.Deceased, Died: p.Died}
	for _, n := range p.Names {
		out.Names = append(out.Names, nameJSON{n.Kind, n.Family, n.Given, n.Middle, n.Suffix, n.Until})
	}
	for _, a := range p.Addresses {
		out.Addresses = append(out.Addresses, addressToJSON(a))
	}
	for _, c := range p.Contacts {
		out.Contacts = append(out.Contacts, contactJSON{c.Kind, c.Value, c.Until})
	}
	for _, i := range p.Identifiers {
		out.Identifiers = append(out.Identifiers, identifierJSON{i.Kind, i.Assigner, i.Value, i.Until})
	}
	for _, g := range p.Guardians {
		v := guardianJSON{Relation: g.Relation, Family: g.Family, Given: g.Given, Middle: g.Middle, Until: g.Until}
		if g.Address != (patient.Address{}) {
			a := addressToJSON(g.Address)
			v.Address = &a
		}
		for _, c := range g.Contacts {
			v.Contacts = append(v.Contacts, contactJSON{c.Kind, c.Value, nil})
		}
		out.Guardians = append(out.Guardians, v)
	}
	for _, st := range p.Statuses {
		if st.Until == nil {
			out.Statuses = append(out.Statuses, statusJSON{st.Site, st.Standing, st.Since})
		}
	}
	if p.Lock != nil {
		out.Lock = &lockJSON{p.Lock.Site, p.Lock.At}
	}
	return out
}

func addressToJSON(a patient.Address) addressJSON {
	return addressJSON{a.Kind, a.Street, a.Street2, a.City, a.State, a.ZIP, a.County, a.Country, a.Until}
}

func (a *addressJSON) address() patient.Address {
	return patient.Address{Kind: a.Kind, Street: a.Street, Street2: a.Street2, City: a.City, State: a.State, ZIP: a.ZIP, County: a.County, Country: a.Country, Span: patient.Span{Until: a.Until}}
}

// patient is the record that was sent. Entries with an end are those that ended already.
func (j *patientJSON) patient() patient.Patient {
	p := patient.Patient{Birth: j.Birth, BirthState: j.BirthState, BirthNation: j.BirthNation, Sex: j.Sex, Multiple: j.Multiple, BirthOrder: j.BirthOrder, Races: j.Races, Ethnicity: j.Ethnicity,
		Language: j.Language, Mother: j.Mother, Publicity: j.Publicity, Deceased: j.Deceased, Died: j.Died, Revision: j.Revision}
	for _, n := range j.Names {
		p.Names = append(p.Names, patient.Name{Kind: n.Kind, Family: n.Family, Given: n.Given, Middle: n.Middle, Suffix: n.Suffix, Span: patient.Span{Until: n.Until}})
	}
	for i := range j.Addresses {
		p.Addresses = append(p.Addresses, j.Addresses[i].address())
	}
	for _, c := range j.Contacts {
		p.Contacts = append(p.Contacts, patient.Contact{Kind: c.Kind, Value: c.Value, Span: patient.Span{Until: c.Until}})
	}
	for _, i := range j.Identifiers {
		p.Identifiers = append(p.Identifiers, patient.Identifier{Kind: i.Kind, Assigner: i.Assigner, Value: i.Value, Span: patient.Span{Until: i.Until}})
	}
	for _, g := range j.Guardians {
		v := patient.Guardian{Relation: g.Relation, Family: g.Family, Given: g.Given, Middle: g.Middle, Span: patient.Span{Until: g.Until}}
		if g.Address != nil {
			v.Address = g.Address.address()
		}
		for _, c := range g.Contacts {
			v.Contacts = append(v.Contacts, patient.Contact{Kind: c.Kind, Value: c.Value})
		}
		p.Guardians = append(p.Guardians, v)
	}
	return p
}

type searchJSON struct {
	Family         string        `json:"family"`
	Given          string        `json:"given"`
	Middle         string        `json:"middle"`
	Birth          coldkeep.Date `json:"birth"`
	IDKind         string        `json:"identifier_kind"`
	IDAssigner     string        `json:"identifier_assigner"`
	IDValue        string        `json:"identifier"`
	GuardianFamily string        `json:"guardian_family"`
	GuardianGiven  string        `json:"guardian_given"`
	Phone          string        `json:"phone"`
}

type hitJSON struct {
	ID     string        `json:"id"`
	Locked bool          `json:"locked,omitempty"`
	Name   *nameJSON     `json:"name,omitempty"`
	Birth  coldkeep.Date `json:"birth,omitempty"`
	Sex    patient.Sex   `json:"sex,omitempty"`
	City   string        `json:"city,omitempty"`
}

type foundJSON struct {
	Patients []hitJSON `json:"patients"`
	Similar  bool      `json:"similar"`
}

func (s *server) searchPatients(c *gin.Context, body []byte) (any, error) {
	q, err := decodeOne[searchJSON](body)
	if err != nil {
		return nil, err
	}
	found, err := s.Patients.Search(c.Request.Context(), principal(c), patient.Query{Family: q.Family, Given: q.Given, Middle: q.Middle, Birth: q.Birth, IDKind: q.IDKind, IDAssigner: q.IDAssigner,
		IDValue: q.IDValue, GuardianFamily: q.GuardianFamily, GuardianGiven: q.GuardianGiven, Phone: q.Phone})
	out := foundJSON{Patients: []hitJSON{}, Similar: found.Similar}
	for _, h := range found.Hits {
		v := hitJSON{ID: h.ID, Locked: h.Locked, Birth: h.Birth, Sex: h.Sex, City: h.City}
		if !h.Locked {
			v.Name = &nameJSON{Family: h.Name.Family, Given: h.Name.Given, Middle: h.Name.Middle, Suffix: h.Name.Suffix}
		}
		out.Patients = append(out.Patients, v)
	}
	return out, err
}

type addedJSON struct {
	ID       string          `json:"id"`
	Outcome  patient.Outcome `json:"outcome"`
	Possible int             `json:"possible_duplicates"`
}

func (s *server) addPatient(c *gin.Context, body []byte) (any, error) {
	j, err := decodeOne[patientJSON](body)
	if err != nil {
		return nil, err
	}
	added, err := s.Patients.Add(c.Request.Context(), principal(c), j.patient())
	return addedJSON{added.ID, added.Outcome, added.Possible}, err
}

func (s *server) patient(c *gin.Context) {
	r, err := s.Patients.Open(c.Request.Context(), principal(c), c.Param("id"), "")
	if err != nil {
		s.problem(c, err)
		return
	}
	j := toJSON(&r.Patient)
	j.MergedFrom = r.Asked
	c.JSON(http.StatusOK, j)
}

type revised struct {
	ID       string `json:"id"`
	Revision int64  `json:"revision"`
}

func (s *server) editPatient(c *gin.Context, body []byte) (any, error) {
	j, err := decodeOne[patientJSON](body)
	if err != nil {
		return nil, err
	}
	p := j.patient()
	p.ID = c.Param("id")
	p, err = s.Patients.Edit(c.Request.Context(), principal(c), p, j.Why)
	return revised{p.ID, p.Revision}, err
}

func (s *server) patientStatus(c *gin.Context, body []byte) (any, error) {
	v, err := decodeOne[struct {
		Site     coldkeep.SiteID  `json:"site"`
		Standing patient.Standing `json:"standing"`
		Why      string           `json:"why"`
	}](body)
	if err != nil {
		return nil, err
	}
	p, err := s.Patients.SetStatus(c.Request.Context(), principal(c), c.Param("id"), v.Site, v.Standing, v.Why)
	return revised{p.ID, p.Revision}, err
}

func (s *server) patientDeceased(c *gin.Context, body []byte) (any, error) {
	v, err := decodeOne[struct {
		Deceased bool          `json:"deceased"`
		Died     coldkeep.Date `json:"died"`
		Why      string        `json:"why"`
	}](body)
	if err != nil {
		return nil, err
	}
	p, err := s.Patients.SetDeceased(c.Request.Context(), principal(c), c.Param("id"), v.Deceased, v.Died, v.Why)
	return revised{p.ID, p.Revision}, err
}

type formJSON struct {
	Signer   string        `json:"signer"`
	Relation string        `json:"relation"`
	Signed   coldkeep.Date `json:"signed"`
	Kept     string        `json:"kept"`
}

type lockedJSON struct {
	ID     string `json:"id"`
	Locked bool   `json:"locked"`
}

func (s *server) lockPatient(c *gin.Context, body []byte) (any, error) {
	f, err := decodeOne[formJSON](body)
	if err != nil {
		return nil, err
	}
	id := c.Param("id")
	return lockedJSON{id, true}, s.Patients.Lock(c.Request.Context(), principal(c), id, patient.Form(f))
}

func (s *server) unlockPatient(c *gin.Context, body []byte) (any, error) {
	f, err := decodeOne[formJSON](body)
	if err != nil {
		return nil, err
	}
	id := c.Param("id")
	return lockedJSON{id, false}, s.Patients.Unlock(c.Request.Context(), principal(c), id, patient.Form(f))
}

type whyJSON struct {
	Why string `json:"why"`
}

func (s *server) openInEmergency(c *gin.Context, body []byte) (any, error) {
	v, err := decodeOne[whyJSON](body)
	if err != nil {
		return nil, err
	}
	until, err := s.Patients.BreakGlass(c.Request.Context(), principal(c), c.Param("id"), v.Why)
	return struct {
		ID    string    `json:"id"`
		Until time.Time `json:"until"`
	}{c.Param("id"), until.UTC()}, err
}

type pairJSON struct {
	A       string         `json:"a"`
	B       string         `json:"b"`
	Score   float64        `json:"score"`
	Parts   []patient.Part `json:"parts"`
	FoundAt time.Time      `json:"found_at"`
}

func (s *server) duplicates(c *gin.Context) {
	all, err := s.Patients.Duplicates(c.Request.Context(), principal(c), patient.PairOpen)
	if err != nil {
		s.problem(c, err)
		return
	}
	out := make([]pairJSON, 0, len(all))
	for _, p := range all {
		out = append(out, pairJSON{p.A, p.B, p.Score, p.Parts, p.FoundAt})
	}
	c.JSON(http.StatusOK, struct {
		Pairs []pairJSON `json:"pairs"`
	}{out})
}

func (s *server) notDuplicate(c *gin.Context, body []byte) (any, error) {
	v, err := decodeOne[struct {
		A   string `json:"a"`
		B   string `json:"b"`
		Why string `json:"why"`
	}](body)
	if err != nil {
		return nil, err
	}
	return struct {
		Done bool `json:"done"`
	}{true}, s.Patients.NotDuplicate(c.Request.Context(), principal(c), v.A, v.B, v.Why)
}

type mergeJSON struct {
	ID       string `json:"id"`
	Loser    string `json:"loser"`
	Survivor string `json:"survivor"`
}

func (s *server) mergePatients(c *gin.Context, body []byte) (any, error) {
	v, err := decodeOne[struct {
		Into string `json:"into"`
		Why  string `json:"why"`
	}](body)
	if err != nil {
		return nil, err
	}
	m, err := s.Patients.MergePatients(c.Request.Context(), principal(c), c.Param("id"), v.Into, v.Why)
	return mergeJSON{m.ID, m.Loser, m.Survivor}, err
}

// enteredJSON is an entry that was made since a merge.
type enteredJSON struct {
	ID    string    `json:"id"`
	Kind  string    `json:"kind"`
	What  string    `json:"what"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Ended bool      `json:"ended,omitempty"`
}

func (s *server) unmerging(c *gin.Context) {
	u, err := s.Patients.Unmerging(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.problem(c, err)
		return
	}
	entered := make([]enteredJSON, len(u.Entered))
	for i, e := range u.Entered {
		entered[i] = enteredJSON{e.ID, e.Kind, e.What, e.By, e.At, e.Ended}
	}
	c.JSON(http.StatusOK, struct {
		mergeJSON
		Entered []enteredJSON `json:"entered"`
	}{mergeJSON{u.ID, u.Merge.Loser, u.Merge.Survivor}, entered})
}

func (s *server) unmergePatients(c *gin.Context, body []byte) (any, error) {
	v, err := decodeOne[struct {
		Why  string   `json:"why"`
		Move []string `json:"move"`
	}](body)
	if err != nil {
		return nil, err
	}
	m, err := s.Patients.UnmergePatients(c.Request.Context(), principal(c), c.Param("id"), v.Why, v.Move...)
	return mergeJSON{m.ID, m.Loser, m.Survivor}, err
}
