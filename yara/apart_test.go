package yara

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"muster/server/fault"
)

const asCompiler = "TEST_AS_COMPILER"

func TestMain(m *testing.M) {
	passed[asCompiler] = true
	switch os.Getenv(asCompiler) {
	case "answer":
		if err := Answer(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case "answer in little memory":
		compileMemory = 128 << 20
		_ = Answer(os.Stdin, os.Stdout)
		os.Exit(0)
	case "give up":
		fmt.Fprintln(os.Stderr, "no limits here")
		os.Exit(1)
	case "tell the settings":
		fmt.Printf(`{"Rules":[%q],"Errors":[]}`, os.Getenv("MUSTER_ENCRYPTION_KEY")+os.Getenv("PGPASSWORD"))
		os.Exit(0)
	case "scan":
		if err := ObeyScan(os.Stdin, os.Stdout, scanWhole); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case "crash":
		os.Exit(139)
	case "mute":
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestApart(t *testing.T) {
	for sentence, c := range map[string]struct {
		does, text string
		kind       fault.Kind
		verdict    string
	}{
		"rules that compile":        {"answer", rule, 0, "[one] []"},
		"rules that do not":         {"answer", "rule a\n{\n", 0, "[] [line 2: syntax error]"},
		"a compiler that crashes":   {"crash", rule, fault.Unprocessable, ""},
		"a compiler that gives up":  {"give up", rule, fault.Internal, ""},
		"a compiler gets no secret": {"tell the settings", rule, 0, "[] []"},
		"a compiler without answer": {"mute", rule, fault.Internal, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Setenv(asCompiler, c.does)
			t.Setenv("MUSTER_ENCRYPTION_KEY", "secret")
			t.Setenv("PGPASSWORD", "secret")
			verdict, err := Apart(os.Args[0])(t.Context(), c.text)
			if (err != nil) != (c.verdict == "") || (err != nil && fault.KindOf(err) != c.kind) {
				t.Fatal(err)
			}
			if got := fmt.Sprint(verdict.Rules, " ", verdict.Errors); err == nil && !strings.HasPrefix(got, c.verdict) {
				t.Errorf("got %s", got)
			}
		})
	}
	if runtime.GOOS == "linux" {
		t.Setenv(asCompiler, "answer in little memory")
		greedy := "rule greedy { strings:\n" + strings.Repeat(" $ = \"abcdefghijklmnop\" xor wide ascii\n", 9000) + "condition: any of them }\n"
		if verdict, err := Apart(os.Args[0])(t.Context(), greedy); err == nil && !strings.Contains(fmt.Sprint(verdict.Errors), "memory") {
			t.Errorf("memory has no limit: %v", verdict)
		}
	}
	if _, err := Apart("/nonexistent")(t.Context(), rule); !fault.Is(err, fault.Internal) {
		t.Error(err)
	}
}
