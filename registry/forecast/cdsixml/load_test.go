package cdsixml_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	coldkeep "github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/cdsixml"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

const scheduleXML = `<?xml version="1.0"?><scheduleSupportingData>
<liveVirusConflicts><liveVirusConflict><previous><cvx>01</cvx></previous><current><cvx>02</cvx></current>
<conflictBeginInterval>1 day</conflictBeginInterval><minConflictEndInterval>24 days</minConflictEndInterval>
<conflictEndInterval>28 days</conflictEndInterval></liveVirusConflict></liveVirusConflicts>
<vaccineGroups><vaccineGroup><name>Pox </name><administerFullVaccineGroup/></vaccineGroup></vaccineGroups>
<vaccineGroupToAntigenMap><vaccineGroupMap><name>Pox</name><antigen>Pox</antigen></vaccineGroupMap></vaccineGroupToAntigenMap>
<cvxToAntigenMap>
<cvxMap><cvx>01</cvx><shortDescription>pox</shortDescription><association><antigen>Pox</antigen></association></cvxMap>
<cvxMap><cvx>02</cvx><shortDescription>pox two</shortDescription><association><antigen>Pox</antigen></association></cvxMap>
</cvxToAntigenMap>
<observations><observation><observationCode>007</observationCode><observationTitle>Pregnant</observationTitle></observation></observations>
</scheduleSupportingData>`

const antigenXML = `<antigenSupportingData><immunity/><contraindications><vaccineGroup/><vaccine/></contraindications>
<series><seriesName>Pox 2-dose series</seriesName><targetDisease>Pox</targetDisease><vaccineGroup>Pox</vaccineGroup>
<seriesAdminGuidance/><seriesType>Standard</seriesType><equivalentSeriesGroups/><requiredGender/>
<selectSeries><defaultSeries>Yes</defaultSeries><productPath>No</productPath><seriesGroupName>Standard</seriesGroupName>
<seriesGroup>1</seriesGroup><seriesPriority>A</seriesPriority><seriesPreference>1</seriesPreference><minAgeToStart/><maxAgeToStart/></selectSeries>
<indication/>
<seriesDose><doseNumber>Dose 1</doseNumber><age><absMinAge>12 months - 4 days</absMinAge><minAge>12 months</minAge></age><interval/><allowableInterval/>
<preferableVaccine><cvx>01</cvx><forecastVaccineType>Y</forecastVaccineType></preferableVaccine><allowableVaccine/><inadvertentVaccine/><conditionalSkip/>
<recurringDose>No</recurringDose><seasonalRecommendation/></seriesDose>
<seriesDose><doseNumber>Dose 2</doseNumber><age/>
<interval><fromPrevious>Y</fromPrevious><absMinInt>4 weeks - 4 days</absMinInt><minInt>4 weeks</minInt></interval><allowableInterval/>
<preferableVaccine><cvx>01</cvx></preferableVaccine><allowableVaccine><cvx>02</cvx></allowableVaccine><inadvertentVaccine/>
<conditionalSkip><context>Both</context><setLogic>n/a</setLogic><set><conditionLogic/><condition><conditionType>Vaccine Count By Age</conditionType>
<beginAge>7 years</beginAge><doseCount>0</doseCount><doseType>valid</doseType><doseCountLogic>Greater Than</doseCountLogic><vaccineTypes>01;02</vaccineTypes></condition></set></conditionalSkip>
<recurringDose>No</recurringDose><seasonalRecommendation/></seriesDose>
</series></antigenSupportingData>`

func files() fstest.MapFS {
	return fstest.MapFS{
		"ScheduleSupportingData.xml":               {Data: []byte(scheduleXML)},
		"AntigenSupportingData- Pox-508.xml":       {Data: []byte(antigenXML)},
		"AntigenSupportingData.xsd":                {Data: []byte("not read")},
		"older/AntigenSupportingData- Old-508.xml": {Data: []byte("not read")},
	}
}

func load(fs fstest.MapFS) (*schedule.Schedule, error) {
	rel, err := cdsixml.Load(fs, "9.1")
	if err != nil {
		return nil, err
	}
	return schedule.Compile(rel)
}

func TestLoad(t *testing.T) {
	s, err := load(files())
	if err != nil {
		t.Fatal(err)
	}
	ser := s.Antigens[0].Series[0]
	if s.Version != "9.1" || s.Groups[0].Name != "Pox" || len(ser.Doses) != 2 || !ser.Default {
		t.Errorf("got %+v", ser)
	}
	if k := ser.Doses[1].Skips[0].Sets[0].Conditions[0]; !k.Valid || k.Compare != schedule.MoreThan || k.Vaccines.Empty() {
		t.Errorf("the skip is %+v", k)
	}
}

