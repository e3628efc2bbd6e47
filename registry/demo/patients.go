package demo

import (
	"strconv"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// household is a family of the demo: invented names at invented addresses, telephone
// numbers of the 555-01xx range that is kept for fiction.
type household struct {
	site              coldkeep.SiteID
	family            string
	street, city, zip string
	county            string
	phone             string
	mother, maiden    string // the mother's given name, and her family name before her first marriage
	father            string
	race, ethnicity   string
	language          string
	members           []member
}

// member is one patient: born so many months and days before the demo's start, or for
// grown-ups so many years.
type member struct {
	given, middle string
	sex           patient.Sex
	months        int
	order         int // of twins
	number        string
}

const (
	white, black, asian, native = "2106-3", "2054-5", "2028-9", "1002-5"
	hispanic, notHispanic       = "2135-2", "2186-5"
)

var households = []household{
	{"lakeside", "Brandt", "412 Harbor Street", "Waukegan", "60085", "Lake", "2245550101", "Nora", "Lindqvist", "Tomas", white, notHispanic, "eng",
		[]member{{"Mila", "Rose", patient.Female, 14, 0, "1001"}, {"Jonas", "", patient.Male, 52, 0, "1002"}, {"Greta", "Anne", patient.Female, 136, 0, "1003"}}},
	{"lakeside", "Garcia Lopez", "77 Sheridan Road", "Waukegan", "60085", "Lake", "2245550102", "Elena", "Lopez", "Mateo", white, hispanic, "spa",
		[]member{{"Sofia", "Isabel", patient.Female, 5, 0, "1004"}, {"Diego", "", patient.Male, 30, 0, "1005"}, {"Lucia", "", patient.Female, 74, 0, "1006"}}},
	{"lakeside", "Okonkwo", "9 Belvidere Court", "Waukegan", "60085", "Lake", "2245550103", "Adaeze", "Eze", "Chidi", black, notHispanic, "eng",
		[]member{{"Zara", "", patient.Female, 20, 1, "1007"}, {"Kene", "", patient.Male, 20, 2, "1008"}, {"Ife", "Grace", patient.Female, 98, 0, "1009"}}},
	{"lakeside", "Kowalski", "1830 Grand Avenue", "Gurnee", "60031", "Lake", "2245550104", "Agnieszka", "Nowak", "Piotr", white, notHispanic, "pol",
		[]member{{"Antoni", "", patient.Male, 2, 0, "1010"}, {"Zofia", "", patient.Female, 44, 0, "1011"}}},
	{"lakeside", "Tran", "208 Washington Street", "Gurnee", "60031", "Lake", "2245550105", "Linh", "Pham", "Minh", asian, notHispanic, "vie",
		[]member{{"An", "", patient.Male, 9, 0, "1012"}, {"Mai", "", patient.Female, 62, 0, "1013"}, {"Bao", "", patient.Male, 150, 0, "1014"}}},
	{"lakeside", "Whitehorse", "55 Green Bay Road", "Zion", "60099", "Lake", "2245550106", "June", "Redleaf", "", native, notHispanic, "eng",
		[]member{{"Talia", "June", patient.Female, 12, 0, "1015"}, {"Aiden", "", patient.Male, 66, 0, "1016"}}},
	{"lakeside", "Abrams", "31 Lewis Avenue", "Zion", "60099", "Lake", "2245550107", "Rachel", "Stein", "David", white, notHispanic, "eng",
		[]member{{"Noah", "Eli", patient.Male, 18, 0, "1017"}, {"Leah", "", patient.Female, 38, 0, "1018"}, {"David", "", patient.Male, 428, 0, "1019"}}},
	{"lakeside", "Hussain", "640 Delany Road", "Gurnee", "60031", "Lake", "2245550108", "Samina", "Malik", "Imran", asian, notHispanic, "urd",
		[]member{{"Hamza", "", patient.Male, 26, 0, "1020"}, {"Aisha", "", patient.Female, 110, 0, "1021"}, {"Samina", "", patient.Female, 372, 0, "1022"}}},
	{"northgate", "Delacroix", "18 Prospect Avenue", "Peoria", "61602", "Peoria", "3095550111", "Camille", "Fontaine", "Luc", black, notHispanic, "fre",
		[]member{{"Emile", "", patient.Male, 7, 0, "2001"}, {"Colette", "Marie", patient.Female, 33, 0, "2002"}, {"Luc", "", patient.Male, 160, 0, "2003"}}},
	{"northgate", "Harper", "2207 Knoxville Avenue", "Peoria", "61603", "Peoria", "3095550112", "Beth", "Olsen", "James", white, notHispanic, "eng",
		[]member{{"Wyatt", "James", patient.Male, 16, 0, "2004"}, {"Hazel", "", patient.Female, 58, 0, "2005"}, {"Nolan", "", patient.Male, 90, 0, "2006"}}},
	{"northgate", "Mendoza", "940 Main Street", "Peoria", "61606", "Peoria", "3095550113", "Rosa", "Castillo", "Hector", white, hispanic, "spa",
		[]member{{"Valentina", "", patient.Female, 1, 0, "2007"}, {"Emiliano", "", patient.Male, 49, 0, "2008"}}},
	{"northgate", "Patel", "16 War Memorial Drive", "Peoria", "61614", "Peoria", "3095550114", "Kavita", "Shah", "Nilesh", asian, notHispanic, "guj",
		[]member{{"Rohan", "", patient.Male, 23, 0, "2009"}, {"Anika", "", patient.Female, 81, 0, "2010"}, {"Kavita", "", patient.Female, 410, 0, "2011"}}},
	{"northgate", "Sullivan", "303 Glen Oak Avenue", "Peoria", "61603", "Peoria", "3095550115", "Maeve", "Byrne", "Connor", white, notHispanic, "eng",
		[]member{{"Finn", "", patient.Male, 10, 0, "2012"}, {"Orla", "", patient.Female, 41, 0, "2013"}, {"Rory", "", patient.Male, 128, 0, "2014"}}},
	{"northgate", "Washington", "71 Moss Avenue", "Peoria", "61606", "Peoria", "3095550116", "Denise", "Carter", "", black, notHispanic, "eng",
		[]member{{"Imani", "Denise", patient.Female, 28, 0, "2015"}, {"Malik", "", patient.Male, 142, 0, "2016"}, {"Denise", "", patient.Female, 790, 0, "2017"}}},
}

// Numbers of patients with a part in the story: the record that is locked, and one that has
// moved to the other clinic. Mila Brandt was entered a second time, at Northgate, with a slip in
// her name.
const (
	lockedNumber = "1016"
	movedNumber  = "2014"
	twiceNumber  = "2099"
)

func (h *household) patient(m member, start time.Time) patient.Patient {
	born := start.AddDate(0, -m.months, -(m.months*7)%27)
	p := patient.Patient{
		Names: []patient.Name{{Family: h.family, Given: m.given, Middle: m.middle, Kind: patient.Legal}},
		Birth: coldkeep.DateOf(born), BirthState: "IL", BirthNation: "USA", Sex: m.sex, BirthOrder: m.order, Races: []string{h.race}, Ethnicity: h.ethnicity, Language: h.language,
		Addresses:   []patient.Address{{Street: h.street, City: h.city, State: "IL", ZIP: h.zip, County: h.county, Country: "USA", Kind: "H"}},
		Contacts:    []patient.Contact{{Kind: patient.Cell, Value: h.phone}},
		Identifiers: []patient.Identifier{{Kind: "MR", Assigner: string(h.site), Value: m.number}},
		Publicity:   "02", Statuses: []patient.Status{{Site: h.site, Standing: patient.Active}},
	}
	twins := m.order > 0
	p.Multiple = &twins
	if m.months >= 18*12 {
		return p // a grown-up answers alone
	}
	p.Mother = h.maiden
	p.Guardians = append(p.Guardians, patient.Guardian{Family: h.family, Given: h.mother, Relation: "MTH", Contacts: []patient.Contact{{Kind: patient.Cell, Value: h.phone}}})
	if h.father != "" {
		p.Guardians = append(p.Guardians, patient.Guardian{Family: h.family, Given: h.father, Relation: "FTH"})
	}
	return p
}

// practice acts for a site.
func (f furnisher) practice(site coldkeep.SiteID) auth.Principal {
	by := f.by
	by.Site = site
	return by
}

// patientByNumber finds a patient of the demo by the practice's record number; "" when
// there is none.
func (f furnisher) patientByNumber(site coldkeep.SiteID, number string) (string, error) {
	found, err := f.s.Patients.Search(f.ctx, f.practice(site), patient.Query{IDKind: "MR", IDValue: number})
	if err != nil || len(found.Hits) == 0 {
		return "", err
	}
	return found.Hits[0].ID, nil
}

func (f furnisher) patients() error {
	now := f.s.Clock.Now()
	// The one entered last: where it stands, everything does.
	if id, err := f.patientByNumber("northgate", twiceNumber); err != nil || id != "" {
		return err
	}
	for _, h := range households {
		for _, m := range h.members {
			id, err := f.patientByNumber(h.site, m.number)
			if err != nil {
				return err
			}
			if id != "" {
				continue
			}
			added, err := f.s.Patients.Add(f.ctx, f.practice(h.site), h.patient(m, now))
			if err != nil {
				return err
			}
			f.added[string(h.site)+"/"+m.number] = added.ID
			switch m.number {
			case lockedNumber:
				err = f.s.Patients.Lock(f.ctx, f.practice(h.site), added.ID, patient.Form{Signer: h.mother + " " + h.family, Relation: "MTH", Signed: coldkeep.DateOf(now.AddDate(0, -1, 0)), Kept: "chart " + strconv.Quote(m.number)})
			case movedNumber:
				_, err = f.s.Patients.SetStatus(f.ctx, f.practice(h.site), added.ID, h.site, patient.Moved, "The family has moved to Waukegan.")
			}
			if err != nil {
				return err
			}
		}
	}
	// One child a second time: a letter is missing, and nobody noticed at the desk.
	twice := households[0].patient(households[0].members[0], now)
	twice.Names[0].Family, twice.Names[0].Middle = "Bandt", ""
	twice.Identifiers[0] = patient.Identifier{Kind: "MR", Assigner: "northgate", Value: twiceNumber}
	twice.Statuses = nil
	_, err := f.s.Patients.Add(f.ctx, f.practice("northgate"), twice)
	return err
}
