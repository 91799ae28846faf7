package carves

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

const guid = "3ecdb82c-5d6f-4c0f-b532-bdcb2588894d"

// rig is a store on a database, with a clock that the test moves.
type rig struct {
	*Store
	t    *testing.T
	db   *database.DB
	dir  string
	time *atomic.Int64 // seconds
}

// each runs a test on both engines.
func each(t *testing.T, options Options, test func(t *testing.T, r *rig)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := &rig{t: t, db: db, dir: t.TempDir(), time: &atomic.Int64{}}
		r.time.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Unix())
		test(t, r.again(options))
	})
}

// again opens another store on the same database and folder: the process after a
// restart, or another replica.
func (r *rig) again(options Options) *rig {
	if options.Now == nil {
		options.Now = func() time.Time { return time.Unix(r.time.Load(), 0) }
	}
	if options.MinFree == 0 {
		options.MinFree = 1
	}
	other := *r
	other.Store = New(r.db, filepath.Join(r.dir, "carves"), slog.New(slog.DiscardHandler), options)
	return &other
}

func (r *rig) pass(d time.Duration) { r.time.Add(int64(d / time.Second)) }

// start opens a session for data of host 1.
func (r *rig) start(data []byte, blockSize int64) string {
	r.t.Helper()
	return r.startAs(1, guid, data, blockSize)
}

func (r *rig) startAs(hostID int64, guid string, data []byte, blockSize int64) string {
	r.t.Helper()
	size := int64(len(data))
	sessionID, err := r.Start(r.t.Context(), hostID, Start{GUID: guid, RequestID: "r1", Size: size, BlockSize: blockSize, BlockCount: blocks(size, blockSize)})
	if err != nil {
		r.t.Fatal(err)
	}
	return sessionID
}

// cut makes the blocks of data.
func cut(sessionID string, data []byte, blockSize int64) []Block {
	var all []Block
	for id := int64(0); id*blockSize < int64(len(data)); id++ {
		end := min((id+1)*blockSize, int64(len(data)))
		all = append(all, Block{SessionID: sessionID, RequestID: "r1", ID: id, Data: data[id*blockSize : end]})
	}
	return all
}

func (r *rig) send(all ...Block) {
	r.t.Helper()
	for _, b := range all {
		if err := r.Block(r.t.Context(), b); err != nil {
			r.t.Fatalf("block %d: %v", b.ID, err)
		}
	}
}

func (r *rig) find(sessionID string) *Carve {
	r.t.Helper()
	carve, err := r.Find(r.t.Context(), sessionID)
	if err != nil {
		r.t.Fatal(err)
	}
	return carve
}

// mustHold checks that a carve is complete and holds exactly data.
func (r *rig) mustHold(sessionID string, data []byte, format Format) *Carve {
	r.t.Helper()
	carve := r.find(sessionID)
	sum := sha256.Sum256(data)
	if carve.Status != Completed || carve.Format != format || carve.SHA256 != hex.EncodeToString(sum[:]) || carve.EndedAt.IsZero() {
		r.t.Fatalf("the carve is %+v", carve)
	}
	file, _, err := r.Open(r.t.Context(), sessionID)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	got, err := io.ReadAll(file)
	if err != nil || !bytes.Equal(got, data) {
		r.t.Fatalf("the archive has %d bytes, want %d: %v", len(got), len(data), err)
	}
	if n := r.rows(fmt.Sprintf("SELECT count(*) FROM carve_blocks WHERE carve_id = %d", carve.ID)); n != 0 {
		r.t.Errorf("%d block rows stay", n)
	}
	return carve
}

func (r *rig) rows(query string) (n int) {
	r.t.Helper()
	if err := r.db.Read(context.Background()).Raw(query).Scan(&n).Error; err != nil {
		r.t.Fatal(err)
	}
	return n
}

// files lists the carve folder.
func (r *rig) files() (names []string) {
	entries, err := os.ReadDir(r.Store.dir)
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func wantFault(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("%s: got %v, want %v", what, err, kind)
	}
}

// until waits for a condition that other goroutines bring about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("never came: " + what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// makeTar is a pax tar as osquery makes it, with about size bytes of noise in it.
func makeTar(t testing.TB, size int) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	noise := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(noise)
	for _, file := range []struct {
		name string
		data []byte
	}{
		{"/tmp/osquery_carve_" + guid + "/etc/hosts", []byte("127.0.0.1 localhost\n")},
		{`C:\Windows\Temp\osquery_carve_` + guid + `\C\Users\a b\näme.bin`, noise},
	} {
		err := w.WriteHeader(&tar.Header{Name: file.name, Size: int64(len(file.data)), Mode: 0o640, Format: tar.FormatPAX,
			ModTime: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(file.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func makeZstd(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}
