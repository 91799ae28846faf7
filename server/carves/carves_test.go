package carves

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestBlocksComeInAnyOrderAtOnceAndAgain(t *testing.T) {
	plain := makeTar(t, 50_000)
	tests := []struct {
		name   string
		data   []byte
		format Format
		ending string
	}{
		{"a tar", plain, FormatTar, guid + ".tar"},
		{"a zstd archive", makeZstd(t, plain), FormatZstd, guid + ".zst"},
	}
	each(t, Options{}, func(t *testing.T, r *rig) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				sessionID := r.start(test.data, 4000)
				all := cut(sessionID, test.data, 4000)
				all = append(all, all...)
				all = append(all, all...)
				rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
				var senders sync.WaitGroup
				for part := range slices.Chunk(all, len(all)/8+1) {
					senders.Go(func() {
						for _, b := range part {
							if err := r.Block(t.Context(), b); err != nil {
								t.Errorf("block %d: %v", b.ID, err)
							}
						}
					})
				}
				senders.Wait()
				// Who brings the last block finishes the carve; the others do not wait for it.
				until(t, "completion", func() bool { return r.find(sessionID).Status == Completed })
				carve := r.mustHold(sessionID, test.data, test.format)
				if carve.Archive != sessionID+test.ending || carve.ReceivedBlocks != carve.BlockCount || carve.Error != "" {
					t.Errorf("the carve is %+v", carve)
				}
				r.send(all[0]) // the answer to it was lost: once more, long after
				r.mustHold(sessionID, test.data, test.format)
			})
		}
	})
}

func TestCarvesOfManyHostsAtOnce(t *testing.T) {
	data := makeTar(t, 20_000)
	each(t, Options{Sessions: 3}, func(t *testing.T, r *rig) { // fewer in memory than there are
		ids := make([]string, 8)
		var hosts sync.WaitGroup
		for i := range ids {
			hosts.Go(func() {
				ids[i] = r.startAs(int64(i+1), guid, data, 3000)
				for _, b := range cut(ids[i], data, 3000) {
					b.HostID = int64(i + 1)
					if err := r.Block(t.Context(), b); err != nil {
						t.Error(err)
					}
				}
			})
		}
		hosts.Wait()
		for i, sessionID := range ids {
			if carve := r.mustHold(sessionID, data, FormatTar); carve.HostID != int64(i+1) {
				t.Errorf("carve of host %d: %+v", i+1, carve)
			}
		}
		if n := len(r.sessions.known); n > 3 {
			t.Errorf("%d sessions are in memory", n)
		}
	})
}

func TestStartChecksTheNumbers(t *testing.T) {
	each(t, Options{MaxSize: 1000, MaxBlock: 100, MaxBlocks: 50}, func(t *testing.T, r *rig) {
		good := Start{GUID: guid, RequestID: "r", Size: 250, BlockSize: 100, BlockCount: 3}
		tests := []struct {
			name  string
			spoil func(s *Start)
		}{
			{"no guid", func(s *Start) { s.GUID = "" }},
			{"a guid without end", func(s *Start) { s.GUID = strings.Repeat("x", 129) }},
			{"a guid with NUL", func(s *Start) { s.GUID = "a\x00b" }},
			{"a guid that is no UTF-8", func(s *Start) { s.GUID = "a\xffb" }},
			{"a request id without end", func(s *Start) { s.RequestID = strings.Repeat("x", 257) }},
			{"a negative size", func(s *Start) { s.Size, s.BlockCount = -1, 0 }},
			{"too large", func(s *Start) { s.Size, s.BlockCount = 1001, 11 }},
			{"no block size", func(s *Start) { s.BlockSize = 0 }},
			{"a negative block size", func(s *Start) { s.BlockSize, s.BlockCount = -100, -3 }},
			{"blocks too large", func(s *Start) { s.BlockSize = 101 }},
			{"too few blocks", func(s *Start) { s.BlockCount = 2 }},
			{"too many blocks", func(s *Start) { s.BlockCount = 4 }},
			{"more blocks than may be", func(s *Start) { s.BlockSize, s.BlockCount = 1, 250 }},
			{"blocks of nothing", func(s *Start) { s.Size, s.BlockCount = 0, 1 }},
		}
		for _, test := range tests {
			bad := good
			test.spoil(&bad)
			_, err := r.Start(t.Context(), 1, bad)
			wantFault(t, test.name, err, fault.Invalid)
		}
		sessionID, err := r.Start(t.Context(), 1, good)
		if err != nil || len(sessionID) < 22 || strings.Trim(sessionID, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
			t.Errorf("session %q: %v", sessionID, err)
		}
		if n := r.rows("SELECT count(*) FROM carves"); n != 1 {
			t.Errorf("%d carves", n)
		}
	})
}

