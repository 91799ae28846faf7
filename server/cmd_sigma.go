package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"muster/server/sigma"
)

// sigmaRules is muster sigma: what is to be done with which files.
type sigmaRules struct {
	terminal
	mapping  string // a file; "": the one that ships
	warnings bool
	dryRun   bool
}

func sigmaCommand() command {
	return command{
		name: cmdSigma, summary: "check Sigma rules, or import them into the server",
		usage: []string{"muster sigma check FILE|FOLDER... [FLAGS]", "muster sigma import FILE|FOLDER... [FLAGS]"},
		about: "check translates rules as the server does, at a desk, and says of each which tables of osquery it is\n" +
			"about, or why it is not applicable or fails. import gives them to the server and prints its report; a\n" +
			"rule that the server has is brought up to date. Of a folder the files *.yml and *.yaml are read, and\n" +
			"those of the folders in it; - is standard input.",
		exits: []string{"0 no rule failed", "1 a rule failed, or a file or the server did", "2 wrong flags or settings"},
		define: func(own *flag.FlagSet) runner {
			var s sigmaRules
			own.StringVar(&s.mapping, "mapping", "", "check with the mapping in this `file` in place of the one that ships")
			own.BoolVar(&s.warnings, "warnings", false, "check: print tables that a rule is not about, and fields that are left out")
			own.BoolVar(&s.dryRun, "dry-run", false, "import: print what would happen, and change nothing")
			return func(ctx context.Context, t terminal, cfg Config, args []string) int {
				s.terminal = t
				if len(args) < 2 {
					return usageError(t, cmdSigma, errors.New("say check or import, and name files or folders"))
				}
				if args[0] != "check" && args[0] != "import" {
					return usageError(t, cmdSigma, fmt.Errorf("there is no word %q: say check or import", args[0]))
				}
				files, err := ruleFiles(args[1:])
				switch {
				case err != nil:
					return failed(t, cmdSigma, err)
				case args[0] == "check" && !s.dryRun:
					return s.check(files)
				case args[0] == "import" && s.mapping == "" && !s.warnings:
					return s.importInto(ctx, cfg, files)
				}
				return usageError(t, cmdSigma, errUsage)
			}
		},
	}
}

// ruleFiles lists the files that arguments mean, those of folders in the order of
// their names.
func ruleFiles(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case arg == "-" || err == nil && !info.IsDir():
			files = append(files, arg)
			continue
		case err != nil:
			return nil, err
		}
		before := len(files)
		err = filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
			if kind := strings.ToLower(filepath.Ext(path)); err == nil && !entry.IsDir() && (kind == ".yml" || kind == ".yaml") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(files) == before {
			return nil, fmt.Errorf("%s holds no files *.yml or *.yaml", arg)
		}
	}
	return files, nil
}

func (s *sigmaRules) read(name string) ([]byte, error) {
	text, err := readUpTo(s.in, name, sigma.MaxText)
	if err == nil && len(text) > sigma.MaxText {
		err = fmt.Errorf("it is larger than %d MiB", sigma.MaxText>>20)
	}
	return text, err
}

// check translates files and prints what became of each rule.
func (s *sigmaRules) check(files []string) int {
	mapping := sigma.DefaultMapping()
	if s.mapping != "" {
		text, err := readUpTo(nil, s.mapping, sigma.MaxMapping)
		if err == nil {
			mapping, err = sigma.ParseMapping(text)
		}
		if err != nil {
			return failed(s.terminal, cmdSigma, fmt.Errorf("--mapping: %w", err))
		}
	}
	count, unreadable := map[sigma.Outcome]int{}, 0
	for _, name := range files {
		text, err := s.read(name)
		var results []sigma.Result
		if err == nil {
			results, err = sigma.Translate(text, mapping)
		}
		if err != nil {
			fmt.Fprintf(s.err, "%s: %s\n", visible(name), visible(err.Error()))
			unreadable++
		}
		for _, r := range results {
			count[r.Outcome]++
			s.print(name, r)
		}
	}
	fmt.Fprintf(s.err, "%d translated, %d not applicable, %d failed\n", count[sigma.Translated], count[sigma.NotApplicable], count[sigma.Failed])
	if count[sigma.Failed]+unreadable > 0 {
		return exitFailed
	}
	return exitOK
}

// print writes FILE:LINE: TITLE: and the tables, or the outcome with its reason.
func (s *sigmaRules) print(file string, r sigma.Result) {
	says := string(r.Outcome) + ": " + r.Reason
	if r.Outcome == sigma.Translated {
		var tables []string
		for _, v := range r.Rule.Variants {
			for _, table := range v.Tables {
				if !slices.Contains(tables, table) {
					tables = append(tables, table)
				}
			}
		}
		says = strings.Join(tables, ", ")
	}
	fmt.Fprintln(s.out, visible(fmt.Sprintf("%s:%d: %s: %s", file, r.Line, titled(r.Rule.Title), says)))
	if s.warnings {
		for _, warning := range r.Warnings {
			fmt.Fprintln(s.out, visible("    "+warning))
		}
	}
}

func titled(title string) string {
	if title == "" {
		return "(no title)"
	}
	return title
}
