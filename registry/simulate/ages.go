package simulate

// structure is the share of each five years of age among the people of the United
// States, in tenths of a percent, from 0–4 up; the last is of 85 and older (2020 Census,
// rounded).
var structure = []float64{56, 61, 65, 66, 67, 67, 69, 66, 62, 61, 62, 65, 62, 54, 44, 29, 19, 20}

// childAge is the first year of age that is not a child's.
const childAge = 18

// ages chooses ages so that households of families and of adults together have the
// structure: children are drawn by it, their parents follow from them, and the adults
// without children fill what is left.
type ages struct {
	children []float64 // sums by years of age
	adults   []float64 // sums by years of age, parents taken out
	families float64   // share of the households that have children
}

// The families: children of one, and parents that are in the registry.
const (
	meanChildren = 1.88
	meanParents  = 1.75
	meanAdults   = 1.5 // of a household without children
	motherAge    = 29.4
	motherSpread = 5.6
)

func newAges() ages {
	perYear := make([]float64, 100)
	for i, share := range structure {
		years := 5
		if i == len(structure)-1 {
			years = 15
		}
		for y := range years {
			w := share / float64(years)
			if i == len(structure)-1 { // fewer with each year above 85
				w = share * 2 * float64(years-y) / float64(years*(years+1))
			}
			perYear[5*i+y] = w
		}
	}
	total, children := 0.0, 0.0
	for age, w := range perYear {
		total += w
		if age < childAge {
			children += w
		}
	}
	// Parents are as old as their child and the mother at birth together.
	parents := make([]float64, 100)
	for child := range childAge {
		for k := -2; k <= 2; k++ {
			at := child + int(motherAge+float64(k)*motherSpread)
			weight := []float64{0.06, 0.24, 0.4, 0.24, 0.06}[k+2]
			parents[min(at, 99)] += perYear[child] / meanChildren * meanParents * weight
		}
	}
	var a ages
	sum, rest := 0.0, 0.0
	for age, w := range perYear {
		if age < childAge {
			sum += w
			a.children = append(a.children, sum)
			a.adults = append(a.adults, 0)
			continue
		}
		rest += max(w*0.05, w-parents[age])
		a.adults = append(a.adults, rest)
	}
	withChildren := children / meanChildren
	a.families = withChildren / (withChildren + (total-children-withChildren*meanParents)/meanAdults)
	return a
}

// siblings draws how many children a family has, and their ages in years with a
// fraction, the youngest not sorted. Twins are 15 of 1,000 deliveries (CDC: 31 of 1,000
// births are of twins).
func (a *ages) siblings(d dice) (years []float64, twins bool) {
	n := 1 + pickSum(d, []float64{0.42, 0.78, 0.94, 1})
	first := float64(pickSum(d, a.children)) + d.Float64()
	years = append(years, first)
	for len(years) < n {
		// Children two to four years apart; who would be of age is a younger one instead,
		// which keeps each year of childhood equally full.
		next := years[len(years)-1] + 1.2 + 3*d.Float64()
		if next >= childAge {
			next -= childAge
		}
		years = append(years, next)
	}
	if d.chance(0.0155) {
		twins = true
		years = append(years, years[len(years)-1])
	}
	return years, twins
}
