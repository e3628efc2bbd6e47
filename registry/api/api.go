// Package api is the registry's HTTP interface for programs: the collector mirrors
// the registry's truth from it and posts temperature logs, excursions, holds and
// statuses to it. GET /api/openapi.json describes every call.
//
// Errors are application/problem+json with a stable code. A POST carries an
// Idempotency-Key: the same key and body again gives the same answer without doing
// anything again, the same key with another body is refused.
package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/audit/review"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/coverage"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/fhir"
	"github.com/coldkeep/coldkeep/registry/forms"
	"github.com/coldkeep/coldkeep/registry/hl7/door"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/onboarding"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/quality"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/schedules"
	"github.com/coldkeep/coldkeep/registry/templog"
	"github.com/coldkeep/coldkeep/registry/throttle"
	"github.com/coldkeep/coldkeep/registry/vis"
)

// Answers keeps what was answered to a POST, by account and idempotency key.
type Answers interface {
	Begin(ctx context.Context, account, key, request string) (status int, body []byte, err error)
	Finish(ctx context.Context, account, key, request string, status int, body []byte) (int, []byte, error)
	Forget(ctx context.Context, account, key, request string) error
}

// Config is what the API stands on.
type Config struct {
	Auth          *auth.Service
	Templog       *templog.Service
	Inventory     *inventory.Service
	Patients      *patient.Service
	Immunizations *immunization.Service
	Quality       *quality.Service
	Coverage      *coverage.Service
	Schedules     *schedules.Service
	Onboarding    *onboarding.Service
	Exchange      *exchange.Service
	Recall        *recall.Service
	SMSSecret     []byte // the gateway of text messages signs with it; none: its answers are refused
	Forms         *forms.Service
	VIS           *vis.Service
	Searches      *throttle.Searches // shared with the screens; absent: limits of the API's own
	Answers       Answers
	Log           *slog.Logger
	Broker        string         // address that accepted devices connect to; "" is not told
	Clock         coldkeep.Clock // of the services; the machine's when nil

	Enrolment *enrolment.Service
	Review    *review.Service
	People    People // absent: interface accounts alone may call
	// Origin is where programs come to, such as "https://coldkeep.example", for the WSDL; ""
	// takes it from the request.
	Origin string
	// Proxies are the addresses, or ranges, of proxies whose word for where a request comes
	// from is taken.
	Proxies []string
}

// People says whose session of the screens a request carries. Nobody is the zero
// Principal; a request that a page of another site has sent is EFORBIDDEN.
type People interface {
	Person(r *http.Request) (auth.Principal, context.Context, error)
}

// maxWait is the longest long-poll, in seconds.
const maxWait = 60

type server struct {
	Config
	claims limiter
	door   *door.Door
}

// API is the calls as one handler, which answers under /api/ and /fhir/, at /hl7 and /soap/iis.
type API struct{ engine *gin.Engine }

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.engine.ServeHTTP(w, r) }

// Routes lists the calls as "METHOD /path" with names for what varies.
func (a *API) Routes() []string {
	var out []string
	for _, r := range a.engine.Routes() {
		out = append(out, r.Method+" "+r.Path)
	}
	return out
}

// New returns the API.
func New(c Config) *API {
	if c.Clock == nil {
		c.Clock = coldkeep.RealClock{}
	}
	if c.Searches == nil {
		c.Searches = throttle.NewSearches()
	}
	return &API{(&server{Config: c}).engine()}
}

