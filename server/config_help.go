package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// writeOverview is what muster help prints.
func writeOverview(w io.Writer) {
	fmt.Fprint(w, "Muster manages fleets of osquery agents: it enrols and configures them, keeps what they\n"+
		"log and asks them questions.\n\nUsage: muster [COMMAND] [FLAGS]\n\nCommands:\n")
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, c := range commands() {
		fmt.Fprintf(table, "  %s\t%s\n", c.name, c.summary)
	}
	_ = table.Flush()
	fmt.Fprint(w, "\nWithout a command muster serves. muster COMMAND --help tells a command's flags and settings.\n")
}

// writeHelp is what muster COMMAND --help prints: the command's own flags, then
// the settings that it takes.
func writeHelp(w io.Writer, c command) {
	fmt.Fprintf(w, "Usage: %s\n\n%s\n", strings.Join(c.usage, "\n       "), c.about)
	own := flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.define(own)
	writeFlags(w, own)
	first := true
	for _, s := range settings {
		if !s.flagOf(c.name) {
			continue
		}
		if first {
			fmt.Fprint(w, "\nSettings (flag before environment before file before default):\n")
			first = false
		}
		writeSetting(w, s)
	}
	if len(c.exits) > 0 {
		fmt.Fprintf(w, "\nExit status: %s.\n", strings.Join(c.exits, "; "))
	}
}

func writeFlags(w io.Writer, flags *flag.FlagSet) {
	first := true
	flags.VisitAll(func(f *flag.Flag) {
		if first {
			fmt.Fprint(w, "\nFlags:\n")
			first = false
		}
		kind, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  --%s%s\n%s", f.Name, spaced(kind), indented(usage+defaulted(f.DefValue)))
	})
}

func spaced(kind string) string {
	if kind == "" {
		return ""
	}
	return " " + strings.ToUpper(kind)
}

func defaulted(value string) string {
	if value == "" || value == "false" || value == "0" || value == "0s" {
		return ""
	}
	return " (default " + value + ")"
}

func writeSetting(w io.Writer, s setting) {
	names := "--" + flagName(s.name) + " " + strings.ToUpper(s.kind) + ", " + envName(s.name)
	switch {
	case s.secret:
		names = "--" + flagName(s.name) + "-file PATH, " + envName(s.name) + ", " + envName(s.name) + "_FILE"
	case s.inFile:
		names += ", " + envName(s.name) + "_FILE"
	}
	fmt.Fprintf(w, "  %s\n%s", names, indented(plain(s.help)+defaulted(plain(s.fallback))))
}

// indented breaks a text into lines of at most 100 characters, below the flag it explains.
func indented(text string) string {
	var lines strings.Builder
	line := "       "
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > 100 {
			lines.WriteString(line + "\n")
			line = "       "
		}
		line += " " + word
	}
	return lines.String() + line + "\n"
}

// plain drops the marks that only the documentation shows.
func plain(text string) string { return strings.ReplaceAll(text, "`", "") }

// writeReference renders docs/configuration.md from the table of settings.
func writeReference(w io.Writer) {
	fmt.Fprint(w, referenceHead)
	section := ""
	for _, s := range settings {
		if s.section != section {
			section = s.section
			fmt.Fprintf(w, "\n## %s\n\n| in the file | environment | flag | value | default | for | what it does |\n|---|---|---|---|---|---|---|\n", section)
		}
		file, flags, env := "`"+s.name+"`", "`--"+flagName(s.name)+"`", "`"+envName(s.name)+"`"
		switch {
		case s.name == "config":
			file = ""
		case s.secret:
			flags = "`--" + flagName(s.name) + "-file`"
			fallthrough
		case s.inFile:
			file += ", `" + s.name + "_file`"
			env += ", `" + envName(s.name) + "_FILE`"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", file, env, flags, s.kind, s.fallback, strings.Join(s.commands, ", "), s.help)
	}
}

const referenceHead = `# Configuration

This page is made from the table in ` + "`server/config_settings.go`" + `; a test fails when the two differ.
` + "`go test ./server -run TestReference -update`" + ` writes it again.

A setting is looked for in four places, and the first that has it counts:

1. the command line: ` + "`--log-level debug`" + ` or ` + "`--log-level=debug`" + `
2. the environment: ` + "`MUSTER_LOG_LEVEL=debug`" + ` (an empty variable counts as not set)
3. the file: ` + "`log_level: debug`" + `, one setting a line in YAML, lists as YAML lists or with commas. It is the file that
   ` + "`--config`" + ` or ` + "`MUSTER_CONFIG`" + ` names, else ` + "`muster.yaml`" + ` in the data folder. A name that is no setting is an error.
4. the default

Secrets have no flag, since every user of a machine can read the command lines of its processes. They come from the
environment, from the file, or from a file of their own that ` + "`NAME_FILE`" + `, ` + "`name_file`" + ` or ` + "`--name-file`" + ` names; line ends at
the end of such a file do not belong to the secret. No message shows a secret.

Values: an *address* is HOST:PORT, where an empty HOST means every address of the machine; a *list* is separated by
commas; *days* is a whole number; a *size* is a number of bytes or has a unit (` + "`64KiB`, `16MiB`, `8GiB`" + `).
`
