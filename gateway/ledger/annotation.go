package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// Annotation is what a person has noted about a stretch of the log. It is added
// beside the readings and changes none; nothing takes it away again.
type Annotation struct {
	N        int64            `json:"n"` // from 1, per site
	Site     coldkeep.SiteID  `json:"site"`
	Agent    coldkeep.AgentID `json:"agent,omitempty"` // "" is every device of the site
	Probe    coldkeep.ProbeID `json:"probe,omitempty"` // "" is every probe
	From     time.Time        `json:"from"`
	To       time.Time        `json:"to"`
	Epoch    string           `json:"epoch,omitempty"` // with FromSeq and ToSeq, when records are meant and not times
	FromSeq  int64            `json:"from_seq,omitempty"`
	ToSeq    int64            `json:"to_seq,omitempty"`
	Person   string           `json:"person"`
	Why      string           `json:"why"`
	NotedAt  time.Time        `json:"noted_at"`
	Hash     string           `json:"-"`
	Altered  bool             `json:"altered,omitempty"` // it is not what was noted, or one before it is gone
	fromMS   int64
	toMS     int64
	notedMS  int64
	previous string
}

// Annotate adds an annotation and gives it its number. Without a site, a person, a
// reason, or a stretch that ends after it begins, it is EINVALID.
func (l *Ledger) Annotate(ctx context.Context, now time.Time, a Annotation) (Annotation, error) {
	switch {
	case a.Site == "" || a.Person == "" || a.Why == "":
		return a, coldkeep.Errorf(coldkeep.EINVALID, "an annotation needs a site, a person and a reason")
	case len(a.Why) > 4096 || len(a.Person) > 256:
		return a, coldkeep.Errorf(coldkeep.EINVALID, "an annotation's reason has at most 4096 bytes, its person's name 256")
	case a.To.Before(a.From) || a.From.IsZero():
		return a, coldkeep.Errorf(coldkeep.EINVALID, "an annotation needs a stretch of time, from before to")
	case a.ToSeq < a.FromSeq || (a.FromSeq != 0) != (a.Epoch != ""):
		return a, coldkeep.Errorf(coldkeep.EINVALID, "an annotation of records needs their epoch and a range of seqs")
	}
	a.fromMS, a.toMS, a.notedMS = a.From.UnixMilli(), a.To.UnixMilli(), now.UnixMilli()
	a.From, a.To, a.NotedAt = database.Time(a.fromMS), database.Time(a.toMS), database.Time(a.notedMS)
	err := l.db.Tx(ctx, func(tx *sql.Tx) error {
		// The counter's row is locked until the commit, so that two people's notes get
		// two numbers.
		if err := tx.QueryRowContext(ctx, `INSERT INTO counter (name, n) VALUES ($1, 1)
			ON CONFLICT (name) DO UPDATE SET n = counter.n + 1 RETURNING n`, "annotation/"+string(a.Site)).Scan(&a.N); err != nil {
			return err
		}
		a.previous = ""
		if a.N > 1 {
			if err := tx.QueryRowContext(ctx, `SELECT hash FROM annotation WHERE site = $1 AND n = $2`, a.Site, a.N-1).Scan(&a.previous); err != nil && !errors.Is(err, sql.ErrNoRows) { // a missing one shows at verification
				return err
			}
		}
		a.Hash = a.digest()
		_, err := tx.ExecContext(ctx, `INSERT INTO annotation (site, n, agent, probe, from_at, to_at, epoch, from_seq, to_seq, person, why, noted_at, hash)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			a.Site, a.N, a.Agent, a.Probe, a.fromMS, a.toMS, a.Epoch, a.FromSeq, a.ToSeq, a.Person, a.Why, a.notedMS, a.Hash)
		return err
	})
	return a, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Annotate", "the annotation could not be kept")
}

// digest covers an annotation and the one before it.
func (a *Annotation) digest() string {
	text, _ := json.Marshal([]any{a.previous, a.Site, a.N, a.Agent, a.Probe, a.fromMS, a.toMS, a.Epoch, a.FromSeq, a.ToSeq, a.Person, a.Why, a.notedMS}) // strings and integers always marshal
	h := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// Annotations returns a site's annotations by number, and marks the one that was
// altered, or that follows one that was taken away.
func (l *Ledger) Annotations(ctx context.Context, site coldkeep.SiteID) ([]Annotation, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT site, n, agent, probe, from_at, to_at, epoch, from_seq, to_seq, person, why, noted_at, hash
		FROM annotation WHERE site = $1 ORDER BY n`, site)
	out, err := scanRows(rows, err, "ledger.Annotations", func(a *Annotation) []any {
		return []any{&a.Site, &a.N, &a.Agent, &a.Probe, &a.fromMS, &a.toMS, &a.Epoch, &a.FromSeq, &a.ToSeq, &a.Person, &a.Why, &a.notedMS, &a.Hash}
	})
	previous, n := "", int64(0)
	for i := range out {
		a := &out[i]
		a.From, a.To, a.NotedAt, a.previous = database.Time(a.fromMS), database.Time(a.toMS), database.Time(a.notedMS), previous
		a.Altered = a.N != n+1 || a.Hash != a.digest()
		previous, n = a.Hash, a.N
	}
	return out, err
}

// AnnotationsMade returns how many annotations a site has had; more than are
// there means that the last ones were taken away.
func (l *Ledger) AnnotationsMade(ctx context.Context, site coldkeep.SiteID) (n int64, err error) {
	err = l.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(n), 0) FROM counter WHERE name = $1`, "annotation/"+string(site)).Scan(&n)
	return n, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.AnnotationsMade", "annotations of %s", site)
}
