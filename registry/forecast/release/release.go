// Package release holds the facts of one published CDSi supporting-data release
// as they were published: codes, ages, intervals, dates and rules, still as the
// text of their fields. Nothing is interpreted here; package schedule compiles a
// Release into what the engine runs, and refuses one that does not hold together.
//
// The field tags name both the elements of CDC's XML, which package cdsixml
// reads, and the short keys of the built-in form, which the tool in gen writes.
// CDC's explanatory sentences are left out of both.
package release

// Release is one whole release: the schedule file and a file per antigen.
type Release struct {
	Version  string    `json:"version"`            // such as "4.64"
	Released string    `json:"released,omitempty"` // ISO date, when it is known
	Schedule Schedule  `json:"schedule"`
	Antigens []Antigen `json:"antigens"`
}

// Schedule is what all antigens share.
type Schedule struct {
	Conflicts    []Conflict    `xml:"liveVirusConflicts>liveVirusConflict" json:"conflicts"`
	Groups       []Group       `xml:"vaccineGroups>vaccineGroup" json:"groups"`
	GroupMaps    []GroupMap    `xml:"vaccineGroupToAntigenMap>vaccineGroupMap" json:"group_maps"`
	Vaccines     []Vaccine     `xml:"cvxToAntigenMap>cvxMap" json:"vaccines"`
	Observations []Observation `xml:"observations>observation" json:"observations"`
}

// Conflict is a pair of vaccine types that need a distance between them.
type Conflict struct {
	Previous string `xml:"previous>cvx" json:"p"`
	Current  string `xml:"current>cvx" json:"c"`
	Begin    string `xml:"conflictBeginInterval" json:"b"`
	MinEnd   string `xml:"minConflictEndInterval" json:"m"`
	End      string `xml:"conflictEndInterval" json:"e"`
}

// Group is a vaccine group.
type Group struct {
	Name string `xml:"name" json:"name"`
	Full string `xml:"administerFullVaccineGroup" json:"full,omitempty"`
}

// GroupMap lists the antigens of a vaccine group.
type GroupMap struct {
	Name     string   `xml:"name" json:"name"`
	Antigens []string `xml:"antigen" json:"antigens"`
}

// Vaccine maps a CVX code to its antigens.
type Vaccine struct {
	CVX          string        `xml:"cvx" json:"cvx"`
	Name         string        `xml:"shortDescription" json:"name"`
	Associations []Association `xml:"association" json:"a"`
}

// Association is one antigen of a vaccine, perhaps only within an age window.
type Association struct {
	Antigen string `xml:"antigen" json:"antigen"`
	Begin   string `xml:"associationBeginAge" json:"b,omitempty"`
	End     string `xml:"associationEndAge" json:"e,omitempty"`
}

// Observation is a coded fact about a patient.
type Observation struct {
	Code  string  `xml:"observationCode" json:"code"`
	Title string  `xml:"observationTitle" json:"title"`
	Coded []Coded `xml:"codedValues>codedValue" json:"coded,omitempty"`
}

// Coded is an observation in another code system, such as SNOMED.
type Coded struct {
	Code   string `xml:"code" json:"c"`
	System string `xml:"codeSystem" json:"s"`
}

// Antigen is one antigen's file.
type Antigen struct {
	Name                     string                    `xml:"-" json:"name"`
	Immune                   []string                  `xml:"immunity>clinicalHistory>guidelineCode" json:"immune,omitempty"`
	BornBefore               []BornBefore              `xml:"immunity>dateOfBirth" json:"born_before,omitempty"`
	Contraindications        []Contraindication        `xml:"contraindications>vaccineGroup>contraindication" json:"contra,omitempty"`
	VaccineContraindications []VaccineContraindication `xml:"contraindications>vaccine>contraindication" json:"vaccine_contra,omitempty"`
	Series                   []Series                  `xml:"series" json:"series"`
}

// BornBefore is immunity by year of birth.
type BornBefore struct {
	Date       string   `xml:"immunityBirthDate" json:"date"`
	Country    string   `xml:"birthCountry" json:"country,omitempty"`
	Exclusions []string `xml:"exclusion>exclusionCode" json:"not,omitempty"`
}

// Contraindication forbids every series of the antigen.
type Contraindication struct {
	Observation string `xml:"observationCode" json:"o"`
	Begin       string `xml:"beginAge" json:"b,omitempty"`
	End         string `xml:"endAge" json:"e,omitempty"`
}

// VaccineContraindication forbids some vaccines of the antigen.
type VaccineContraindication struct {
	Observation string         `xml:"observationCode" json:"o"`
	Vaccines    []VaccineByAge `xml:"contraindicatedVaccine" json:"v"`
}

// VaccineByAge is a vaccine type within an age window.
type VaccineByAge struct {
	CVX   string `xml:"cvx" json:"c"`
	Begin string `xml:"beginAge" json:"b,omitempty"`
	End   string `xml:"endAge" json:"e,omitempty"`
}

// Series is one way to become protected.
type Series struct {
	Name       string       `xml:"seriesName" json:"name"`
	Disease    string       `xml:"targetDisease" json:"-"`
	Group      string       `xml:"vaccineGroup" json:"group"`
	Guidance   []string     `xml:"seriesAdminGuidance" json:"-"`
	Shared     bool         `xml:"-" json:"shared,omitempty"` // named a matter of shared clinical decision-making
	Type       string       `xml:"seriesType" json:"type"`
	Equivalent string       `xml:"equivalentSeriesGroups" json:"eq,omitempty"`
	Genders    []string     `xml:"requiredGender" json:"gender,omitempty"`
	Select     Select       `xml:"selectSeries" json:"select"`
	Indication []Indication `xml:"indication" json:"ind,omitempty"`
	Doses      []Dose       `xml:"seriesDose" json:"doses"`
}

