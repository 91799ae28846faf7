package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// terminal is where a command reads and writes, so that tests can stand in for a person.
type terminal struct {
	in       io.Reader
	out, err io.Writer
	asks     bool // in is a terminal: there is someone to ask
	shows    bool // out is a terminal: it acts on control characters
	rewrites bool // err is a terminal: a line can be written over
	// silence stops the echo of in and returns what brings it back. Nil when asks is false.
	silence func() (restore func(), err error)
}

func newTerminal() terminal {
	return terminal{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		asks: isTerminal(os.Stdin), shows: isTerminal(os.Stdout), rewrites: isTerminal(os.Stderr),
		silence: func() (func(), error) { return silence(os.Stdin) },
	}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	return err == nil
}

func silence(f *os.File) (func(), error) {
	before, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	if err != nil {
		return nil, err
	}
	quiet := *before
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(f.Fd()), setTermios, &quiet); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(int(f.Fd()), setTermios, before) }, nil
}

// password reads a password: from file when one is named ("-" is the standard
// input), by asking without echo when there is someone to ask, else from the first
// line of the standard input. With confirm a person has to type it twice.
func (t terminal) password(ctx context.Context, file, prompt string, confirm bool) (string, error) {
	switch {
	case file != "" && file != "-":
		content, err := os.ReadFile(file)
		return nonEmpty(strings.TrimRight(string(content), "\r\n"), err)
	case file == "-" || !t.asks:
		return nonEmpty(readLine(bufio.NewReader(t.in)))
	}
	restore, err := t.silence()
	if err != nil {
		return "", err
	}
	defer restore()
	lines := bufio.NewReader(t.in)
	first, err := t.ask(ctx, lines, prompt)
	if err != nil || !confirm {
		return first, err
	}
	second, err := t.ask(ctx, lines, "Again: ")
	if err == nil && first != second {
		err = errors.New("the passwords differ")
	}
	return first, err
}

// ask gives up when ctx ends, so that the caller can bring the echo back.
func (t terminal) ask(ctx context.Context, lines *bufio.Reader, prompt string) (string, error) {
	fmt.Fprint(t.err, prompt)
	defer fmt.Fprintln(t.err)
	type answer struct {
		line string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		line, err := readLine(lines)
		answers <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case a := <-answers:
		return nonEmpty(a.line, a.err)
	}
}

func readLine(lines *bufio.Reader) (string, error) {
	line, err := lines.ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}

func nonEmpty(password string, err error) (string, error) {
	if err == nil && password == "" || errors.Is(err, io.EOF) {
		return "", errors.New("nothing was entered")
	}
	return password, err
}

// readUpTo reads a file, or in for "-": no more of it than one byte beyond most.
func readUpTo(in io.Reader, name string, most int64) ([]byte, error) {
	if name != "-" {
		file, err := os.Open(name) //nolint:gosec // the caller's own file
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	return io.ReadAll(io.LimitReader(in, most+1))
}
