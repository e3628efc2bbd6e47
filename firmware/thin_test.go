package firmware

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/outbox"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

func thinRecord(second int, c coldkeep.Temperature) outbox.Record {
	const none = coldkeep.NoTemperature
	r := outbox.Record{Record: wire.Record{Probe: "a", At: int64(second) * 1000, Celsius: c, Raw: none, Lo: none, Hi: none}}
	if !c.Known() {
		r.Quality = coldkeep.QualityCRC
	}
	return r
}

func TestThin(t *testing.T) {
	const none = coldkeep.NoTemperature
	r := &recorder{cfg: Config{Report: time.Minute}, thins: make(map[coldkeep.ProbeID]*thinned)}
	var got string
	for _, s := range []struct {
		second int
		value  coldkeep.Temperature
	}{
		{5, 4000},                                                   // the first
		{10, 3900}, {20, 5000}, {59, 4100}, {60, 4200}, {119, 4300}, // extremes between
		{120, 4400},                           // of two samples
		{180, none}, {190, none}, {200, 4500}, // a fault that is over in its slot is none
		{240, none}, {250, none}, {299, none}, {300, none}, {360, 4600}, // and two that are not
		{420, 4700},
	} {
		for _, rec := range r.thin(thinRecord(s.second, s.value)) {
			got += fmt.Sprintf("%d %v%v[%v,%v] ", rec.At/1000, rec.Celsius, rec.Quality, rec.Lo, rec.Hi)
		}
	}
	if want := "5 4[,] 60 4.2[3.9,5] 120 4.4[4.3,4.4] 200 4.5[,] 240 crc[,] 300 crc[,] 360 4.6[,] 420 4.7[,] "; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The extremes of what is recorded are those of all samples, a slot has at most one
// record, and each slot with a sample has one, the last perhaps not yet.
func TestThinPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const none = coldkeep.NoTemperature
		r := &recorder{cfg: Config{Report: time.Minute}, thins: make(map[coldkeep.ProbeID]*thinned)}
		lo, hi := none, none // of all up to the latest record with a value
		gotLo, gotHi := none, none
		widen := func(lo, hi *coldkeep.Temperature, c coldkeep.Temperature) {
			if c.Known() {
				if *lo = min(*lo, c); !hi.Known() {
					*lo = c
				}
				*hi = max(*hi, c)
			}
		}
		slots, records := map[int64]bool{}, map[int64]int{}
		second := 0
		for range rapid.IntRange(1, 80).Draw(t, "samples") {
			second += rapid.IntRange(1, 90).Draw(t, "gap")
			c := rapid.SampledFrom([]coldkeep.Temperature{none, 1000, 2000, 3000, 4000, 5000}).Draw(t, "value")
			slots[int64(second)/60] = true
			widen(&lo, &hi, c)
			for _, rec := range r.thin(thinRecord(second, c)) {
				records[rec.At/60000]++
				for _, v := range []coldkeep.Temperature{rec.Celsius, rec.Lo, rec.Hi} {
					widen(&gotLo, &gotHi, v)
				}
				if rec.Celsius.Known() && (gotLo != lo || gotHi != hi) {
					t.Fatalf("recorded %v to %v, sampled %v to %v", gotLo, gotHi, lo, hi)
				}
			}
		}
		for slot := range slots {
			if n := records[slot]; n > 1 || n == 0 && slot != int64(second)/60 {
				t.Fatalf("slot %d has %d records", slot, n)
			}
		}
	})
}
