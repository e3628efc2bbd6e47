package trace

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
)

// PlayerConfig says how a log is played.
type PlayerConfig struct {
	// Clock paces the play; nil is the machine's.
	Clock coldkeep.Clock
	// Speed is how many times as fast as it was recorded the log is played; 0 is as
	// fast as the samples are taken.
	Speed float64
	// Resume holds the time of the latest recorded sample of each probe. Rows up to
	// there are passed over.
	Resume map[coldkeep.ProbeID]time.Time
	// OnError hears of each row that cannot be read; nil passes over them silently.
	OnError func(*RowError)
}

// Player plays a recorded log. Its samples keep their recorded times, and rows of
// the same time are emitted together, so that a place in the log is known by the
// time of the latest recorded sample of each probe and needs no file of its own.
// For that the rows are played in the order of their times, whatever their order
// in the file. The whole log is held in memory, 16 bytes a row.
//
// It is a sensors.Source.
type Player struct {
	cfg    PlayerConfig
	probes []coldkeep.ProbeID
	rows   []row // those still to be played, by time
	passed int   // rows that Resume covers
}

type row struct {
	at      int64 // ms since 1970
	celsius coldkeep.Temperature
	probe   int32 // index in Player.probes
}

var _ sensors.Source = (*Player)(nil)

// Open loads a log from a file. A file that cannot be opened or read is
// ENOTFOUND or EUNAVAILABLE, one without the header EINVALID, as is a negative speed.
func Open(path string, cfg PlayerConfig) (*Player, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "trace %s: there is no such file", path)
	}
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "trace.Open", "trace %s cannot be opened", path)
	}
	defer func() { _ = f.Close() }() // only read
	return NewPlayer(path, f, cfg)
}

// NewPlayer loads a log; name is the file's name for errors.
func NewPlayer(name string, r io.Reader, cfg PlayerConfig) (*Player, error) {
	if !(cfg.Speed >= 0 && cfg.Speed <= 1e6) {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "trace speed %v: want 0 (as fast as possible) or up to 1000000", cfg.Speed)
	}
	if cfg.Clock == nil {
		cfg.Clock = coldkeep.RealClock{}
	}
	in, err := NewReader(name, r)
	if err != nil {
		return nil, err
	}
	p := &Player{cfg: cfg}
	index := make(map[string]int32)
	for {
		next, err := in.Next()
		var bad *RowError
		switch {
		case errors.Is(err, io.EOF):
			slices.SortStableFunc(p.rows, func(a, b row) int { return cmp.Compare(a.at, b.at) })
			return p, nil
		case errors.As(err, &bad):
			if cfg.OnError != nil {
				cfg.OnError(bad)
			}
			continue
		case err != nil:
			return nil, err
		}
		i, ok := index[next.Probe]
		if !ok {
			i = int32(len(p.probes))
			index[next.Probe] = i
			p.probes = append(p.probes, coldkeep.ProbeID(next.Probe))
		}
		if last, ok := cfg.Resume[p.probes[i]]; ok && next.At <= last.UnixMilli() {
			p.passed++
			continue
		}
		p.rows = append(p.rows, row{at: next.At, celsius: next.Celsius, probe: i})
	}
}

// Probes describes the probes of the log.
func (p *Player) Probes() []sensors.Info {
	out := make([]sensors.Info, len(p.probes))
	for i, id := range p.probes {
		out[i] = sensors.Info{Probe: id, Kind: "trace", Bus: "trace"}
	}
	return out
}

// Rows returns how many rows are to be played, and how many were passed over
// because Resume covers them.
func (p *Player) Rows() (left, passed int) { return len(p.rows), p.passed }

// maxBatch bounds the samples of one emit when nothing paces the play; rows of
// the same time may exceed it, for they stay together.
const maxBatch = 1000

// Run plays the log once and returns nil at its end.
func (p *Player) Run(ctx context.Context, emit sensors.Emit) error {
	for i := 0; i < len(p.rows); {
		if err := ctx.Err(); err != nil {
			return err
		}
		end := p.group(i)
		if p.cfg.Speed == 0 {
			for end < len(p.rows) {
				next := p.group(end)
				if next-i > maxBatch {
					break
				}
				end = next
			}
		}
		if err := emit(ctx, p.samples(p.rows[i:end])); err != nil {
			return err
		}
		if p.cfg.Speed > 0 && end < len(p.rows) {
			ms := float64(p.rows[end].at - p.rows[i].at)
			if err := p.cfg.Clock.Sleep(ctx, time.Duration(ms/p.cfg.Speed*float64(time.Millisecond))); err != nil {
				return err
			}
		}
		i = end
	}
	return ctx.Err()
}

// group returns the end of the rows that have the time of row i.
func (p *Player) group(i int) int {
	end := i + 1
	for end < len(p.rows) && p.rows[end].at == p.rows[i].at {
		end++
	}
	return end
}

func (p *Player) samples(rows []row) []sensors.Sample {
	out := make([]sensors.Sample, len(rows))
	for i, r := range rows {
		out[i] = sensors.Sample{Probe: p.probes[r.probe], At: time.UnixMilli(r.at).UTC(), Raw: r.celsius}
		if !r.celsius.Known() {
			out[i].Quality = coldkeep.QualityMissing
		}
	}
	return out
}
