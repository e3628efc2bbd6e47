package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
)

// The states of a seal's signature.
const (
	KeyUnknown   = 0 // the device has not shown the key yet
	KeyTrusted   = 1
	KeyUntrusted = 2 // a good signature by a key that nobody has trusted
	KeyWrong     = 3 // the key became known later, and the signature is not by it
)

// The states of a seal's chain.
const (
	ChainUnchecked = 0
	ChainWhole     = 1 // the records that came give the sealed hash
	ChainBroken    = 2 // they do not
	ChainLost      = 3 // some of them are lost, so that nobody can tell
)

// The kinds of what is raised about a device's evidence.
const (
	FaultKeyChanged  = "key-changed"  // the device shows another key than the trusted one
	FaultKeyBad      = "key-bad"      // what it shows is no key, or has another id
	FaultVoid        = "void-range"   // a range's seal was refused three times
	FaultChainBroken = "chain-broken" // a good seal does not fit the records that came
	FaultTwoSeals    = "two-seals"    // two seals of one record state different hashes
	FaultSealWrong   = "seal-wrong"   // a seal came before its key, and the signature is not by it
	FaultPayload     = "payload"      // payloads that could not be read came; once a day
)

// DeviceKey is a public key that a device has shown.
type DeviceKey struct {
	Site      coldkeep.SiteID
	Agent     coldkeep.AgentID
	Key       string // wire.KeyID
	Pub       string // wire.EncodeKey
	Trusted   bool
	TrustedBy string // "first use", or who said so
	FirstSeen time.Time
}

// Seal is a seal as it is kept, or as it was refused.
type Seal struct {
	wire.Seal
	At     int64 // ms, of the sealed record as it came; 0 when that is not known
	Signed int64 // KeyUnknown, KeyTrusted or KeyUntrusted
	Chain  int64 // ChainUnchecked, ChainWhole or ChainBroken

	Refused string // why it was refused; "" when it was not
	// Set by Commit: how often a seal of this record was refused by now, and the
	// first seq of the range that this made void, 0 when it did not.
	Tries, VoidFrom int64
}

// VoidAfter is how many refusals of a seal make its range void, from the wire
// contract.
const VoidAfter = 3

// keysKept bounds the keys that are kept of a device.
const keysKept = 100

// NoteKey keeps a key that a device shows. The first key of a device is trusted,
// any later one is not, and raised. It reports whether the key is new.
func (l *Ledger) NoteKey(ctx context.Context, now time.Time, site coldkeep.SiteID, agent coldkeep.AgentID, key, pub string) (fresh bool, err error) {
	err = l.db.Tx(ctx, func(tx *sql.Tx) error {
		fresh = false
		var known, mine int64
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(CASE WHEN key = $3 THEN 1 ELSE 0 END), 0) FROM device_key WHERE site = $1 AND agent = $2`,
			site, agent, key).Scan(&known, &mine); err != nil || mine > 0 {
			return err
		}
		if known >= keysKept {
			return nil // one broken device must not fill the book; its change of key is raised
		}
		trusted, by := 1, "first use"
		if known > 0 {
			trusted, by = 0, ""
			if err := raise(ctx, tx, now, Epoch{Site: site, Agent: agent}, FaultKeyChanged, key, "the device shows another key than before; its seals are not trusted until a person says so"); err != nil {
				return err
			}
		}
		res, err := tx.ExecContext(ctx, `INSERT INTO device_key (site, agent, key, pub, trusted, trusted_by, first_seen) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT DO NOTHING`, site, agent, key, pub, trusted, by, database.Millis(now))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		fresh = n > 0
		return err
	})
	return fresh, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.NoteKey", "key of %s/%s could not be kept", site, agent)
}

// Keys returns the keys that a device has shown, the oldest first.
func (l *Ledger) Keys(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) ([]DeviceKey, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT key, pub, trusted, trusted_by, first_seen FROM device_key WHERE site = $1 AND agent = $2 ORDER BY first_seen, key`, site, agent)
	type row struct {
		DeviceKey
		trusted, seen int64
	}
	got, err := scanRows(rows, err, "ledger.Keys", func(r *row) []any { return []any{&r.Key, &r.Pub, &r.trusted, &r.TrustedBy, &r.seen} })
	var out []DeviceKey
	for _, r := range got {
		r.Site, r.Agent, r.Trusted, r.FirstSeen = site, agent, r.trusted == 1, database.Time(r.seen)
		out = append(out, r.DeviceKey)
	}
	return out, err
}