func TestBlockChecks(t *testing.T) {
	data := makeTar(t, 500)
	each(t, Options{}, func(t *testing.T, r *rig) {
		sessionID := r.start(data, 1000)
		all := cut(sessionID, data, 1000)
		last := len(all) - 1
		tests := []struct {
			name  string
			block Block
			kind  fault.Kind
		}{
			{"an unknown session", Block{SessionID: strings.Repeat("A", sessionIDLength), Data: all[0].Data}, fault.NotFound},
			{"no session", Block{Data: all[0].Data}, fault.NotFound},
			{"a session id that is no text", Block{SessionID: strings.Repeat("\x00", sessionIDLength), Data: all[0].Data}, fault.NotFound},
			{"another host", Block{SessionID: sessionID, Data: all[0].Data, HostID: 2}, fault.Unauthenticated},
			{"another request", Block{SessionID: sessionID, RequestID: "r2", Data: all[0].Data}, fault.Unauthenticated},
			{"a negative block", Block{SessionID: sessionID, ID: -1, Data: all[0].Data}, fault.Invalid},
			{"a block past the end", Block{SessionID: sessionID, ID: int64(len(all)), Data: all[0].Data}, fault.Invalid},
			{"a short block", Block{SessionID: sessionID, Data: all[0].Data[:999]}, fault.Invalid},
			{"a long block", Block{SessionID: sessionID, Data: make([]byte, 1001)}, fault.Invalid},
			{"a last block as long as the others", Block{SessionID: sessionID, ID: int64(last), Data: all[0].Data}, fault.Invalid},
			{"an empty block", Block{SessionID: sessionID}, fault.Invalid},
		}
		for _, test := range tests {
			wantFault(t, test.name, r.Block(t.Context(), test.block), test.kind)
		}
		if n := r.rows("SELECT count(*) FROM carve_blocks"); n != 0 {
			t.Errorf("%d blocks were taken", n)
		}
		all[0].HostID, all[1].RequestID = 1, ""
		r.send(all...)
		r.mustHold(sessionID, data, FormatTar)
	})
}

func TestOddFiles(t *testing.T) {
	tests := []struct {
		name    string
		data    []byte
		format  Format
		archive string
		problem bool
	}{
		{"no bytes are complete at once", nil, FormatEmpty, ".bin", false},
		{"bytes that are no archive are kept", []byte("hello"), FormatUnknown, ".bin", true},
		{"a tar without members", make([]byte, 1024), FormatTar, ".tar", false},
		{"zeros that are no tar", make([]byte, 1000), FormatUnknown, ".bin", true},
	}
	each(t, Options{}, func(t *testing.T, r *rig) {
		for _, test := range tests {
			sessionID := r.start(test.data, 300)
			r.send(cut(sessionID, test.data, 300)...)
			carve := r.mustHold(sessionID, test.data, test.format)
			if carve.Archive != sessionID+guid+test.archive || (carve.Error != "") != test.problem {
				t.Errorf("%s: the carve is %+v", test.name, carve)
			}
		}
	})
}

