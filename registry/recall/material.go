package recall

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Sheet is what a notice on paper, or a call, needs of a household, and no more.
type Sheet struct {
	Notice
	To      string           // whom it is addressed to
	Address *patient.Address // absent for a call
	Phones  []string         // of a call
	Names   []string         // of those it is about; none on a postcard
	Groups  []string         // what is due; none on a postcard
	Given   coldkeep.Date    // of a cold-chain recall: when the first such dose was given
	People  []Callee         // of a call
}

// Callee is somebody a call is about, with what came of it.
type Callee struct {
	Patient string
	Name    string
	Birth   coldkeep.Date
	Groups  []string
	Outcome Outcome
	Last    *Attempt // absent: nobody has tried
}

// Material is what a practice prints.
type Material struct {
	Run      Run
	Settings Settings
	Texts    []Text
	Sheets   []Sheet
	Today    coldkeep.Date
	// Left is how many notices are not among the sheets, since meanwhile there is a reason
	// not to send them, such as a record that was locked or an address that is gone.
	Left int
}

// TextFor is the text of a sheet: heading and body, filled in.
func (m *Material) TextFor(sh *Sheet) (subject, body string) {
	kind := LetterText
	switch {
	case sh.Channel == Postcard:
		kind = PostcardText
	case m.Run.Cold != "":
		kind = ColdLetterText
	}
	t := textOf(m.Texts, kind, sh.Language)
	return t.fill(map[string]string{"clinic": m.Settings.Name, "phone": m.Settings.Phone, "date": Day(m.Today, sh.Language), "guardian": sh.To,
		"names": strings.Join(sh.Names, "\n"), "vaccines": strings.Join(words(sh.Groups, sh.Language), ", "), "given": Day(sh.Given, sh.Language)})
}

// Print gives what a run's notices by a channel on paper, or its calls, need. Round 0 is all
// of them. Everybody on it is in the trail, also when it ends in an error. EINVALID for a channel that is none of these,
// EFORBIDDEN, ENOTFOUND.
func (s *Service) Print(ctx context.Context, by auth.Principal, run string, ch Channel, round int, as string) (Material, error) {
	perms := []auth.Permission{auth.RecallPatients}
	if ch == Phone {
		perms = append(perms, auth.CallPatients)
	}
	var m Material
	r, err := own(ctx, s.store, by, run, perms...)
	if err != nil {
		return m, err
	}
	if ch.electronic() || !slices.Contains(Channels(), ch) {
		return m, coldkeep.Errorf(coldkeep.EINVALID, "Channel %q: nothing is printed for it.", ch)
	}
	m.Run = r
	if m.Settings, err = settings(ctx, s.store, r.Site); err != nil {
		return m, err
	}
	if m.Texts, err = texts(ctx, s.store, r.Site); err != nil {
		return m, err
	}
	if m.Today, err = s.today(ctx, s.store, r.Site); err != nil {
		return m, err
	}
	notices, err := s.store.Notices(ctx, run, ch, round)
	if err != nil {
		return m, err
	}
	notices = slices.DeleteFunc(notices, func(n Notice) bool { return n.State != Paper })
	for some := range slices.Chunk(notices, sheetsTogether) {
		var sheets []Sheet
		err := s.store.Tx(ctx, func(tx Tx) error {
			sheets = nil
			for _, n := range some {
				sh, ok, err := s.sheet(ctx, tx, by, &r, n, m.Today, as)
				if err != nil {
					return err
				}
				if ok {
					sheets = append(sheets, sh)
				}
			}
			return nil
		})
		if err != nil {
			return m, err
		}
		m.Sheets = append(m.Sheets, sheets...)
	}
	m.Left = len(notices) - len(m.Sheets)
	// By ZIP code, as post that is sorted wants it; a call list by name.
	slices.SortStableFunc(m.Sheets, func(a, b Sheet) int {
		if ch == Phone {
			return cmp.Compare(a.To, b.To)
		}
		return cmp.Or(cmp.Compare(a.Address.ZIP, b.Address.ZIP), cmp.Compare(a.Address.Street, b.Address.Street), cmp.Compare(a.To, b.To))
	})
	return m, nil
}

// sheetsTogether is how many households are read and entered into the trail in one
// transaction: thousands at once would keep everybody who records a dose waiting.
const sheetsTogether = 100

