package api

import (
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/throttle"
)

// maxClaim bounds the body of a claim.
const maxClaim = 4 << 10

// Anybody may ask about claims, so an address may do so 20 times at once and then once
// every three seconds: enough for a device that asks every ten and a few beside it, and
// too little to try codes, of which there are more than 10¹¹.
const (
	claimBurst = 20
	claimEvery = 3 * time.Second
	// maxAddresses bounds what is remembered; who is forgotten begins anew.
	maxAddresses = 10_000
)

// limiter keeps each address from asking too often, on the machine's clock.
type limiter struct {
	mu   sync.Mutex
	seen map[string]bucket
}

// bucket is what an address may still ask at a time.
type bucket struct {
	left float64
	at   time.Time
}

// allow takes one call of an address, and says how long to wait when it may not.
func (l *limiter) allow(address string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil || len(l.seen) >= maxAddresses {
		l.seen = map[string]bucket{}
	}
	b, known := l.seen[address]
	if !known {
		b = bucket{left: claimBurst, at: now}
	}
	b.left = math.Min(claimBurst, b.left+now.Sub(b.at).Seconds()/claimEvery.Seconds())
	b.at = now
	if b.left < 1 {
		wait = time.Duration((1 - b.left) * float64(claimEvery))
	} else {
		b.left--
	}
	l.seen[address] = b
	return wait
}

// mayAsk answers 429 to an address that asks too often.
func (s *server) mayAsk(c *gin.Context) bool {
	c.Header("Cache-Control", "no-store")
	wait := s.claims.allow(throttle.Source(c.ClientIP()), time.Now())
	if wait <= 0 {
		return true
	}
	c.Header("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	s.problem(c, coldkeep.Errorf(coldkeep.ETOOMANY, "too many calls from this address; wait a moment"))
	return false
}

// claim is where a device's claim stands.
type claim struct {
	State     auth.ClaimState  `json:"state"`
	ExpiresAt time.Time        `json:"expires_at"`
	Site      coldkeep.SiteID  `json:"site,omitempty"`
	Agent     coldkeep.AgentID `json:"agent,omitempty"`
	Broker    string           `json:"broker,omitempty"`
}

func (s *server) claimAnswer(c *auth.Claim) claim {
	out := claim{State: c.State, ExpiresAt: c.ExpiresAt().UTC(), Site: c.Site, Agent: c.Agent}
	if c.State == auth.ClaimAccepted {
		out.Broker = s.Broker
	}
	return out
}

// postClaim takes a new device's claim. It has no account yet, and no idempotency key:
// the claim itself is one.
func (s *server) postClaim(c *gin.Context) {
	if !s.mayAsk(c) {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxClaim))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			c.Set(overKey, true)
		}
		s.problem(c, coldkeep.Errorf(coldkeep.EINVALID, "body: want at most %d bytes", maxClaim))
		return
	}
	n, err := decodeOne[auth.NewClaim](body)
	if err != nil {
		s.problem(c, err)
		return
	}
	kept, err := s.Auth.Claim(c.Request.Context(), n)
	if err != nil {
		s.problem(c, err)
		return
	}
	c.JSON(http.StatusAccepted, s.claimAnswer(&kept))
}

func (s *server) getClaim(c *gin.Context) {
	if !s.mayAsk(c) {
		return
	}
	kept, err := s.Auth.ClaimByCode(c.Request.Context(), c.Param("code"))
	if err != nil {
		s.problem(c, err)
		return
	}
	c.JSON(http.StatusOK, s.claimAnswer(&kept))
}
