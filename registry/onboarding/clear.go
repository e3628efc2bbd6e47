package onboarding

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep/registry/auth"
)

// keepValues is for how long the values of a file are kept after it has been taken over,
// or since it was sent when nobody does: long enough to look after a finding, and a
// registry does not keep a second copy of its patients in a form that no lock covers.
const keepValues = 90 * 24 * time.Hour

// Clear deletes the uploaded values of imports that were taken over, or left lying, for 90
// days, and tells how many it has cleared. What was said of each row, its counts and its
// patient stay.
func (s *Service) Clear(ctx context.Context) (int, error) {
	now := s.clock.Now()
	old, err := s.store.ImportsToClear(ctx, now.Add(-keepValues))
	if err != nil {
		return 0, err
	}
	for n, i := range old {
		if err := s.clear(ctx, i, now); err != nil {
			return n, err
		}
	}
	return len(old), nil
}

func (s *Service) clear(ctx context.Context, i Import, now time.Time) error {
	to := i.State
	if i.State == Checked {
		to = Dropped
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		if err := tx.ClearImport(ctx, i.ID, i.State, to, now); err != nil { // from here on nobody takes it over
			return err
		}
		for after := 0; ; {
			lines, err := tx.ImportLines(ctx, i.ID, after, 500)
			if err != nil {
				return err
			}
			for _, l := range lines {
				after = l.Seq
				if err := tx.ClearImportLine(ctx, i.ID, l.Seq, Row{N: l.N, First: l.First}); err != nil {
					return err
				}
			}
			if len(lines) == 0 {
				break
			}
		}
		return tx.Audit(ctx, s.entry(auth.System("Tidying"), "import.clear", i, "the uploaded values were deleted"))
	})
}