// sheet reads a household as its records stand now; ok is false when nobody of it may be told
// by this channel any more.
func (s *Service) sheet(ctx context.Context, tx Tx, by auth.Principal, r *Run, n Notice, today coldkeep.Date, as string) (sh Sheet, ok bool, err error) {
	members, err := tx.Members(ctx, r.Site, n.Patients)
	if err != nil {
		return sh, false, err
	}
	sh.Notice = n
	for i := range members {
		m := &members[i]
		c := candidate{standing: m.Standing, deceased: m.Deceased, locked: m.Locked && (m.LockSite != r.Site || r.Site == "")}
		if r.Cold != "" {
			c.standing = patient.Active
		}
		if who(&c) != Told {
			continue
		}
		p, err := tx.RecallPerson(ctx, r.ID, m.ID)
		if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
			continue // merged into another, who is told
		}
		if err != nil {
			return sh, false, err
		}
		k, err := s.contactOf(ctx, tx, m, today)
		if err != nil {
			return sh, false, err
		}
		if !slices.Contains(k.channels(), n.Channel) {
			continue
		}
		ok = true
		if err := s.describe(ctx, tx, r, &sh, m, &p, &k); err != nil {
			return sh, false, err
		}
		if err := tx.Audit(ctx, s.entry(by, "recall.list", "patient/"+m.ID, r.Site, "", fmt.Sprintf("run %s, %s", r.ID, as))); err != nil {
			return sh, false, err
		}
	}
	return sh, ok, nil
}

// describe adds somebody to a household's sheet, as far as the channel needs it.
func (s *Service) describe(ctx context.Context, tx Tx, r *Run, sh *Sheet, m *Member, p *Person, k *contact) error {
	if sh.To == "" {
		sh.To = k.to
	}
	if sh.Channel == Postcard {
		sh.Address = k.address
		return nil // its outside says who it is for, and nothing else
	}
	var groups []string
	for _, g := range p.Groups {
		groups = append(groups, g.Name)
	}
	name := full(k.names.Given, k.names.Middle, k.names.Family, k.names.Suffix)
	sh.Names = append(sh.Names, name)
	for _, g := range groups {
		if !slices.Contains(sh.Groups, g) {
			sh.Groups = append(sh.Groups, g)
		}
	}
	if r.Cold != "" {
		entry, err := coldPerson(ctx, tx, r.Cold, m.Family)
		if err != nil {
			return err
		}
		doses, err := tx.ColdDoses(ctx, r.Cold, entry.Patient)
		if err != nil {
			return err
		}
		for _, d := range doses {
			if !sh.Given.Known() || d.Date < sh.Given {
				sh.Given = d.Date
			}
		}
	}
	if sh.Channel != Phone {
		sh.Address = k.address
		return nil
	}
	for _, v := range k.phones {
		add(&sh.Phones, v)
	}
	callee := Callee{Patient: m.ID, Name: name, Birth: m.Birth, Groups: groups, Outcome: p.Outcome}
	attempts, err := tx.Attempts(ctx, m.Family)
	if err != nil {
		return err
	}
	for i := range attempts {
		if attempts[i].Run == r.ID && attempts[i].Channel == Phone {
			callee.Last = &attempts[i]
			break
		}
	}
	sh.People = append(sh.People, callee)
	return nil
}

var months = map[string][]string{
	"en": {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
	"es": {"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"},
}

// Day writes a day out in a language.
func Day(d coldkeep.Date, language string) string {
	if !d.Known() {
		return ""
	}
	y, m, day := d.Civil()
	if language == "es" {
		return fmt.Sprintf("%d de %s de %d", day, months["es"][m-1], y)
	}
	return fmt.Sprintf("%s %d, %d", months["en"][m-1], day, y)
}

// spanish are the vaccine groups as families call them; CDC's abbreviations are the same in
// both languages.
var spanish = map[string]string{"Hepatitis A": "hepatitis A", "HepA": "hepatitis A", "HepB": "hepatitis B", "Influenza": "influenza (gripe)", "Measles": "sarampión", "Meningococcal": "meningococo",
	"Meningococcal B": "meningococo B", "Pneumococcal": "neumococo", "Polio": "polio", "Rotavirus": "rotavirus", "Varicella": "varicela", "Zoster": "herpes zóster (culebrilla)", "COVID-19": "COVID-19",
	"MMR": "sarampión, paperas y rubéola (MMR)", "DTaP/Tdap/Td": "difteria, tétanos y tos ferina (DTaP/Tdap/Td)", "HPV": "virus del papiloma humano (VPH)", "Hib": "Hib", "RSV": "VRS"}

func words(groups []string, language string) []string {
	if language != "es" {
		return groups
	}
	out := make([]string, len(groups))
	for i, g := range groups {
		out[i] = g
		if w, ok := spanish[g]; ok {
			out[i] = w
		}
	}
	return out
}