func (s *server) engine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true
	// Nobody's word is taken for where a request comes from when the list is not one: the
	// screens have refused to start with it by then.
	if err := e.SetTrustedProxies(s.Proxies); err != nil {
		s.Log.Error("registry api: trusted proxies", "err", err)
	}
	e.Use(s.recovered, s.watched)
	e.NoRoute(func(c *gin.Context) {
		s.problem(c, coldkeep.Errorf(coldkeep.ENOTFOUND, "there is no call %s", c.Request.URL.Path))
	})
	e.NoMethod(func(c *gin.Context) {
		write(c, http.StatusMethodNotAllowed, coldkeep.EINVALID, "method "+c.Request.Method+" is not one of this call")
	})
	e.GET("/api/openapi.json", s.describe)
	v1 := e.Group("/api/v1", s.signedIn)
	s.fhirRoutes(e)
	s.accountRoutes(v1)
	s.auditRoutes(v1)
	v1.GET("/mirror", s.mirror)
	v1.POST("/temperature-log/intervals", s.post(2<<20, s.intervals))
	v1.POST("/excursions", s.post(64<<10, s.excursion))
	v1.POST("/holds", s.post(64<<10, s.hold))
	v1.POST("/holds/:id/proposal", s.post(64<<10, s.proposal))
	v1.POST("/appliance-status", s.post(256<<10, s.status))

	v1.POST("/assignments", s.post(64<<10, s.assign))
	v1.POST("/assignments/end", s.post(64<<10, s.endAssignment))
	v1.GET("/calibrations", s.calibrations)
	v1.POST("/calibrations", s.post(64<<10, s.calibrate))
	v1.GET("/appliances/:id/contexts", s.contexts)
	v1.POST("/appliances/:id/contexts", s.post(64<<10, s.addContext))
	v1.POST("/contexts/:id/end", s.post(64<<10, s.endContext))
	v1.POST("/appliances/:id/service", s.post(64<<10, s.service))
	v1.POST("/appliances/:id/limits", s.post(64<<10, s.limits))
	v1.POST("/appliances/:id/profile", s.post(64<<10, s.profile))
	s.patientRoutes(v1)
	s.doseRoutes(v1)
	s.reactionRoutes(v1)
	s.formRoutes(v1)
	s.stockRoutes(v1)
	s.scheduleRoutes(v1)
	s.importRoutes(v1)
	s.recallRoutes(v1)
	s.oversightRoutes(v1)
	s.qualityRoutes(v1)
	s.exchangeRoutes(v1)
	s.doorRoutes(e)
	s.coverageRoutes(v1)

	e.POST(smsAnswers, s.smsAnswer)
	e.POST("/api/v1/devices/claims", s.postClaim)
	e.GET("/api/v1/devices/claims/:code", s.getClaim)
	return e
}

func (s *server) describe(c *gin.Context) {
	b, err := openAPI()
	if err != nil {
		s.problem(c, err)
		return
	}
	c.Data(http.StatusOK, "application/json; charset=utf-8", b)
}

const principalKey = "principal"

// signedIn lets in interface accounts by their bearer token, and people by the session of
// their browser, with the permissions that they have on the screens.
func (s *server) signedIn(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	ctx := c.Request.Context()
	var p auth.Principal
	var err error
	if c.GetHeader("Authorization") == "" && s.People != nil {
		if p, ctx, err = s.People.Person(c.Request); err != nil {
			s.problem(c, err)
			return
		}
	}
	o := audit.OriginOf(ctx)
	o.Address, o.Agent = c.ClientIP(), audit.AgentClass(c.GetHeader("User-Agent"))
	c.Request = c.Request.WithContext(audit.WithOrigin(ctx, o))
	if !p.Known() {
		scheme, token, _ := strings.Cut(c.GetHeader("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			token = ""
		}
		p, err = s.Auth.Account(ctx, strings.TrimSpace(token))
	}
	if err != nil {
		if coldkeep.ErrorCode(err) == coldkeep.EUNAUTHORIZED {
			c.Header("WWW-Authenticate", `Bearer realm="coldkeep"`)
		}
		s.problem(c, err)
		return
	}
	c.Set(principalKey, p)
}

// searching bounds how often an account, and an address, may search. It goes before the
// handler of every search.
func (s *server) searching(c *gin.Context) {
	if wait := s.Searches.Take(principal(c).ID, c.ClientIP(), time.Now()); wait > 0 {
		if err := s.Patients.Refused(c.Request.Context(), principal(c), c.FullPath()); err != nil {
			s.Log.Error("a refused search is not in the trail", "err", err)
		}
		c.Header("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		s.problem(c, coldkeep.Errorf(coldkeep.ETOOMANY, "searches come too often: wait %s", wait.Round(time.Second)+time.Second))
	}
}

func principal(c *gin.Context) auth.Principal {
	p, _ := c.MustGet(principalKey).(auth.Principal)
	return p
}

func (s *server) mirror(c *gin.Context) {
	since, err := queryInt(c, "since", 0, 1<<62)
	if err != nil {
		s.problem(c, err)
		return
	}
	wait, err := queryInt(c, "wait", 0, maxWait)
	if err != nil {
		s.problem(c, err)
		return
	}
	// A server with a write timeout must not cut a call that waits on purpose; one
	// without has no deadline to set, and says so.
	err = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(time.Duration(wait+30) * time.Second))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.Log.Debug("mirror: write deadline", "err", err)
	}
	m, err := s.Templog.Mirror(c.Request.Context(), principal(c), since, time.Duration(wait)*time.Second)
	if err != nil {
		if c.Request.Context().Err() != nil {
			c.Abort() // nobody is waiting for the answer
			return
		}
		s.problem(c, err)
		return
	}
	c.JSON(http.StatusOK, m)
}

