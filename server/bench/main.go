// Command bench measures a real server beside the least that the same machine
// must do, in one run: run it with make bench.
//
// It starts muster as a process of its own for each engine, with fsync on, and
// loads it over loopback TLS. Every figure is a median of rounds in which the
// thing measured and its yardstick take turns, so that a machine that is slow
// for a while slows both.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

// plan is what the flags say.
type plan struct {
	binary   string
	postgres string
	rounds   int
	duration time.Duration
	rows     int
	hosts    int
	history  []int // entries

	onlyHistory, onlyDetection bool
}

// setHistory reads numbers of entries.
func (p *plan) setHistory(text string) error {
	p.history = nil
	for part := range strings.SplitSeq(text, ",") {
		rows, err := strconv.Atoi(part)
		if err != nil || rows < 0 {
			return fmt.Errorf("%q is no number of entries", part)
		}
		if rows > 0 {
			p.history = append(p.history, rows)
		}
	}
	return nil
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == bareMode {
		serveBare()
		return
	}
	var p plan
	flag.StringVar(&p.binary, "muster", "bin/muster", "the binary to measure")
	flag.StringVar(&p.postgres, "postgres", os.Getenv("MUSTER_BENCH_POSTGRES"), "URL of a PostgreSQL server with fsync on, where databases may be made")
	flag.IntVar(&p.rounds, "rounds", 5, "rounds of each measurement")
	flag.DurationVar(&p.duration, "duration", 2*time.Second, "length of a round")
	flag.IntVar(&p.rows, "rows", 40000, "log rows in a round of ingest")
	flag.IntVar(&p.hosts, "hosts", 1000, "hosts that answer the live query")
	flag.Func("history", "entries to hunt and search through, such as 1000000,10000000; 0 leaves it out (default 1000000,10000000)", p.setHistory)
	p.history = []int{1_000_000, 10_000_000}
	only := flag.Bool("only-history", false, "hunt and search, and nothing else")
	detection := flag.Bool("only-detection", false, "detection, and nothing else")
	flag.Parse()
	p.onlyHistory, p.onlyDetection = *only, *detection
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := p.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (p plan) run(ctx context.Context) error {
	if p.postgres == "" {
		return fmt.Errorf("-postgres is not set: run make bench")
	}
	if !p.onlyHistory && !p.onlyDetection {
		fmt.Printf("%-34s %12s %14s %8s\n", "", "muster", "yardstick", "ratio")
		for _, engine := range []string{"sqlite", "postgres"} {
			if err := p.measure(ctx, engine); err != nil {
				return fmt.Errorf("%s: %w", engine, err)
			}
		}
	}
	if !p.onlyHistory {
		if err := p.measureDetection(ctx); err != nil {
			return fmt.Errorf("detection: %w", err)
		}
	}
	if p.onlyDetection {
		return nil
	}
	for _, engine := range []string{"sqlite", "postgres"} {
		if err := p.measureHistory(ctx, engine); err != nil {
			return fmt.Errorf("%s: %w", engine, err)
		}
	}
	return nil
}

// measure runs everything on one engine.
func (p plan) measure(ctx context.Context, engine string) error {
	s, err := startServer(ctx, p, engine)
	if err != nil {
		return err
	}
	defer s.stop()
	bare, err := startBare(ctx, s)
	if err != nil {
		return err
	}
	defer bare.stop()
	fmt.Printf("\n%s\n", engine)
	for _, m := range []func(context.Context, plan, *server, *bareServer) error{
		measureEnrolments, measurePolls, measureIngest, measureLive,
	} {
		if err := m(ctx, p, s, bare); err != nil {
			return err
		}
	}
	return nil
}
