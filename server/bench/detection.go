package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"muster/rules"
	"muster/server/bus"
	"muster/server/database"
	"muster/server/detect"
	"muster/server/matcher/corpus"
)

// ruleCounts are the numbers of rules that events are matched with.
var ruleCounts = []int{100, 400, 1_600, 6_400}

// costRules is how many rules a server has, beside those that ship, where the cost
// of detection is measured: as many as SigmaHQ has about processes.
const costRules = 1_600

// measureDetection prints how fast events are matched, and what that costs of ingest.
func (p plan) measureDetection(ctx context.Context) error {
	if err := p.measureMatching(); err != nil {
		return err
	}
	fmt.Printf("\n%-34s %12s %14s %8s\n", "ingest", "with rules", "without", "ratio")
	for _, engine := range []string{"sqlite", "postgres"} {
		if err := p.measureCost(ctx, engine); err != nil {
			return fmt.Errorf("%s: %w", engine, err)
		}
	}
	return nil
}

// measureMatching prints events a second on one core by number of rules, beside the
// same rules one by one.
func (p plan) measureMatching() error {
	fmt.Printf("\n%-12s %14s %14s %9s %14s %14s %9s %10s\n", "rules", "benign/s", "one by one", "evaluated", "hostile/s", "one by one", "evaluated", "compiled in")
	var first, last corpus.Measurement
	for i, n := range ruleCounts {
		m, err := corpus.Measure(n, time.Duration(p.rounds)*p.duration)
		if err != nil {
			return err
		}
		fmt.Printf("%-12d %14.0f %14.0f %9.1f %14.0f %14.0f %9.1f %10s\n", n, m.Benign.Indexed, m.Benign.OneByOne, m.Benign.Evaluated,
			m.Hostile.Indexed, m.Hostile.OneByOne, m.Hostile.Evaluated, m.Compile.Round(time.Millisecond))
		if last = m; i == 0 {
			first = m
		}
	}
	fmt.Printf("  %d times the rules: benign event x %.1f, hostile event x %.1f\n", ruleCounts[len(ruleCounts)-1]/ruleCounts[0],
		first.Benign.Indexed/last.Benign.Indexed, first.Hostile.Indexed/last.Hostile.Indexed)
	return nil
}

// measureCost lets two servers take rows in turns: one with the rules that ship and
// many more, and one without any.
func (p plan) measureCost(ctx context.Context, engine string) error {
	with, err := p.serverWithRules(ctx, engine, costRules)
	if err != nil {
		return err
	}
	defer with.stop()
	without, err := p.serverWithRules(ctx, engine, 0)
	if err != nil {
		return err
	}
	defer without.stop()
	return versus(p, fmt.Sprintf("%s: durable rows, %d rules", engine, costRules+len(rules.All())),
		func() (float64, error) { return ingest(ctx, p, with.server, with.keys) },
		func() (float64, error) { return ingest(ctx, p, without.server, without.keys) })
}

// ruled is a server with a number of rules, and hosts.
type ruled struct {
	*server
	keys    []string
	scratch *scratch
}

func (r *ruled) stop() {
	if r.server != nil {
		r.server.stop()
	}
	r.scratch.drop()
}

// serverWithRules starts a server that has the rules that ship and more of them, or
// none at all.
func (p plan) serverWithRules(ctx context.Context, engine string, more int) (r *ruled, err error) {
	r = &ruled{}
	if r.scratch, err = newScratch(ctx, p, engine); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	if err := storeRules(ctx, r.scratch.url, more); err != nil {
		return nil, err
	}
	if r.server, err = startServerOn(ctx, p, engine, r.scratch.url); err != nil {
		return nil, err
	}
	r.keys, err = enrollMany(r.server, workers)
	return r, err
}

// storeRules installs the rules that ship and adds others; with none to add it
// switches all off.
func storeRules(ctx context.Context, address string, more int) error {
	db, err := database.Open(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	store := detect.New(db, bus.NewMemory(), slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), detect.Options{Shipped: rules.Files})
	if err := store.Load(ctx); err != nil {
		return err
	}
	if more == 0 {
		return db.Write(ctx).Exec("UPDATE rules SET status = ?, updated_at = updated_at + 1", detect.Inactive).Error
	}
	for i, conditions := range corpus.Rules(more) {
		text, err := json.Marshal(conditions)
		if err != nil {
			return err
		}
		if _, err := store.Add(ctx, detect.Rule{Name: fmt.Sprintf("made up %d", i), Conditions: text}); err != nil {
			return err
		}
	}
	return nil
}
