package chiptest

import "strings"

// SSD1306 is a display's controller with its memory (data sheet, rev 1.1, sections 8.7
// and 9). In the mode of page addressing it knows the commands that set page and
// column, in the other two it does not.
type SSD1306 struct {
	On       bool
	Inverted bool
	Contrast byte
	Memory   [8][128]byte

	mode      byte // 2 is page addressing, the mode after a reset
	page, col int
	started   bool
}

// operands are how many bytes follow a command.
var operands = map[byte]int{0xd3: 1, 0xda: 1, 0x81: 1, 0xd5: 1, 0x8d: 1, 0xd9: 1, 0xdb: 1, 0xa8: 1, 0x20: 1, 0x21: 2, 0x22: 2}

// Tx takes commands or data.
func (c *SSD1306) Tx(w, r []byte) error {
	if len(r) > 0 || len(w) == 0 {
		return ErrNoAck
	}
	if !c.started {
		c.mode, c.started = 2, true
	}
	if w[0] == 0x40 {
		for _, b := range w[1:] {
			c.Memory[c.page][c.col] = b
			if c.col = (c.col + 1) % 128; c.col == 0 && c.mode == 0 {
				c.page = (c.page + 1) % 8
			}
		}
		return nil
	}
	for i := 1; i < len(w); i++ {
		b := w[i]
		switch paged := c.mode == 2; {
		case b == 0xae, b == 0xaf:
			c.On = b == 0xaf
		case b == 0xa6, b == 0xa7:
			c.Inverted = b == 0xa7
		case b == 0x20 && i+1 < len(w):
			c.mode = w[i+1] & 3
		case b == 0x81 && i+1 < len(w):
			c.Contrast = w[i+1]
		case b&0xf8 == 0xb0 && paged:
			c.page = int(b & 7)
		case b < 0x10 && paged:
			c.col = c.col&^0x0f | int(b)
		case b < 0x20 && paged:
			c.col = (c.col&0x0f | int(b&0x0f)<<4) % 128
		}
		i += operands[b]
	}
	return nil
}

// Picture shows the memory, two rows of points a line of text.
func (c *SSD1306) Picture() string {
	var b strings.Builder
	bit := func(x, y int) int { return int(c.Memory[y/8][x]>>(y%8)) & 1 }
	for y := 0; y < 64; y += 2 {
		var line strings.Builder
		for x := range 128 {
			line.WriteString([]string{" ", "▀", "▄", "█"}[bit(x, y)+2*bit(x, y+1)])
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}