// TestRefused holds that a malformed or a partial release is refused, with the
// reason and the place.
func TestRefused(t *testing.T) {
	const antigen = "AntigenSupportingData- Pox-508.xml"
	for _, c := range []struct {
		name, file, old, with, says string
	}{
		{"no schedule file", "ScheduleSupportingData.xml", "", "", "ScheduleSupportingData.xml is missing"},
		{"no antigen file", antigen, "", "", "no AntigenSupportingData"},
		{"cut short", antigen, "</series></antigenSupportingData>", "", antigen},
		{"not XML", antigen, "<antigenSupportingData>", "PK\x03\x04", "not XML"},
		{"another document", antigen, "antigenSupportingData", "scheduleSupportingData", "root element"},
		{"an antigen without its file", "ScheduleSupportingData.xml", "<antigen>Pox</antigen></vaccineGroupMap>",
			"<antigen>Pox</antigen><antigen>Plague</antigen></vaccineGroupMap>", "no file for antigen Plague"},
		{"an unknown vaccine", antigen, "<cvx>02</cvx>", "<cvx>03</cvx>", `dose 2: CVX "03" is not in the vaccine map`},
		{"a bad age", antigen, "12 months - 4 days", "12 moons", `dose 1: "12 moons" is not an age`},
		{"a bad interval", antigen, "<minInt>4 weeks", "<minInt>four weeks", `"four weeks" is not an age or interval`},
		{"a missing dose", antigen, "Dose 2", "Dose 3", `found "Dose 3" in its place`},
		{"an unknown series type", antigen, "Standard</seriesType>", "Usual</seriesType>", `series type "Usual"`},
		{"a risk series without a reason", antigen, "Standard</seriesType>", "Risk</seriesType>", "no indication"},
		{"an unknown condition", antigen, "Vaccine Count By Age", "Moon Phase", `condition type "Moon Phase"`},
		{"an unknown comparison", antigen, "Greater Than", "About", `dose count logic "About"`},
		{"an unknown context", antigen, "<context>Both", "<context>Sometimes", `skip context "Sometimes"`},
		{"an interval from nothing", antigen, "<fromPrevious>Y", "<fromPrevious>N", "an interval from nothing"},
		{"two diseases in a file", antigen, "</series></antigenSupportingData>",
			"</series><series><seriesName>x</seriesName><targetDisease>Plague</targetDisease></series></antigenSupportingData>", "for Plague, not Pox"},
		{"no vaccine groups", "ScheduleSupportingData.xml", "<vaccineGroup><name>Pox </name><administerFullVaccineGroup/></vaccineGroup>", "", "no vaccine group"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := files()
			if c.old == "" {
				delete(fs, c.file)
			} else {
				was := string(fs[c.file].Data)
				if !strings.Contains(was, c.old) {
					t.Fatalf("%q is not there to change", c.old)
				}
				fs[c.file] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(was, c.old, c.with))}
			}
			_, err := load(fs)
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(coldkeep.ErrorMessage(err), c.says) {
				t.Errorf("it says %q, want %q", coldkeep.ErrorMessage(err), c.says)
			}
		})
	}
}

// TestAllReasons holds that a refusal carries every reason, not the first.
func TestAllReasons(t *testing.T) {
	fs := files()
	const antigen = "AntigenSupportingData- Pox-508.xml"
	fs[antigen] = &fstest.MapFile{Data: []byte(strings.NewReplacer("12 months", "moons", "<cvx>02", "<cvx>99").Replace(string(fs[antigen].Data)))}
	_, err := load(fs)
	var why *schedule.Refused
	if !errors.As(err, &why) || len(why.Reasons) != 3 {
		t.Errorf("got %v", err)
	}
}

func TestVersionOf(t *testing.T) {
	for name, want := range map[string]string{
		"supporting-data-4.64": "4.64", "/data/Version_4.65-508/": "4.65", "supporting-data": "",
	} {
		if got := cdsixml.VersionOf(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// FuzzLoad holds that no file makes the loader panic.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(antigenXML))
	f.Add([]byte("<antigenSupportingData><series>"))
	f.Fuzz(func(_ *testing.T, antigen []byte) {
		fs := files()
		fs["AntigenSupportingData- Pox-508.xml"] = &fstest.MapFile{Data: antigen}
		_, _ = load(fs)
	})
}
