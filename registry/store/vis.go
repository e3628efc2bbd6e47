package store

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/vis"
)

// VIS is the store as the vis package asks for it.
func (s *Store) VIS() vis.Store { return visStore{s} }

type visStore struct{ *Store }

func (s visStore) Tx(ctx context.Context, do func(vis.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

func visEdition(s scanner) (e vis.Edition, err error) {
	var edition, cvx string
	var current, at int64
	if err = s.Scan(&e.ID, &e.Code, &e.Name, &edition, &current, &cvx, &e.Why, &e.By, &at); err != nil {
		return e, err
	}
	e.Current, e.CVX, e.At = current != 0, strings.Fields(cvx), database.Time(at)
	e.Edition, err = date(edition)
	return e, err
}

const visEditionColumns = `id, code, name, edition, current, cvx, why, by_name, at`

func (r rows) Editions(ctx context.Context) ([]vis.Edition, error) {
	return list(ctx, r.q, visEdition, `SELECT `+visEditionColumns+` FROM vis_editions e WHERE id = (SELECT MAX(x.id) FROM vis_editions x WHERE x.code = e.code) ORDER BY code`)
}

func (t *tx) InsertEdition(ctx context.Context, e vis.Edition) error {
	return exec(ctx, t.q, gone, `INSERT INTO vis_editions (`+visEditionColumns+`) VALUES (`+marks(9)+`)`,
		e.ID, e.Code, e.Name, e.Edition.String(), flag(e.Current), strings.Join(e.CVX, " "), e.Why, e.By, database.Millis(e.At))
}

const visTextColumns = `id, code, language, address, media, sha256, size, withdrawn, why, by_name, at`

func visText(s scanner, more ...any) (t vis.Text, err error) {
	var withdrawn, at int64
	err = s.Scan(append([]any{&t.ID, &t.Code, &t.Language, &t.Address, &t.Media, &t.SHA256, &t.Size, &withdrawn, &t.Why, &t.By, &at}, more...)...)
	t.Withdrawn, t.At = withdrawn != 0, database.Time(at)
	return t, err
}

func bareText(s scanner) (vis.Text, error) { return visText(s) }

func (r rows) Texts(ctx context.Context) ([]vis.Text, error) {
	return list(ctx, r.q, bareText, `SELECT `+visTextColumns+` FROM vis_texts e WHERE id = (SELECT MAX(x.id) FROM vis_texts x WHERE x.code = e.code AND x.language = e.language) ORDER BY code, language`)
}

func (r rows) Text(ctx context.Context, id string) (vis.Text, error) {
	return one(ctx, r.q, func(s scanner) (vis.Text, error) {
		var content []byte
		t, err := visText(s, &content)
		t.Content = content
		return t, err
	}, "There is no such statement.", `SELECT `+visTextColumns+`, content FROM vis_texts WHERE id = $1`, id)
}

func (r rows) TextHistory(ctx context.Context, code string) ([]vis.Text, error) {
	return list(ctx, r.q, bareText, `SELECT `+visTextColumns+` FROM vis_texts WHERE code = $1 ORDER BY id DESC`, code)
}

func (t *tx) InsertText(ctx context.Context, x vis.Text) error {
	return exec(ctx, t.q, gone, `INSERT INTO vis_texts (`+visTextColumns+`, content) VALUES (`+marks(12)+`)`,
		x.ID, x.Code, x.Language, x.Address, x.Media, x.SHA256, x.Size, flag(x.Withdrawn), x.Why, x.By, database.Millis(x.At), x.Content)
}

// GivenAt lists what a practice has given, but for people whose record another has locked.
func (r rows) GivenAt(ctx context.Context, site coldkeep.SiteID, from, to coldkeep.Date, after string, limit int) ([]vis.Given, error) {
	return list(ctx, r.q, func(s scanner) (g vis.Given, err error) {
		var on, handed string
		if err = s.Scan(&g.Dose, &g.Patient, &g.CVX, &on, &handed); err != nil {
			return g, err
		}
		if g.On, err = date(on); err != nil || handed == "" {
			return g, err
		}
		return g, json.Unmarshal([]byte(handed), &g.VIS)
	}, `SELECT d.id, p.head, d.cvx, d.given, d.vis FROM doses d JOIN patients p ON p.id = d.patient
		WHERE d.site = $1 AND d.site <> '' AND d.given >= $2 AND d.given <= $3 AND d.id > $4 AND d.kind = 'administered' AND d.deleted_at IS NULL AND d.duplicate_of = ''
			AND NOT EXISTS (SELECT 1 FROM patients l WHERE l.head = p.head AND l.locked = 1 AND l.lock_site <> $1)
		ORDER BY d.id LIMIT $5`, string(site), from.String(), to.String(), after, limit)
}
