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
	"strings"
	"time"

	"muster/server/fault"
)

// compileTime is for one file: 8 MiB of plain rules take some ten seconds.
const compileTime = 40 * time.Second

// compileMemory is what compiling may take, in bytes: some 200 MB do for 8 MiB of
// plain rules, while each string with xor stands for hundreds.
var compileMemory uint64 = 1 << 30

// Apart is the Checker that compiles in a process of its own, within limits of time
// and memory. command has to call Answer with its standard input and output.
func Apart(command ...string) Checker {
	return func(ctx context.Context, source string) (Verdict, error) {
		ctx, cancel := context.WithTimeout(ctx, compileTime)
		defer cancel()
		process := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the caller's own program
		process.Stdin = strings.NewReader(source)
		process.Env = slices.DeleteFunc(os.Environ(), isWithheld)
		process.WaitDelay = time.Second
		var answer, complaint bytes.Buffer
		process.Stdout, process.Stderr = &answer, &complaint
		err := process.Run()
		var verdict Verdict
		var exit *exec.ExitError
		switch {
		case errors.As(err, &exit) && exit.ExitCode() == 1: // it has given up by itself
			return Verdict{}, fault.Wrap(fmt.Errorf("%w: %.500s", err, complaint.String()), fault.Internal, "The YARA compiler failed")
		case errors.As(err, &exit), ctx.Err() != nil:
			return Verdict{}, fault.Wrap(err, fault.Unprocessable, "The file takes too much time or memory to compile")
		case err != nil:
			return Verdict{}, fault.Wrap(err, fault.Internal, "The YARA compiler cannot be started")
		case json.Unmarshal(answer.Bytes(), &verdict) != nil:
			return Verdict{}, fault.New(fault.Internal, "The YARA compiler gave no answer")
		}
		return verdict, nil
	}
}

// passed are the variables that the compiler and the scanner of foreign text get: the
// others may be secrets, of the server's own settings or of what it is deployed with.
var passed = map[string]bool{"PATH": true, "LD_LIBRARY_PATH": true, "DYLD_LIBRARY_PATH": true, "TMPDIR": true, "TZ": true, "LANG": true, "GOCOVERDIR": true}

func isWithheld(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return !passed[name]
}

// Answer is the other end of Apart: it compiles what it reads and writes a verdict.
// It limits this whole process, which should do nothing else.
func Answer(in io.Reader, out io.Writer) error {
	if err := confine(compileTime, compileMemory); err != nil {
		return err
	}
	source, err := io.ReadAll(io.LimitReader(in, MaxContent+1))
	if err != nil {
		return err
	}
	verdict, err := Here(context.Background(), string(source))
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(verdict)
}
