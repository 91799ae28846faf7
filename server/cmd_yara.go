package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"muster/server/fault"
	"muster/server/pipeline"
	"muster/yara"
)

const cmdYARA = "yara"

func yaraCommand() command {
	return command{
		name: cmdYARA, summary: "check YARA files as the server does",
		usage: []string{"muster yara FILE...", "muster yara --verdict", "muster yara --scan"},
		about: "Compiles each file on its own, without includes and external variables, and says what is wrong with it.\n" +
			"- is standard input. The server runs this command itself: with --verdict for what is uploaded, and with --scan for what hosts hand over.",
		exits: []string{"0 all of them compile", "1 one does not, or cannot be read", "2 wrong flags"},
		define: func(own *flag.FlagSet) runner {
			verdict := own.Bool("verdict", false, "compile standard input within limits of time and memory and write the outcome as JSON")
			scan := own.Bool("scan", false, "scan descriptor 3 as standard input orders, within limits, and write a report as JSON")
			return func(ctx context.Context, t terminal, _ Config, args []string) int {
				if (*verdict || *scan) == (len(args) > 0) || *verdict && *scan {
					return usageError(t, cmdYARA, errors.New("name files, or say --verdict or --scan"))
				}
				if *verdict {
					return outcome(t, yara.Answer(t.in, t.out))
				}
				if *scan {
					return outcome(t, yara.ObeyScan(t.in, t.out, pipeline.ScanMembers))
				}
				status := exitOK
				for _, name := range args {
					if !checkYARA(ctx, t, name) {
						status = exitFailed
					}
				}
				return status
			}
		},
	}
}

func outcome(t terminal, err error) int {
	if err != nil {
		return failed(t, cmdYARA, err)
	}
	return exitOK
}

// checkYARA says what is wrong with a file, one line each.
func checkYARA(ctx context.Context, t terminal, name string) bool {
	text, err := readUpTo(t.in, name, yara.MaxContent)
	if err == nil && len(text) > yara.MaxContent {
		err = fmt.Errorf("it is larger than %d bytes", yara.MaxContent)
	}
	var verdict yara.Verdict
	if err == nil {
		verdict, err = yara.Here(ctx, string(text))
	}
	if err == nil && len(verdict.Errors)+len(verdict.Rules) == 0 {
		err = fault.New(fault.Unprocessable, "it holds no rule")
	}
	if err != nil {
		fmt.Fprintf(t.err, "%s: %v\n", name, err)
		return false
	}
	for _, problem := range verdict.Errors {
		fmt.Fprintf(t.err, "%s: %s\n", name, problem)
	}
	return len(verdict.Errors) == 0
}
