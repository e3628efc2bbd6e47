package inputs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"periph.io/x/conn/v3/i2c"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware"
	"github.com/coldkeep/coldkeep/firmware/watch"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/sensors/chip"
	"github.com/coldkeep/coldkeep/sensors/max17048"
)

// How often the fuel gauge is asked, and when its battery is low: at 20 % a Pi with two
// cells of 18650 has about an hour left, enough for somebody to come. It is low once,
// until it has been charged past 25 %.
const (
	gaugeEvery  = 30 * time.Second
	gaugeLimit  = 2 * time.Second
	batteryLow  = 20.0
	batteryGood = 25.0
)

// Battery asks the fuel gauge on an I2C bus until ctx ends, shows on w what it says,
// and tells when the battery gets low. A gauge that does not answer is told of once,
// in the log.
func Battery(ctx context.Context, line *chip.Line[i2c.Bus], w *watch.Watch, tell firmware.Tell, log *slog.Logger) {
	low := false
	var failed coldkeep.Quality
	for {
		r, q := gauge(ctx, line)
		switch {
		case ctx.Err() != nil:
			return
		case q != coldkeep.QualityGood:
			if q != failed {
				log.Warn("fuel gauge cannot be read", "bus", line.String(), "fault", q)
			}
			w.SetBattery(watch.Battery{})
		default:
			w.SetBattery(watch.Battery{Known: true, Percent: r.Percent, Volts: r.Volts})
			switch {
			case r.Percent <= batteryLow && !low:
				err := tell(ctx, "", wire.EventBatteryLow, fmt.Sprintf("%s, %.2f V", charge(w.Snapshot().Battery), r.Volts))
				if low = err == nil; !low && ctx.Err() == nil {
					log.Error("low battery cannot be recorded; trying again", "err", err)
				}
			case r.Percent >= batteryGood:
				low = false
			}
		}
		failed = q
		if (coldkeep.RealClock{}).Sleep(ctx, gaugeEvery) != nil {
			return
		}
	}
}

// gauge reads the gauge once.
func gauge(ctx context.Context, line *chip.Line[i2c.Bus]) (r max17048.Reading, q coldkeep.Quality) {
	ctx, cancel := context.WithTimeout(ctx, gaugeLimit)
	defer cancel()
	err := line.Do(ctx, func(bus i2c.Bus) error {
		return chip.Mux{}.Do(ctx, bus, func(bus i2c.Bus) (err error) {
			r, q, err = max17048.Read(bus)
			return err
		})
	})
	if err != nil {
		return max17048.Reading{}, chip.Fault(err)
	}
	return r, q
}

// charge is what an event says of the battery, "" when it is not known.
func charge(b watch.Battery) string {
	if !b.Known {
		return ""
	}
	return fmt.Sprintf("ups %.0f%%", b.Percent)
}
