package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
	"github.com/coldkeep/coldkeep/registryclient"
)

// checks are the collector's part of /readyz.
func (c *collector) checks() []check {
	return []check{
		{name: "readings store", ask: c.store.Ping},
		{name: "collector database", ask: c.ledger.Ping},
		{name: "broker", ask: func(context.Context) error {
			if !c.source.Connected() {
				return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the broker is away")
			}
			return nil
		}},
		// The collector works on while the registry is away.
		{name: "registry", mayFail: true, ask: func(context.Context) error {
			if c.client.Away() {
				return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the registry does not answer, or does not know our token; what it must hear waits here")
			}
			return nil
		}},
		{name: "intake", ask: func(context.Context) error {
			if c.ingest.Stuck() {
				return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "readings wait on the devices because they cannot be stored")
			}
			return nil
		}},
	}
}

// metrics are the collector's part of /metrics.
func (c *collector) metrics(reg *prometheus.Registry) {
	counter := func(name, help string, value func() int64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value()) }))
	}
	n := &c.ingest.Counts
	counter("coldkeep_ingest_batches_total", "Batches taken in.", n.Batches.Load)
	counter("coldkeep_ingest_readings_stored_total", "Readings stored for the first time.", n.Stored.Load)
	counter("coldkeep_ingest_records_repeated_total", "Records that had been dealt with before.", n.Repeated.Load)
	counter("coldkeep_ingest_records_quarantined_total", "Records that could not be what they claim to be.", n.Quarantined.Load)
	counter("coldkeep_ingest_payloads_refused_total", "Payloads that could not be read.", n.Refused.Load)
	counter("coldkeep_ingest_messages_total", "Messages taken from the broker.", n.Messages.Load)
	counter("coldkeep_ingest_takes_total", "Commits that carried them.", n.Takes.Load)
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "coldkeep_ingest_queued_bytes", Help: "Bytes of messages that wait or are being worked on."},
		func() float64 { return float64(n.QueuedBytes.Load()) }))
	if c.leases != nil {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "coldkeep_sites_held", Help: "Sites whose lease this collector holds."},
			func() float64 { return float64(c.leases.Status().Held) }))
	}
	counter("coldkeep_ingest_seals_total", "Seals that came and were kept.", n.Seals.Load)
	counter("coldkeep_ingest_seals_refused_total", "Seals that were refused, mostly for a wrong signature.", n.SealsRefused.Load)
	// Factors of 1.5 from 1 ms to half a minute, and days for what was kept back.
	age := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "coldkeep_ingest_age_seconds", Help: "Age of a batch's newest reading when it had become durable.",
		Buckets: append(prometheus.ExponentialBuckets(0.001, 1.5, 26), 300, 3600, 86_400)})
	reg.MustRegister(age)
	c.ingest.Age = func(d time.Duration) { age.Observe(d.Seconds()) }
	gauge := func(name, help string, value func(registryclient.Backlog) int64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			b, err := c.client.Backlog(ctx)
			if err != nil {
				return -1
			}
			return float64(value(b))
		}))
	}
	alarm := func(name, help string, value func(alerts.Counts) int64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			n, err := c.alerts.Counts(ctx)
			if err != nil {
				return -1
			}
			return float64(value(n))
		}))
	}
	alarm("coldkeep_alerts_open", "Alerts that nobody has answered; -1 when not known.", func(n alerts.Counts) int64 { return n.Open })
	alarm("coldkeep_alerts_unheard", "Of them, those that the last telling reached nobody of.", func(n alerts.Counts) int64 { return n.Unheard })
	alarm("coldkeep_alert_deliveries_pending", "Messages about alerts that have not arrived.", func(n alerts.Counts) int64 { return n.Pending })
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "coldkeep_sites_nobody_told", Help: "Sites whose alarms nobody is told about."}, func() float64 {
		var sites []coldkeep.SiteID
		for _, s := range c.client.Mirror().Sites {
			sites = append(sites, s.ID)
		}
		return float64(len(c.alerts.Unheard(sites)))
	}))
	gauge("coldkeep_registry_pending", "Parcels that the registry has not taken yet; -1 when not known.", func(b registryclient.Backlog) int64 { return b.Pending })
	gauge("coldkeep_registry_refused", "Parcels that the registry refused for good; -1 when not known.", func(b registryclient.Backlog) int64 { return b.Refused })
}
