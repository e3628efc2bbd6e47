// Package schedulestest is the contract of a schedules.Store, for every
// implementation.
package schedulestest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/schedules"
)

// TestStore holds the contract over an empty store.
func TestStore(t *testing.T, open func(t *testing.T) schedules.Store) {
	at := time.Date(2026, 8, 3, 9, 30, 0, 0, time.UTC)
	first := schedules.Release{
		ID: "01J0000000000000000000000A", Version: "4.64", Released: coldkeep.NewDate(2025, 11, 10), Digest: "aa",
		Antigens: 30, Series: 143, LoadedBy: "Robin Vega", LoadedAt: at,
	}
	second := schedules.Release{
		ID: "01J0000000000000000000000B", Version: "4.65", Digest: "bb", Antigens: 30, Series: 150, LoadedBy: "Robin Vega", LoadedAt: at.Add(time.Hour),
	}
	insert := func(t *testing.T, s schedules.Store, r schedules.Release, content []byte) error {
		t.Helper()
		return s.Tx(t.Context(), func(tx schedules.Tx) error { return tx.InsertRelease(t.Context(), r, content) })
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	t.Run("empty", func(t *testing.T) {
		s := open(t)
		if all, err := s.Releases(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
		if a, err := s.Active(t.Context()); err != nil || a != (schedules.Activation{}) {
			t.Errorf("%+v, %v", a, err)
		}
		if _, err := s.Release(t.Context(), first.ID); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			t.Errorf("a release that is not there: %v", err)
		}
		if _, err := s.Content(t.Context(), first.ID); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			t.Errorf("its content: %v", err)
		}
	})

	t.Run("releases are kept whole", func(t *testing.T) {
		s := open(t)
		content := bytes.Repeat([]byte{0, 1, 0x1f, 0x8b, 255}, 60_000)
		must(t, insert(t, s, first, content))
		must(t, insert(t, s, second, []byte("second")))
		all, err := s.Releases(t.Context())
		if err != nil || len(all) != 2 || all[0] != second || all[1] != first {
			t.Errorf("%+v, %v", all, err)
		}
		if r, err := s.Release(t.Context(), first.ID); err != nil || r != first {
			t.Errorf("%+v, %v", r, err)
		}
		if got, err := s.Content(t.Context(), first.ID); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})

	t.Run("the same content is loaded once", func(t *testing.T) {
		s := open(t)
		must(t, insert(t, s, first, []byte("x")))
		again := second
		again.Digest = first.Digest
		if err := insert(t, s, again, []byte("x")); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Errorf("got %v", err)
		}
	})

	t.Run("the latest activation is in force", func(t *testing.T) {
		s := open(t)
		must(t, insert(t, s, first, []byte("x")))
		must(t, insert(t, s, second, []byte("y")))
		for i, id := range []string{second.ID, first.ID, schedules.BuiltIn, second.ID} {
			a := schedules.Activation{Release: id, By: "Robin Vega", At: at.Add(time.Duration(i) * time.Minute), Why: "The committee's decision"}
			must(t, s.Tx(t.Context(), func(tx schedules.Tx) error {
				if err := tx.Activate(t.Context(), a); err != nil {
					return err
				}
				if got, err := tx.Active(t.Context()); err != nil || got != a {
					t.Errorf("in the transaction: %+v, %v", got, err)
				}
				return nil
			}))
			if got, err := s.Active(t.Context()); err != nil || got != a {
				t.Errorf("%+v, %v", got, err)
			}
		}
	})

	t.Run("an error undoes all of it", func(t *testing.T) {
		s := open(t)
		no := errors.New("no")
		err := s.Tx(t.Context(), func(tx schedules.Tx) error {
			return errors.Join(
				tx.InsertRelease(t.Context(), first, []byte("x")),
				tx.Activate(t.Context(), schedules.Activation{Release: first.ID, At: at}),
				tx.Audit(t.Context(), audit.Entry{At: at, Who: "Robin Vega", What: "schedule.load"}),
				no)
		})
		if !errors.Is(err, no) {
			t.Fatal(err)
		}
		if all, err := s.Releases(context.WithoutCancel(t.Context())); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
		if a, err := s.Active(t.Context()); err != nil || a.Release != "" {
			t.Errorf("%+v, %v", a, err)
		}
	})
}
