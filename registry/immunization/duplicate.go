package immunization

import (
	"cmp"
	"slices"
)

// Records that tell of one dose are found in the three phases of MIROW's guideline on
// vaccine deduplication: candidates are doses of one vaccine group that lie close
// together, a pair of candidates matches or not, and of those that match one record
// stands for all. The answer depends on the set of doses alone, not on the order in
// which they came.

// nearDays is how far apart two records of one dose may lie when one of them is from
// memory or a card. No schedule gives two doses of one group within it.
const nearDays = 10

// Vaccines tells of CVX codes what joining records needs.
type Vaccines interface {
	// Groups are the vaccine groups of a code, in the schedule's order.
	Groups(cvx string) []string
	// Vague reports whether a code leaves the formulation open.
	Vague(cvx string) bool
}

// Duplicates finds the doses that are told of by another record, and by which.
func Duplicates(doses []Dose, v Vaccines) map[string]string {
	var in []*Dose
	for i := range doses {
		if d := &doses[i]; d.Kind != Refused && d.Deleted == nil {
			in = append(in, d)
		}
	}
	// The best record first, so that each joins the best it matches.
	slices.SortFunc(in, func(a, b *Dose) int { return better(a, b, v) })
	of := map[string][]string{}
	for _, d := range in {
		of[d.CVX] = v.Groups(d.CVX)
	}
	out := map[string]string{}
	for i, d := range in {
		for _, best := range in[:i] {
			if out[best.ID] == "" && sameDose(best, d, of[best.CVX], of[d.CVX]) {
				out[d.ID] = best.ID
				break
			}
		}
	}
	return out
}

// NearDuplicates lists pairs that may be one dose and were not joined: a person decides.
// The first of a pair is the better record.
func NearDuplicates(doses []Dose, v Vaccines) [][2]string {
	linked := Duplicates(doses, v)
	var in []*Dose
	for i := range doses {
		if d := &doses[i]; d.Kind != Refused && d.Deleted == nil && linked[d.ID] == "" {
			in = append(in, d)
		}
	}
	slices.SortFunc(in, func(a, b *Dose) int { return better(a, b, v) })
	var out [][2]string
	for i, d := range in {
		for _, best := range in[:i] {
			apart := d.Date - best.Date
			if apart < 0 {
				apart = -apart
			}
			if apart > nearDays || distinct(best, d) || fromStock(best) && fromStock(d) || !overlap(v.Groups(best.CVX), v.Groups(d.CVX)) {
				continue
			}
			out = append(out, [2]string{best.ID, d.ID})
		}
	}
	return out
}

// sameDose is the match phase: one day, one group or a part of a combination's groups,
// and nothing that tells them apart.
func sameDose(best, d *Dose, bestGroups, groups []string) bool {
	if best.Date != d.Date || distinct(best, d) {
		return false
	}
	if fromStock(best) && fromStock(d) {
		return false // two doses left the stock
	}
	if best.Lot != "" && d.Lot != "" && best.Lot != d.Lot && best.Kind == Administered && d.Kind == Administered {
		return false
	}
	if best.CVX == d.CVX {
		return true
	}
	// Of two vaccines, one may tell of a part of the other, or of the same vaccine with a
	// code that says less.
	return len(groups) > 0 && contains(bestGroups, groups)
}

func fromStock(d *Dose) bool { return d.StockID != "" }

func distinct(a, b *Dose) bool {
	return slices.Contains(a.DistinctFrom, b.ID) || slices.Contains(b.DistinctFrom, a.ID)
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(g string) bool { return slices.Contains(b, g) })
}

func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(g string) bool { return !slices.Contains(all, g) })
}

// better orders records of one dose: those that say more come first (MIROW's resolve
// phase). Of two that say as much, the order is by what they say, so that which of them
// counts does not depend on which came first; when they say the very same it makes no
// difference, and the ID makes the order total.
func better(a, b *Dose, v Vaccines) int {
	return cmp.Or(
		-cmp.Compare(rank(a), rank(b)),
		-cmp.Compare(len(v.Groups(a.CVX)), len(v.Groups(b.CVX))), // a combination says more than a part of it
		vague(a, v)-vague(b, v),
		// Of one that says of its day that it is not known, and one that has that day, the second
		// may be the first, repeated by a program that knows days only.
		onlyMonth(b)-onlyMonth(a),
		-cmp.Compare(fields(a), fields(b)),
		bySource(a.Source, b.Source),
		slices.Compare(said(a), said(b)),
		slices.CompareFunc(a.VIS, b.VIS, func(a, b VIS) int {
			return cmp.Or(cmp.Compare(a.Document, b.Document), cmp.Compare(a.Edition, b.Edition), cmp.Compare(a.Given, b.Given))
		}),
		a.EnteredAt.Compare(b.EnteredAt),
		cmp.Compare(a.ID, b.ID),
	)
}

func onlyMonth(d *Dose) int {
	if d.DayUnknown {
		return 1
	}
	return 0
}

// bySource puts a source that is named before 01, which leaves it open.
func bySource(a, b string) int {
	if (a == "01") != (b == "01") {
		if a == "01" {
			return 1
		}
		return -1
	}
	return cmp.Compare(a, b)
}

// said is what a record says of the dose, field by field.
func said(d *Dose) []string {
	return []string{d.Date.String(), d.CVX, d.MVX, d.NDC, d.Lot, d.Expires.String(), d.BodySite, d.Route, d.Amount, d.Eligibility, d.Funding, d.GivenBy, d.OrderedBy, string(d.Site), d.Elsewhere, d.NonViable, d.Note, string(d.EnteredSite), d.StockID}
}

func vague(d *Dose, v Vaccines) int {
	if v.Vague(d.CVX) {
		return 1
	}
	return 0
}

// rank is how near a record is to the needle.
func rank(d *Dose) int {
	switch {
	case fromStock(d):
		return 3
	case d.Kind == Administered:
		return 2
	case d.Source == "04": // parent's recall
		return 0
	}
	return 1
}

// fields counts what a record says of the dose.
func fields(d *Dose) int {
	n := len(d.VIS)
	for _, f := range []string{d.MVX, d.NDC, d.Lot, d.BodySite, d.Route, d.Amount, d.Eligibility, d.Funding, d.GivenBy, string(d.Site)} {
		if f != "" {
			n++
		}
	}
	if d.Expires.Known() {
		n++
	}
	return n
}
