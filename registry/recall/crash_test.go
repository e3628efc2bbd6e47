package recall_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts/channel"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
)

// flaky is the other side of a channel: it takes, refuses, is away, loses its receipt, or the
// process dies before or after it was given a message.
type flaky struct {
	does func() string
	got  map[string]int // messages that arrived, by address
}

type died struct{}

func (*flaky) Name() string { return channel.Email }

func (f *flaky) Notify(_ context.Context, n channel.Note) (channel.Outcome, error) {
	what := f.does()
	switch what {
	case "taken", "lost", "dies after":
		f.got[n.To]++
	}
	switch what {
	case "taken":
		return channel.Taken, nil
	case "lost":
		return channel.Unsure, errors.New("lost")
	case "refused":
		return channel.Refused, errors.New("no")
	case "away":
		return channel.Later, errors.New("away")
	}
	panic(died{})
}

// alive runs a step of a process, which may die in it.
func alive(step func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(died); !ok {
				panic(r)
			}
			err = nil
		}
	}()
	return step()
}

// Whatever dies, starts anew, is pressed twice or fails: nobody gets two notices of a run by
// one channel, and in the end everybody has one, or a state that says why not.
func TestAtMostOneNotice(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		f := &flaky{}
		w := open(t, where, f)
		w.settings()
		born := today - 2000
		rapid.Check(t, func(rt *rapid.T) {
			born++
			f.got, f.does = map[string]int{}, func() string { return "away" }
			people := rapid.IntRange(1, 6).Draw(rt, "people")
			shared := rapid.Bool().Draw(rt, "shared")
			for i := range people {
				id := w.child(born, func(p *patient.Patient) {
					if shared && i%2 == 0 {
						p.Guardians[0].Contacts = []patient.Contact{{Kind: patient.Email, Value: fmt.Sprintf("shared%d@home.example", born)}}
					}
				})
				w.mailed(id)
			}
			r, err := w.Start(w.ctx, manager, recall.Params{Mode: recall.Both, BornFrom: born, BornTo: born})
			w.must(err)
			w.settle()
			processes := []*recall.Service{w.Service, w.Service}
			begin := func(i int) { w.restart(f); processes[i] = w.Service }
			begin(0)
			begin(1)
			f.does = func() string {
				return rapid.SampledFrom([]string{"taken", "taken", "lost", "refused", "away", "dies before", "dies after"}).Draw(rt, "does")
			}
			for range rapid.IntRange(5, 25).Draw(rt, "steps") {
				i := rapid.IntRange(0, 1).Draw(rt, "process")
				s := processes[i]
				switch rapid.SampledFrom([]string{"issue", "step", "send", "send", "send", "restart", "wait", "long"}).Draw(rt, "step") {
				case "issue":
					if err := s.Issue(w.ctx, manager, r.ID, 0, []recall.Channel{recall.Email}); err != nil && coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
						rt.Fatal(err)
					}
				case "step":
					_, err := s.Step(w.ctx)
					w.must(err)
				case "send":
					w.must(alive(func() error { _, err := s.Send(w.ctx); return err }))
				case "restart":
					begin(i)
				case "wait":
					w.clock.add(3 * time.Minute)
				case "long":
					w.clock.add(11 * time.Minute)
				}
				if h := w.clock.Now().UTC().Hour(); h > 22 { // before the quiet hours
					w.clock.add(17 * time.Hour)
				}
			}
			// In the end all is well with the other side.
			f.does = func() string { return "taken" }
			if err := w.Issue(w.ctx, manager, r.ID, 0, []recall.Channel{recall.Email}); err != nil && coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
				rt.Fatal(err)
			}
			w.clock.now = noon.AddDate(0, 0, int(born-today+2001)) // the next noon
			for range 12 {
				w.settle()
				w.clock.add(11 * time.Minute)
			}
			for to, n := range f.got {
				if n > 1 {
					rt.Fatalf("%s got %d", to, n)
				}
			}
			notices, err := w.st.Notices(w.ctx, r.ID, recall.Email, 0)
			w.must(err)
			in := 0
			for _, n := range notices {
				in += len(n.Patients)
				switch n.State {
				case recall.Sent, recall.Unsure, recall.Refused, recall.Withdrawn:
				default:
					rt.Fatalf("%s is %s", n.Target, n.State)
				}
				if n.State == recall.Sent && f.got[n.Target] != 1 || n.State == recall.Refused && f.got[n.Target] != 0 {
					rt.Fatalf("%s is %s and got %d", n.Target, n.State, f.got[n.Target])
				}
			}
			if in != people {
				rt.Fatalf("%d of %d are in a notice", in, people)
			}
		})
	})
}
