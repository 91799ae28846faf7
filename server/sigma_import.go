package main

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"strings"
	"time"
)

// importBatch is about how much text one request of an import carries, in bytes.
const importBatch = 1 << 20

// batch is the text of some files, and where in it each begins.
type batch struct {
	text  bytes.Buffer
	lines int
	files []origin
}

// origin is a file of a batch: its first line is line+1 of the batch.
type origin struct {
	name string
	line int
}

func (b *batch) add(name string, text []byte) {
	if b.text.Len() > 0 {
		b.write([]byte("\n---\n"))
	}
	b.files = append(b.files, origin{name, b.lines})
	b.write(bytes.TrimPrefix(text, []byte("\uFEFF")))
}

func (b *batch) write(text []byte) {
	b.text.Write(text)
	b.lines += bytes.Count(text, []byte("\n"))
}

// place is FILE:LINE of a line of the batch. The line that parts two files, with which
// a document starts, is the later one's.
func (b *batch) place(line int) string {
	i := max(sort.Search(len(b.files), func(i int) bool { return b.files[i].line > line })-1, 0)
	return fmt.Sprintf("%s:%d", b.files[i].name, max(line-b.files[i].line, 1))
}

// importReport is the server's answer to an import.
type importReport struct {
	Data struct {
		Imported      []importedRule `json:"imported"`
		Updated       []importedRule `json:"updated"`
		Unchanged     []importedRule `json:"unchanged"`
		NotApplicable []refusedRule  `json:"not_applicable"`
		Failed        []refusedRule  `json:"failed"`
	} `json:"data"`
}

type importedRule struct {
	ID     int64    `json:"id"`
	Name   string   `json:"name"`
	Tables []string `json:"tables"`
}

type refusedRule struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
	Line   int    `json:"line"`
}

// importCount counts what became of rules.
type importCount struct{ imported, updated, unchanged, notApplicable, failed int }

func (c importCount) String() string {
	return fmt.Sprintf("%d imported, %d updated, %d unchanged, %d not applicable, %d failed", c.imported, c.updated, c.unchanged, c.notApplicable, c.failed)
}

// importInto sends files to the server, some to a request, and prints its reports.
func (s *sigmaRules) importInto(ctx context.Context, cfg Config, files []string) int {
	c, err := newClient(cfg)
	if err != nil {
		return failed(s.terminal, cmdSigma, err)
	}
	signOut, err := c.signIn(ctx, s.terminal, cfg, time.Hour)
	if err != nil {
		return failed(s.terminal, cmdSigma, err)
	}
	defer signOut()
	var count importCount
	waiting := &batch{}
	for i, name := range files {
		text, err := s.read(name)
		if err != nil {
			return failed(s.terminal, cmdSigma, fmt.Errorf("%s: %w", name, err))
		}
		if waiting.text.Len() > 0 && waiting.text.Len()+len(text) > importBatch {
			if err := s.send(ctx, c, waiting, &count); err != nil {
				return failed(s.terminal, cmdSigma, err)
			}
			waiting = &batch{}
		}
		if waiting.add(name, text); i < len(files)-1 {
			continue
		}
		if err := s.send(ctx, c, waiting, &count); err != nil {
			return failed(s.terminal, cmdSigma, err)
		}
	}
	fmt.Fprintln(s.err, count)
	if s.dryRun {
		fmt.Fprintln(s.err, "dry run: nothing was changed")
	}
	if count.failed > 0 {
		return exitFailed
	}
	return exitOK
}

// send imports a batch and prints the report.
func (s *sigmaRules) send(ctx context.Context, c *client, b *batch, count *importCount) error {
	var report importReport
	request := map[string]any{"rules": b.text.String(), "dry_run": s.dryRun}
	if err := c.call(ctx, "POST /rules/sigma/import", request, &report); err != nil {
		return err
	}
	data := report.Data
	count.imported += len(data.Imported)
	count.updated += len(data.Updated)
	count.unchanged += len(data.Unchanged)
	count.notApplicable += len(data.NotApplicable)
	count.failed += len(data.Failed)
	for _, r := range data.Imported {
		fmt.Fprintln(s.out, visible(fmt.Sprintf("imported: %s: %s", r.Name, strings.Join(r.Tables, ", "))))
	}
	for _, r := range data.Updated {
		fmt.Fprintln(s.out, visible(fmt.Sprintf("updated: %s: %s", r.Name, strings.Join(r.Tables, ", "))))
	}
	for _, r := range data.NotApplicable {
		fmt.Fprintln(s.out, visible(fmt.Sprintf("%s: %s: not applicable: %s", b.place(r.Line), titled(r.Name), r.Reason)))
	}
	for _, r := range data.Failed {
		fmt.Fprintln(s.out, visible(fmt.Sprintf("%s: %s: failed: %s", b.place(r.Line), titled(r.Name), r.Reason)))
	}
	return nil
}
