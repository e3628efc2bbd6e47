package store

import (
	"context"
	"log/slog"
	"slices"

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
	last := all[len(all)-1].id
	have, err := t.keysUpTo(ctx, upto, last)
	if err != nil {
		return 0, err
	}
	var args []any
	for _, k := range all {
		p, err := patient.ReadProfile(k.profile)
		if err != nil { // it is found by nobody as it is; the others are
			slog.WarnContext(ctx, "what matching compares of a record is not readable; change and save the record", "patient", k.id)
			continue
		}
		for _, key := range p.Keys() {
			if !slices.Contains(have[k.id], key) {
				args = append(args, key, k.id)
			}
		}
		if len(args) > 10_000 { // PostgreSQL takes 65,535, SQLite 32,766
			if err := insertRows(ctx, t.q, insertKey, 2, args, newKey); err != nil {
				return 0, err
			}
			args = args[:0]
		}
	}
	if err := insertRows(ctx, t.q, insertKey, 2, args, newKey); err != nil {
		return 0, err
	}
	return len(all), exec(ctx, t.q, gone, `UPDATE patient_keying SET upto = $2 WHERE form = $1`, keysForm, last)
}

// keysUpTo gives the keys of the records with ids after one and up to another.
func (r rows) keysUpTo(ctx context.Context, after, upto string) (map[string][]int64, error) {
	have := map[string][]int64{}
	_, err := list(ctx, r.q, func(s scanner) (struct{}, error) {
		var id string
		var key int64
		err := s.Scan(&id, &key)
		have[id] = append(have[id], key)
		return struct{}{}, err
	}, `SELECT patient, key FROM patient_keys WHERE patient > $1 AND patient <= $2`, after, upto)
	return have, err
}
