package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
)

// How often a device seals: after the last seal, SealRecords records at most, and
// no record whose time is SealEvery away from that of the sealed one but those of
// its own moment. A seal that is missing shows by this rule.
const (
	SealEvery   = 15 * time.Minute
	SealRecords = 1000
)

// strict base64url without padding: one text a value, so that a seal cannot be
// written in two ways.
var base64url = base64.RawURLEncoding.Strict()

// KeyID names a public key: the first twelve bytes of its SHA-256 as base64url,
// sixteen characters that a person can compare.
func KeyID(pub ed25519.PublicKey) string {
	h := sha256.Sum256(pub)
	return base64url.EncodeToString(h[:12])
}

// EncodeKey writes a public key as the status carries it, base64url.
func EncodeKey(pub ed25519.PublicKey) string { return base64url.EncodeToString(pub) }

// DecodeKey reads what EncodeKey writes. Anything else is EINVALID.
func DecodeKey(s string) (ed25519.PublicKey, error) {
	b, err := base64url.DecodeString(s)
	if err != nil || len(b) != ed25519.PublicKeySize || EncodeKey(b) != s { // one key, one text: the decoder passes over line breaks
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "public key %.60q is not the base64url of 32 bytes", s)
	}
	return b, nil
}

// AppendSigned appends the bytes that a seal's signature covers: "coldkeep/1",
// site, agent, epoch, seq, oldest and h, as text joined by 0x1F, h in base64url as
// the seal carries it. None of the texts can hold a 0x1F. They are fixed for
// version 1, as the canonical bytes of a record are.
func AppendSigned(out []byte, site coldkeep.SiteID, agent coldkeep.AgentID, epoch string, s *Seal) []byte {
	const sep = 0x1f
	out = append(out, strings.TrimSuffix(Prefix, "/")...)
	out = append(append(out, sep), site...)
	out = append(append(out, sep), agent...)
	out = append(append(out, sep), epoch...)
	out = strconv.AppendInt(append(out, sep), s.Seq, 10)
	out = strconv.AppendInt(append(out, sep), s.Oldest, 10)
	return append(append(out, sep), s.Hash...)
}

// NewSeal signs the chain's link at seq. A key that is not an Ed25519 private key
// panics, as crypto/ed25519 does.
func NewSeal(key ed25519.PrivateKey, site coldkeep.SiteID, agent coldkeep.AgentID, epoch string, seq, oldest int64, h Hash) *Seal {
	s := &Seal{Seq: seq, Oldest: oldest, Hash: base64url.EncodeToString(h[:]), Key: KeyID(key.Public().(ed25519.PublicKey))}
	s.Sig = base64url.EncodeToString(ed25519.Sign(key, AppendSigned(nil, site, agent, epoch, s)))
	return s
}

// Verify reports whether the seal was signed by the owner of pub for this device
// and epoch.
func (s *Seal) Verify(pub ed25519.PublicKey, site coldkeep.SiteID, agent coldkeep.AgentID, epoch string) bool {
	sig, err := base64url.DecodeString(s.Sig)
	if err != nil || len(pub) != ed25519.PublicKeySize {
		return false
	}
	var buf [320]byte
	return ed25519.Verify(pub, AppendSigned(buf[:0], site, agent, epoch, s), sig)
}

// Head is the link that the seal states; false when it is none.
func (s *Seal) Head() (h Hash, ok bool) {
	b, err := base64url.DecodeString(s.Hash)
	if err != nil || len(b) != len(h) {
		return h, false
	}
	return Hash(b), true
}

// Check says what is wrong with the form of a seal that came with a batch whose
// last record is last; "" when nothing is. It does not look at the signature.
func (s *Seal) Check(last int64) string {
	sig, err := base64url.DecodeString(s.Sig)
	_, head := s.Head()
	switch {
	case s.Seq < 1:
		return "the seal is not readable"
	case s.Seq > last:
		return "the seal is of record " + strconv.FormatInt(s.Seq, 10) + ", after the batch's last, " + strconv.FormatInt(last, 10)
	case s.Oldest < 1 || s.Oldest > s.Seq:
		return "the seal's oldest is " + strconv.FormatInt(s.Oldest, 10) + ", its seq " + strconv.FormatInt(s.Seq, 10)
	case !head:
		return "the seal's h is not the base64url of a SHA-256"
	case err != nil || len(sig) != ed25519.SignatureSize:
		return "the seal's sig is not the base64url of an Ed25519 signature"
	case len(s.Key) != 16 || !madeOf(strings.ReplaceAll(s.Key, "_", "-"), inProbe):
		return "the seal's key is not a key id"
	}
	return ""
}

// UnmarshalJSON reads a seal. One that is none becomes the zero Seal, which Check
// refuses: a bad seal must not cost the records beside it.
func (s *Seal) UnmarshalJSON(b []byte) error {
	type plain Seal
	var p plain
	if err := json.Unmarshal(b, &p); err != nil {
		p = plain{}
	}
	*s = Seal(p)
	return nil
}

// BadTime is the time that a quarantined record claims, 0 when it cannot be read.
func BadTime(raw []byte) int64 {
	var r struct {
		T int64 `json:"t"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return 0
	}
	return r.T
}

// AppendBadCanonical appends the canonical bytes of a record that was quarantined,
// as the device that wrote raw had them. False when raw cannot be read far enough
// to tell: the chain cannot be followed over such a record.
func AppendBadCanonical(out []byte, seq int64, raw []byte, clock string, cfg int64) ([]byte, bool) {
	none := coldkeep.NoTemperature
	r := rawRecord{C: none, R: none, Lo: none, Hi: none}
	if err := json.Unmarshal(raw, &r); err != nil || r.T == nil {
		return out, false
	}
	return AppendCanonical(out, seq, &Record{Probe: coldkeep.ProbeID(r.P), At: *r.T, Celsius: r.C, Raw: r.R, Lo: r.Lo, Hi: r.Hi,
		Quality: r.Q, Event: r.E, Detail: r.D}, clock, cfg), true
}
