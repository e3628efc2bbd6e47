package recall

import (
	"slices"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/patient"
)

var day = coldkeep.NewDate(2026, 3, 2)

func due(group string, status forecast.Status, recommended, pastDue coldkeep.Date) forecast.Forecast {
	return forecast.Forecast{Group: group, Status: status, Earliest: recommended, Recommended: recommended, PastDue: pastDue, Begins: forecast.None, Latest: forecast.None}
}

// Every reason to be left out, and what is told of to who is not.
func TestEveryReason(t *testing.T) {
	late := due("MMR", forecast.NotComplete, day-200, day-100)
	soon := due("Polio", forecast.NotComplete, day+20, day+90)
	for _, c := range []struct {
		name   string
		params Params
		change func(*candidate)
		want   Reason
		groups []string
	}{
		{"late", Params{}, nil, Told, []string{"MMR"}},
		{"late and due soon", Params{DueWithin: 30}, nil, Told, []string{"MMR", "Polio"}},
		{"deceased", Params{}, func(c *candidate) { c.deceased = true; c.locked = true }, IsDeceased, nil},
		{"locked by another", Params{}, func(c *candidate) { c.locked = true; c.standing = patient.Moved }, IsLocked, nil},
		{"moved", Params{}, func(c *candidate) { c.standing = patient.Moved }, IsMoved, nil},
		{"lost", Params{}, func(c *candidate) { c.standing = patient.Lost }, IsLost, nil},
		{"inactive", Params{}, func(c *candidate) { c.standing = patient.Inactive }, IsInactive, nil},
		{"of nobody's", Params{}, func(c *candidate) { c.standing = "" }, IsInactive, nil},
		{"01", Params{}, func(c *candidate) { c.publicity = "01" }, WantsNone, nil},
		{"02", Params{}, func(c *candidate) { c.publicity = "02" }, Told, []string{"MMR"}},
		{"03", Params{}, func(c *candidate) { c.publicity = "03" }, Told, []string{"MMR"}},
		{"04, late", Params{DueWithin: 30}, func(c *candidate) { c.publicity = "04" }, Told, []string{"Polio"}},
		{"04, late alone", Params{}, func(c *candidate) { c.publicity = "04" }, OnlyReminders, nil},
		{"05, late alone", Params{Mode: Recall}, func(c *candidate) { c.publicity = "05" }, OnlyReminders, nil},
		{"06, due alone", Params{Mode: Reminder, DueWithin: 30}, func(c *candidate) { c.publicity = "06" }, OnlyRecalls, nil},
		{"07, late", Params{DueWithin: 30}, func(c *candidate) { c.publicity = "07" }, Told, []string{"MMR"}},
		{"08", Params{}, func(c *candidate) { c.publicity = "08" }, WantsProvider, nil},
		{"12", Params{}, func(c *candidate) { c.publicity = "12" }, WantsProvider, nil},
		{"a code of no table", Params{}, func(c *candidate) { c.publicity = "99" }, Told, []string{"MMR"}},
		{"notified lately", Params{NotWithin: 30}, func(c *candidate) { c.last = day - 29 }, NotifiedLately, nil},
		{"notified before", Params{NotWithin: 30}, func(c *candidate) { c.last = day - 30 }, Told, []string{"MMR"}},
		{"never notified", Params{NotWithin: 30}, nil, Told, []string{"MMR"}},
		{"refused", Params{}, func(c *candidate) { c.refused = []string{"MMR"} }, HasRefused, nil},
		{"refused one of two", Params{DueWithin: 30}, func(c *candidate) { c.refused = []string{"MMR"} }, Told, []string{"Polio"}},
		{"exempt", Params{}, func(c *candidate) { c.exempt = func(g string) bool { return g == "MMR" } }, IsExempt, nil},
		{"contraindicated", Params{}, func(c *candidate) {
			c.forecasts = []forecast.Forecast{due("MMR", forecast.Contraindicated, forecast.None, forecast.None)}
		}, Contraindicated, nil},
		{"not late enough", Params{Mode: Recall, OverdueBy: 101}, nil, NotDue, nil},
		{"late enough", Params{Mode: Recall, OverdueBy: 100}, nil, Told, []string{"MMR"}},
		{"not due yet", Params{Mode: Reminder, DueWithin: 19}, nil, NotDue, nil},
		{"due in time", Params{Mode: Reminder, DueWithin: 20}, nil, Told, []string{"Polio"}},
		{"another group", Params{Groups: []string{"HPV"}}, nil, Complete, nil},
		{"complete", Params{}, func(c *candidate) {
			c.forecasts = []forecast.Forecast{due("MMR", forecast.Complete, forecast.None, forecast.None), due("Polio", forecast.Immune, forecast.None, forecast.None)}
		}, Complete, nil},
		{"a matter to talk over", Params{}, func(c *candidate) { f := late; f.Shared = true; c.forecasts = []forecast.Forecast{f} }, Complete, nil},
		{"a risk to come", Params{}, func(c *candidate) { f := late; f.Begins = day + 10; c.forecasts = []forecast.Forecast{f} }, Complete, nil},
		{"no dates", Params{DueWithin: 30}, func(c *candidate) {
			c.forecasts = []forecast.Forecast{due("MMR", forecast.NotComplete, forecast.None, forecast.None)}
		}, NotDue, nil},
	} {
		who := candidate{standing: patient.Active, birth: day - 800, zip: "60085", forecasts: []forecast.Forecast{late, soon}}
		if c.change != nil {
			c.change(&who)
		}
		if c.params.Mode == "" {
			c.params.Mode = Both
		}
		got, groups := c.params.judge(&who, day)
		var names []string
		for _, g := range groups {
			names = append(names, g.Name)
		}
		if got != c.want || !slices.Equal(names, c.groups) {
			t.Errorf("%s: %q %v, want %q %v", c.name, got, names, c.want, c.groups)
		}
	}
}