// ExpectKey enters a device's key before the device has shown it, because the registry
// knows it: another one is then not trusted, also when it is shown first.
func (l *Ledger) ExpectKey(ctx context.Context, now time.Time, site coldkeep.SiteID, agent coldkeep.AgentID, key, pub string) error {
	res, err := l.db.ExecContext(ctx, `INSERT INTO device_key (site, agent, key, pub, trusted, trusted_by, first_seen) VALUES ($1, $2, $3, $4, 1, 'the registry', $5)
		ON CONFLICT DO NOTHING`, site, agent, key, pub, database.Millis(now))
	if err == nil {
		var n int64
		if n, err = res.RowsAffected(); err == nil && n == 0 {
			return l.TrustKey(ctx, site, agent, key, "the registry")
		}
	}
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.ExpectKey", "key of %s/%s", site, agent)
}

// TrustKey notes that a person trusts a key that a device has shown, and with it
// the seals that it has made. ENOTFOUND when the device has shown no such key.
func (l *Ledger) TrustKey(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID, key, who string) error {
	err := l.db.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE device_key SET trusted = 1, trusted_by = $4 WHERE site = $1 AND agent = $2 AND key = $3 AND trusted = 0`, site, agent, key, who)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			var there int64
			err := errors.Join(err, tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM device_key WHERE site = $1 AND agent = $2 AND key = $3`, site, agent, key).Scan(&there))
			if err == nil && there == 0 {
				return coldkeep.Errorf(coldkeep.ENOTFOUND, "%s/%s has shown no key %q", site, agent, key)
			}
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE seal SET signed = $4 WHERE site = $1 AND agent = $2 AND key = $3 AND signed = $5`, site, agent, key, KeyTrusted, KeyUntrusted)
		return err
	})
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return err
	}
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.TrustKey", "key %s of %s/%s", key, site, agent)
}

// saveSeals keeps an entry's seals in the transaction that makes its batch
// acknowledgeable, and counts the refused ones.
func saveSeals(ctx context.Context, tx *sql.Tx, now time.Time, e *Entry) error {
	for i := range e.Seals {
		s := &e.Seals[i]
		if s.Refused != "" {
			if err := refuseSeal(ctx, tx, now, e.Epoch, s); err != nil {
				return err
			}
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO seal (site, agent, epoch, seq, sig, oldest, hash, key, at, signed, chain, received_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
			ON CONFLICT (site, agent, epoch, seq, sig) DO UPDATE SET
				at = CASE WHEN seal.at = 0 THEN excluded.at ELSE seal.at END,
				signed = CASE WHEN seal.signed = 0 THEN excluded.signed ELSE seal.signed END,
				chain = CASE WHEN seal.chain = 0 THEN excluded.chain ELSE seal.chain END`,
			e.Site, e.Agent, e.Epoch.Epoch, s.Seq, s.Sig, s.Oldest, s.Hash, s.Key, s.At, s.Signed, s.Chain, database.Millis(now)); err != nil {
			return err
		}
		var hashes int64
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(DISTINCT hash) FROM seal WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq = $4`,
			e.Site, e.Agent, e.Epoch.Epoch, s.Seq).Scan(&hashes); err != nil {
			return err
		}
		if hashes > 1 {
			if err := raise(ctx, tx, now, e.Epoch, FaultTwoSeals, fmt.Sprint(s.Seq), "two seals of one record state different hashes"); err != nil {
				return err
			}
		}
		if s.Chain == ChainBroken {
			if err := raise(ctx, tx, now, e.Epoch, FaultChainBroken, fmt.Sprint(s.Seq), "the seal is good and does not fit the records that came"); err != nil {
				return err
			}
		}
	}
	return nil
}

func refuseSeal(ctx context.Context, tx *sql.Tx, now time.Time, e Epoch, s *Seal) error {
	body, err := json.Marshal(struct { // not wire.Seal, whose zero says nothing of what came
		wire.Seal
		Reason string `json:"reason"`
	}{s.Seal, s.Refused})
	if err != nil {
		return err
	}
	s.VoidFrom = 0 // the transaction may run again
	if err := tx.QueryRowContext(ctx, `INSERT INTO seal_refused (site, agent, epoch, seq, tries, reason, body, received_at) VALUES ($1, $2, $3, $4, 1, $5, $6, $7)
		ON CONFLICT (site, agent, epoch, seq) DO UPDATE SET tries = seal_refused.tries + 1, reason = excluded.reason, body = excluded.body, received_at = excluded.received_at
		RETURNING tries`, e.Site, e.Agent, e.Epoch, s.Seq, s.Refused, string(body), database.Millis(now)).Scan(&s.Tries); err != nil {
		return err
	}
	if s.Tries != VoidAfter {
		return nil
	}
	if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(seq), 0) + 1 FROM seal WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq < $4 AND signed > 0`,
		e.Site, e.Agent, e.Epoch, s.Seq).Scan(&s.VoidFrom); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO void_range (site, agent, epoch, from_seq, to_seq, reason, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT DO NOTHING`, e.Site, e.Agent, e.Epoch, s.VoidFrom, s.Seq, s.Refused, database.Millis(now)); err != nil {
		return err
	}
	return raise(ctx, tx, now, e, FaultVoid, fmt.Sprintf("%d-%d", s.VoidFrom, s.Seq), s.Refused)
}

// raise keeps a fault once; it is logged by whoever finds it.
func raise(ctx context.Context, tx *sql.Tx, now time.Time, e Epoch, kind, subject, detail string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO evidence_fault (site, agent, epoch, kind, subject, detail, raised_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT DO NOTHING`, e.Site, e.Agent, e.Epoch, kind, subject, detail, database.Millis(now))
	return err
}