// Select is what choosing between series needs.
type Select struct {
	Default     string `xml:"defaultSeries" json:"def,omitempty"`
	ProductPath string `xml:"productPath" json:"product,omitempty"`
	GroupName   string `xml:"seriesGroupName" json:"group_name,omitempty"`
	Group       string `xml:"seriesGroup" json:"group"`
	Priority    string `xml:"seriesPriority" json:"prio,omitempty"`
	Preference  string `xml:"seriesPreference" json:"pref,omitempty"`
	MinAge      string `xml:"minAgeToStart" json:"min,omitempty"`
	MaxAge      string `xml:"maxAgeToStart" json:"max,omitempty"`
}

// Indication is a reason to follow a risk series.
type Indication struct {
	Code  string `xml:"observationCode>code" json:"o"`
	Begin string `xml:"beginAge" json:"b,omitempty"`
	End   string `xml:"endAge" json:"e,omitempty"`
}

// Dose is one target dose of a series.
type Dose struct {
	Number      string              `xml:"doseNumber" json:"n"`
	Ages        []Age               `xml:"age" json:"age,omitempty"`
	Intervals   []Interval          `xml:"interval" json:"int,omitempty"`
	AllowedInts []Interval          `xml:"allowableInterval" json:"aint,omitempty"`
	Preferable  []PreferableVaccine `xml:"preferableVaccine" json:"pref,omitempty"`
	Allowable   []VaccineByAge      `xml:"allowableVaccine" json:"allow,omitempty"`
	Inadvertent []string            `xml:"inadvertentVaccine>cvx" json:"inadv,omitempty"`
	Skips       []Skip              `xml:"conditionalSkip" json:"skip,omitempty"`
	Recurring   string              `xml:"recurringDose" json:"rec,omitempty"`
	Season      []Season            `xml:"seasonalRecommendation" json:"season,omitempty"`
}

// Age is one instance of the ages of a target dose.
type Age struct {
	AbsMin      string `xml:"absMinAge" json:"am,omitempty"`
	Min         string `xml:"minAge" json:"m,omitempty"`
	EarliestRec string `xml:"earliestRecAge" json:"er,omitempty"`
	LatestRec   string `xml:"latestRecAge" json:"lr,omitempty"`
	Max         string `xml:"maxAge" json:"x,omitempty"`
	Effective   string `xml:"effectiveDate" json:"eff,omitempty"`
	Cessation   string `xml:"cessationDate" json:"cess,omitempty"`
}

// Interval is one instance of a preferable or allowable interval.
type Interval struct {
	FromPrevious    string `xml:"fromPrevious" json:"fp,omitempty"`
	FromTarget      string `xml:"fromTargetDose" json:"ft,omitempty"`
	FromMostRecent  string `xml:"fromMostRecent" json:"fm,omitempty"`
	FromObservation string `xml:"fromRelevantObs>code" json:"fo,omitempty"`
	AbsMin          string `xml:"absMinInt" json:"am,omitempty"`
	Min             string `xml:"minInt" json:"m,omitempty"`
	EarliestRec     string `xml:"earliestRecInt" json:"er,omitempty"`
	LatestRec       string `xml:"latestRecInt" json:"lr,omitempty"`
	Priority        string `xml:"intervalPriority" json:"p,omitempty"`
	Effective       string `xml:"effectiveDate" json:"eff,omitempty"`
	Cessation       string `xml:"cessationDate" json:"cess,omitempty"`
}

// PreferableVaccine is a vaccine a target dose prefers.
type PreferableVaccine struct {
	CVX      string `xml:"cvx" json:"c"`
	Begin    string `xml:"beginAge" json:"b,omitempty"`
	End      string `xml:"endAge" json:"e,omitempty"`
	Trade    string `xml:"tradeName" json:"t,omitempty"`
	MVX      string `xml:"mvx" json:"m,omitempty"`
	Volume   string `xml:"volume" json:"-"`
	Forecast string `xml:"forecastVaccineType" json:"f,omitempty"`
}

// Skip says when a target dose is not needed.
type Skip struct {
	Context  string    `xml:"context" json:"ctx"`
	SetLogic string    `xml:"setLogic" json:"logic,omitempty"`
	Sets     []SkipSet `xml:"set" json:"sets"`
}

// SkipSet is a set of conditions.
type SkipSet struct {
	Logic      string      `xml:"conditionLogic" json:"logic,omitempty"`
	Effective  string      `xml:"effectiveDate" json:"eff,omitempty"`
	Cessation  string      `xml:"cessationDate" json:"cess,omitempty"`
	Conditions []Condition `xml:"condition" json:"c"`
}

// Condition is one condition of a skip.
type Condition struct {
	Type         string `xml:"conditionType" json:"t"`
	Start        string `xml:"startDate" json:"start,omitempty"`
	End          string `xml:"endDate" json:"end,omitempty"`
	BeginAge     string `xml:"beginAge" json:"b,omitempty"`
	EndAge       string `xml:"endAge" json:"e,omitempty"`
	Interval     string `xml:"interval" json:"i,omitempty"`
	Count        string `xml:"doseCount" json:"n,omitempty"`
	DoseType     string `xml:"doseType" json:"dt,omitempty"`
	CountLogic   string `xml:"doseCountLogic" json:"l,omitempty"`
	Vaccines     string `xml:"vaccineTypes" json:"v,omitempty"`
	SeriesGroups string `xml:"seriesGroups" json:"g,omitempty"`
}

// Season is the window of a seasonal recommendation.
type Season struct {
	Start string `xml:"startDate" json:"s,omitempty"`
	End   string `xml:"endDate" json:"e,omitempty"`
}
