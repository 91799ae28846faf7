// Command muster is an osquery fleet manager: the server, the simulated fleet
// and the tools of whoever runs them, in one binary.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit statuses that every command shares.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is one word after muster.
type command struct {
	name    string
	summary string
	usage   []string
	about   string
	exits   []string
	// define declares the command's own flags and returns what runs it. It is
	// called for --help too, so it must do nothing else.
	define func(own *flag.FlagSet) runner
}

// runner does the command's work and returns the exit status.
type runner func(ctx context.Context, t terminal, cfg Config, args []string) int

// commands lists the commands in the order of muster help.
func commands() []command {
	return []command{serveCommand(), agentsCommand(), queryCommand(), userCommand(), secretCommand(),
		sigmaCommand(), yaraCommand(), healthcheckCommand(), versionCommand(), helpCommand()}
}

func find(name string) (command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, newTerminal(), os.Args[1:], os.Environ()))
}

// run is main without the process around it.
func run(ctx context.Context, t terminal, args, environ []string) int {
	name := cmdServe
	switch {
	case len(args) == 0:
	case args[0] == "-h" || args[0] == "--help" || args[0] == "-help":
		name, args = "help", nil
	case args[0] == "--version":
		name, args = "version", nil
	case !strings.HasPrefix(args[0], "-"):
		name, args = args[0], args[1:]
	}
	c, found := find(name)
	if !found {
		fmt.Fprintf(t.err, "muster: there is no command %q; muster help lists them\n", name)
		return exitUsage
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	perform := c.define(flags)
	told := settingFlags(flags, name)
	rest, err := parseInterspersed(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		writeHelp(t.out, c)
		return exitOK
	}
	if err != nil {
		return usageError(t, name, err)
	}
	cfg, err := loadConfig(name, told, environ)
	if err != nil {
		fmt.Fprintln(t.err, "muster:", err)
		return exitUsage
	}
	if name == cmdServe {
		for _, variable := range cfg.Ignored {
			fmt.Fprintf(t.err, "muster: %s is no setting and is ignored\n", variable)
		}
	}
	return perform(ctx, t, cfg, rest)
}

// settingFlags declares a flag for each setting that the command takes.
func settingFlags(flags *flag.FlagSet, command string) layer {
	told := layer{}
	for _, s := range settings {
		if !s.flagOf(command) {
			continue
		}
		if !s.secret {
			declare(flags, told, s.name, s.kind == "list")
		}
		if s.fromFile() {
			declare(flags, told, s.name+"_file", false)
		}
	}
	return told
}

func declare(flags *flag.FlagSet, told layer, name string, list bool) {
	flags.Func(flagName(name), "", func(value string) error {
		if earlier, repeated := told[name]; repeated && list {
			value = earlier.value + "," + value
		}
		told[name] = given{value: value, origin: "--" + flagName(name)}
		return nil
	})
}

// parseInterspersed takes flags before, between and after the other arguments;
// after -- everything is an argument.
func parseInterspersed(flags *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		taken := len(args) - flags.NArg()
		if flags.NArg() == 0 || (taken > 0 && args[taken-1] == "--") {
			return append(rest, flags.Args()...), nil
		}
		rest = append(rest, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// errUsage is for arguments that fit none of a command's forms.
var errUsage = errors.New("the arguments fit none of its forms")

// words is a flag that may be repeated; each value may hold several words with
// commas between them.
type words []string

// String and Set make it a flag.Value.
func (w *words) String() string { return strings.Join(*w, ",") }

func (w *words) Set(value string) error {
	more, err := parseList(value)
	*w = append(*w, more...)
	return err
}

// usageError reports a command line that cannot be understood.
func usageError(t terminal, command string, err error) int {
	fmt.Fprintf(t.err, "muster %s: %v; see muster %s --help\n", command, err, command)
	return exitUsage
}

// failed reports an error to the person at the terminal: the sentence and, as
// it is their own machine, the cause.
func failed(t terminal, command string, err error) int {
	fmt.Fprintf(t.err, "muster %s: %v\n", command, err)
	return exitFailed
}
