package vis

import (
	"cmp"
	"context"
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Handed is a statement that was handed over with a dose.
type Handed struct {
	immunization.VIS
	Name  string     // of the statement; its code when it is not known
	Newer *Statement // the edition that was to be handed over instead; absent: it was right
	Dose  immunization.Dose
}

// HandedOver lists the statements of a person's doses, the latest first, and the doses given
// by practices without any. It writes the view into the trail. EFORBIDDEN when the record
// does not open to by, ENOTFOUND.
func (s *Service) HandedOver(ctx context.Context, by auth.Principal, id string) (handed []Handed, without []immunization.Dose, err error) {
	if !by.Known() {
		return nil, nil, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	head := id
	err = s.store.Tx(ctx, func(tx Tx) error {
		handed, without = nil, nil
		g, err := tx.PatientGate(ctx, id, by.ID, s.clock.Now())
		if err != nil {
			return err
		}
		head = g.Head
		if err := g.Require(by, auth.ViewPatients); err != nil {
			return err
		}
		if handed, without, err = s.ofPerson(ctx, tx, g); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "vis.view", "patient/"+g.Head, "", ""))
	})
	if coldkeep.ErrorCode(err) == coldkeep.EFORBIDDEN {
		if e := s.store.Tx(ctx, func(tx Tx) error { return tx.Audit(ctx, s.entry(by, "vis.refused", "patient/"+head, "", "")) }); e != nil {
			return nil, nil, e
		}
	}
	return handed, without, err
}

func (s *Service) ofPerson(ctx context.Context, tx Tx, g patient.Gate) (handed []Handed, without []immunization.Dose, err error) {
	all, err := s.all(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	doses, err := tx.Doses(ctx, g.Family)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range slices.Backward(doses) {
		if !d.Counts() {
			continue
		}
		for _, v := range d.VIS {
			h := Handed{VIS: v, Name: v.Document, Newer: outdated(all, v), Dose: d}
			if st, err := find(all, v.Document); err == nil {
				h.Name = st.Name
			}
			handed = append(handed, h)
		}
		if c := choice(all, d.CVX); d.Kind == immunization.Administered && len(d.VIS) == 0 && len(c.Each)+len(c.Several) > 0 {
			without = append(without, d)
		}
	}
	return handed, without, nil
}

// Report is how a practice hands statements over. Doses of vaccines without a statement are
// not in it.
type Report struct {
	Site     coldkeep.SiteID
	From, To coldkeep.Date
	Total    Line
	Lines    []Line // by vaccine, the most doses first
	// Doses are those with something wrong, the latest first, for who may see patients of the
	// practice; More is that there are others.
	Doses []Wrong
	More  bool
}

// Line is the doses of a vaccine.
type Line struct {
	CVX, Name string
	Doses     int
	Without   int // no statement is recorded
	Part      int // some of a combination's statements are missing
	Outdated  int // an edition that had been replaced
	After     int // handed over after the day of the dose
}

// Wrong is a dose with something wrong.
type Wrong struct {
	Dose, Patient string
	Name          string
	On            coldkeep.Date
	What          []string
}

const (
	together   = 2000 // doses read in one step
	wrongShown = 200
	longest    = 366 // days of a report
)

// Report says how a practice has handed statements over on some days. Who belongs to a
// practice gets that practice's; the state names one. EFORBIDDEN when by may not read the
// quality of that practice's data, EINVALID for days that are none or more than a year. It is
// in the trail.
func (s *Service) Report(ctx context.Context, by auth.Principal, site coldkeep.SiteID, from, to coldkeep.Date) (Report, error) {
	if by.Site != "" && site == "" {
		site = by.Site
	}
	r := Report{Site: site, From: from, To: to}
	if err := by.Require(auth.ReadQuality, site); err != nil {
		return r, err
	}
	switch {
	case site == "":
		return r, coldkeep.Errorf(coldkeep.EINVALID, "Practice: choose one.")
	case !from.Known() || !to.Known() || to < from || int(to-from) >= longest:
		return r, coldkeep.Errorf(coldkeep.EINVALID, "From and to: want two days, the later not before the earlier, of at most a year.")
	}
	all, err := s.all(ctx, s.store)
	if err != nil {
		return r, err
	}
	lines := map[string]*Line{}
	names := by.May(auth.ViewPatients, site)
	for after := ""; ; {
		doses, err := s.store.GivenAt(ctx, site, from, to, after, together)
		if err != nil {
			return r, err
		}
		for i := range doses {
			s.tell(&r, lines, all, &doses[i], names)
		}
		if len(doses) < together {
			break
		}
		after = doses[len(doses)-1].Dose
	}
	for _, l := range lines {
		r.Lines = append(r.Lines, *l)
		r.Total.Doses += l.Doses
		r.Total.Without += l.Without
		r.Total.Part += l.Part
		r.Total.Outdated += l.Outdated
		r.Total.After += l.After
	}
	slices.SortFunc(r.Lines, func(a, b Line) int { return cmp.Or(cmp.Compare(b.Doses, a.Doses), cmp.Compare(a.CVX, b.CVX)) })
	slices.SortFunc(r.Doses, func(a, b Wrong) int { return cmp.Or(cmp.Compare(b.On, a.On), cmp.Compare(b.Dose, a.Dose)) })
	if r.More = len(r.Doses) > wrongShown; r.More {
		r.Doses = r.Doses[:wrongShown]
	}
	return r, s.store.Tx(ctx, func(tx Tx) error {
		e := s.entry(by, "vis.report", "vis", "", from.String()+" to "+to.String())
		e.Site = site
		return tx.Audit(ctx, e)
	})
}

func (s *Service) tell(r *Report, lines map[string]*Line, all []Statement, d *Given, names bool) {
	c := choice(all, d.CVX)
	if len(c.Each)+len(c.Several) == 0 {
		return
	}
	l := lines[d.CVX]
	if l == nil {
		l = &Line{CVX: d.CVX, Name: s.codes.Name(d.CVX)}
		lines[d.CVX] = l
	}
	l.Doses++
	var what []string
	var codes []string
	old, late := false, false
	for _, v := range d.VIS {
		codes = append(codes, v.Document)
		old = old || outdated(all, v) != nil
		late = late || v.Given > d.On
	}
	switch {
	case len(codes) == 0:
		l.Without++
		what = append(what, "no statement")
	case !c.Covers(codes) && known(all, codes):
		l.Part++
		what = append(what, "not every statement of the combination")
	}
	if old {
		l.Outdated++
		what = append(what, "an outdated edition")
	}
	if late {
		l.After++
		what = append(what, "handed over after the dose")
	}
	if len(what) > 0 && names {
		r.Doses = append(r.Doses, Wrong{Dose: d.Dose, Patient: d.Patient, Name: l.Name, On: d.On, What: what})
	}
}

// known reports whether every code is one of the editions: of others it cannot be said what
// they cover.
func known(all []Statement, codes []string) bool {
	return !slices.ContainsFunc(codes, func(code string) bool { _, err := find(all, code); return err != nil })
}
