// Package sftp is the intake of HL7 files over SFTP: senders sign in as their interface
// account with a key, put files into in/, and fetch answers from out/. Each sees a tree of
// its own, of which nothing is a path of this machine.
//
// A file counts once its upload has been closed by the client, or renamed from a temporary
// name (Temporary) to another. Before the client is told that this has worked, the file
// stands in the durable queue. An upload that breaks off never counts: it stays in in/, to
// be gone on with, and is removed after KeepPartial.
package sftp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/throttle"
)

// How long things are kept.
const (
	KeepPartial = 72 * time.Hour      // an upload that broke off
	KeepAnswers = 30 * 24 * time.Hour // an answer in out/, and what was taken in archive/
)

// Limits of an account, and of the server. docs/hl7.md tells them to senders.
const (
	MaxFile        = 200 << 20 // bytes
	maxSpool       = 1 << 30   // bytes of uploads that have not ended
	maxPartial     = 200       // their number
	maxName        = 128       // bytes
	maxSessions    = 8         // connections of an account
	maxConnections = 128
	maxStrangers   = 24 // connections that have not signed in yet
	maxChannels    = 4  // of a connection

	signInWithin = 20 * time.Second
	idleAtMost   = 10 * time.Minute
	stayAtMost   = 12 * time.Hour
)

// Who fails to sign in is made to wait, by address.
const (
	freeFailures = 5
	firstWait    = 10 * time.Second
	longestWait  = time.Hour
)

// Accounts says who comes.
type Accounts interface {
	// AccountByKey gives the account that a key belongs to; EUNAUTHORIZED when it is
	// nobody's, not of that login, or the account is revoked.
	AccountByKey(ctx context.Context, login, fingerprint string) (auth.Principal, error)
	// AccountSignedIn and AccountRefused enter that in the trail.
	AccountSignedIn(ctx context.Context, by auth.Principal, way string) error
	AccountRefused(ctx context.Context, name, way string) error
}

// Exchange is where files go and answers come from. It checks what by may do.
type Exchange interface {
	// Take reads a whole file into the durable queue. When it returns nil the file is there
	// to stay. EINVALID when it is no file of messages, ETOOMANY over a quota.
	Take(ctx context.Context, by auth.Principal, name string, file io.Reader) error
	// Files lists the account's files of this way in since a time, the earliest first.
	Files(ctx context.Context, by auth.Principal, since time.Time) ([]File, error)
	// Answer writes the answer to a file that has ended.
	Answer(ctx context.Context, by auth.Principal, id string, to io.Writer) error
	// Remove notes that the sender has removed an answer, and Forget lets go of files that
	// are older than KeepAnswers.
	Remove(ctx context.Context, by auth.Principal, id string) error
	Forget(ctx context.Context) error
}

// File is a file that was taken.
type File struct {
	ID       string
	Name     string
	Size     int64 // as it was sent, in bytes
	At       time.Time
	EndedAt  *time.Time // absent: it is being worked on, and has no answer yet
	NoAnswer bool       // the sender wants none, or has removed it
}

// Config is what a server is made of.
type Config struct {
	Folder   string // for uploads that have not ended
	HostKeys []ssh.Signer
	Accounts Accounts
	Exchange Exchange
	Log      *slog.Logger
}

// Server is the intake.
type Server struct {
	Config
	spool    *spool
	failures *throttle.Backoff
	recent   *recent
	sizes    *sizes

	mu        sync.Mutex
	conns     map[net.Conn]bool
	strangers int
	sessions  map[string]int // by account
	wg        sync.WaitGroup
}

// New returns a server. EINVALID without a host key, EUNAVAILABLE when the folder cannot be
// used.
func New(c Config) (*Server, error) {
	if len(c.HostKeys) == 0 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "sftp: no host key is given")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	sp, err := openSpool(c.Folder)
	if err != nil {
		return nil, err
	}
	return &Server{Config: c, spool: sp, failures: throttle.NewBackoff(freeFailures, firstWait, longestWait), recent: newRecent(), sizes: newSizes(),
		conns: map[net.Conn]bool{}, sessions: map[string]int{}}, nil
}

// Serve lets senders in from ln until ctx ends, and closes it. Uploads that go on then have
// broken off.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		_ = ln.Close() // it ends Accept
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			_ = c.Close() // what was told to be done is done
		}
	})
	defer stop()
	s.wg.Go(func() { s.tidy(ctx) })
	defer s.wg.Wait()
	for {
		c, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			var tooMany net.Error
			if errors.As(err, &tooMany) && tooMany.Timeout() {
				continue
			}
			cancel()
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sftp.Serve", "no more connections can be taken")
		}
		if !s.enter(ctx, c) {
			_ = c.Close() // nothing was said
			continue
		}
		s.wg.Go(func() {
			defer s.leave(c)
			s.connection(ctx, c)
		})
	}
}

// enter counts a connection, and refuses it when there are too many or its address has to
// wait.
func (s *Server) enter(ctx context.Context, c net.Conn) bool {
	if s.failures.Wait(throttle.Source(address(c)), time.Now()) > 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil || len(s.conns) >= maxConnections || s.strangers >= maxStrangers {
		return false
	}
	s.conns[c] = true
	s.strangers++
	return true
}

func (s *Server) leave(c net.Conn) {
	_ = c.Close() // it may be closed
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// known counts one that was a stranger as an account's, when it may have another.
func (s *Server) known(account string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[account] >= maxSessions {
		return false
	}
	s.sessions[account]++
	return true
}

func (s *Server) gone(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[account]--; s.sessions[account] == 0 {
		delete(s.sessions, account)
	}
}

// tidy removes uploads that broke off long ago and forgets old files, at start and then
// hourly.
func (s *Server) tidy(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		n, err := s.spool.tidy(time.Now().Add(-KeepPartial))
		if err != nil {
			s.Log.Error("sftp: tidying", "err", err)
		}
		if err := s.Exchange.Forget(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("sftp: forgetting old files", "err", err)
		}
		if n > 0 {
			s.Log.Info("sftp: uploads that were never ended are removed", "files", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func address(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return host
}
