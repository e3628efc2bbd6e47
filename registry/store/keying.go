package store

import (
	"context"
	"log/slog"

	"github.com/coldkeep/coldkeep/registry/patient"
)

// keysForm counts the ways in which patient.Profile.Keys has made its keys: 2 since a search
// by the beginning of a family name has one of its own. Whoever changes them adds one, and
// the records that there are get the keys that they lack when the registry next starts.
const keysForm = 2

// keysAtOnce is how many records get their keys in one transaction: a second's work.
const keysAtOnce = 2000

// keyed is a record and the text of its profile.
type keyed struct{ id, profile string }

// rekey gives the records of earlier versions the keys that they lack. One that is stopped
// goes on where it was; of two at once one waits for the other.
func (s *Store) rekey(ctx context.Context) error {
	for done, more := 0, true; more; {
		err := s.tx(ctx, func(t *tx) error {
			n, err := t.rekeySome(ctx)
			more, done = n > 0, done+n
			return err
		})
		if err != nil {
			return err
		}
		if more && done%(25*keysAtOnce) == 0 {
			slog.InfoContext(ctx, "the keys that people are found by are made anew", "records", done)
		}
	}
	return nil
}

// rekeySome gives some records their keys and says how many; 0 when all have them.
func (t *tx) rekeySome(ctx context.Context) (int, error) {
	var upto string
	var ready bool
	// A change, so that another process waits here.
	if err := t.q.QueryRowContext(ctx, `INSERT INTO patient_keying (form, upto, done) VALUES ($1, '', 0)
		ON CONFLICT (form) DO UPDATE SET form = excluded.form RETURNING upto, done = 1`, keysForm).Scan(&upto, &ready); err != nil {
		return 0, failed(err)
	}
	if ready {
		return 0, nil
	}
	all, err := list(ctx, t.q, func(s scanner) (k keyed, err error) {
		err = s.Scan(&k.id, &k.profile)
		return k, err
	}, `SELECT id, profile FROM patients WHERE id > $1 ORDER BY id LIMIT $2`, upto, keysAtOnce)
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, exec(ctx, t.q, gone, `UPDATE patient_keying SET done = 1 WHERE form = $1`, keysForm)
	}
	for _, k := range all {
		p, err := patient.ReadProfile(k.profile)
		if err != nil { // it is found by nobody as it is; the others are
			slog.WarnContext(ctx, "what matching compares of a record is not readable; change and save the record", "patient", k.id)
			continue
		}
		if err := t.insertKeys(ctx, k.id, p.Keys()); err != nil {
			return 0, err
		}
	}
	return len(all), exec(ctx, t.q, gone, `UPDATE patient_keying SET upto = $2 WHERE form = $1`, keysForm, all[len(all)-1].id)
}
