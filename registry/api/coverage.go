package api

import (
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/coverage"
)

// coverageRoutes are the assessment of coverage; all ask for read-coverage, the list of who
// lacks what for view-patients as well, and own measures for manage-programme.
func (s *server) coverageRoutes(v1 *gin.RouterGroup) {
	v1.GET("/coverage/runs", s.get(s.coverageRuns))
	v1.POST("/coverage/runs", s.post(16<<10, s.beginCoverage))
	v1.GET("/coverage/runs/:id", s.get(s.coverageRun))
	v1.POST("/coverage/runs/:id/cancel", s.post(4<<10, s.cancelCoverage))
	v1.GET("/coverage/runs/:id/missing", s.get(s.coverageMissing))
	v1.GET("/coverage/measures", s.get(s.coverageMeasures))
	v1.POST("/coverage/measures", s.post(64<<10, s.addMeasure))
	v1.POST("/coverage/measures/:measure/retire", s.post(4<<10, s.retireMeasure))
	v1.GET("/coverage/smallest", s.get(s.coverageSmallest))
	v1.POST("/coverage/smallest", s.post(4<<10, s.setSmallest))
}

type coverageRunJSON struct {
	ID       string          `json:"id"`
	Site     coldkeep.SiteID `json:"site"`
	Day      coldkeep.Date   `json:"day"`
	Cutoff   time.Time       `json:"cutoff"`
	Zone     string          `json:"zone"`
	Asked    coverage.Asked  `json:"asked"`
	By       string          `json:"by"`
	At       time.Time       `json:"at"`
	State    coverage.State  `json:"state"`
	Tries    int             `json:"tries"`
	Done     int64           `json:"done"`
	Total    int64           `json:"total"`
	Schedule string          `json:"schedule,omitempty"`
	Ended    *time.Time      `json:"ended,omitempty"`
	EndedBy  string          `json:"ended_by,omitempty"`
	Trouble  string          `json:"trouble,omitempty"`
}

func coverageRunOut(r *coverage.Run) coverageRunJSON {
	return coverageRunJSON{ID: r.ID, Site: r.Site, Day: r.Day, Cutoff: r.Cutoff, Zone: r.Zone, Asked: r.Asked, By: r.By, At: r.At, State: r.State, Tries: r.Tries,
		Done: r.Done, Total: r.Total, Schedule: r.Schedule, Ended: r.Ended, EndedBy: r.EndedBy, Trouble: r.Trouble}
}

func (s *server) coverageRuns(c *gin.Context) (any, error) {
	all, err := s.Coverage.List(c.Request.Context(), principal(c))
	out := make([]coverageRunJSON, len(all))
	for i := range all {
		out[i] = coverageRunOut(&all[i])
	}
	return out, err
}

type coverageAskJSON struct {
	Site     coldkeep.SiteID `json:"site"`
	Measures []string        `json:"measures"`
	Day      coldkeep.Date   `json:"day"`
	Basis    coverage.Basis  `json:"basis"`
	From     string          `json:"age_from"`
	Until    string          `json:"age_until"`
	Born     coldkeep.Date   `json:"born"`
	BornTo   coldkeep.Date   `json:"born_to"`
	Months   int             `json:"months"`
}

func (s *server) beginCoverage(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[coverageAskJSON](body)
	if err != nil {
		return nil, err
	}
	r, err := s.Coverage.Begin(c.Request.Context(), principal(c), coverage.Ask{Site: in.Site, Measures: in.Measures, Day: in.Day, Basis: in.Basis,
		Ages: coverage.Ages{From: in.From, Until: in.Until}, Born: in.Born, BornTo: in.BornTo, Months: in.Months})
	return coverageRunOut(&r), err
}

type coverageCountJSON struct {
	Day          coldkeep.Date `json:"day"`
	By           coverage.Dim  `json:"by"`
	Of           string        `json:"of"`
	Measure      string        `json:"measure"`
	Part         string        `json:"part"`
	People       *int64        `json:"people"`
	Valid        *int64        `json:"valid"`
	Counted      *int64        `json:"counted"`
	ValidOnly    *int64        `json:"valid_only"`
	CountedOnly  *int64        `json:"counted_only"`
	Near         *int64        `json:"lack_one_valid"`
	NearCounted  *int64        `json:"lack_one_counted"`
	Missed       *int64        `json:"missed_people"`
	Visits       *int64        `json:"visits"`
	MissedVisits *int64        `json:"missed_visits"`
}

func coverageCountOut(n *coverage.Count) coverageCountJSON {
	told := func(v int64) *int64 {
		if v == coverage.Withheld {
			return nil
		}
		return &v
	}
	return coverageCountJSON{n.Day, n.Dim, n.Value, n.Measure, n.Part, told(n.People), told(n.Valid), told(n.Counted), told(n.ValidOnly), told(n.CountedOnly),
		told(n.Near), told(n.NearCounted), told(n.Missed), told(n.Visits), told(n.MissedVisits)}
}