func TestAHostileGUIDNamesNoFile(t *testing.T) {
	data := makeTar(t, 100)
	each(t, Options{}, func(t *testing.T, r *rig) {
		for i, hostile := range []string{"../../../etc/passwd", `..\..\x`, "/etc/passwd", "a\r\nb: c\"", ".", strings.Repeat("../", 40), "ü/👾"} {
			sessionID := r.startAs(int64(i+1), hostile, data, 1000)
			r.send(cut(sessionID, data, 1000)...)
			carve := r.mustHold(sessionID, data, FormatTar)
			if carve.GUID != hostile {
				t.Errorf("the guid became %q", carve.GUID)
			}
			name := strings.TrimSuffix(strings.TrimPrefix(carve.Archive, sessionID), ".tar")
			if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_-") != "" || len(name) > 64 {
				t.Errorf("the archive is called %q", carve.Archive)
			}
		}
		want := []string{"1.tar", "2.tar", "3.tar", "4.tar", "5.tar", "6.tar", "7.tar"}
		if got := r.files(); !slices.Equal(got, want) {
			t.Errorf("the folder holds %v", got)
		}
		entries, err := os.ReadDir(r.dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("the data folder holds %v: %v", entries, err)
		}
		info, err := os.Stat(filepath.Join(r.Store.dir, "1.tar"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the archive is %v: %v", info, err)
		}
	})
}

