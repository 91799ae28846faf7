package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"muster/server/httpkit"
	"muster/server/osquery"
)

// formatter writes answers as they arrive.
type formatter interface {
	write(a answer) error
	// left names columns that the format had no room for.
	left() []string
}

// formats are the names that newFormatter knows.
var formats = []string{"table", "csv", "jsonl"}

// newFormatter returns the formatter of that name for the answers to sql.
func newFormatter(name, sql string, t terminal) formatter {
	switch name {
	case "csv":
		return &csvFormat{out: csv.NewWriter(t.out), shown: t.shows, sql: sql}
	case "jsonl":
		return lineFormat{out: t.out, shown: t.shows}
	}
	return &tableFormat{out: t.out}
}

// lineFormat writes a row a line, as a JSON object that keeps the host apart
// from the columns: one of them may be called host as well.
type lineFormat struct {
	out   io.Writer
	shown bool // on a terminal, which would act on what JSON need not escape
}

func (f lineFormat) left() []string { return nil }

func (f lineFormat) write(a answer) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	for _, r := range a.rows {
		line := struct {
			Host string          `json:"host"`
			Row  json.RawMessage `json:"row"`
		}{a.host, r.raw}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	if f.shown {
		_, err := f.out.Write(escapeControls(text.Bytes()))
		return err
	}
	_, err := text.WriteTo(f.out)
	return err
}

// csvFormat writes one header and then rows, so the header has to be known before
// the first answer: platforms answer select * with columns of their own. Cells
// come from machines that may be hostile: a spreadsheet runs none of them.
type csvFormat struct {
	out     *csv.Writer
	shown   bool // on a terminal, which would act on control characters
	sql     string
	columns []string
	missing []string
}

func (f *csvFormat) left() []string { return f.missing }

func (f *csvFormat) write(a answer) error {
	if len(a.rows) == 0 {
		return nil
	}
	if f.columns == nil {
		f.columns = columnsOf(f.sql)
		if len(f.columns) == 0 { // tables of an extension: only hosts know their columns
			f.columns = a.columns()
		}
		if err := f.record(append([]string{"host"}, f.columns...)); err != nil {
			return err
		}
	}
	for _, name := range a.columns() {
		if !slices.Contains(f.columns, name) && !slices.Contains(f.missing, name) {
			f.missing = append(f.missing, name)
		}
	}
	for _, r := range a.rows {
		record := []string{a.host}
		for _, name := range f.columns {
			record = append(record, r.get(name))
		}
		if err := f.record(record); err != nil {
			return err
		}
	}
	f.out.Flush()
	return f.out.Error()
}

func (f *csvFormat) record(cells []string) error {
	for i, cell := range cells {
		if f.shown {
			cell = visible(cell)
		}
		cells[i] = httpkit.EscapeCell(cell)
	}
	return f.out.Write(cells)
}

// columnsOf asks osquery's own tables which columns a query answers with, on any
// platform; none when that cannot be told.
func columnsOf(sql string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var columns []string
	for _, platform := range []string{"linux", "darwin", "windows"} {
		tables, err := osquery.OpenSQLite(platform)
		if err != nil {
			continue
		}
		result, err := tables.Query(ctx, sql, nil)
		_ = tables.Close()
		if err != nil {
			continue
		}
		for _, name := range result.Columns {
			if !slices.Contains(columns, name) {
				columns = append(columns, name)
			}
		}
	}
	return columns
}

// tableFormat writes for people: a header whenever the columns or their widths
// change, which after the first few answers they seldom do.
type tableFormat struct {
	out     io.Writer
	columns []string
	widths  []int
}

// maxWidth is how far a column pushes the next one; longer cells stick out
// rather than lose their end.
const maxWidth = 40

func (f *tableFormat) left() []string { return nil }

func (f *tableFormat) write(a answer) error {
	if len(a.rows) == 0 {
		return nil
	}
	columns := append([]string{"host"}, a.columns()...)
	changed := !slices.Equal(columns, f.columns)
	if changed {
		f.columns, f.widths = columns, make([]int, len(columns))
	}
	lines := make([][]string, 0, len(a.rows))
	for _, r := range a.rows {
		line := []string{visible(a.host)}
		for _, name := range columns[1:] {
			line = append(line, visible(r.get(name)))
		}
		lines = append(lines, line)
	}
	header := make([]string, len(columns))
	for i, name := range columns {
		header[i] = visible(name)
	}
	changed = f.widen(append(lines, header)) || changed
	var text strings.Builder
	if changed {
		f.line(&text, header)
		rules := make([]string, len(columns))
		for i, width := range f.widths {
			rules[i] = strings.Repeat("-", width)
		}
		f.line(&text, rules)
	}
	for _, line := range lines {
		f.line(&text, line)
	}
	_, err := io.WriteString(f.out, text.String())
	return err
}

// widen makes the columns wide enough and reports whether they were not.
func (f *tableFormat) widen(lines [][]string) bool {
	wider := false
	for _, line := range lines {
		for i, cell := range line {
			if width := min(utf8.RuneCountInString(cell), maxWidth); width > f.widths[i] {
				f.widths[i], wider = width, true
			}
		}
	}
	return wider
}

func (f *tableFormat) line(text *strings.Builder, cells []string) {
	for i, cell := range cells {
		text.WriteString(cell)
		if i < len(cells)-1 {
			text.WriteString(strings.Repeat(" ", max(0, f.widths[i]-utf8.RuneCountInString(cell))+2))
		}
	}
	text.WriteByte('\n')
}
