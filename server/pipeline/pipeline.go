// Package pipeline is the way of a report: the one place where what a host sends
// crosses features. It writes no table of its own and knows no wire.
package pipeline

import (
	"context"
	"log/slog"
	"strings"

	"muster/server/carves"
	"muster/server/distributed"
	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/results"
)

// Pipeline connects the features that a report passes through.
type Pipeline struct {
	Hosts       *hosts.Store
	Results     *results.Store
	Distributed *distributed.Store
	Carves      *carves.Store
	Detection   *Detection // nil: nobody looks at what arrives
	Log         *slog.Logger
}

// Accept looks at the lines of one host, stores them and returns how many were new.
// When it returns nil they are committed, and the alerts that they raise with them.
// Faults: Busy when the queue is full.
func (p *Pipeline) Accept(ctx context.Context, h *hosts.Host, lines []results.Line) (stored int, err error) {
	if p.Detection != nil {
		p.Detection.look(h, lines)
	}
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

// Answer takes what a host answered: everything but details and carves belongs to
// live queries, details go to the host's record, and carves that an answer
// announces are tied to its query. When it returns nil the answers are committed.
//
// Faults: Busy and Internal. What is wrong with an answer is logged and no reason
// to refuse it: the agent would send it again for ever.
func (p *Pipeline) Answer(ctx context.Context, host *hosts.Host, reports []distributed.Report) error {
	var details, live []distributed.Report
	for _, report := range reports {
		if strings.HasPrefix(report.ID, detailPrefix) {
			details = append(details, report)
		} else {
			live = append(live, report)
		}
	}
	if len(live) > 0 {
		if err := p.Distributed.Answer(ctx, host.ID, live); err != nil {
			return err
		}
	}
	if err := p.saveDetails(ctx, host, details); err != nil {
		return err
	}
	return p.announceCarves(ctx, host, live)
}

func (p *Pipeline) saveDetails(ctx context.Context, host *hosts.Host, reports []distributed.Report) error {
	for _, report := range reports {
		name := strings.TrimPrefix(report.ID, detailPrefix)
		if report.Status != 0 {
			p.Log.Warn("a host could not tell its details", "host_id", host.ID, "detail", name, "message", report.Message)
			continue
		}
		if err := p.ours(p.Hosts.SaveDetail(ctx, host.ID, name, rowsOf(report.Rows)), host); err != nil {
			return err
		}
	}
	return nil
}

// ours returns the failures that sending again may mend, and logs the others.
func (p *Pipeline) ours(err error, host *hosts.Host) error {
	if kind := fault.KindOf(err); err == nil || kind == fault.Busy || kind == fault.Internal {
		return err
	}
	p.Log.Warn("a part of an answer was dropped", "host_id", host.ID, "error", err)
	return nil
}
