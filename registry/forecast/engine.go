package forecast

import (
	"sync"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// Engine forecasts by one schedule.
type Engine struct {
	s     *schedule.Schedule
	runs  sync.Pool
	lines sync.Pool
}

// New makes an engine. The schedule is shared, never changed.
func New(s *schedule.Schedule) *Engine {
	e := &Engine{s: s}
	e.runs.New = func() any { return newRun(s) }
	e.lines.New = func() any { return &liner{run: newRun(s)} }
	return e
}

// Schedule gives the schedule the engine works by.
func (e *Engine) Schedule() *schedule.Schedule { return e.s }

// Forecast evaluates a patient's doses and forecasts the next ones. It cannot
// fail: a vaccine the schedule does not know is a dose without an evaluation.
func (e *Engine) Forecast(p *Patient) *Result { return e.forecast(p, false) }

// Explain is Forecast with the chain of decisions behind every dose and forecast.
func (e *Engine) Explain(p *Patient) *Result { return e.forecast(p, true) }

func (e *Engine) forecast(p *Patient, explain bool) *Result {
	r := e.runs.Get().(*run)
	out := new(Result)
	r.forecast(p, out, explain)
	e.runs.Put(r)
	return out
}

// run is the working state of one patient in the engine. It is used again for
// the next patient, so that a patient costs few allocations.
type run struct {
	s       *schedule.Schedule
	p       *Patient
	out     *Result
	explain bool
	gender  schedule.Gender

	ages    []Date // date of birth plus each period of the schedule; None is not yet found
	given   []given
	records [][]int32 // by antigen: indexes in given, in order of date

	observed []bool // by observation
	obsDates []Date // by observation: the latest date, None without one
	anyObs   bool
	unknown  []schedule.Obs // nobody knows whether the patient has them

	follows  []bool    // by series index: the patient series there are
	states   []series  // by series index; meaningful where follows says so
	antigens []antigen // by antigen index
	members  []*series // scratch of a vaccine group
}

// given is a dose of the history, its codes found.
type given struct {
	date  Date
	cvx   schedule.CVX
	input int32
	dose  *Dose
}

// antigen is what is known of one antigen for the patient, whatever the series.
type antigen struct {
	immune          bool
	contraindicated bool
	because         string         // what the immunity or contraindication rests on
	removed         []schedule.CVX // contraindicated vaccine types
	best            []*series
	ahead           []*series // risk series that begin to apply before long
}

func newRun(s *schedule.Schedule) *run {
	r := &run{
		s:        s,
		ages:     make([]Date, len(s.Periods)),
		records:  make([][]int32, len(s.Antigens)),
		observed: make([]bool, len(s.Observations)),
		obsDates: make([]Date, len(s.Observations)),
		follows:  make([]bool, s.SeriesCount),
		states:   make([]series, s.SeriesCount),
		antigens: make([]antigen, len(s.Antigens)),
	}
	for i := range s.Antigens {
		for _, ser := range s.Antigens[i].Series {
			r.states[ser.Index].Series = ser
		}
	}
	return r
}

// forecast is CDSi's processing model (Table 4-1).
func (r *run) forecast(p *Patient, out *Result, explain bool) {
	r.p, r.out, r.explain = p, out, explain
	r.gender = p.Gender & schedule.AnyGender
	if r.gender == 0 {
		r.gender = schedule.UnknownGender // Table 5-2
	}
	out.reset(p)
	for i := range r.ages {
		r.ages[i] = None
	}
	clear(r.follows)
	r.organize()
	r.observe()
	for i := range r.s.Antigens {
		a := &r.s.Antigens[i]
		r.protect(a)
		candidates := a.Series
		switch {
		case r.anyObs:
		case len(r.records[i]) == 0:
			candidates = a.Fresh[r.gender]
		default:
			candidates = a.Common
		}
		for _, ser := range candidates {
			r.follows[ser.Index] = r.relevant(ser)
			if !r.follows[ser.Index] {
				continue
			}
			r.follow(ser, None)
		}
		r.selectBest(a)
	}
	r.reportGroups()
	r.reportDoses()
	r.reportUnknown()
	if explain {
		r.explainDoses()
		r.reportUnasked()
	}
	r.p, r.out = nil, nil
}

// follow evaluates and forecasts one relevant series (4.4), from a later day when
// it begins to apply only then.
func (r *run) follow(ser *schedule.Series, from Date) {
	st := &r.states[ser.Index]
	st.reset()
	st.from = from
	if r.explain {
		r.noteRelevant(st)
	}
	r.evaluateSeries(st)
	r.forecastSeries(st)
}

// candidates leaves out the risk series of a patient without observations, who
// can have no indication (Table 5-5).
func (r *run) candidates(all, common []*schedule.Series) []*schedule.Series {
	if r.anyObs {
		return all
	}
	return common
}

// age gives the date the patient is as old as the period says. An empty period
// gives the assumed value. It is small enough to be inlined: ages are asked for
// everywhere.
func (r *run) age(id schedule.PeriodID, empty Date) Date {
	if d := r.ages[id]; d != None {
		return d
	}
	return r.reach(id, empty)
}

// reach finds an age that has not been asked for yet.
//
//go:noinline
func (r *run) reach(id schedule.PeriodID, empty Date) Date {
	if id == 0 {
		return empty
	}
	d := r.s.Periods[id].From(r.p.Born)
	r.ages[id] = d
	return d
}

// within reports whether begin ≤ d < end for an age window, with empty bounds
// open.
func (r *run) within(begin, end schedule.PeriodID, d Date) bool {
	return r.age(begin, schedule.Past) <= d && d < r.age(end, schedule.Future)
}

// series is one patient series: a schedule's series followed by this patient.
type series struct {
	*schedule.Series
	targets []target
	evals   []evaluation // one for each record of the antigen
	next    int          // the target dose evaluation stopped at
	from    Date         // the day the series begins to apply, when that is to come

	status    Status
	reason    Reason
	satisfied int  // target doses satisfied (SELECTB-21)
	first     Date // date administered of the first valid dose; None without
	number    int
	vaccines  []schedule.CVX
	priority  bool // FORECASTPRIORITY-1

	// The dates of 7.5; None where there is none.
	earliest, recommended, pastDue, latest Date
	noStart                                bool // there is no candidate earliest date

	score  int
	chosen chosen
	shown  bool // the forecast of its vaccine group is made from it
	told   told // when explained
	notes  []Decision
}

type targetStatus uint8

const (
	notSatisfied targetStatus = iota
	satisfied
	skipped
)

// target is a target dose; a recurring dose gives several of one number.
type target struct {
	dose   *schedule.Dose
	status targetStatus
	by     int32 // the record that satisfied it
}

// evaluation is the outcome of one record in one series.
type evaluation struct {
	status EvalStatus
	reason Reason
	target int // dose number of the series, 0 for none
	nth    int // of the doses that count, when this one does
	notes  []Decision
}

// reset prepares a relevant series for a patient and keeps its storage.
func (st *series) reset() {
	st.evals = st.evals[:0] // evaluateSeries resets the targets
	st.notes = nil
	st.next, st.status, st.reason = 0, NotComplete, NoReason
	st.satisfied, st.first = 0, None
	st.priority, st.shown = false, false
	st.clearDates()
}

func (st *series) clearDates() {
	st.earliest, st.recommended, st.pastDue, st.latest = None, None, None, None
	st.number, st.noStart = 0, false
	st.vaccines = st.vaccines[:0]
}