func queryInt(c *gin.Context, name string, low, high int64) (int64, error) {
	v := c.Query(name)
	if v == "" {
		return low, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < low || n > high {
		return 0, coldkeep.Errorf(coldkeep.EINVALID, "%s: %q: want a whole number from %d to %d", name, v, low, high)
	}
	return n, nil
}

// tooLarge refuses a body that is larger than limit bytes.
func (s *server) tooLarge(c *gin.Context, limit int64) {
	write(c, http.StatusRequestEntityTooLarge, coldkeep.EINVALID, "body: is larger than "+strconv.FormatInt(limit, 10)+" bytes")
}

// post wraps a call that changes something: it limits the body, and answers a
// repeated request with what was answered before.
func (s *server) post(limit int64, call func(*gin.Context, []byte) (any, error)) gin.HandlerFunc {
	return s.postShowing(limit, call, func(*gin.Context, []byte) error { return nil })
}

// postShowing is post of a call whose answer shows something of a record: again says whether
// what was answered before may still be shown, and enters that it is.
func (s *server) postShowing(limit int64, call func(*gin.Context, []byte) (any, error), again func(c *gin.Context, kept []byte) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, account := c.Request.Context(), principal(c).ID
		key := c.GetHeader("Idempotency-Key")
		if key == "" || len(key) > 200 {
			s.problem(c, coldkeep.Errorf(coldkeep.EINVALID, "Idempotency-Key: the header is needed, 1 to 200 characters"))
			return
		}
		if media, _, _ := strings.Cut(c.GetHeader("Content-Type"), ";"); media != "" && !strings.EqualFold(strings.TrimSpace(media), "application/json") {
			write(c, http.StatusUnsupportedMediaType, coldkeep.EINVALID, "Content-Type: want application/json")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, limit))
		if err != nil {
			var tooLarge *http.MaxBytesError
			if errors.As(err, &tooLarge) {
				s.tooLarge(c, limit)
				return
			}
			s.problem(c, coldkeep.Wrap(err, coldkeep.EINVALID, "api.post", "body: could not be read"))
			return
		}
		if hasNUL(body) {
			s.problem(c, errNUL)
			return
		}
		request := requestHash(c.Request, body)
		status, kept, err := s.Answers.Begin(ctx, account, key, request)
		if err != nil {
			s.problem(c, err)
			return
		}
		if status != 0 {
			if err := again(c, kept); err != nil {
				s.problem(c, err)
				return
			}
			c.Header("Idempotency-Replayed", "true")
			c.Data(status, "application/json; charset=utf-8", kept)
			return
		}
		value, err := call(c, body)
		if err != nil {
			// The claim is let go of even when the caller has gone away.
			if e := s.Answers.Forget(context.WithoutCancel(ctx), account, key, request); e != nil {
				s.Log.Error("idempotency key not let go of", "err", e)
			}
			s.problem(c, err)
			return
		}
		answer, err := json.Marshal(value)
		if err != nil {
			s.problem(c, err)
			return
		}
		status, kept, err = s.Answers.Finish(ctx, account, key, request, http.StatusOK, answer)
		if err != nil {
			s.problem(c, err)
			return
		}
		c.Data(status, "application/json; charset=utf-8", kept)
	}
}

