package yara

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

// scanWhole is a walk that takes the file for one member.
func scanWhole(o Order, rules *Rules, file *os.File, report *Report) error {
	if o.Format == "endless" { // what a rule may do to a scanner
		var taken [][]byte
		for {
			taken = append(taken, make([]byte, 64<<20))
			for i := 0; i < len(taken[len(taken)-1]); i += 4096 {
				taken[len(taken)-1][i] = 1
			}
		}
	}
	matches, _, err := rules.Scan(file)
	report.Members = 1
	for _, m := range matches {
		report.Matches = append(report.Matches, MemberMatch{Member: "whole", Match: m})
	}
	return err
}

const evil = `rule evil : bad one { meta: severity = "critical" score = 7 strings: $a = "EVIL" $b = { 00 ff } condition: $a and $b }`

func TestScan(t *testing.T) {
	rules, problems, err := CompileSet([]Source{
		{"a.yar", evil}, {"broken.yar", "rule x {"}, {"b.yar", `rule evil { condition: filesize > 3 }`}, {"c.yar", `global rule never { condition: false }`},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer rules.Close()
	if len(problems) != 1 || !strings.Contains(problems[0], "broken.yar: line 1") {
		t.Errorf("problems %v", problems)
	}
	got, more, err := rules.Scan(strings.NewReader("an EVIL\x00\xff file"))
	if err != nil || more {
		t.Fatal(more, err)
	}
	want := []Match{
		{Rule: "evil", File: "a.yar", Tags: []string{"bad", "one"}, Meta: map[string]any{"severity": "critical", "score": 7},
			Strings: []Piece{{"$a", 3, "EVIL"}, {"$b", 7, `\x00\xff`}}},
		{Rule: "evil", File: "b.yar", Tags: nil, Meta: map[string]any{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, _, err := rules.Scan(io.MultiReader(strings.NewReader("x"), failing{})); err == nil {
		t.Error("a file that cannot be read was scanned")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("damaged") }

func TestReadable(t *testing.T) {
	if got := readable([]byte("aé\x1b[2J\n\xff")); got != `aé\x1b[2J\x0a\xff` {
		t.Errorf("got %s", got)
	}
}

func TestScanApart(t *testing.T) {
	for sentence, c := range map[string]struct {
		does, format string
		kind         fault.Kind
		matches      int
	}{
		"a file with a match":             {"scan", "", 0, 1},
		"a scanner that crashes":          {"crash", "", fault.Unprocessable, 0},
		"a scanner that gives up":         {"give up", "", fault.Internal, 0},
		"a scanner without answer":        {"mute", "", fault.Internal, 0},
		"a scanner that takes all memory": {"scan", "endless", fault.Unprocessable, 0},
	} {
		if c.format != "" && runtime.GOOS != "linux" {
			continue // memory cannot be limited there
		}
		t.Run(sentence, func(t *testing.T) {
			t.Setenv(asCompiler, c.does)
			name := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(name, []byte("EVIL\x00\xff"), 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			report, err := ScanApart(os.Args[0])(t.Context(), Order{Sources: []Source{{"a.yar", evil}}, Format: c.format}, file)
			if c.matches == 0 {
				if err == nil || fault.KindOf(err) != c.kind {
					t.Errorf("%+v %v", report, err)
				}
				return
			}
			if err != nil || len(report.Matches) != c.matches || report.Matches[0].Rule != "evil" || report.Members != 1 {
				t.Errorf("%+v %v", report, err)
			}
		})
	}
}

func TestScansAreKeptPerCarveAndSetOfFiles(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, ctx := open(t, db, bus.NewMemory()), t.Context()
		for id := 1; id <= 3; id++ {
			err := db.Write(ctx).Exec(`INSERT INTO carves (id, host_id, session_id, carve_guid, carve_size, block_size, block_count, status, created_at, updated_at)
				VALUES (?, 1, ?, 'g', 1, 1, 1, 'COMPLETED', 1, 1)`, id, strconv.Itoa(id)).Error
			if err != nil {
				t.Fatal(err)
			}
		}
		_, before := s.Sources()
		if err := s.SaveScan(ctx, CarveScan{CarveID: 2, SetSHA256: before, Status: Scanned, Members: 3, Matches: 1, Error: "x"}); err != nil {
			t.Fatal(err)
		}
		left, err := s.Unscanned(ctx, []int64{1, 2, 3}, before)
		if err != nil || cmp.Diff([]int64{1, 3}, left) != "" {
			t.Errorf("left %v, %v", left, err)
		}
		if _, err := s.Add(ctx, NewFile{Name: "new.yar", Content: rule}); err != nil {
			t.Fatal(err)
		}
		sources, after := s.Sources()
		if after == before || len(sources) == 0 {
			t.Error("another file is the same set")
		}
		if left, err = s.Unscanned(ctx, []int64{1, 2, 3}, after); err != nil || len(left) != 3 {
			t.Errorf("open after a change %v, %v", left, err)
		}
		if got, err := s.FindScan(ctx, 2); err != nil || got.Members != 3 || got.Matches != 1 || got.Status != Scanned || got.Error != "x" || got.At.IsZero() {
			t.Errorf("%+v %v", got, err)
		}
		if _, err := s.FindScan(ctx, 1); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		if err := s.SaveScan(ctx, CarveScan{CarveID: 9, Status: Scanned}); !fault.Is(err, fault.Conflict) {
			t.Errorf("a carve that is gone: %v", err)
		}
	})
}