func TestCohort(t *testing.T) {
	who := candidate{birth: day - 800, zip: "60085-1200"}
	for _, c := range []struct {
		p    Params
		want bool
	}{
		{Params{}, true}, {Params{BornFrom: day - 800, BornTo: day - 800}, true}, {Params{BornFrom: day - 799}, false}, {Params{BornTo: day - 801}, false},
		{Params{ZIPs: []string{"61602", "600"}}, true}, {Params{ZIPs: []string{"61602"}}, false},
	} {
		if got := c.p.inCohort(&who); got != c.want {
			t.Errorf("%+v: %v", c.p, got)
		}
	}
}

// By what somebody can be reached.
func TestReach(t *testing.T) {
	seq := patient.Span{Seq: 1}
	base := func() patient.Patient {
		return patient.Patient{ID: "p", Birth: day - 800, Language: "spa", Names: []patient.Name{{Family: "Okafor", Given: "Ada", Kind: patient.Legal}},
			Addresses: []patient.Address{{Street: "9 Lake St", City: "Zion", State: "IL", ZIP: "60099", Kind: "H", Span: seq}},
			Guardians: []patient.Guardian{{Family: "Okafor", Given: "Chioma", Contacts: []patient.Contact{{Kind: patient.Cell, Value: "3125550101"}, {Kind: patient.Email, Value: "c@home.example"}, {Kind: patient.Work, Value: "3125550109"}}}}}
	}
	agreed := []Consent{{Channel: Email, Target: "c@home.example"}, {Channel: SMS, Target: "3125550101"}}
	p := base()
	k := reach(&p, agreed, nil, day)
	if !slices.Equal(k.channels(), Channels()) || k.to != "Chioma Okafor" || k.language != "es" || len(k.phones) != 1 {
		t.Errorf("%+v", k)
	}
	if k := reach(&p, nil, nil, day); !slices.Equal(k.channels(), []Channel{Letter, Postcard, Phone}) {
		t.Errorf("nobody has agreed: %v", k.channels())
	}
	p.Publicity = "03"
	if k := reach(&p, agreed, nil, day); !slices.Equal(k.channels(), []Channel{Email, Letter, Postcard}) {
		t.Errorf("no calls: %v", k.channels())
	}
	p = base()
	if k := reach(&p, agreed, []string{hashOf(addressLine(&p.Addresses[0])), hashOf("3125550101")}, day); !slices.Equal(k.channels(), []Channel{Email}) {
		t.Errorf("came back: %v", k.channels())
	}
	p.Addresses[0].Street = ""
	if k := reach(&p, nil, nil, day); !slices.Equal(k.channels(), []Channel{Phone}) {
		t.Errorf("no street: %v", k.channels())
	}
	p = base()
	p.Guardians = nil
	if k := reach(&p, nil, nil, day); k.to != "Parent or guardian of Ada Okafor" {
		t.Error(k.to)
	}
	// Children of one mother at one address are one household; neighbours are not.
	a, b, c := base(), base(), base()
	b.Names[0].Given, b.Addresses[0].Street = "Obi", "9 lake st."
	c.Guardians[0].Given = "Ngozi"
	if ha, hb, hc := reach(&a, nil, nil, day).household, reach(&b, nil, nil, day).household, reach(&c, nil, nil, day).household; ha != hb || ha == hc {
		t.Error(ha, hb, hc)
	}
	// A grown-up answers alone.
	a.Birth = coldkeep.NewDate(2008, 3, 2)
	if k := reach(&a, nil, nil, day); k.to != "Ada Okafor" || len(k.phones) != 0 {
		t.Errorf("%+v", k)
	}
}
