package yara

import (
	"context"
	"errors"
	"fmt"
	"time"

	"muster/server/fault"
)

// Here is the Checker that compiles in this process.
func Here(_ context.Context, source string) (Verdict, error) {
	rules, err := Compile(source)
	var complaints compileError
	switch {
	case errors.As(err, &complaints):
		return Verdict{Errors: complaints}, nil
	case err != nil:
		return Verdict{}, err
	}
	defer rules.Close()
	return Verdict{Rules: rules.Names(), Errors: unclosed(source)}, nil
}

// unclosed complains of a comment without an end. It compiles, but swallows the
// rules that its author thinks are there, and those of files behind it in a set.
func unclosed(source string) []string {
	if line := outlineOf(source).openComment; line > 0 {
		return []string{fmt.Sprintf("line %d: the comment has no end", line)}
	}
	return nil
}

// compileWait is how long a file waits for those before it: with its own time to
// compile, an answer still comes before the server gives up on the connection.
const compileWait = 10 * time.Second

// judge says whether a text can be stored, and how many rules it holds. Files are
// compiled one after the other, so that uploads cannot exhaust the machine. Faults:
// Unprocessable, naming the lines; Busy when the others take too long; Internal.
func (s *Store) judge(ctx context.Context, content string) (int, error) {
	waiting, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	select {
	case s.compiling <- struct{}{}:
		defer func() { <-s.compiling }()
	case <-waiting.Done():
		return 0, fault.Wrap(waiting.Err(), fault.Busy, "The server is busy compiling other files: try again in a moment")
	}
	verdict, err := s.check(ctx, content)
	switch {
	case err != nil:
		return 0, err
	case len(verdict.Errors) > 0:
		return 0, fault.New(fault.Unprocessable, "%s", "The file does not compile: "+compileError(verdict.Errors).Error())
	case len(verdict.Rules) == 0:
		return 0, fault.New(fault.Unprocessable, "The file holds no rule")
	}
	return len(verdict.Rules), nil
}
