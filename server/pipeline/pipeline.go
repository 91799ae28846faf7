// Package pipeline is the way of a report: the one place where what a host sends
// crosses features. It writes no table of its own and knows no wire.
package pipeline

import (
	"context"
	"log/slog"
	"strings"

	"muster/server/carves"
	"muster/server/distributed"
	"muster/server/hosts"
	"muster/server/results"
)

// Pipeline connects the features that a report passes through.
type Pipeline struct {
	Hosts       *hosts.Store
	Results     *results.Store
	Distributed *distributed.Store
	Carves      *carves.Store
	Log         *slog.Logger
}

// Accept stores the lines of one host and returns how many were new. When it
// returns nil they are committed. Faults: Busy when the queue is full.
func (p *Pipeline) Accept(ctx context.Context, _ *hosts.Host, lines []results.Line) (stored int, err error) {
	return p.Results.Append(ctx, lines)
}

// detailPrefix marks the queries that ask a host for its own details.
const detailPrefix = "detail:"

// Work returns what a host should run now: live queries and, when they are due,
// the queries for its details. It costs no SQL when there is nothing to do.
func (p *Pipeline) Work(ctx context.Context, host *hosts.Host) (distributed.Work, error) {
	work, err := p.Distributed.Claim(ctx, host.ID)
	if err != nil {
		return distributed.Work{}, err
	}
	due := p.Hosts.DueDetails(host)
	if len(due) == 0 {
		return work, nil
	}
	queries := make(map[string]string, len(work.Queries)+len(due))
	for id, sql := range work.Queries {
		queries[id] = sql
	}
	for name, sql := range due {
		queries[detailPrefix+name] = sql
	}
	work.Queries = queries
	return work, nil
}

// Answer takes what a host answered: details go to its record, carves that an
// answer announces are tied to the query, everything else belongs to live
// queries. When it returns nil the answers are committed.
func (p *Pipeline) Answer(ctx context.Context, host *hosts.Host, reports []distributed.Report) error {
	live := reports[:0:0]
	for _, report := range reports {
		name, isDetail := strings.CutPrefix(report.ID, detailPrefix)
		if !isDetail {
			live = append(live, report)
			continue
		}
		if report.Status != 0 {
			p.Log.Warn("a host could not tell its details", "host_id", host.ID, "detail", name, "message", report.Message)
			continue
		}
		if err := p.Hosts.SaveDetail(ctx, host.ID, name, rowsOf(report.Rows)); err != nil {
			return err
		}
	}
	if len(live) == 0 {
		return nil
	}
	if err := p.Distributed.Answer(ctx, host.ID, live); err != nil {
		return err
	}
	return p.announceCarves(ctx, host, live)
}