func TestLimits(t *testing.T) {
	start := func(i int) Start {
		return Start{GUID: guid + string(rune('a'+i)), Size: 1000, BlockSize: 1000, BlockCount: 1}
	}
	t.Run("carves open at once of a host", func(t *testing.T) {
		each(t, Options{OpenPerHost: 2}, func(t *testing.T, r *rig) {
			for i := range 2 {
				if _, err := r.Start(t.Context(), 1, start(i)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := r.Start(t.Context(), 1, start(2))
			wantFault(t, "a third", err, fault.TooMany)
			if _, err := r.Start(t.Context(), 1, start(0)); err != nil {
				t.Errorf("a repeated start counts twice: %v", err)
			}
			if _, err := r.Start(t.Context(), 2, start(2)); err != nil {
				t.Errorf("another host: %v", err)
			}
			r.pass(11 * time.Minute)
			if err := r.Expire(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Start(t.Context(), 1, start(2)); err != nil {
				t.Errorf("after the others expired: %v", err)
			}
		})
	})
	t.Run("bytes of all carves", func(t *testing.T) {
		each(t, Options{Quota: 2500}, func(t *testing.T, r *rig) {
			sessionID, err := r.Start(t.Context(), 1, start(0))
			if err != nil {
				t.Fatal(err)
			}
			r.send(Block{SessionID: sessionID, Data: make([]byte, 1000)})
			if _, err := r.Start(t.Context(), 2, start(1)); err != nil {
				t.Fatal(err)
			}
			_, err = r.Start(t.Context(), 3, start(2))
			wantFault(t, "over the quota", err, fault.Busy)
			if err := r.Delete(t.Context(), sessionID); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Start(t.Context(), 3, start(2)); err != nil {
				t.Errorf("after a deletion: %v", err)
			}
		})
	})
	t.Run("the disk, with what is still to come", func(t *testing.T) {
		free := func(string) (int64, error) { return 2600, nil }
		each(t, Options{Free: free, MinFree: 500}, func(t *testing.T, r *rig) {
			for i := range 2 {
				if _, err := r.Start(t.Context(), 1, start(i)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := r.Start(t.Context(), 1, start(2))
			wantFault(t, "a full disk", err, fault.Busy)
		})
	})
	t.Run("a disk that does not answer", func(t *testing.T) {
		free := func(string) (int64, error) { return 0, errors.New("stale handle") }
		each(t, Options{Free: free}, func(t *testing.T, r *rig) {
			_, err := r.Start(t.Context(), 1, start(0))
			wantFault(t, "start", err, fault.Busy)
		})
	})
}

func TestTheMachinesOwnDiskIsAsked(t *testing.T) {
	free, err := freeBytes(t.TempDir())
	if err != nil || free <= 0 {
		t.Errorf("free: %d %v", free, err)
	}
}

func TestTheQueryThatAskedIsKnown(t *testing.T) {
	data := makeTar(t, 100)
	each(t, Options{}, func(t *testing.T, r *rig) {
		request := func(hostID, queryID int64) {
			if err := r.Requested(t.Context(), hostID, guid, queryID); err != nil {
				t.Fatal(err)
			}
		}
		request(1, 41) // before the start
		before := r.startAs(1, guid, data, 1000)
		after := r.startAs(2, guid, data, 1000)
		request(2, 42) // after the start
		done := r.startAs(3, guid, data, 1000)
		r.send(cut(done, data, 1000)...)
		request(3, 43) // after the end
		request(3, 44) // another query that lists the same carve
		restarted := r.startAs(2, guid, data, 1000)
		for sessionID, want := range map[string]int64{before: 41, after: 42, done: 43, restarted: 42} {
			if got := r.find(sessionID).QueryID; got != want {
				t.Errorf("query %d, want %d", got, want)
			}
		}
		if other := r.startAs(4, guid, data, 1000); r.find(other).QueryID != 0 {
			t.Error("the same guid on another host is correlated")
		}
		wantFault(t, "a guid with NUL", r.Requested(t.Context(), 1, "a\x00", 1), fault.Invalid)
		if rows, _, _, err := r.List(t.Context(), Filter{QueryID: 43}); err != nil || len(rows) != 1 || rows[0].SessionID != done {
			t.Errorf("listed by query: %v %v", rows, err)
		}
		if found, err := r.FindByQuery(t.Context(), 3, 43); err != nil || found.SessionID != done {
			t.Errorf("found by query: %v %v", found, err)
		}
		_, err := r.FindByQuery(t.Context(), 3, 41)
		wantFault(t, "a query that asked another host", err, fault.NotFound)
	})
}

func TestARepeatedStartBeginsAnew(t *testing.T) {
	data := makeTar(t, 3000)
	each(t, Options{}, func(t *testing.T, r *rig) {
		old := r.start(data, 1000)
		r.send(cut(old, data, 1000)[:2]...)
		fresh := r.start(data, 1000)
		if fresh == old {
			t.Fatal("the same session")
		}
		wantFault(t, "a block of the old session", r.Block(t.Context(), cut(old, data, 1000)[2]), fault.NotFound)
		if carve := r.find(old); carve.Status != Abandoned || carve.Error == "" || carve.EndedAt.IsZero() {
			t.Errorf("the old carve is %+v", carve)
		}
		if got := r.files(); !slices.Equal(got, []string{"2.part"}) {
			t.Errorf("the folder holds %v", got)
		}
		r.send(cut(fresh, data, 1000)...)
		r.mustHold(fresh, data, FormatTar)
		r.start(data, 1000) // a completed one is not touched
		if carve := r.find(fresh); carve.Status != Completed {
			t.Errorf("the complete carve is %+v", carve)
		}
	})
}

func TestListAndFind(t *testing.T) {
	data := makeTar(t, 100)
	each(t, Options{}, func(t *testing.T, r *rig) {
		for i, host := range []string{"web-1.example.com", "DB_1", "gone"} {
			err := r.db.Write(t.Context()).Exec("INSERT INTO hosts (identifier, hostname, platform, state, enrolled_on, updated_at) VALUES (?, ?, 'linux', ?, 1, 1)",
				host, host, []string{"active", "active", "removed"}[i]).Error
			if err != nil {
				t.Fatal(err)
			}
		}
		var sessions []string
		for i, hostID := range []int64{1, 2, 1, 3} {
			sessions = append(sessions, r.startAs(hostID, "G-"+string(rune('a'+i)), data, 10_000))
		}
		tests := []struct {
			name         string
			filter       Filter
			ids          []int64
			count, total int
		}{
			{"all, newest first", Filter{}, []int64{4, 3, 2, 1}, 4, 4},
			{"of active hosts", Filter{ActiveOnly: true}, []int64{3, 2, 1}, 3, 3},
			{"of one host", Filter{HostID: 1}, []int64{3, 1}, 2, 2},
			{"a page", Filter{Start: 1, Limit: 2}, []int64{3, 2}, 4, 4},
			{"a page without end", Filter{Start: 3}, []int64{1}, 4, 4},
			{"a page past the end", Filter{Start: 9, Limit: 2}, nil, 4, 4},
			{"by guid in any case", Filter{Search: "g-B"}, []int64{2}, 1, 4},
			{"by hostname", Filter{Search: "example"}, []int64{3, 1}, 2, 4},
			{"by session", Filter{Search: strings.ToLower(sessions[3])}, []int64{4}, 1, 4},
			{"without wildcards", Filter{Search: "_"}, []int64{2}, 1, 4},
			{"of a host by search", Filter{HostID: 1, Search: "g-c"}, []int64{3}, 1, 2},
			{"by what no row holds", Filter{Search: "a\x00"}, nil, 0, 4},
		}
		for _, test := range tests {
			rows, count, total, err := r.List(t.Context(), test.filter)
			var ids []int64
			for _, row := range rows {
				ids = append(ids, row.ID)
			}
			if err != nil || rows == nil || !slices.Equal(ids, test.ids) || count != test.count || total != test.total {
				t.Errorf("%s: %v %d %d, want %v %d %d: %v", test.name, ids, count, total, test.ids, test.count, test.total, err)
			}
		}
		carve := r.find(" " + sessions[1] + " ")
		if carve.ID != 2 || carve.HostID != 2 || carve.GUID != "G-b" || carve.RequestID != "r1" || carve.Size != int64(len(data)) || carve.BlockSize != 10_000 ||
			carve.BlockCount != 1 || carve.Status != Initialized || !carve.CreatedAt.Equal(time.Unix(r.time.Load(), 0)) || !carve.EndedAt.IsZero() || carve.Archive != "" {
			t.Errorf("found %+v", carve)
		}
		_, err := r.Find(t.Context(), "nope")
		wantFault(t, "an unknown session", err, fault.NotFound)
		_, _, err = r.Open(t.Context(), sessions[0])
		wantFault(t, "an open carve's archive", err, fault.Conflict)
	})
}

func TestOpenReadsAnyRange(t *testing.T) {
	data := makeTar(t, 5000)
	each(t, Options{}, func(t *testing.T, r *rig) {
		sessionID := r.start(data, 1000)
		r.send(cut(sessionID, data, 1000)...)
		file, carve, err := r.Open(t.Context(), sessionID)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		part := make([]byte, 100)
		if _, err := file.Seek(3000, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(file, part); err != nil || !bytes.Equal(part, data[3000:3100]) {
			t.Errorf("another range: %v", err)
		}
		if err := os.Remove(r.path(carve.ID, ".tar")); err != nil {
			t.Fatal(err)
		}
		_, _, err = r.Open(t.Context(), sessionID)
		wantFault(t, "a file that is gone", err, fault.NotFound)
	})
}

func TestWhenTheDatabaseFailsTheAgentMustSendAgain(t *testing.T) {
	data := makeTar(t, 2000)
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			url := dbtest.URL(t, engine)
			open := func() *rig {
				db, err := database.Open(t.Context(), url)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = db.Close() })
				return (&rig{t: t, db: db}).again(Options{Now: time.Now})
			}
			before := open()
			dir := t.TempDir()
			before.Store.dir = dir
			sessionID := before.start(data, 1000)
			all := cut(sessionID, data, 1000)
			before.send(all[0])
			_ = before.db.Close()
			if err := before.Block(t.Context(), all[1]); err == nil || fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthenticated) {
				t.Errorf("a failing database gives %v", err)
			}
			after := open()
			after.Store.dir = dir
			if n := after.find(sessionID).ReceivedBlocks; n != 1 {
				t.Errorf("%d blocks are recorded", n)
			}
			after.send(all[1:]...)
			after.mustHold(sessionID, data, FormatTar)
		})
	}
}
