package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"muster/server/outputs"
)

// lags shows how far log destinations got, as the database has it: every replica shows
// the same.
type lags struct{ destinations *outputs.Destinations }

var (
	lagRows      = lagMetric("behind_rows", "Ids of a stream that come after what a destination took: rows behind, at most.")
	lagSeconds   = lagMetric("behind_seconds", "For how long the first row has been waiting that a destination did not take.")
	lagFailing   = lagMetric("failing_seconds", "For how long a destination has been taking nothing; 0 while all is well.")
	lagDelivered = lagMetric("delivered_rows_total", "Rows that a destination took.")
	lagMissed    = lagMetric("missed_rows_total", "Rows that retention deleted before a destination took them, at most.")
)

func lagMetric(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("muster_destination_"+name, help, []string{"destination", "stream"}, nil)
}

// lagTimeout bounds the questions of one scrape.
const lagTimeout = 5 * time.Second

// Describe sends nothing: the series follow from what destinations there are.
func (l lags) Describe(chan<- *prometheus.Desc) {}

// Collect asks the database. Destinations that are switched off are left out.
func (l lags) Collect(series chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lagTimeout)
	defer cancel()
	all, err := l.destinations.Progress(ctx, "")
	if err != nil {
		series <- prometheus.NewInvalidMetric(lagRows, err)
		return
	}
	for _, p := range all {
		if !p.Active {
			continue
		}
		failing := 0.0
		if !p.FailingSince.IsZero() {
			failing = max(time.Since(p.FailingSince).Seconds(), 0)
		}
		for _, m := range []struct {
			desc  *prometheus.Desc
			kind  prometheus.ValueType
			value float64
		}{
			{lagRows, prometheus.GaugeValue, float64(p.BehindRows)}, {lagSeconds, prometheus.GaugeValue, p.Behind.Seconds()},
			{lagFailing, prometheus.GaugeValue, failing},
			{lagDelivered, prometheus.CounterValue, float64(p.Delivered)}, {lagMissed, prometheus.CounterValue, float64(p.Missed)},
		} {
			series <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value, p.Destination, string(p.Stream))
		}
	}
}
