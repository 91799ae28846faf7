package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/agentapi/agenttest"
)

// fleet is a simulated fleet from the terminal.
type fleet struct {
	count               int
	platforms, versions string
	paths               string
	ramp, every, poll   time.Duration
	attacks             time.Duration
	seed                int64
	state               string
}

func agentsCommand() command {
	return command{
		name:    cmdAgents,
		summary: "run a fleet of simulated osquery agents",
		usage:   []string{"muster agents [--count N] [--platform SHARES] [--version SHARES] [FLAGS]"},
		about: "The agents speak osquery's protocol and follow its rules; rows are made up and depend on the seed only:\n" +
			"the same seed is the same machine, which enrols as the same host again. Ctrl-C ends them.\n" +
			"With --attacks they do now and then what shipped rules look for, as far as their config reports it\n" +
			"(the pack security reports most of it):\n" + scenarioList(),
		exits: []string{"0 ended by Ctrl-C", "1 no agent could enrol, or failed", "2 wrong flags or settings"},
		define: func(own *flag.FlagSet) runner {
			var f fleet
			own.IntVar(&f.count, "count", 25, "`number` of agents")
			own.StringVar(&f.platforms, "platform", "mix", "one of linux, darwin and windows, `shares` such as linux=6,windows=3,darwin=1, or mix")
			own.StringVar(&f.versions, "version", "5.23", "an osquery version ("+versionNames()+"), `shares` such as 5.9=1,5.23=4, or mix")
			own.StringVar(&f.paths, "paths", "original", "whose `flagfile` they have: original, or fleet for the paths of a Fleet server")
			own.DurationVar(&f.ramp, "ramp", 0, "start them evenly over this `duration` and not at once")
			own.DurationVar(&f.poll, "interval", 0, "ask for live queries at this `duration` and not as the config says")
			own.DurationVar(&f.attacks, "attacks", 0, "let each host show, after this `duration` on average, an attack that shipped rules find; 0: never")
			own.DurationVar(&f.every, "every", 5*time.Second, "print a line of figures at this `duration`")
			own.Int64Var(&f.seed, "seed", 1, "the first machine's `number`")
			own.StringVar(&f.state, "state", "", "keep what an agent keeps on its disk in this `folder`")
			return func(ctx context.Context, t terminal, cfg Config, args []string) int {
				if len(args) > 0 {
					return usageError(t, cmdAgents, fmt.Errorf("unexpected argument %q", args[0]))
				}
				options, err := f.options()
				if err != nil {
					return usageError(t, cmdAgents, err)
				}
				return f.run(ctx, t, cfg, options)
			}
		},
	}
}

// scenarioList names the attacks that hosts can show, a line for each platform.
func scenarioList() string {
	var lines []string
	for _, platform := range []agenttest.Platform{agenttest.Linux, agenttest.Darwin, agenttest.Windows} {
		var names []string
		for _, s := range agenttest.Scenarios(platform) {
			names = append(names, s.Name)
		}
		lines = append(lines, fmt.Sprintf("  %s: %s", platform, strings.Join(names, ", ")))
	}
	return strings.Join(lines, "\n")
}

func versionNames() string {
	var names []string
	for _, v := range agenttest.Versions() {
		names = append(names, string(v))
	}
	return strings.Join(names, ", ")
}

// options reads the flags, without the server's side.
func (f *fleet) options() (o agenttest.FleetOptions, err error) {
	if f.count < 1 || f.ramp < 0 || f.poll < 0 || f.attacks < 0 || f.every <= 0 {
		return o, errors.New("--count, --every and other numbers must be positive")
	}
	o = agenttest.FleetOptions{Count: f.count, Ramp: f.ramp}
	o.Seed, o.StateDir, o.Intervals.Distributed, o.Attacks = f.seed, f.state, f.poll, f.attacks
	if o.Platforms, err = parseShares(f.platforms, []agenttest.Platform{agenttest.Linux, agenttest.Darwin, agenttest.Windows}); err != nil {
		return o, fmt.Errorf("--platform: %w", err)
	}
	if o.Versions, err = parseShares(f.versions, agenttest.Versions()); err != nil {
		return o, fmt.Errorf("--version: %w", err)
	}
	switch f.paths {
	case "original":
	case "fleet":
		o.Paths = agenttest.FleetPaths()
	default:
		return o, fmt.Errorf("--paths: %q is not original or fleet", f.paths)
	}
	return o, nil
}

// parseShares takes "mix" (equal shares of all), one kind, or kind=share,kind=share.
func parseShares[T ~string](text string, kinds []T) (map[T]int, error) {
	shares := map[T]int{}
	if text == "mix" {
		for _, kind := range kinds {
			shares[kind] = 1
		}
		return shares, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, number, isShare := strings.Cut(strings.TrimSpace(part), "=")
		share := 1
		if isShare {
			n, err := strconv.ParseUint(number, 10, 16)
			if err != nil || n == 0 {
				return nil, fmt.Errorf("the share of %s is not a positive number", name)
			}
			share = int(n)
		}
		if !slices.Contains(kinds, T(name)) {
			return nil, fmt.Errorf("%q is none of %v", name, kinds)
		}
		shares[T(name)] += share
	}
	return shares, nil
}

func (f *fleet) run(ctx context.Context, t terminal, cfg Config, o agenttest.FleetOptions) int {
	if err := connect(cfg, &o.Options); err != nil {
		return failed(t, cmdAgents, err)
	}
	o.Log = cfg.Logger(t.err)
	agents, err := agenttest.NewFleet(o)
	if err != nil {
		return failed(t, cmdAgents, err)
	}
	if err := healthcheck(ctx, cfg, "/healthz"); err != nil && ctx.Err() == nil {
		fmt.Fprintf(t.err, "muster agents: the server does not answer yet, the agents keep trying: %v\n", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- agents.Run(ctx) }()
	ticker := time.NewTicker(f.every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			fmt.Fprintln(t.out, agents.Stats())
		case err := <-ended:
			last := agents.Stats()
			fmt.Fprintln(t.out, last)
			if err == nil && last.Enrolled == 0 && last.Requests > 0 {
				err = fmt.Errorf("no agent could enrol at %s: is the secret right?", cfg.Server)
			}
			if err != nil {
				return failed(t, cmdAgents, err)
			}
			return exitOK
		}
	}
}

// connect says where the agents go, whom they trust and which secret they have:
// by default those of the server on this machine.
func connect(cfg Config, o *agenttest.Options) error {
	trusted, err := trust(cfg)
	if err != nil {
		return err
	}
	o.Server, o.RootCAs, o.Secret = cfg.Server, trusted.RootCAs, cfg.EnrollSecret
	if o.Secret == "" {
		content, err := os.ReadFile(cfg.SecretFile())
		if err != nil {
			return fmt.Errorf("there is no enrol secret: set MUSTER_ENROLL_SECRET, or say with MUSTER_DATA where the server keeps its own: %w", err)
		}
		o.Secret = strings.TrimSpace(string(content))
	}
	if trusted.ServerName == "" {
		return nil
	}
	// The certificate stands for another name than localhost: call the server by
	// that name and knock at this machine all the same.
	local, err := url.Parse(cfg.Server)
	if err != nil {
		return err
	}
	o.Server = "https://" + net.JoinHostPort(trusted.ServerName, local.Port())
	o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, local.Host)
	}
	return nil
}
