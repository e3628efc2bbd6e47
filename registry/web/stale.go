package web

import (
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// doseField is a field of a dose's form.
type doseField struct {
	Name, Title string
	Values      []string
}

// doseFields are what the form of a dose is filled with, by the names of its fields.
func doseFields(d *immunization.Dose) []doseField {
	vis := []string{}
	for _, v := range d.VIS {
		vis = append(vis, v.Document)
	}
	return []doseField{{"stock", "Lot", []string{d.StockID}}, {"cvx", "Vaccine (CVX)", []string{d.CVX}}, {"mvx", "Manufacturer (MVX)", []string{d.MVX}}, {"number", "Lot number", []string{d.Lot}},
		{"expires", "Expires", []string{d.Expires.String()}}, {"date", "Date", []string{d.Date.String()}}, {"eligibility", "Eligibility", []string{d.Eligibility}},
		{"body_site", "Body site", []string{d.BodySite}}, {"route", "Route", []string{d.Route}}, {"amount", "Amount", []string{d.Amount}}, {"given_by", "Given by", []string{d.GivenBy}},
		{"ordered_by", "Ordered by", []string{d.OrderedBy}}, {"source", "Source", []string{d.Source}}, {"elsewhere", "Given elsewhere by", []string{d.Elsewhere}},
		{"refusal", "Reason of the refusal", []string{d.Refusal}}, {"note", "Note", []string{d.Note}}, {"vis", "VIS", vis}, {"vis_given", "VIS handed over", []string{visGiven(d)}}}
}

// visGiven is the day on which a dose's statements were handed over: that of the dose
// when none is recorded.
func visGiven(d *immunization.Dose) string {
	if len(d.VIS) > 0 {
		return d.VIS[0].Given.String()
	}
	return d.Date.String()
}

// rebaseDose brings a form that was made from an earlier version of a dose onto the one that
// stands: what the person has not touched is as it stands now, and what somebody else has
// changed is told. It reports whether the dose has changed at all since.
func rebaseDose(c *gin.Context, now *immunization.Dose, changes []immunization.Change, revision int64) ([]patient.Meanwhile, bool) {
	i := slices.IndexFunc(changes, func(h immunization.Change) bool { return h.Before.Revision == revision })
	if i < 0 || now.Revision == revision {
		return nil, false
	}
	form, told := c.Request.PostForm, []patient.Meanwhile{}
	was, is := doseFields(&changes[i].Before), doseFields(now)
	for k, f := range is {
		mine, sent := form[f.Name]
		if !sent && f.Name != "vis" {
			continue // the form does not have it
		}
		own := !slices.Equal(tidied(mine), tidied(was[k].Values))
		if !slices.Equal(was[k].Values, f.Values) {
			told = append(told, patient.Meanwhile{Field: f.Title, Was: said(was[k].Values), Theirs: said(f.Values), Mine: said(mine), Both: own && !slices.Equal(tidied(mine), tidied(f.Values))})
		}
		if !own {
			form[f.Name] = f.Values
		}
	}
	return told, true
}

func tidied(values []string) []string {
	out := []string{}
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

func said(values []string) string { return strings.Join(tidied(values), ", ") }
