package wire

import (
	"crypto/sha256"
	"strconv"

	"github.com/coldkeep/coldkeep"
)

// Hash is a link of an epoch's chain of records.
type Hash [sha256.Size]byte

// FirstHash is h₀ of an epoch.
func FirstHash(site coldkeep.SiteID, agent coldkeep.AgentID, epoch string) Hash {
	return sha256.Sum256([]byte(Prefix + string(site) + "/" + string(agent) + "/" + epoch))
}

// Next is the link after h for a record's canonical bytes.
func (h Hash) Next(canonical []byte) Hash {
	var buf [512]byte // holds most records, and stays off the heap
	return sha256.Sum256(append(append(buf[:0], h[:]...), canonical...))
}

// AppendCanonical appends the bytes of a record that the chain covers: seq, t, p,
// c, r, lo, hi in integer thousandths, q, e, d, clock, cfg as text joined by 0x1F,
// absent fields empty. They are fixed for version 1: stored seals depend on them.
func AppendCanonical(out []byte, seq int64, r *Record, clock string, cfg int64) []byte {
	const sep = 0x1f
	out = strconv.AppendInt(out, seq, 10)
	out = strconv.AppendInt(append(out, sep), r.At, 10)
	out = append(append(out, sep), r.Probe...)
	for _, t := range [...]coldkeep.Temperature{r.Celsius, r.Raw, r.Lo, r.Hi} {
		out = append(out, sep)
		if t.Known() {
			out = strconv.AppendInt(out, int64(t), 10)
		}
	}
	out = append(append(out, sep), r.Quality...)
	out = append(append(out, sep), r.Event...)
	out = append(append(out, sep), r.Detail...)
	out = append(append(out, sep), clock...)
	out = append(out, sep)
	if cfg != 0 {
		out = strconv.AppendInt(out, cfg, 10)
	}
	return out
}
