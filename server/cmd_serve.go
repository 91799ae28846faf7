package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

func serveCommand() command {
	return command{
		name:    cmdServe,
		summary: "run the server (what muster does without a command)",
		usage:   []string{"muster [serve] [SETTINGS]"},
		about: "Serves the console, the API and the agents' endpoints. On the first start it makes a certificate\n" +
			"authority, a certificate, the account admin and an enrol secret. SIGINT and SIGTERM end it cleanly:\n" +
			"requests in flight are finished, agents keep what could not be taken.",
		exits: []string{"0 ended by a signal", "1 failed", "2 wrong flags or settings"},
		define: func(*flag.FlagSet) runner {
			return func(ctx context.Context, t terminal, cfg Config, args []string) int {
				if len(args) > 0 {
					return usageError(t, cmdServe, fmt.Errorf("unexpected argument %q", args[0]))
				}
				if program, err := os.Executable(); err == nil {
					cfg.Program = program
				}
				if err := serve(ctx, cfg); err != nil {
					return failed(t, cmdServe, err)
				}
				return exitOK
			}
		},
	}
}

// version is set by scripts/build.sh; a plain go build leaves it to the VCS stamp.
var version = ""

// versionText names the build: a released version or the commit it was made from.
func versionText() string {
	if version != "" {
		return version
	}
	text := "development"
	info, known := debug.ReadBuildInfo()
	if !known {
		return text
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			text += " " + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			text += " with changes"
		}
	}
	return text
}

func versionCommand() command {
	return command{
		name: "version", summary: "say which build this is", usage: []string{"muster version"},
		about: "Prints the version, the Go release and the platform it was built for.",
		define: func(*flag.FlagSet) runner {
			return func(_ context.Context, t terminal, _ Config, _ []string) int {
				fmt.Fprintf(t.out, "muster %s %s %s/%s\n", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
				return exitOK
			}
		},
	}
}

func helpCommand() command {
	return command{
		name: "help", summary: "list the commands, or tell one's flags and settings", usage: []string{"muster help [COMMAND]"},
		about: "Without a command it lists them all.",
		define: func(*flag.FlagSet) runner {
			return func(_ context.Context, t terminal, _ Config, args []string) int {
				if len(args) == 0 {
					writeOverview(t.out)
					return exitOK
				}
				c, found := find(args[0])
				if !found {
					return usageError(t, "help", fmt.Errorf("there is no command %q", strings.Join(args, " ")))
				}
				writeHelp(t.out, c)
				return exitOK
			}
		},
	}
}
