package outputs

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/server/fault"
)

// aBatch is one of so many lines of some 100 bytes, that begin with an id.
func aBatch(first, last int64) batch {
	b := batch{destination: "siem", stream: StreamResults, first: first, last: last}
	for id := first; id <= last; id++ {
		text := fmt.Sprintf(`{"stream":"results","id":%d,"host":{"identifier":"host-%d"},"columns":{"x":"%s"}}`, id, id%2, strings.Repeat("x", 40))
		b.lines = append(b.lines, line{host: fmt.Sprintf("host-%d", id%2), name: fmt.Sprintf("web-%d", id%2), at: lineStored, text: []byte(text)})
	}
	return b
}

// opened is a sender with settings that were checked.
func opened(t *testing.T, s destinationSettings, o DestinationOptions) sender {
	t.Helper()
	o = o.withDefaults()
	if err := s.check(o); err != nil {
		t.Fatal(err)
	}
	sender, err := s.open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.close)
	return sender
}

func mustSend(t *testing.T, s sender, batches ...batch) {
	t.Helper()
	for _, b := range batches {
		if err := s.send(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// contents are the files of a folder and below, packed ones unpacked.
func contents(t *testing.T, folder string) map[string][]sent {
	t.Helper()
	found := map[string][]sent{}
	err := filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		var from io.Reader = file
		if strings.HasSuffix(path, ".gz") {
			if from, err = gzip.NewReader(file); err != nil {
				return err
			}
		}
		text, err := io.ReadAll(from)
		name, _ := filepath.Rel(folder, path)
		found[name] = parse(t, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAFileGrows(t *testing.T) {
	folder := t.TempDir()
	first := opened(t, &fileSettings{Path: "logs/results.log"}, DestinationOptions{Folder: folder})
	mustSend(t, first, aBatch(1, 3), aBatch(4, 4))
	first.close()
	path := filepath.Join(folder, "logs", "results.log")
	torn, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := torn.WriteString(`{"id":5,"ho`); err != nil { // the machine stopped in the middle
		t.Fatal(err)
	}
	_ = torn.Close()
	mustSend(t, opened(t, &fileSettings{Path: "logs/results.log"}, DestinationOptions{Folder: folder}), aBatch(5, 6))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 7 || lines[4] != `{"id":5,"ho` || parse(t, []byte(lines[5]))[0].ID != 5 || parse(t, []byte(lines[6]))[0].ID != 6 {
		t.Errorf("%q", lines)
	}
}

func TestAFileThatIsFullIsPutAside(t *testing.T) {
	for sentence, zip := range map[string]bool{"as it is": false, "packed": true} {
		t.Run(sentence, func(t *testing.T) {
			folder, keep := t.TempDir(), 2
			now := time.Now()
			f := opened(t, &fileSettings{Path: "a.log", MiB: 1, Gzip: zip, Keep: &keep}, DestinationOptions{Folder: folder, Now: func() time.Time { now = now.Add(time.Millisecond); return now }})
			last := int64(0)
			for range 40 { // 9,000 lines take a little less than 1 MiB
				mustSend(t, f, aBatch(last+1, last+1000))
				last += 1000
			}
			soon(t, "all is tidied", func() bool {
				last++
				mustSend(t, f, aBatch(last, last))
				return f.(*fileSender).tidying == nil
			})
			found := contents(t, folder)
			if len(found) != 3 {
				t.Errorf("%d files: one that grows and two that were put aside", len(found))
			}
			var kept []int64
			for name, lines := range found {
				if aside := name != "a.log"; aside && zip != strings.HasSuffix(name, ".gz") {
					t.Errorf("%s", name)
				}
				for n := range lines[1:] {
					if lines[n+1].ID != lines[n].ID+1 {
						t.Fatalf("%s: after %d came %d", name, lines[n].ID, lines[n+1].ID)
					}
				}
				kept = append(kept, lines[0].ID, lines[len(lines)-1].ID)
			}
			if newest := found["a.log"]; newest[len(newest)-1].ID != last || len(kept) != 6 {
				t.Errorf("%v", kept)
			}
		})
	}
}

func TestAFileOfYesterdayIsPutAside(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.log")
	f := opened(t, &fileSettings{Path: "a.log"}, DestinationOptions{Folder: folder})
	mustSend(t, f, aBatch(1, 1), aBatch(2, 2))
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(path, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	mustSend(t, f, aBatch(3, 3), aBatch(4, 4))
	f.close()
	found := contents(t, folder)
	if len(found) != 2 || len(found["a.log"]) != 2 || found["a.log"][0].ID != 3 {
		t.Errorf("%v", found)
	}
}

// TestAFileThatOthersMove is what logrotate does.
func TestAFileThatOthersMove(t *testing.T) {
	folder := t.TempDir()
	f := opened(t, &fileSettings{Path: "a.log"}, DestinationOptions{Folder: folder})
	mustSend(t, f, aBatch(1, 1))
	if err := os.Rename(filepath.Join(folder, "a.log"), filepath.Join(folder, "a.log.1")); err != nil {
		t.Fatal(err)
	}
	mustSend(t, f, aBatch(2, 2))
	found := contents(t, folder)
	if len(found["a.log"]) != 1 || found["a.log"][0].ID != 2 || len(found["a.log.1"]) != 1 {
		t.Errorf("%v", found)
	}
}

func TestFilesThatCannotBeWritten(t *testing.T) {
	folder, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"link/a.log": "escapes", "dir": "no regular file", "dir/../link/x": "escapes"} {
		err := opened(t, &fileSettings{Path: path}, DestinationOptions{Folder: folder}).send(t.Context(), aBatch(1, 1))
		if !fault.Is(err, fault.Unprocessable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if found := contents(t, outside); len(found) != 0 {
		t.Errorf("it wrote outside: %v", found)
	}
	allowed := opened(t, &fileSettings{Path: filepath.Join(outside, "b", "a.log")}, DestinationOptions{Folder: folder, Paths: []string{outside}})
	mustSend(t, allowed, aBatch(1, 1))
	if found := contents(t, outside); len(found["b/a.log"]) != 1 {
		t.Errorf("%v", found)
	}
	gone := &fileSettings{Path: filepath.Join(outside, "a.log")}
	if _, err := gone.open(DestinationOptions{Folder: folder}); !fault.Is(err, fault.Unprocessable) {
		t.Errorf("a folder that is not allowed any more: %v", err)
	}
}
