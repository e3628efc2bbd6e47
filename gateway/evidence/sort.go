package evidence

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/coldkeep/coldkeep"
)

// row is a reading with its names as numbers.
type row struct {
	seq, at                 int64
	epoch, probe, quality   int32
	celsius, raw, low, high int32
}

const rowSize = 2*8 + 7*4

// rowsInMemory bounds the memory of a sort: 12 MB. Up to as many, which is weeks of
// a device, nothing is written to disk.
const rowsInMemory = 1 << 18

// names numbers texts.
type names[T ~string] struct {
	list  []T
	index map[T]int32
}

func (n *names[T]) id(s T) int32 {
	if i, ok := n.index[s]; ok {
		return i
	}
	if n.index == nil {
		n.index = map[T]int32{}
	}
	i := int32(len(n.list)) //nolint:gosec // readings of a device have no two billion names
	n.list, n.index[s] = append(n.list, s), i
	return i
}

// sorter brings a device's readings, which a store gives by time, into the order
// of the chain: by epoch and seq. What memory does not hold goes to files in dir
// that have no name any more, so that nothing is left of them after a crash.
type sorter struct {
	dir       string
	limit     int
	only      bool // readings of other epochs than those planned do not matter
	epochs    names[string]
	probes    names[coldkeep.ProbeID]
	qualities names[coldkeep.Quality]

	rows []row
	runs []*run
}

// run is a sorted stretch on disk.
type run struct {
	f    *os.File
	r    *bufio.Reader
	head row
}

func (s *sorter) add(r *coldkeep.Reading) error {
	if len(s.rows) >= s.limit {
		if err := s.spill(); err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "evidence.sort", "readings cannot be sorted in the folder %s; is it full? TMPDIR names another", s.dir)
		}
	}
	s.rows = append(s.rows, row{seq: r.Seq, at: r.At, epoch: s.epochs.id(r.Epoch), probe: s.probes.id(r.Probe), quality: s.qualities.id(r.Quality),
		celsius: int32(r.Celsius), raw: int32(r.Raw), low: int32(r.Lo), high: int32(r.Hi)})
	return nil
}

func compareRows(a, b row) int {
	return cmp.Or(cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.seq, b.seq), cmp.Compare(a.at, b.at), cmp.Compare(a.probe, b.probe))
}

func (s *sorter) spill() error {
	slices.SortFunc(s.rows, compareRows)
	f, err := os.CreateTemp(s.dir, "coldkeep-verify-*")
	if err != nil {
		return err
	}
	s.runs = append(s.runs, &run{f: f})
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	var b [rowSize]byte
	for i := range s.rows {
		r := &s.rows[i]
		binary.LittleEndian.PutUint64(b[0:], uint64(r.seq))
		binary.LittleEndian.PutUint64(b[8:], uint64(r.at))
		for j, v := range [...]int32{r.epoch, r.probe, r.quality, r.celsius, r.raw, r.low, r.high} {
			binary.LittleEndian.PutUint32(b[16+4*j:], uint32(v))
		}
		if _, err := w.Write(b[:]); err != nil {
			return err
		}
	}
	s.rows = s.rows[:0]
	return w.Flush()
}

func (r *run) next() error {
	var b [rowSize]byte
	if _, err := io.ReadFull(r.r, b[:]); err != nil {
		return err
	}
	var v [7]int32
	for j := range v {
		v[j] = int32(binary.LittleEndian.Uint32(b[16+4*j:]))
	}
	r.head = row{seq: int64(binary.LittleEndian.Uint64(b[0:])), at: int64(binary.LittleEndian.Uint64(b[8:])),
		epoch: v[0], probe: v[1], quality: v[2], celsius: v[3], raw: v[4], low: v[5], high: v[6]}
	return nil
}

// sorted gives what was added, in order, row by row; false at the end.
func (s *sorter) sorted() (next func() (row, bool, error), err error) {
	slices.SortFunc(s.rows, compareRows)
	for _, r := range s.runs {
		if _, err := r.f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		r.r = bufio.NewReaderSize(r.f, 1<<16)
		if err := r.next(); err != nil { // none is empty
			return nil, err
		}
	}
	i, runs := 0, slices.Clone(s.runs)
	return func() (row, bool, error) {
		least := -1 // the rows in memory
		for j, r := range runs {
			if (least < 0 && (i == len(s.rows) || compareRows(r.head, s.rows[i]) < 0)) || (least >= 0 && compareRows(r.head, runs[least].head) < 0) {
				least = j
			}
		}
		if least < 0 {
			if i == len(s.rows) {
				return row{}, false, nil
			}
			i++
			return s.rows[i-1], true, nil
		}
		out := runs[least].head
		err := runs[least].next()
		if errors.Is(err, io.EOF) {
			runs, err = slices.Delete(runs, least, least+1), nil
		}
		return out, true, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "evidence.sort", "sorted readings cannot be read back")
	}, nil
}

func (s *sorter) close() {
	for _, r := range s.runs {
		_ = r.f.Close() // only read; it has no name any more
	}
	s.runs, s.rows = nil, s.rows[:0]
}

// reading makes the reading of a row again, as its device wrote it.
func (s *sorter) reading(r *row) coldkeep.Reading {
	return coldkeep.Reading{Series: coldkeep.Series{Probe: s.probes.list[r.probe]}, Epoch: s.epochs.list[r.epoch], Seq: r.seq, At: r.at,
		Celsius: coldkeep.Temperature(r.celsius), Raw: coldkeep.Temperature(r.raw), Lo: coldkeep.Temperature(r.low), Hi: coldkeep.Temperature(r.high), Quality: s.qualities.list[r.quality]}
}
