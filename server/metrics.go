package main

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics is what /metrics shows. Names are muster_*; units are in the names.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(a *app) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muster_agent_requests_total", Help: "Requests of agents by endpoint and outcome (ok or the kind of failure).",
		}, []string{"endpoint", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "muster_agent_request_seconds", Help: "Time to answer a request of an agent.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
		}, []string{"endpoint"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.duration,
	)
	m.gauge("muster_up", "1 while the server runs; the label says which build.", prometheus.Labels{"version": versionText()}, func() float64 { return 1 })
	m.results(a)
	m.detection(a)
	m.jobs(a)
	m.fleet(a)
	m.registry.MustRegister(lags{a.destinations})
	return m
}

// results shows the way of the log: what waits, what was stored.
func (m *metrics) results(a *app) {
	gauges := []struct {
		name, help string
		value      func() float64
	}{
		{"muster_results_queued_lines", "Log lines that wait for their commit.", func() float64 { return float64(a.results.Stats().QueuedLines) }},
		{"muster_results_queued_bytes", "Bytes of log lines that wait for their commit.", func() float64 { return float64(a.results.Stats().QueuedBytes) }},
		{"muster_results_last_commit_seconds", "Time that the last commit of log lines took.", func() float64 { return a.results.Stats().LastCommit.Seconds() }},
	}
	for _, g := range gauges {
		m.gauge(g.name, g.help, nil, g.value)
	}
	counters := []struct {
		name, help string
		value      func() float64
	}{
		{"muster_results_stored_lines_total", "Log lines stored.", func() float64 { return float64(a.results.Stats().Lines) }},
		{"muster_results_duplicate_lines_total", "Log lines that came again and were dropped.", func() float64 { return float64(a.results.Stats().Duplicates) }},
		{"muster_results_failed_requests_total", "Requests whose log lines could not be stored; agents keep them.", func() float64 { return float64(a.results.Stats().Failures) }},
		{"muster_results_refused_requests_total", "Requests turned away because the queue was full; agents keep their lines.", func() float64 { return float64(a.results.Stats().Refused) }},
		{"muster_results_commits_total", "Commits of log lines.", func() float64 { return float64(a.results.Stats().Batches) }},
	}
	for _, c := range counters {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help}, c.value))
	}
}

// detection shows what rules and indicators do.
func (m *metrics) detection(a *app) {
	m.gauge("muster_rules", "Active rules by whether they can be evaluated.", prometheus.Labels{"state": "evaluated"}, func() float64 { return float64(a.detect.Stats().Rules) })
	m.gauge("muster_rules", "Active rules by whether they can be evaluated.", prometheus.Labels{"state": "broken"}, func() float64 { return float64(a.detect.Stats().Broken) })
	for _, c := range []struct {
		name, help string
		value      func() float64
	}{
		{"muster_detection_rows_total", "Rows that rules were evaluated on.", func() float64 { return float64(a.detect.Stats().Rows) }},
		{"muster_detection_matches_total", "Matches of rules, suppressed ones included.", func() float64 { return float64(a.detect.Stats().Matched) }},
		{"muster_detection_suppressed_total", "Matches that an exception kept from alerting.", func() float64 { return float64(a.detect.Stats().Suppressed) }},
		{"muster_detection_failures_total", "Times that a rule could not be evaluated on a row.", func() float64 { return float64(a.detect.Stats().Failed) }},
		{"muster_detection_incomplete_rows_total", "Rows that were left to a replay because some rule could not be evaluated.", func() float64 { return float64(a.detect.Stats().Incomplete) }},
		{"muster_detection_seconds_total", "Time spent on evaluating rules.", func() float64 { return a.detect.Stats().Time.Seconds() }},
		{"muster_detection_unheard_rows_total", "Rows whose alerts are lost: they were neither raised in the commit nor left to a replay.", func() float64 { return float64(a.results.Stats().Unheard) }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help}, c.value))
	}
}

// fleet shows how many hosts are there, as this replica sees them.
func (m *metrics) fleet(a *app) {
	for _, state := range []string{"online", "offline"} {
		m.gauge("muster_hosts", "Enabled hosts by whether they were heard from in the last five minutes.", prometheus.Labels{"state": state}, func() float64 {
			platforms, err := a.hosts.Counts(context.Background()) // memory only
			if err != nil {
				return math.NaN()
			}
			n := 0
			for _, platform := range platforms {
				if state == "online" {
					n += platform.Online
				} else {
					n += platform.Offline
				}
			}
			return float64(n)
		})
	}
}

func (m *metrics) gauge(name, help string, labels prometheus.Labels, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
}

// agentRequest counts one answered request of an agent.
func (m *metrics) agentRequest(endpoint, outcome string, took time.Duration) {
	m.requests.WithLabelValues(endpoint, outcome).Inc()
	m.duration.WithLabelValues(endpoint).Observe(took.Seconds())
}
