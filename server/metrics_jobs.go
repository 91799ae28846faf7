package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"muster/server/jobs"
)

// jobCounts shows how many jobs there are, which takes a look at the database.
type jobCounts struct {
	queue *jobs.Queue
	desc  *prometheus.Desc
}

func (m *metrics) jobs(a *app) {
	m.registry.MustRegister(&jobCounts{a.jobs, prometheus.NewDesc("muster_jobs",
		"Jobs by kind and state: waiting, running, or dead, which failed for good and wait to be replayed.", []string{"kind", "state"}, nil)})
}

// Describe names the one metric.
func (c *jobCounts) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect counts; nothing is shown while the database does not answer.
func (c *jobCounts) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := c.queue.Counts(ctx)
	if err != nil {
		return
	}
	for kind, states := range counts {
		for state, n := range states {
			to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n), kind, string(state))
		}
	}
}
