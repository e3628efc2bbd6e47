package firmware

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep/firmware/outbox"
	"github.com/coldkeep/coldkeep/firmware/uplink"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/sensors"
)

// device joins the parts of a running agent.
type device struct {
	cfg  Config
	box  *outbox.Box
	rec  *recorder
	src  sensors.Source
	link *uplink.Uplink
}

func newDevice(ctx context.Context, cfg Config, box *outbox.Box) (*device, error) {
	rec, err := newRecorder(ctx, cfg, box)
	if err != nil {
		return nil, err
	}
	d := &device{cfg: cfg, box: box, rec: rec}
	d.src, err = cfg.Source(Start{Last: rec.last, Configured: rec.configured(), Interval: rec.interval(), Clock: cfg.Clock, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	d.link, err = uplink.New(uplink.Config{
		Broker: cfg.Broker, Username: cfg.Username, Password: cfg.Password, TLS: cfg.TLS,
		Site: cfg.Site, Agent: cfg.Agent, Outbox: box, Log: cfg.Log, ResendAfter: cfg.ResendAfter,
		Status:    d.status,
		OnConfig:  func(c wire.Config) { d.configure(ctx, c) },
		OnCommand: d.command,
	})
	if err != nil {
		return nil, err
	}
	rec.onProbe = d.link.Announce
	return d, nil
}

// run records and delivers until ctx ends, the source fails, or all is done.
func (d *device) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	linkDone := make(chan struct{})
	go func() {
		defer close(linkDone)
		_ = d.link.Run(ctx) // it gives no error
	}()
	defer func() { stop(); <-linkDone }()

	after := d.lookAfter(ctx)
	defer func() { stop(); <-after }()
	d.rec.connect(ctx)
	if err := d.rec.event(ctx, "", wire.EventBoot, d.cfg.Version); err != nil {
		return ended(ctx, err)
	}
	if lost := d.box.Lost(); lost != "" {
		if err := d.rec.event(ctx, "", eventOutboxDamaged, lost); err != nil {
			return ended(ctx, err)
		}
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop() // before Wait
	for _, input := range d.cfg.Inputs {
		beside.Go(func() { input(ctx, d.rec.event) })
	}
	if err := d.src.Run(ctx, d.rec.emit); err != nil {
		return ended(ctx, err)
	}
	if d.cfg.ExitWhenDone {
		d.cfg.Log.Info("source is at its end; waiting for the collector's acknowledgement", "pending", d.box.State().Pending())
		return ended(ctx, d.box.WaitDelivered(ctx))
	}
	d.cfg.Log.Info("source is at its end; delivering what is left")
	<-ctx.Done()
	return nil
}

// ended turns what follows from the end of ctx into nil.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (d *device) status() wire.Status {
	st := wire.Status{Version: d.cfg.Version, Config: d.rec.revision(),
		Health: map[string]any{"pending": d.box.State().Pending(), "clock": d.rec.trust()}}
	if why := d.rec.refusal(); why != "" {
		st.Health["cfg_refused"] = why
	}
	if s, ok := d.src.(interface{ Late() time.Duration }); ok {
		st.Health["late_ms"] = s.Late().Milliseconds()
	}
	if s, ok := d.src.(interface{ Probes() []sensors.Info }); ok {
		for _, p := range s.Probes() {
			st.Probes = append(st.Probes, wire.ProbeInfo{Probe: p.Probe, Kind: p.Kind, Bus: p.Bus})
		}
	}
	return st
}

// configure puts a configuration of the collector in force.
func (d *device) configure(ctx context.Context, c wire.Config) {
	before := d.rec.refusal()
	changed, err := d.rec.configure(ctx, c)
	if d.rec.refusal() != before {
		d.link.Announce() // the status tells of it
	}
	if err != nil {
		d.cfg.Log.Error("configuration is refused; the one before stays in force", "cfg", c.Revision, "err", err)
		return
	}
	if !changed {
		return // retained: it comes again with each connection
	}
	d.cfg.Log.Info("configuration in force", "cfg", c.Revision, "interval_s", c.Interval, "probes", len(c.Probes))
	if s, ok := d.src.(interface{ SetInterval(time.Duration) }); ok && c.Interval > 0 {
		s.SetInterval(time.Duration(c.Interval) * time.Second)
	}
	d.link.Announce() // the status names the revision
}

func (d *device) command(c wire.Command) {
	switch c.Cmd {
	case wire.CommandSampleNow:
		if s, ok := d.src.(interface{ SampleNow() }); ok {
			s.SampleNow()
			return
		}
		d.cfg.Log.Info("sample-now: this source goes by its own times")
	case wire.CommandIdentify:
		d.cfg.Log.Warn("identify: the collector asks which device this is", "site", d.cfg.Site, "agent", d.cfg.Agent)
		if d.cfg.Identify != nil {
			d.cfg.Identify()
		}
	case wire.CommandUpdate:
		if d.cfg.Update == nil {
			d.cfg.Log.Info("update: this device is told by nobody where new versions are")
			return
		}
		d.cfg.Update()
	default:
		d.cfg.Log.Warn("command is not known to this version", "cmd", c.Cmd, "version", d.cfg.Version)
	}
}