type benchmarkJSON struct {
	Run     string        `json:"run"`
	Day     coldkeep.Date `json:"day"`
	Valid   float64       `json:"valid_percent"`
	Counted float64       `json:"counted_percent"`
}

type coverageResultJSON struct {
	coverageRunJSON
	Threshold  int64                    `json:"threshold"` // 0: nothing is withheld
	Counts     []coverageCountJSON      `json:"counts"`
	Benchmarks map[string]benchmarkJSON `json:"benchmarks"`
}

// coverageRun gives an assessment, with its counts once it is done.
func (s *server) coverageRun(c *gin.Context) (any, error) {
	ctx, by := c.Request.Context(), principal(c)
	r, err := s.Coverage.Get(ctx, by, c.Param("id"))
	if err != nil {
		return nil, err
	}
	out := coverageResultJSON{coverageRunJSON: coverageRunOut(&r), Counts: []coverageCountJSON{}, Benchmarks: map[string]benchmarkJSON{}}
	if r.State != coverage.Done {
		return out, nil
	}
	result, err := s.Coverage.Result(ctx, by, r.ID)
	if err != nil {
		return nil, err
	}
	out.Threshold = result.Threshold
	for i := range result.Counts {
		out.Counts = append(out.Counts, coverageCountOut(&result.Counts[i]))
	}
	for id, b := range result.Benchmarks {
		out.Benchmarks[id] = benchmarkJSON(b)
	}
	return out, nil
}

func (s *server) cancelCoverage(c *gin.Context, _ []byte) (any, error) {
	return did{c.Param("id")}, s.Coverage.Cancel(c.Request.Context(), principal(c), c.Param("id"))
}

type uncoveredJSON struct {
	Patient string        `json:"patient"`
	Family  string        `json:"family"`
	Given   string        `json:"given"`
	Birth   coldkeep.Date `json:"birth"`
	Lacks   []lackJSON    `json:"lacks"`
}

type lackJSON struct {
	Part  string `json:"part"`
	Title string `json:"title"`
	Doses int    `json:"doses"`
}

func (s *server) coverageMissing(c *gin.Context) (any, error) {
	m, err := s.Coverage.Missing(c.Request.Context(), principal(c), c.Param("id"), c.Query("measure"), coverage.Counting(c.Query("counting")), c.Query("after"))
	if err != nil {
		return nil, err
	}
	out := struct {
		Measure  string            `json:"measure"`
		Counting coverage.Counting `json:"counting"`
		Schedule string            `json:"schedule"`
		People   []uncoveredJSON   `json:"people"`
		Next     string            `json:"next,omitempty"`
	}{m.Measure.ID, m.Counting, m.Schedule, []uncoveredJSON{}, m.Next}
	for _, p := range m.People {
		u := uncoveredJSON{Patient: p.Patient, Family: p.Name.Family, Given: p.Name.Given, Birth: p.Birth}
		for _, l := range p.Lacks {
			u.Lacks = append(u.Lacks, lackJSON(l))
		}
		out.People = append(out.People, u)
	}
	return out, nil
}

type coverageMeasureJSON struct {
	coverage.Measure
	Own   bool   `json:"own"`
	Added string `json:"added_by,omitempty"`
}

func (s *server) coverageMeasures(c *gin.Context) (any, error) {
	all, err := s.Coverage.Measures(c.Request.Context(), principal(c))
	out := make([]coverageMeasureJSON, len(all))
	for i, k := range all {
		out[i] = coverageMeasureJSON{k.Measure, k.Own, k.By}
	}
	return out, err
}

func (s *server) addMeasure(c *gin.Context, body []byte) (any, error) {
	// Of who may not, nothing is said of the body.
	if _, err := s.Coverage.Antigens(principal(c)); err != nil {
		return nil, err
	}
	m, err := coverage.ParseMeasure(body)
	if err != nil {
		return nil, err
	}
	k, err := s.Coverage.AddMeasure(c.Request.Context(), principal(c), m)
	return coverageMeasureJSON{k.Measure, k.Own, k.By}, err
}

func (s *server) retireMeasure(c *gin.Context, _ []byte) (any, error) {
	return did{c.Param("measure")}, s.Coverage.RetireMeasure(c.Request.Context(), principal(c), c.Param("measure"))
}

type smallestJSON struct {
	N   int64  `json:"n"`
	Why string `json:"why"`
	By  string `json:"by,omitempty"`
}

func (s *server) coverageSmallest(c *gin.Context) (any, error) {
	v, err := s.Coverage.Smallest(c.Request.Context(), principal(c))
	return smallestJSON{v.N, v.Why, v.By}, err
}

func (s *server) setSmallest(c *gin.Context, body []byte) (any, error) {
	in, err := decodeOne[smallestJSON](body)
	if err != nil {
		return nil, err
	}
	return smallestJSON{N: in.N, Why: in.Why}, s.Coverage.SetSmallest(c.Request.Context(), principal(c), in.N, in.Why)
}
