package agentapi

import (
	"bytes"
	"io"
	"sync/atomic"
	"testing"

	"muster/server/fault"
)

func TestSpool(t *testing.T) {
	var room atomic.Int64
	s := &spool{dir: t.TempDir(), room: &room}
	piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<14) // 256 KiB
	var want []byte
	for range 10 {
		want = append(want, piece...)
		if _, err := s.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	source, err := s.replay()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(source); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes come back of %d, %v", len(got), len(want), err)
	}
	if room.Load() != int64(len(want)-spoolMemory) {
		t.Errorf("%d bytes count as on disk", room.Load())
	}
	room.Add(maxSpooled)
	if _, err := s.Write(piece); !fault.Is(err, fault.Busy) {
		t.Errorf("a full disk is %v", err)
	}
	s.close()
	if room.Load() != maxSpooled {
		t.Errorf("%d bytes are not given back", room.Load()-maxSpooled)
	}
}
