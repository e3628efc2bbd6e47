package panel

import (
	"context"
	"fmt"
	"image"
	"image/draw"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/devices/v3/ssd1306"
	"periph.io/x/devices/v3/ssd1306/image1bit"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/watch"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

// The display is 128 × 64 points: eighteen letters a line, and one line of letters
// twice as large.
const (
	wide, high = 128, 64
	letters    = wide / 7
)

// turnEvery is how long a page is shown.
const turnEvery = 4 * time.Second

// displayAddr is that of an SSD1306 module as it is sold (data sheet, section 8.1.5:
// SA0 low).
const displayAddr = 0x3c

// contrast is that of a display that is on for years: OLEDs fade by their brightness.
const contrast = 0x30

// Display is an SSD1306 on an I2C bus, which it may share with probes.
type Display struct {
	line *chip.Line[i2c.Bus]
	log  *slog.Logger

	turned chan struct{}

	mu   sync.Mutex
	page int

	// Of Run's goroutine.
	dev    *ssd1306.Dev
	bus    *lent
	failed string
}

// NewDisplay makes a Display on a line. Nothing is written before Run.
func NewDisplay(line *chip.Line[i2c.Bus], log *slog.Logger) *Display {
	return &Display{line: line, log: log, turned: make(chan struct{}, 1)}
}

// Turn shows the next page.
func (d *Display) Turn() {
	d.mu.Lock()
	d.page++
	d.mu.Unlock()
	select {
	case d.turned <- struct{}{}:
	default: // about to be drawn
	}
}

// Run shows what w knows until ctx ends, a page after the other, and then switches
// the display off. One that does not answer is told of once and tried again.
func (d *Display) Run(ctx context.Context, w *watch.Watch) {
	for {
		d.mu.Lock()
		page := d.page
		d.mu.Unlock()
		changed := w.Changed()
		d.show(ctx, Page(w.Snapshot(), page))
		wait := time.NewTimer(turnEvery)
		select {
		case <-ctx.Done():
			wait.Stop()
			d.off()
			return
		case <-wait.C:
			d.mu.Lock()
			d.page++
			d.mu.Unlock()
		case <-d.turned:
			wait.Stop()
		case <-changed: // a value, an alarm: the same page anew, but not faster than the eye
			wait.Stop()
			if (coldkeep.RealClock{}).Sleep(ctx, time.Second/2) != nil {
				d.off()
				return
			}
		}
	}
}

// drawLimit bounds a drawing; a whole page takes a tenth of a second at 100 kHz.
const drawLimit = 2 * time.Second

// show draws a page.
func (d *Display) show(ctx context.Context, p Text) {
	ctx, cancel := context.WithTimeout(ctx, drawLimit)
	defer cancel()
	err := d.line.Do(ctx, func(bus i2c.Bus) error {
		return chip.Mux{}.Do(ctx, bus, func(bus i2c.Bus) error {
			if d.dev == nil {
				if err := d.open(bus); err != nil {
					return err
				}
			}
			d.bus.Bus = bus
			if err := d.dev.Draw(d.dev.Bounds(), p.draw(), image.Point{}); err != nil {
				return err
			}
			return d.dev.Invert(p.Alarm)
		})
	})
	if err == nil {
		d.failed = ""
		return
	}
	d.dev = nil // it may have lost its power, and what it was told
	if ctx.Err() == nil && d.failed != err.Error() {
		d.failed = err.Error()
		d.log.Warn("display cannot be written; trying again", "bus", d.line.String(), "err", err)
	}
}

// lent is the bus of the transaction under way: the driver keeps one for its life, and
// a Line's may be opened anew.
type lent struct{ i2c.Bus }

func (d *Display) open(bus i2c.Bus) error {
	d.bus = &lent{bus}
	dev, err := ssd1306.NewI2C(d.bus, &ssd1306.Opts{W: wide, H: high})
	if err != nil {
		return err
	}
	// The driver sets the start of each page, which is a command of page addressing (data
	// sheet, table 9-1), and switches the chip to horizontal addressing.
	if err := bus.Tx(displayAddr, []byte{0x00, 0x20, 0x02}, nil); err != nil {
		return err
	}
	if err := dev.SetContrast(contrast); err != nil {
		return err
	}
	d.dev = dev
	return nil
}

func (d *Display) off() {
	ctx, cancel := context.WithTimeout(context.Background(), drawLimit)
	defer cancel()
	if d.dev == nil {
		return
	}
	_ = d.line.Do(ctx, func(bus i2c.Bus) error { d.bus.Bus = bus; return d.dev.Halt() }) // going down anyway
}

// Text is a page: a line, one in large letters, and two lines.
type Text struct {
	Head, Large string
	Lines       [2]string
	Alarm       bool
}

// Page is a page of what there is to show: the code of a device that waits to be
// claimed; otherwise one of the probes, and one of the lots on hold when there are
// any.
func Page(s watch.Snapshot, page int) Text {
	if s.Code != "" {
		return Text{Head: "Add this device:", Large: s.Code, Lines: [2]string{"type the code in", "the registry"}}
	}
	if s.Named {
		return Text{Head: s.Place, Large: "this one", Lines: [2]string{"somebody asks for", "this device"}, Alarm: true}
	}
	pages := len(s.Probes)
	if len(s.Holds) > 0 {
		pages++
	}
	if pages == 0 {
		return Text{Head: s.Place, Large: "no probe", Lines: [2]string{"", power(s)}}
	}
	page %= pages
	if page == len(s.Probes) {
		return holds(s)
	}
	p := s.Probes[page]
	t := Text{Head: name(p), Large: "--.-", Alarm: p.Alarm}
	switch {
	case p.Value.Known():
		t.Large = degrees(p.Value) + " C"
	case p.Quality != coldkeep.QualityGood:
		t.Large = string(p.Quality)
	}
	if p.Lo.Known() {
		if t.Lines[0] = "min " + degrees(p.Lo) + " max " + degrees(p.Hi); len(t.Lines[0]) > letters {
			t.Lines[0] = degrees(p.Lo) + " to " + degrees(p.Hi)
		}
	}
	t.Lines[1] = power(s)
	switch door := s.Doors[p.Probe]; {
	case p.Alarm && s.Hushed:
		t.Lines[1] = "ALARM (silenced)"
	case p.Alarm:
		t.Lines[1] = "ALARM"
	case door == watch.Open || s.Doors[""] == watch.Open:
		t.Lines[1] = "door open"
	}
	return t
}

func holds(s watch.Snapshot) Text {
	t := Text{Head: "DO NOT USE", Large: fmt.Sprintf("%d on hold", len(s.Holds))}
	var lots []string
	for _, h := range s.Holds {
		lots = append(lots, h.Lot)
	}
	text := "lots " + strings.Join(lots, " ")
	if len(text) > letters {
		t.Lines[1] = text[letters:]
		text = text[:letters]
	}
	t.Lines[0] = text
	return t
}

// name is what people call a probe: where it stands, else what it is.
func name(p watch.Probe) string {
	if p.Appliance != "" {
		return string(p.Appliance)
	}
	return string(p.Probe)
}

// degrees has one decimal, as people read it.
func degrees(t coldkeep.Temperature) string { return fmt.Sprintf("%.1f", t.Celsius()) }

// power tells of mains and battery.
func power(s watch.Snapshot) string {
	text := string(s.Mains)
	if s.Battery.Known {
		text = strings.TrimSpace(fmt.Sprintf("%s %.0f%%", text, s.Battery.Percent))
		if s.Mains == watch.Unknown {
			text = "battery " + text
		}
	}
	return text
}

// draw paints a page.
func (t Text) draw() *image1bit.VerticalLSB {
	img := image1bit.NewVerticalLSB(image.Rect(0, 0, wide, high))
	write(img, t.Head, 11)
	small := image1bit.NewVerticalLSB(image.Rect(0, 0, wide/2, 16))
	write(small, t.Large, 11)
	for y := range 14 {
		for x := range wide / 2 {
			if small.BitAt(x, y) {
				for _, p := range [...][2]int{{0, 0}, {0, 1}, {1, 0}, {1, 1}} {
					img.SetBit(2*x+p[0], 12+2*y+p[1], image1bit.On)
				}
			}
		}
	}
	write(img, t.Lines[0], 49)
	write(img, t.Lines[1], 62)
	return img
}

func write(img draw.Image, text string, baseline int) {
	d := font.Drawer{Dst: img, Src: &image.Uniform{C: image1bit.On}, Face: basicfont.Face7x13, Dot: fixed.P(0, baseline)}
	d.DrawString(text)
}
