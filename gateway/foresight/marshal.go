package foresight

import (
	"bytes"
	"encoding/binary"

	"github.com/coldkeep/coldkeep"
)

// stateVersion changes when a state that was kept cannot be resumed by this code.
const stateVersion = 1

// Marshal gives the state a form to keep: below 1 KiB, little-endian, the version
// first.
func (s *State) Marshal() []byte {
	b := bytes.NewBuffer(make([]byte, 0, 1024))
	b.WriteByte(stateVersion)
	for _, f := range s.fields() {
		_ = binary.Write(b, binary.LittleEndian, f) // a buffer and fixed sizes: it cannot fail
	}
	return b.Bytes()
}

// Unmarshal reads what Marshal wrote. A state of another version or length is
// EINVALID: fold from the start instead.
func Unmarshal(b []byte) (State, error) {
	if len(b) == 0 || b[0] != stateVersion {
		return State{}, coldkeep.Errorf(coldkeep.EINVALID, "foresight state is not of version %d", stateVersion)
	}
	var s State
	r := bytes.NewReader(b[1:])
	for _, f := range s.fields() {
		if err := binary.Read(r, binary.LittleEndian, f); err != nil {
			return State{}, coldkeep.Errorf(coldkeep.EINVALID, "foresight state of %d bytes is too short", len(b))
		}
	}
	if r.Len() > 0 {
		return State{}, coldkeep.Errorf(coldkeep.EINVALID, "foresight state of %d bytes is too long", len(b))
	}
	n := uint8(len(Causes()))
	if s.ringHead >= ringLen || s.ringN > ringLen || s.hoursHead >= hoursLen || s.hoursN > hoursLen ||
		s.episode.cause > n || s.episode.told > n || s.episode.side > 1 || s.binN < 0 {
		return State{}, coldkeep.Errorf(coldkeep.EINVALID, "foresight state points outside itself")
	}
	return s, nil
}

// fields lists all there is of a state, in the order in which it is kept.
func (s *State) fields() []any {
	p, e, d := &s.peaks, &s.episode, &s.drift
	return []any{
		&s.at, &s.good, &s.door, &s.power, &s.bin, &s.binSum, &s.binN,
		&s.ringHead, &s.ringN, &s.ringAt, &s.ringV, &s.grain,
		&s.hour, &s.hourN, &s.hourOdd, &s.oddHours, &s.hoursHead, &s.hoursN,
		&s.hourMax, &s.hourMin, &s.hourSum, &s.tops, &s.bottoms, &s.high, &s.low,
		&s.block, &s.blockHours, &s.blockSum, &s.blockTop, &s.blockMeans, &s.blockTops,
		&s.dir, &s.phases, &s.wild, &s.extAt, &s.turnAt, &s.ext, &s.turnV, &s.steep,
		&s.fastest, &s.fastestN, &s.swing, &s.calmUntil, &s.movedUntil,
		&p.n, &p.out, &p.startAt, &p.topAt, &p.last, &p.top, &p.height, &p.highest,
		&p.rise, &p.longest, &p.gap, &p.steep, &p.steepest,
		&e.since, &e.quiet, &e.n, &e.side, &e.cause, &e.told, &e.device, &e.crossed,
		&e.reaches, &e.toldAt, &e.slope, &e.steepest,
		&d.at, &d.reaches, &d.perDay,
	}
}
