package yara

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"muster/server/fault"
)

const (
	// ScanTime is for one archive, compiling included.
	ScanTime = 10 * time.Minute
	// scanMemory is what a scan may take, in bytes: the largest file, what libyara
	// makes of it, and the rules.
	scanMemory = 2 << 30
	// maxReport is the longest report that is read.
	maxReport = 16 << 20
	// MaxMatches is how many matches one report has at most.
	MaxMatches = 1000
)

// Order is what a scanner in a process of its own is told on its standard input.
// The file itself is its descriptor 3.
type Order struct {
	Sources []Source
	Format  string // of the file, as who wrote the order calls it
	GUID    string
}

// Report is what came of a scan.
type Report struct {
	Members  int
	Matches  []MemberMatch // the first MaxMatches
	Problems []string      // what could not be looked at, and why
}

// MemberMatch is a match in a member of an archive.
type MemberMatch struct {
	Member string
	Size   int64
	SHA256 string // of what was looked at
	Match
}

// Problem adds what went wrong, unless there is enough of it.
func (r *Report) Problem(format string, args ...any) {
	if len(r.Problems) < maxScanLines {
		r.Problems = append(r.Problems, bounded(fmt.Sprintf(format, args...)))
	}
}

// Scanner scans a file. Faults: Unprocessable when the scanner crashed or took too
// much time or memory: trying again is of no use; Internal; Busy when ctx ends.
type Scanner func(ctx context.Context, o Order, file *os.File) (Report, error)

// ScanApart is the Scanner that scans in a process of its own, within limits of time
// and memory, so that a crash of libyara is nobody else's. command has to call
// ObeyScan.
func ScanApart(command ...string) Scanner {
	return func(ctx context.Context, o Order, file *os.File) (Report, error) {
		order, err := json.Marshal(o)
		if err != nil {
			return Report{}, fault.Wrap(err, fault.Internal, "The scanner cannot be started")
		}
		bounded, cancel := context.WithTimeout(ctx, ScanTime)
		defer cancel()
		process := exec.CommandContext(bounded, command[0], command[1:]...) //nolint:gosec // the caller's own program
		process.Stdin = bytes.NewReader(order)
		process.ExtraFiles = []*os.File{file}
		process.Env = slices.DeleteFunc(os.Environ(), isWithheld)
		process.WaitDelay = time.Second
		answer, complaint := &limited{left: maxReport}, &limited{left: 4 << 10}
		process.Stdout, process.Stderr = answer, complaint
		return readReport(ctx, process.Run(), answer, complaint)
	}
}

func readReport(ctx context.Context, err error, answer, complaint *limited) (Report, error) {
	var report Report
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return report, fault.Wrap(ctx.Err(), fault.Busy, "The scan was given up")
	case errors.As(err, &exit) && exit.ExitCode() == 1: // it has given up by itself
		return report, fault.Wrap(fmt.Errorf("%w: %.500s", err, complaint.text.String()), fault.Internal, "The scanner failed")
	case errors.As(err, &exit), errors.Is(err, context.DeadlineExceeded):
		return report, fault.Wrap(err, fault.Unprocessable, "The scan crashed, or took too much time or memory")
	case err != nil:
		return report, fault.Wrap(err, fault.Internal, "The scanner cannot be started")
	case json.Unmarshal(answer.text.Bytes(), &report) != nil:
		return report, fault.New(fault.Internal, "The scanner gave no answer")
	}
	return report, nil
}

// limited keeps the beginning of what is written.
type limited struct {
	text bytes.Buffer
	left int
}

// Write keeps what there is room for and takes the rest for written.
func (l *limited) Write(p []byte) (int, error) {
	kept := min(len(p), l.left)
	l.left -= kept
	l.text.Write(p[:kept])
	return len(p), nil
}

// ObeyScan is the other end of ScanApart: it limits this whole process, which should
// do nothing else, reads an order, calls walk with the compiled rules and the file,
// and writes the report.
func ObeyScan(in io.Reader, out io.Writer, walk func(o Order, rules *Rules, file *os.File, report *Report) error) error {
	if err := confine(ScanTime, scanMemory); err != nil {
		return err
	}
	var order Order
	if err := json.NewDecoder(io.LimitReader(in, 2*maxTotal)).Decode(&order); err != nil {
		return err
	}
	file := os.NewFile(3, "carve")
	if file == nil {
		return errors.New("there is no file to scan")
	}
	rules, problems, err := CompileSet(order.Sources)
	if err != nil {
		return err
	}
	defer rules.Close()
	report := Report{Matches: []MemberMatch{}}
	for _, problem := range problems {
		report.Problem("%s", problem)
	}
	if err := walk(order, rules, file, &report); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(report)
}
