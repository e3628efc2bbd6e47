package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
)

// done is the answer to a change that has nothing else to say.
type done struct {
	Done bool `json:"done"`
}

func (s *server) assign(c *gin.Context, body []byte) (any, error) {
	a, err := decodeOne[coldkeep.Assignment](body)
	if err != nil {
		return nil, err
	}
	if a.From.IsZero() {
		a.From = s.Clock.Now()
	}
	return done{true}, s.Templog.Assign(c.Request.Context(), principal(c), a)
}

func (s *server) endAssignment(c *gin.Context, body []byte) (any, error) {
	a, err := decodeOne[coldkeep.Assignment](body)
	if err != nil {
		return nil, err
	}
	to := s.Clock.Now()
	if a.To != nil {
		to = *a.To
	}
	return done{true}, s.Templog.EndAssignment(c.Request.Context(), principal(c), a, to)
}

// certificate is a calibration with who entered it when.
type certificate struct {
	coldkeep.Calibration
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	InForce bool      `json:"in_force"`
}

func (s *server) calibrations(c *gin.Context) {
	all, err := s.Templog.Certificates(c.Request.Context(), principal(c), coldkeep.SiteID(c.Query("site")))
	if err != nil {
		s.problem(c, err)
		return
	}
	out := make([]certificate, len(all))
	for i, k := range all {
		out[i] = certificate{k.Calibration, k.By, k.At, i == 0 || all[i-1].Series != k.Series}
	}
	c.JSON(http.StatusOK, out)
}

func (s *server) calibrate(c *gin.Context, body []byte) (any, error) {
	k, err := decodeOne[coldkeep.Calibration](body)
	if err != nil {
		return nil, err
	}
	return done{true}, s.Templog.Calibrate(c.Request.Context(), principal(c), k)
}

func (s *server) contexts(c *gin.Context) {
	all, err := s.Templog.Contexts(c.Request.Context(), principal(c), coldkeep.ApplianceID(c.Param("id")))
	if err != nil {
		s.problem(c, err)
		return
	}
	c.JSON(http.StatusOK, all)
}

func (s *server) addContext(c *gin.Context, body []byte) (any, error) {
	k, err := decodeOne[coldkeep.Context](body)
	if err != nil {
		return nil, err
	}
	k.Appliance = coldkeep.ApplianceID(c.Param("id"))
	if k.From.IsZero() {
		k.From = s.Clock.Now()
	}
	id, err := s.Templog.AddContext(c.Request.Context(), principal(c), k)
	return struct {
		ID string `json:"id"`
	}{id}, err
}

func (s *server) endContext(c *gin.Context, body []byte) (any, error) {
	k, err := decodeOne[struct {
		To *time.Time `json:"to"`
	}](body)
	if err != nil {
		return nil, err
	}
	to := s.Clock.Now()
	if k.To != nil {
		to = *k.To
	}
	return done{true}, s.Templog.EndContext(c.Request.Context(), principal(c), c.Param("id"), to)
}

func (s *server) service(c *gin.Context, body []byte) (any, error) {
	k, err := decodeOne[struct {
		In   *bool  `json:"in_service"`
		Note string `json:"note"`
	}](body)
	if err != nil {
		return nil, err
	}
	if k.In == nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "in_service: is missing")
	}
	return done{true}, s.Templog.SetInService(c.Request.Context(), principal(c), coldkeep.ApplianceID(c.Param("id")), *k.In, k.Note)
}

// limits takes a range, or none for the profile's.
func (s *server) limits(c *gin.Context, body []byte) (any, error) {
	k, err := decodeOne[struct {
		Low    *coldkeep.Threshold `json:"low"`
		High   *coldkeep.Threshold `json:"high"`
		Reason string              `json:"reason"`
	}](body)
	if err != nil {
		return nil, err
	}
	var l *coldkeep.Limits
	switch {
	case k.Low != nil && k.High != nil:
		l = &coldkeep.Limits{Low: *k.Low, High: *k.High, Reason: k.Reason}
	case k.Low != nil || k.High != nil:
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "low, high: want both, or neither for the profile's range")
	}
	return done{true}, s.Templog.SetLimits(c.Request.Context(), principal(c), coldkeep.ApplianceID(c.Param("id")), l)
}

func (s *server) profile(c *gin.Context, body []byte) (any, error) {
	k, err := decodeOne[struct {
		Profile string `json:"profile"`
		Reason  string `json:"reason"`
	}](body)
	if err != nil {
		return nil, err
	}
	return done{true}, s.Templog.SetProfile(c.Request.Context(), principal(c), coldkeep.ApplianceID(c.Param("id")), k.Profile, k.Reason)
}
