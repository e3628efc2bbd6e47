package web

import (
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// dueSummary is what a record's first page says of a patient's immunizations: whether
// something is to be done, and where the rest is.
type dueSummary struct {
	Overdue, Now []string // vaccine groups with the number of the dose
	Talk         []string // a shared clinical decision
	Exempt       []string // due, and the patient is exempt
	Next         []string // what is due next
	NextOn       coldkeep.Date
	Doses        int           // records that count
	Last         coldkeep.Date // of the latest dose; unknown: none
	Warnings     []immunization.Fact
}

// summaryOf reads a patient's immunizations for the first page of the record; who looks
// at it there has seen them, and the trail says so.
func (s *server) summaryOf(c *gin.Context, id string) (*dueSummary, error) {
	v, err := s.Immunizations.View(c.Request.Context(), principal(c), id)
	if err != nil {
		return nil, err
	}
	return summarize(v), nil
}

func summarize(v *immunization.View) *dueSummary {
	d := &dueSummary{}
	for i := range v.Doses {
		if x := &v.Doses[i]; x.Counts() {
			d.Doses++
			d.Last = max(d.Last, x.Date)
		}
	}
	for _, f := range v.Facts {
		if f.Ended == nil && (f.Kind == immunization.Contraindication || f.Kind == immunization.Precaution) {
			d.Warnings = append(d.Warnings, f)
		}
	}
	for i := range v.Due {
		x := &v.Due[i]
		name := x.Group
		if x.Number > 0 {
			name += " (dose " + strconv.Itoa(x.Number) + ")"
		}
		switch x.Urgency {
		case immunization.Overdue, immunization.DueNow:
			switch {
			case x.Exempt != nil:
				d.Exempt = append(d.Exempt, x.Group)
			case x.Shared:
				d.Talk = append(d.Talk, name)
			case x.Urgency == immunization.Overdue:
				d.Overdue = append(d.Overdue, name)
			default:
				d.Now = append(d.Now, name)
			}
		case immunization.MayGive, immunization.Upcoming:
			if x.Exempt != nil || x.Shared || !x.Recommended.Known() {
				continue
			}
			if len(d.Next) == 0 || x.Recommended < d.NextOn {
				d.Next, d.NextOn = []string{name}, x.Recommended
			} else if x.Recommended == d.NextOn {
				d.Next = append(d.Next, name)
			}
		}
	}
	return d
}