// Raise keeps a fault of a device's evidence. The same again changes nothing.
func (l *Ledger) Raise(ctx context.Context, now time.Time, e Epoch, kind, subject, detail string) error {
	err := l.db.Tx(ctx, func(tx *sql.Tx) error { return raise(ctx, tx, now, e, kind, subject, detail) })
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Raise", "%s of %s/%s", kind, e.Site, e.Agent)
}

// EvidenceFault is something that was raised about a device's evidence.
type EvidenceFault struct {
	Epoch
	Kind    string
	Subject string // what it is about: a key id, a seq, a range of seqs
	Detail  string
	At      time.Time
}

// EvidenceFaults returns what was raised about a device's evidence, the oldest first.
func (l *Ledger) EvidenceFaults(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) ([]EvidenceFault, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT epoch, kind, subject, detail, raised_at FROM evidence_fault WHERE site = $1 AND agent = $2 ORDER BY raised_at, epoch, kind, subject`, site, agent)
	type row struct {
		EvidenceFault
		at int64
	}
	got, err := scanRows(rows, err, "ledger.EvidenceFaults", func(r *row) []any { return []any{&r.Epoch.Epoch, &r.Kind, &r.Subject, &r.Detail, &r.at} })
	var out []EvidenceFault
	for _, r := range got {
		r.Site, r.Agent, r.At = site, agent, database.Time(r.at)
		out = append(out, r.EvidenceFault)
	}
	return out, err
}

// FaultsSince returns what was raised about any device's evidence at since or later,
// the oldest first.
func (l *Ledger) FaultsSince(ctx context.Context, since time.Time) ([]EvidenceFault, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT site, agent, epoch, kind, subject, detail, raised_at FROM evidence_fault
		WHERE raised_at >= $1 ORDER BY raised_at, site, agent, epoch, kind, subject`, database.Millis(since))
	type row struct {
		EvidenceFault
		at int64
	}
	got, err := scanRows(rows, err, "ledger.FaultsSince", func(r *row) []any {
		return []any{&r.Site, &r.Agent, &r.Epoch.Epoch, &r.Kind, &r.Subject, &r.Detail, &r.at}
	})
	out := make([]EvidenceFault, len(got))
	for i, r := range got {
		r.At = database.Time(r.at)
		out[i] = r.EvidenceFault
	}
	return out, err
}
