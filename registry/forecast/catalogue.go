package forecast

import "github.com/coldkeep/coldkeep/registry/forecast/schedule"

// Catalogue lists the observations a schedule knows what to do with, so that a
// person can choose from them. One that has several uses, as pregnancy has, is in
// several lists.
type Catalogue struct {
	Conditions        []CatalogueEntry // indications of risk series, and events that intervals count from
	Immunity          []CatalogueEntry // evidence of immunity
	Contraindications []CatalogueEntry // and adverse reactions
}

// CatalogueEntry is an observation and the vaccine groups it bears on.
type CatalogueEntry struct {
	schedule.Observation
	Groups    []string // in the order of the schedule
	NeedsDate bool     // dates are counted from it, as from the onset of a pregnancy
}

// Catalogue lists the observations of the engine's schedule, in the order of their
// codes there.
func (e *Engine) Catalogue() Catalogue {
	s := e.s
	var conditions, immunity, contra listing
	for g := range s.Groups {
		for _, i := range s.Groups[g].Antigens {
			a := &s.Antigens[i]
			for _, o := range a.Immune {
				immunity.add(o, s.Groups[g].Name, false)
			}
			for k := range a.BornBefore {
				for _, o := range a.BornBefore[k].Not {
					conditions.add(o, s.Groups[g].Name, false)
				}
			}
			for _, c := range a.Contraindications {
				contra.add(c.Observation, s.Groups[g].Name, false)
			}
			for k := range a.VaccineContraindications {
				contra.add(a.VaccineContraindications[k].Observation, s.Groups[g].Name, false)
			}
			for _, ser := range a.Series {
				if ser.Group != g {
					continue
				}
				for _, ind := range ser.Indications {
					conditions.add(ind.Observation, s.Groups[g].Name, false)
				}
				for k := range ser.Doses {
					for _, v := range ser.Doses[k].Intervals {
						if v.From == schedule.FromObservation {
							conditions.add(v.Observation, s.Groups[g].Name, true)
						}
					}
				}
			}
		}
	}
	return Catalogue{conditions.entries(s), immunity.entries(s), contra.entries(s)}
}

// listing gathers entries by observation.
type listing map[schedule.Obs]*CatalogueEntry

func (l *listing) add(o schedule.Obs, group string, dated bool) {
	if *l == nil {
		*l = listing{}
	}
	c := (*l)[o]
	if c == nil {
		c = &CatalogueEntry{}
		(*l)[o] = c
	}
	if n := len(c.Groups); n == 0 || c.Groups[n-1] != group {
		c.Groups = append(c.Groups, group)
	}
	c.NeedsDate = c.NeedsDate || dated
}

func (l listing) entries(s *schedule.Schedule) []CatalogueEntry {
	var out []CatalogueEntry
	for i := range s.Observations {
		if c := l[schedule.Obs(i)]; c != nil {
			c.Observation = s.Observations[i]
			out = append(out, *c)
		}
	}
	return out
}
