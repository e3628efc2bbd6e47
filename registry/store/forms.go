package store

import (
	"context"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/forms"
)

// Forms is the store as the forms package asks for it.
func (s *Store) Forms() forms.Store { return formStore{s} }

type formStore struct{ *Store }

func (s formStore) Tx(ctx context.Context, do func(forms.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

const printColumns = `id, code_sha256, form, patient, site, by_id, by_name, printed_at, pages, seals`

func formPrint(s scanner) (p forms.Print, err error) {
	var at int64
	err = s.Scan(&p.ID, &p.CodeSHA256, &p.Form, &p.Patient, &p.Site, &p.ByID, &p.By, &at, &p.Pages, &p.Seals)
	p.At = database.Time(at)
	return p, err
}

func (r rows) PrintByCode(ctx context.Context, hash string) (forms.Print, error) {
	return one(ctx, r.q, formPrint, "There is no print with this code.", `SELECT `+printColumns+` FROM form_prints WHERE code_sha256 = $1`, hash)
}

// printsShown is how many prints of a person are listed.
const printsShown = 50

func (r rows) Prints(ctx context.Context, patients []string) ([]forms.Print, error) {
	where, args := ofPatients(patients)
	return list(ctx, r.q, formPrint, `SELECT `+printColumns+` FROM form_prints WHERE `+where+` ORDER BY id DESC LIMIT `+itoa(printsShown), args...)
}

func (t *tx) InsertPrint(ctx context.Context, p forms.Print) error {
	return exec(ctx, t.q, gone, `INSERT INTO form_prints (`+printColumns+`) VALUES (`+marks(10)+`)`,
		p.ID, p.CodeSHA256, string(p.Form), p.Patient, string(p.Site), p.ByID, p.By, database.Millis(p.At), p.Pages, p.Seals)
}

func (t *tx) SealFile(ctx context.Context, id, seals string, pages int) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such print."), `UPDATE form_prints SET seals = $2, pages = $3 WHERE id = $1`, id, seals, pages)
}
