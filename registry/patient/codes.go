package patient

import "strings"

// Code is a value of a table, with the words people read.
type Code struct{ Code, Title string }

// The tables of the HL7 immunization guide (2.5.1, release 1.5, and its addendum) that
// demographics are written in. Values are offered in this order.
var (
	Sexes        = []Code{{"F", "Female"}, {"M", "Male"}, {"X", "Another"}, {"U", "Not known"}}                                          // 0001, with X as states record it
	NameKinds    = []Code{{"L", "Legal name"}, {"A", "Also called"}, {"M", "Maiden name"}, {"B", "Name at birth"}}                       // 0200
	AddressKinds = []Code{{"H", "Home"}, {"M", "Mailing"}, {"C", "Current or temporary"}, {"P", "Permanent"}, {"BDL", "Place of birth"}} // 0190
	// Races are CDC's (CDCREC); table 0005's older letters are not kept.
	Races = []Code{{"1002-5", "American Indian or Alaska Native"}, {"2028-9", "Asian"}, {"2054-5", "Black or African American"},
		{"2076-8", "Native Hawaiian or Other Pacific Islander"}, {"2106-3", "White"}, {"2131-1", "Another race"}}
	Ethnicities = []Code{{"2135-2", "Hispanic or Latino"}, {"2186-5", "Not Hispanic or Latino"}} // CDCREC; 0189's letters are not kept
	Relations   = []Code{{"MTH", "Mother"}, {"FTH", "Father"}, {"PAR", "Parent"}, {"GRD", "Guardian"}, {"GRP", "Grandparent"}, {"FCH", "Foster child"},
		{"CGV", "Caregiver"}, {"SIB", "Sibling"}, {"BRO", "Brother"}, {"SIS", "Sister"}, {"SPO", "Spouse"}, {"SEL", "Self"}, {"OTH", "Another"}} // 0063
	IdentifierKinds = []Code{{"MR", "Medical record number"}, {"MA", "Medicaid number"}, {"SR", "State registry number"}, {"BR", "Birth certificate number"},
		{"PI", "Internal number"}, {"WC", "WIC number"}, {"PT", "External number"}} // 0203
	Publicities = []Code{{"01", "No reminder or recall"}, {"02", "Reminder and recall by any method"}, {"03", "Reminder and recall, no calls"}, {"04", "Reminder only, by any method"},
		{"05", "Reminder only, no calls"}, {"06", "Recall only, by any method"}, {"07", "Recall only, no calls"}, {"08", "Reminder and recall to the provider"},
		{"09", "Reminder to the provider"}, {"10", "Only reminder to the provider, no recall"}, {"11", "Recall to the provider"}, {"12", "Only recall to the provider, no reminder"}} // 0215
	// Languages are those most spoken at home in Illinois, by ISO 639-2.
	Languages = []Code{{"eng", "English"}, {"spa", "Spanish"}, {"pol", "Polish"}, {"chi", "Chinese"}, {"tgl", "Tagalog"}, {"ara", "Arabic"}, {"urd", "Urdu"}, {"guj", "Gujarati"},
		{"hin", "Hindi"}, {"kor", "Korean"}, {"vie", "Vietnamese"}, {"rus", "Russian"}, {"ukr", "Ukrainian"}, {"fre", "French"}, {"ger", "German"}, {"ita", "Italian"},
		{"gre", "Greek"}, {"lit", "Lithuanian"}, {"rum", "Romanian"}, {"srp", "Serbian"}, {"bul", "Bulgarian"}, {"por", "Portuguese"}, {"jpn", "Japanese"}, {"tel", "Telugu"},
		{"tam", "Tamil"}, {"mal", "Malayalam"}, {"pan", "Panjabi"}, {"ben", "Bengali"}, {"nep", "Nepali"}, {"per", "Persian"}, {"pus", "Pushto"}, {"amh", "Amharic"},
		{"yor", "Yoruba"}, {"ibo", "Igbo"}, {"swa", "Swahili"}, {"som", "Somali"}, {"fil", "Filipino"}, {"hat", "Haitian Creole"}, {"bur", "Burmese"}, {"tha", "Thai"},
		{"lao", "Lao"}, {"khm", "Khmer"}, {"hmn", "Hmong"}, {"alb", "Albanian"}, {"bos", "Bosnian"}, {"hrv", "Croatian"}, {"cze", "Czech"}, {"heb", "Hebrew"},
		{"tur", "Turkish"}, {"kur", "Kurdish"}, {"uzb", "Uzbek"}, {"mon", "Mongolian"}, {"sgn", "Sign language"}, {"und", "Another"}}
)

// Standings are those a practice can give.
var Standings = []Code{{string(Active), "Active"}, {string(Inactive), "Inactive"}, {string(Moved), "Moved or gone elsewhere"}, {string(Lost), "Lost to follow-up"}}

// Title gives the words for a code of a table, or the code when it is not in it.
func Title(table []Code, code string) string {
	for _, c := range table {
		if c.Code == code {
			return c.Title
		}
	}
	return code
}

func known(table []Code, code string) bool {
	for _, c := range table {
		if c.Code == code {
			return true
		}
	}
	return false
}

// states are the postal codes of states, districts, territories and military post (USPS
// Publication 28, appendix B).
const states = " AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI UM FM MH PW AA AE AP "

func isState(s string) bool { return len(s) == 2 && strings.Contains(states, " "+s+" ") }

// States lists the postal codes of the states and territories.
func States() []string { return strings.Fields(states) }

// oldRaces and oldEthnicities are the letters of tables 0005 and 0189 that older systems
// send, some with names, and what CDC's codes for them are.
var (
	oldRaces       = map[string]string{"I": "1002-5", "A": "2028-9", "B": "2054-5", "P": "2076-8", "H": "2131-1", "W": "2106-3", "O": "2131-1"}
	oldEthnicities = map[string]string{"H": "2135-2", "N": "2186-5", "NH": "2186-5"}
)

// NormalRace gives CDC's code for a race as older systems write it as well. ok is false
// when it is not known.
func NormalRace(s string) (code string, ok bool) {
	s = strings.ToUpper(strings.TrimSpace(s))
	if c, found := oldRaces[s]; found {
		return c, true
	}
	return s, known(Races, s)
}

// NormalEthnicity gives CDC's code for an ethnicity as older systems write it as well.
func NormalEthnicity(s string) (code string, ok bool) {
	s = strings.ToUpper(strings.TrimSpace(s))
	if c, found := oldEthnicities[s]; found {
		return c, true
	}
	return s, known(Ethnicities, s)
}
