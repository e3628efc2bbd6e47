package web

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/throttle"
)

// What a session names, and what a request carries.
const (
	signInKey    = "sign-in" // in the session: the sign-in
	halfKey      = "half"    // in the session: who has given a password and owes a second factor
	halfAtKey    = "half-at"
	principalKey = "principal"
	resumedKey   = "resumed"
)

// limits are how often may be asked what can be guessed at.
type limits struct {
	address, account, apply *throttle.Limiter
}

func newLimits() limits {
	return limits{
		// A clinic's people share one address and come at the same time in the morning; a
		// guesser is stopped by the lock of the account first.
		address: throttle.New(3*time.Second, 40),
		account: throttle.New(6*time.Second, 10),
		apply:   throttle.New(time.Minute, 10),
	}
}

// slow answers 429 when a key asks too often, and the trail has it.
func (s *server) slow(c *gin.Context, l *throttle.Limiter, key string) bool {
	wait := l.Take(key, time.Now())
	if wait > 0 {
		s.refusedRequest(c.Request.Context(), s.who(c), "too often: "+route(c))
	}
	return s.slowFor(c, wait)
}

// slowFor answers 429 when there is something to wait for.
func (s *server) slowFor(c *gin.Context, wait time.Duration) bool {
	if wait <= 0 {
		return false
	}
	c.Header("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	s.fail(c, coldkeep.Errorf(coldkeep.ETOOMANY, "This has been asked too often from here. Wait %s and try again.", wait.Round(time.Second)+time.Second))
	return true
}

// fromAddress bounds how often one address may call what needs no account.
func (s *server) fromAddress(c *gin.Context) {
	if s.slow(c, s.limits.address, throttle.Source(c.ClientIP())) {
		c.Abort()
	}
}

// searching bounds how often a person, and an address, may search. It goes before the
// handler of every search; the API's calls count with it.
func (s *server) searching(c *gin.Context) {
	wait := s.Searches.Take(principal(c).ID, c.ClientIP(), time.Now())
	if wait > 0 {
		if err := s.Patients.Refused(c.Request.Context(), principal(c), c.FullPath()); err != nil {
			s.Log.Error("a refused search is not in the trail", "err", err)
		}
	}
	if s.slowFor(c, wait) {
		c.Abort()
	}
}

// originOf says where a request comes from, for the trail.
func (s *server) originOf(c *gin.Context) audit.Origin {
	return audit.Origin{Address: c.ClientIP(), Agent: audit.AgentClass(c.GetHeader("User-Agent")), Session: s.sessions.GetString(c.Request.Context(), signInKey)}
}

// byItself are calls that a page makes without anybody's doing: they keep no sign-in
// alive.
func byItself(r *http.Request) bool {
	return r.URL.Path == "/live" || r.URL.Path == "/banner" || strings.HasSuffix(r.URL.Path, "/data.json") || r.Header.Get("X-Coldkeep-Live") != ""
}

// resume returns who a session is of; nobody when it has ended.
func (s *server) resume(ctx context.Context, idle bool) (auth.Resumed, error) {
	id := s.sessions.GetString(ctx, signInKey)
	if id == "" {
		return auth.Resumed{}, nil
	}
	r, err := s.Auth.Resume(ctx, id, idle)
	if coldkeep.ErrorCode(err) == coldkeep.EUNAUTHORIZED {
		return auth.Resumed{}, nil
	}
	return r, err
}

// owed is where each thing is done that has to be done before anything else opens.
var owed = map[auth.Todo]string{
	auth.TodoPassword:     "/account/password",
	auth.TodoSecondFactor: "/account/second-factor",
	auth.TodoPolicies:     "/policies/accept",
}

// opens reports whether a page opens while something is to be done first.
func opens(todo auth.Todo, path string) bool {
	if path == "/signout" || path == owed[todo] {
		return true
	}
	return todo == auth.TodoSecondFactor && (strings.HasPrefix(path, "/account/second-factor/") || strings.HasPrefix(path, "/account/passkeys/"))
}

// signedIn lets only people in; others are sent to sign in and come back after. Who has
// something to do first is sent there.
func (s *server) signedIn(c *gin.Context) {
	r, err := s.resume(c.Request.Context(), byItself(c.Request))
	if err != nil {
		s.fail(c, err)
		return
	}
	quiet := c.Request.Method != http.MethodGet || byItself(c.Request)
	switch {
	case r.Known() && (r.Todo == "" || opens(r.Todo, c.Request.URL.Path)):
		c.Set(principalKey, r.Principal)
		c.Set(resumedKey, r)
	case r.Known() && quiet:
		c.Abort()
		c.String(http.StatusForbidden, "Something has to be done first: open any page of Coldkeep.")
	case r.Known():
		c.Abort()
		c.Redirect(http.StatusSeeOther, owed[r.Todo])
	case quiet:
		c.Abort()
		c.String(http.StatusUnauthorized, "Sign in first.")
	default:
		target := "/signin"
		if c.Request.URL.Path != "/" {
			target += "?next=" + url.QueryEscape(c.Request.URL.RequestURI())
		}
		c.Abort()
		c.Redirect(http.StatusSeeOther, target)
	}
}

// principal is who is signed in; nobody outside of signedIn.
func principal(c *gin.Context) auth.Principal {
	v, _ := c.Get(principalKey)
	p, _ := v.(auth.Principal)
	return p
}

func resumed(c *gin.Context) auth.Resumed {
	v, _ := c.Get(resumedKey)
	r, _ := v.(auth.Resumed)
	return r
}

// Person says whose session a request to the API carries, and returns a context with where
// it comes from. Nobody is the zero Principal. EFORBIDDEN when a page of another site has
// sent it, or when the person has something to do on the screens first.
func (s *Screens) Person(r *http.Request) (auth.Principal, context.Context, error) {
	k, err := r.Cookie(s.sessions.Cookie.Name)
	if err != nil {
		return auth.Principal{}, r.Context(), nil
	}
	if err := s.guard.Check(r); err != nil {
		s.crossCall(r)
		return auth.Principal{}, r.Context(), coldkeep.Errorf(coldkeep.EFORBIDDEN, "a page of another site has sent this call; it is refused")
	}
	ctx, err := s.sessions.Load(r.Context(), k.Value)
	if err != nil {
		return auth.Principal{}, r.Context(), coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "web.Person", "the registry's database does not answer")
	}
	in, err := s.resume(ctx, byItself(r))
	if err != nil {
		return auth.Principal{}, r.Context(), err
	}
	if in.Todo != "" {
		return auth.Principal{}, r.Context(), coldkeep.Errorf(coldkeep.EFORBIDDEN, "something has to be done on the screens first: %s", in.Todo)
	}
	return in.Principal, audit.WithOrigin(r.Context(), audit.Origin{Session: in.SignIn.ID}), nil
}

// landing is the page on which a person's work begins.
func landing(p auth.Principal) string {
	switch {
	case p.Anywhere(auth.EditPatients) && !p.Anywhere(auth.ManageStock):
		return "/patients" // the front desk's work is people; alarms are at the top of every page
	case p.Anywhere(auth.View):
		return "/units"
	case p.Anywhere(auth.SearchPatients):
		return "/patients"
	case p.Anywhere(auth.ReadAudit):
		return "/audit"
	case p.Anywhere(auth.ReadDeidentified):
		return "/deidentified"
	}
	return "/account"
}
