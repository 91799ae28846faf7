package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"muster/server/alerts"
	"muster/server/bus"
	"muster/server/hosts"
	"muster/server/intel"
	"muster/server/jobs"
	"muster/server/pipeline"
	"muster/server/seal"
)

const (
	newIndicators = 10_000
	historyHosts  = 1_000 // as the generated entries have them
)

// lookBack is a history that indicators are looked for in.
type lookBack struct {
	intel *intel.Store
	retro *pipeline.Retro
}

// measureRetro stores new indicators and looks for them in all entries: hashes of which
// half were seen, which the index answers, and as many networks and domain names, for
// which every entry is looked at.
func (h *history) measureRetro(ctx context.Context, rows int) error {
	b, err := h.openLookBack(ctx)
	if err != nil {
		return err
	}
	hashes, broad := make([]intel.NewIndicator, newIndicators), make([]intel.NewIndicator, newIndicators)
	for i := range int64(newIndicators) {
		n := i*int64(rows/newIndicators)/10*10 + 8 // a file's row
		if i%2 == 1 {
			n += 1 << 31 // beyond all rows
		}
		hashes[i] = intel.NewIndicator{Type: intel.SHA256, Value: hashOf(n), ThreatName: "bench", Severity: "LOW"}
		broad[i] = intel.NewIndicator{Type: intel.Address, Value: fmt.Sprintf("20.%d.%d.0/24", i>>8, i&255), ThreatName: "bench", Severity: "LOW"}
		if i%2 == 1 {
			broad[i].Type, broad[i].Value = intel.Domain, fmt.Sprintf("bad%d.example", i)
		}
	}
	if err := b.measure(ctx, "hashes", hashes, newIndicators/2); err != nil {
		return err
	}
	return b.measure(ctx, "networks, names", broad, 0)
}

func (h *history) openLookBack(ctx context.Context) (*lookBack, error) {
	log, hints := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), bus.NewMemory()
	register := hosts.New(h.db, hints, log, hosts.Options{})
	if err := register.Load(ctx); err != nil {
		return nil, err
	}
	if err := register.EnsureSecret(ctx, hosts.NewSecret{Name: "bench", Secret: "enrol-me-please"}); err != nil {
		return nil, err
	}
	for n := range historyHosts {
		if _, _, err := register.Enroll(ctx, hosts.Enrollment{Secret: "enrol-me-please", Identifier: fmt.Sprintf("host-%d", n), PlatformType: "9", Address: "192.0.2.1"}); err != nil {
			return nil, err
		}
	}
	box, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		return nil, err
	}
	queue := jobs.NewQueue(h.db, hints, log, jobs.QueueOptions{})
	store := intel.New(h.db, box, hints, log, intel.Options{Jobs: queue})
	raiser := &pipeline.Raiser{
		DB: h.db, Alerts: alerts.New(h.db), Jobs: queue, Bus: hints, Everyone: func(context.Context) ([]string, error) { return nil, nil },
	}
	return &lookBack{intel: store, retro: &pipeline.Retro{
		Raiser: raiser, Hosts: register, Results: h.store, Intel: store, Walk: time.Hour, Log: log,
	}}, store.Load(ctx)
}

// measure looks for indicators once, since they are new only once.
func (b *lookBack) measure(ctx context.Context, what string, all []intel.NewIndicator, want int) error {
	started := time.Now()
	if _, err := b.intel.Import(ctx, intel.Import{Feed: strings.ReplaceAll(what, ", ", "-"), Indicators: all}); err != nil {
		return err
	}
	stored := time.Since(started)
	started = time.Now()
	if err := b.retro.Work(ctx, jobs.Job{}); err != nil {
		return err
	}
	took := time.Since(started)
	runs, err := b.intel.RetroRuns(ctx)
	if err != nil {
		return err
	}
	run := runs[0]
	fmt.Printf("  %-32s %-14s %d alerts raised; stored in %s\n", fmt.Sprintf("look back for %d %s", len(all), what), took.Round(time.Millisecond), run.Alerts, stored.Round(time.Millisecond))
	if run.Alerts < want-want/50 || !run.Complete {
		return fmt.Errorf("a look back raised %d alerts of %d, complete: %v", run.Alerts, want, run.Complete)
	}
	return nil
}
