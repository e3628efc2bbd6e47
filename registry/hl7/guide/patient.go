package guide

import (
	"slices"
	"strconv"
	"strings"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// person reads PID, or with other field numbers QPD, into a patient.
func (w *walk) person(s *seg, f personFields) Patient {
	var p Patient
	for i, r := range s.reps(f.identifiers) {
		_ = i
		id := Identifier{Value: part(r, 1), Authority: authority(r.Comp(4)), Kind: part(r, 5)}
		if id.Authority == (Authority{}) {
			id.Authority = w.result.Header.SendingFacility
		}
		p.Identifiers = append(p.Identifiers, id)
	}
	for _, r := range s.reps(f.names) {
		p.Names = append(p.Names, name(r))
	}
	// The legal name first, whatever the order it was sent in.
	slices.SortStableFunc(p.Names, func(a, b Name) int { return rank(a) - rank(b) })
	p.Maiden = whole(s.first(f.maiden), 1)
	p.Birth, _ = date(s.text(f.birth))
	p.Sex, _ = w.code("HL70001", s.first(f.sex))
	p.Addresses = w.addresses(s, f.addresses)
	p.Contacts = contacts(s, f.phones...)
	p.Multiple = w.yes(s, f.multiple)
	p.BirthOrder, _ = strconv.Atoi(s.text(f.order))
	return p
}

func rank(n Name) int {
	if n.Kind == "L" || n.Kind == "" {
		return 0
	}
	return 1
}

// personFields are where the parts of a person stand.
type personFields struct {
	identifiers, names, maiden, birth, sex, addresses, multiple, order int
	phones                                                             []int
}

var (
	inPID = personFields{identifiers: 3, names: 5, maiden: 6, birth: 7, sex: 8, addresses: 11, phones: []int{13, 14}, multiple: 24, order: 25}
	inQPD = personFields{identifiers: 3, names: 4, maiden: 5, birth: 6, sex: 7, addresses: 8, phones: []int{9}, multiple: 10, order: 11}
)

// demographics reads the rest of PID, and PD1.
func (w *walk) demographics(pid, pd1 *seg) Patient {
	p := w.person(pid, inPID)
	for _, r := range pid.reps(10) {
		if c, _ := w.code("CDCREC race", r); c != "" && !slices.Contains(p.Races, c) {
			p.Races = append(p.Races, c)
		}
	}
	p.Ethnicity, _ = w.code("CDCREC ethnicity", pid.first(22))
	p.Language, _ = w.code("ISO 639", pid.first(15))
	p.Deceased = w.yes(pid, 30)
	if d, precision := date(pid.text(29)); d.Known() {
		if p.Deceased != nil && *p.Deceased && precision == 8 {
			p.Died = d
		}
	}
	if p.Multiple != nil && !*p.Multiple {
		p.BirthOrder = 0
	}
	p.Erase = pid.nulls(p.Erase, 6, 10, 11, 13, 14, 15, 22, 24, 25, 29, 30)
	if pd1 == nil {
		return p
	}
	p.Publicity, _ = w.code("HL70215", pd1.first(11))
	p.Protected = w.yes(pd1, 12)
	p.Status, _ = w.code("HL70441", pd1.first(16))
	// The dates are of codes: without one they say nothing.
	if p.Publicity != "" {
		p.PublicityFrom, _ = date(pd1.text(18))
	}
	if p.Protected != nil {
		p.ProtectedFrom, _ = date(pd1.text(13))
	}
	if p.Status != "" {
		p.StatusFrom, _ = date(pd1.text(17))
	}
	p.Erase = pd1.nulls(p.Erase, 11, 12, 13, 16, 17, 18)
	return p
}

// kin reads NK1.
func (w *walk) kin(s *seg) Kin {
	k := Kin{Name: name(s.first(2)), Addresses: w.addresses(s, 4), Contacts: contacts(s, 5), At: s.At(0)}
	k.Relation, _ = w.code("HL70063", s.first(3))
	return k
}

func (w *walk) yes(s *seg, field int) *bool {
	c, ok := w.code("HL70136", s.first(field))
	if !ok {
		return nil
	}
	yes := c == "Y"
	return &yes
}

func authority(c er7.Comp) Authority {
	return Authority{Namespace: strings.TrimSpace(c.Sub(1)), Universal: strings.TrimSpace(c.Sub(2)), Kind: strings.TrimSpace(c.Sub(3))}
}

// name reads an XPN. A bare "&" in a family name is part of it unless what follows is one
// of the parts that FN has.
func name(r er7.Rep) Name {
	n := Name{Family: part(r, 1), Given: part(r, 2), Middle: part(r, 3), Suffix: part(r, 4), Prefix: part(r, 5), Kind: strings.ToUpper(part(r, 7))}
	if n.Family == "" {
		n.Family = whole(r, 1)
	}
	return n
}

// person reads an XCN.
func person(r er7.Rep) Person {
	return Person{ID: part(r, 1), Family: part(r, 2), Given: part(r, 3), Middle: part(r, 4), Suffix: part(r, 5), Prefix: part(r, 6),
		Degree: orElse(part(r, 7), part(r, 21)), Authority: authority(r.Comp(9)), Kind: part(r, 13)}
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (w *walk) addresses(s *seg, field int) []Address {
	var out []Address
	for _, r := range s.reps(field) {
		if strings.EqualFold(part(r, 7), "BA") {
			continue // an address that the sender knows to be wrong
		}
		a, _ := w.address(r)
		out = append(out, a)
	}
	return out
}

// addressKinds are table 0190's.
var addressKinds = list("C", "P", "M", "B", "O", "H", "N", "F", "L", "BDL", "BR", "RH", "BA")

// countries are names of the United States and its neighbours that are sent in place of
// the code.
var countries = map[string]string{
	"US": "USA", "USA": "USA", "U.S.A.": "USA", "UNITED STATES": "USA", "UNITED STATES OF AMERICA": "USA",
	"MX": "MEX", "MEXICO": "MEX", "CA": "CAN", "CANADA": "CAN",
}

// address reads an XAD, without what is not in its tables; wrong says what that was.
func (w *walk) address(r er7.Rep) (a Address, wrong *problem) {
	notIn := func(comp int, text string) {
		if wrong == nil {
			wrong = &problem{code: TableValueNotFound, app: NotInTable, comp: comp, rule: "address", text: text}
		}
	}
	a = Address{Street: whole(r, 1), Street2: whole(r, 2), City: whole(r, 3), State: strings.ToUpper(part(r, 4)), ZIP: part(r, 5),
		Country: strings.ToUpper(part(r, 6)), County: part(r, 9), Kind: strings.ToUpper(part(r, 7))}
	if subs := r.Comp(1).Subs(); subs > 1 { // SAD: street or mailing address, street, number
		a.Street = strings.TrimSpace(r.Comp(1).Sub(1))
		if a.Street == "" || strings.Trim(a.Street, "0123456789") == "" {
			a.Street = strings.TrimSpace(strings.ReplaceAll(r.Comp(1).Whole(), "&", " "))
		}
	}
	if a.Kind != "" {
		if _, ok := addressKinds(nil, a.Kind); !ok {
			a.Kind = ""
			notIn(7, "the type is not in table HL70190 and is left out")
		}
	}
	if a.Country != "" {
		code, ok := countries[a.Country]
		if !ok && len(a.Country) == 3 && strings.Trim(a.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
			code, ok = a.Country, true
		}
		if !ok {
			notIn(6, "the country is not in table HL70399 and is left out")
		}
		a.Country = code
	}
	if a.State != "" && (a.Country == "" || a.Country == "USA") {
		code, ok := state(a.State)
		if !ok {
			notIn(4, "the state is none of the United States and is left out")
		}
		a.State = code
		if zip, ok := patient.NormalZIP(a.ZIP); a.ZIP != "" && !ok {
			notIn(5, "it is no ZIP code and is left out")
			a.ZIP = zip
		} else if ok {
			a.ZIP = zip
		}
	}
	return a, wrong
}

// state finds a state by its code or its name.
func state(s string) (string, bool) {
	if c, ok := stateCodes(nil, s); ok {
		return c, true
	}
	c, ok := stateNames[s]
	return c, ok
}

var stateCodes = list(patient.States()...)

func contacts(s *seg, fields ...int) []Contact {
	var out []Contact
	for _, field := range fields {
		for _, r := range s.reps(field) {
			if c, ok := contact(r); ok && !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// other reports whether an XTN is of a kind that nobody is reached by: a fax, a pager or a
// telex.
func other(r er7.Rep) bool {
	return slices.Contains([]string{"FX", "BP", "MD", "X.400"}, part(r, 3)) || part(r, 2) == "BPN"
}

// contact reads an XTN: the parts of 2.5.1, or the whole number of older versions.
func contact(r er7.Rep) (Contact, bool) {
	use, equipment := strings.ToUpper(part(r, 2)), strings.ToUpper(part(r, 3))
	c := Contact{Use: use, Kind: Phone}
	mail := part(r, 4)
	if mail == "" && strings.Contains(part(r, 1), "@") {
		mail = part(r, 1)
	}
	if mail != "" && (use == "NET" || equipment == "INTERNET" || strings.Contains(mail, "@")) {
		v, ok := patient.NormalEmail(mail)
		return Contact{Kind: Email, Value: v, Use: use}, ok
	}
	if other(r) {
		return Contact{}, false
	}
	switch {
	case use == "WPN":
		c.Kind = Work
	case equipment == "CP" || use == "CP":
		c.Kind = Cell
	}
	number := part(r, 6) + part(r, 7)
	if country := strings.TrimLeft(part(r, 5), "+0"); country != "" && country != "1" && number != "" {
		number = "+" + country + number
	}
	for _, s := range []string{number, part(r, 12), part(r, 1)} {
		if v, ok := patient.NormalPhone(s); ok {
			c.Value = v
			return c, true
		}
	}
	return Contact{}, false
}

// stateNames are the states by name, as some send them.
var stateNames = map[string]string{
	"ALABAMA": "AL", "ALASKA": "AK", "ARIZONA": "AZ", "ARKANSAS": "AR", "CALIFORNIA": "CA", "COLORADO": "CO", "CONNECTICUT": "CT", "DELAWARE": "DE",
	"DISTRICT OF COLUMBIA": "DC", "FLORIDA": "FL", "GEORGIA": "GA", "HAWAII": "HI", "IDAHO": "ID", "ILLINOIS": "IL", "INDIANA": "IN", "IOWA": "IA",
	"KANSAS": "KS", "KENTUCKY": "KY", "LOUISIANA": "LA", "MAINE": "ME", "MARYLAND": "MD", "MASSACHUSETTS": "MA", "MICHIGAN": "MI", "MINNESOTA": "MN",
	"MISSISSIPPI": "MS", "MISSOURI": "MO", "MONTANA": "MT", "NEBRASKA": "NE", "NEVADA": "NV", "NEW HAMPSHIRE": "NH", "NEW JERSEY": "NJ", "NEW MEXICO": "NM",
	"NEW YORK": "NY", "NORTH CAROLINA": "NC", "NORTH DAKOTA": "ND", "OHIO": "OH", "OKLAHOMA": "OK", "OREGON": "OR", "PENNSYLVANIA": "PA", "RHODE ISLAND": "RI",
	"SOUTH CAROLINA": "SC", "SOUTH DAKOTA": "SD", "TENNESSEE": "TN", "TEXAS": "TX", "UTAH": "UT", "VERMONT": "VT", "VIRGINIA": "VA", "WASHINGTON": "WA",
	"WEST VIRGINIA": "WV", "WISCONSIN": "WI", "WYOMING": "WY", "PUERTO RICO": "PR", "GUAM": "GU",
}