func requestHash(r *http.Request, body []byte) string {
	h := sha256.New()
	h.Write([]byte(r.Method + " " + r.URL.Path + "\n"))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

type stored struct {
	Received int `json:"received"`
	Stored   int `json:"stored"` // new to the registry; the rest it had
}

func (s *server) intervals(c *gin.Context, body []byte) (any, error) {
	list, err := decodeList[coldkeep.Interval](body)
	if err != nil {
		return nil, err
	}
	n, err := s.Templog.PutIntervals(c.Request.Context(), principal(c), list)
	return stored{Received: len(list), Stored: n}, err
}

type revision struct {
	ID       string `json:"id"`
	Revision int    `json:"revision"` // the latest that is known
}

func (s *server) excursion(c *gin.Context, body []byte) (any, error) {
	x, err := decodeOne[coldkeep.Excursion](body)
	if err != nil {
		return nil, err
	}
	latest, err := s.Templog.PutExcursion(c.Request.Context(), principal(c), x)
	if err != nil {
		return nil, err
	}
	if err := s.Inventory.ExcursionChanged(c.Request.Context(), principal(c), latest); err != nil {
		return nil, err
	}
	return revision{ID: latest.ID, Revision: latest.Revision}, nil
}

func (s *server) hold(c *gin.Context, body []byte) (any, error) {
	r, err := decodeOne[coldkeep.HoldRequest](body)
	if err != nil {
		return nil, err
	}
	return s.Inventory.Hold(c.Request.Context(), principal(c), r)
}

func (s *server) proposal(c *gin.Context, body []byte) (any, error) {
	p, err := decodeOne[coldkeep.HoldProposal](body)
	if err != nil {
		return nil, err
	}
	id := c.Param("id")
	return struct {
		Hold  string `json:"hold"`
		State string `json:"state"`
	}{id, "proposed"}, s.Inventory.Propose(c.Request.Context(), principal(c), id, p)
}

// status takes one status or a list of them.
func (s *server) status(c *gin.Context, body []byte) (any, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		body = slices.Concat([]byte("["), body, []byte("]"))
	}
	list, err := decodeList[coldkeep.ApplianceStatus](body)
	if err != nil {
		return nil, err
	}
	return stored{Received: len(list), Stored: len(list)}, s.Templog.PutStatuses(c.Request.Context(), principal(c), list)
}

// problem answers with an error and logs what is ours.
func (s *server) problem(c *gin.Context, err error) {
	code := coldkeep.ErrorCode(err)
	if code == coldkeep.EINTERNAL {
		s.Log.Error("registry api", "method", c.Request.Method, "route", c.FullPath(), "err", err)
	}
	write(c, coldkeep.Status(code), code, coldkeep.ErrorMessage(err))
}

func write(c *gin.Context, status int, code, detail string) {
	if strings.HasPrefix(c.Request.URL.Path, "/fhir/") {
		c.Abort()
		c.Render(status, resource{fhir.Failure(coldkeep.Errorf(code, "%s", detail))})
		return
	}
	b, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(status), status, code, detail})
	if err != nil { // strings and a number: it cannot
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}
	c.Abort()
	c.Data(status, "application/problem+json", b)
}

func (s *server) recovered(c *gin.Context) {
	defer func() {
		if r := recover(); r != nil {
			if err, ok := r.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(r)
			}
			s.Log.Error("registry api panic", "route", c.FullPath(), "panic", r)
			write(c, http.StatusInternalServerError, coldkeep.EINTERNAL, coldkeep.ErrorMessage(errors.New("panic")))
		}
	}()
	c.Next()
}
