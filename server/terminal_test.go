package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// person makes a terminal at which somebody types.
func person(typed io.Reader) (t terminal, shown *bytes.Buffer, echo *[]bool) {
	shown, echo = &bytes.Buffer{}, &[]bool{}
	return terminal{in: typed, out: io.Discard, err: shown, asks: true, silence: func() (func(), error) {
		*echo = append(*echo, false)
		return func() { *echo = append(*echo, true) }, nil
	}}, shown, echo
}

func TestPassword(t *testing.T) {
	file := write(t, t.TempDir(), "password", "from a file\r\n")
	for sentence, c := range map[string]struct {
		typed, file string
		confirm     bool
		want        string
		wrong       string
	}{
		"typed twice":                     {"secret word\nsecret word\n", "", true, "secret word", ""},
		"typed twice and not the same":    {"secret word\nother word\n", "", true, "", "differ"},
		"typed once where that is enough": {"secret word\n", "", false, "secret word", ""},
		"spaces belong to it":             {" a b \n", "", false, " a b ", ""},
		"just return is none":             {"\n", "", false, "", "nothing was entered"},
		"the end of the input is none":    {"", "", false, "", "nothing was entered"},
		"a file comes first":              {"typed\n", file, true, "from a file", ""},
		"a file that is not there":        {"", file + "x", true, "", "no such file"},
	} {
		t.Run(sentence, func(t *testing.T) {
			p, shown, echo := person(strings.NewReader(c.typed))
			got, err := p.password(t.Context(), c.file, "Password: ", c.confirm)
			if (err == nil) != (c.wrong == "") || (err != nil && !strings.Contains(err.Error(), c.wrong)) {
				t.Fatalf("got %v, want %q", err, c.wrong)
			}
			if err == nil && got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if c.file == "" && (len(*echo) != 2 || !(*echo)[1] || !strings.HasPrefix(shown.String(), "Password: ")) {
				t.Errorf("echo %v, shown %q", *echo, shown.String())
			}
			if strings.Contains(shown.String(), "secret word") {
				t.Errorf("the password is shown: %q", shown.String())
			}
		})
	}
}

func TestPasswordGivesUpWithTheEchoBack(t *testing.T) {
	silent, _ := io.Pipe() // nobody types anything
	p, _, echo := person(silent)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.password(ctx, "", "Password: ", true)
	if !errors.Is(err, context.Canceled) || len(*echo) != 2 || !(*echo)[1] {
		t.Errorf("%v, echo %v", err, *echo)
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) {
		t.Error("/dev/null is a character device, but nobody sits there")
	}
	if _, err := silence(null); err == nil {
		t.Error("its echo was stopped")
	}
}

func TestProgressLine(t *testing.T) {
	var file, screen bytes.Buffer
	now := time.Unix(1_700_000_000, 0)
	written := &progressLine{t: terminal{err: &file}, now: func() time.Time { return now }}
	shown := &progressLine{t: terminal{err: &screen, rewrites: true}, now: written.now}
	for _, p := range []*progressLine{written, shown} {
		p.show("answered 1 of 3")
		p.show("answered 2 of 3")
		p.note("h1: no such table")
		p.clear()
		now = now.Add(progressEvery)
		p.show("answered 3 of 3")
		p.finish("answered 3 of 3")
	}
	if want := "answered 1 of 3\nh1: no such table\nanswered 3 of 3\n"; file.String() != want {
		t.Errorf("into a file: %q", file.String())
	}
	const rub = "\r\x1b[K"
	want := rub + "answered 1 of 3" + rub + "answered 2 of 3" + rub + "h1: no such table\n" + rub + "answered 2 of 3" + rub +
		rub + "answered 3 of 3" + rub + "answered 3 of 3\n"
	if screen.String() != want {
		t.Errorf("on a terminal: %q, want %q", screen.String(), want)
	}
}
