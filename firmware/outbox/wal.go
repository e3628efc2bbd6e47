package outbox

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// The layout of SQLite's write-ahead log (sqlite.org/fileformat2.html, section 4).
const (
	walHeader   = 32
	frameHeader = 24
	walMagic    = 0x377f0682 // the lowest bit: checksums of big-endian words
)

// checkWAL tells damage in the middle of the log from a transaction that a power cut
// left half-written at its end. SQLite cannot: it takes the log as over at the first
// frame whose checksum is wrong, and with it goes back behind what was on disk, to
// numbers that are taken. Behind a half-written transaction there is no other; so where
// two commits are found from the first wrong frame on, what was synced is damaged. A
// last commit that is damaged cannot be told from a torn one here; the collector's ack
// does.
func checkWAL(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	in := bufio.NewReaderSize(f, 64<<10)
	var h [walHeader]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return nil // nothing was ever in it
	}
	word := func(i int) uint32 { return binary.BigEndian.Uint32(h[4*i:]) }
	var order binary.ByteOrder = binary.LittleEndian
	if word(0)&1 == 1 {
		order = binary.BigEndian
	}
	sum := checksum{}.add(order, h[:24])
	valid := word(0)&^1 == walMagic && sum == checksum{word(6), word(7)}
	size, salt := int(word(2)), [2]uint32{word(4), word(5)}
	if size < 512 || size > 65536 || size&(size-1) != 0 {
		size, valid = pageSize, false
	}
	frame := make([]byte, frameHeader+size)
	commits := 0 // from the first wrong frame on
	for n := 0; ; n++ {
		if _, err := io.ReadFull(in, frame); err != nil {
			break // a frame that is cut off is none
		}
		f := func(i int) uint32 { return binary.BigEndian.Uint32(frame[4*i:]) }
		its := [2]uint32{f(2), f(3)}
		if n == 0 && !valid {
			salt = its // the header's may be what is damaged
		}
		if valid {
			next := sum.add(order, frame[:8]).add(order, frame[frameHeader:])
			if its == salt && next == (checksum{f(4), f(5)}) {
				sum = next
				continue
			}
			valid = false
		}
		if its == salt && f(1) != 0 {
			commits++
		}
	}
	if commits >= 2 {
		return fmt.Errorf("%w: %s: %d commits behind a frame whose checksum is wrong", errDamaged, path, commits)
	}
	return nil
}

// checksum is that of section 4.2.
type checksum [2]uint32

func (c checksum) add(order binary.ByteOrder, b []byte) checksum {
	for ; len(b) >= 8; b = b[8:] {
		c[0] += order.Uint32(b) + c[1]
		c[1] += order.Uint32(b[4:]) + c[0]
	}
	return c
}
