package carves

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/server/fault"
)

// run starts the store's background work and stops it after the test.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	r.t.Cleanup(stop)
	return stop
}

func TestHolesExpire(t *testing.T) {
	data := makeTar(t, 9000)
	each(t, Options{TotalTimeout: 25 * time.Minute}, func(t *testing.T, r *rig) {
		idle, slow, quick := r.startAs(1, guid, data, 1000), r.startAs(2, guid, data, 1000), r.startAs(3, guid, data, 1000)
		r.send(cut(idle, data, 1000)[1:6]...)
		r.send(cut(quick, data, 1000)...)
		later := func(idleWants, slowWants Status) {
			t.Helper()
			r.pass(9 * time.Minute)
			if err := r.Expire(t.Context()); err != nil {
				t.Fatal(err)
			}
			if a, b := r.find(idle).Status, r.find(slow).Status; a != idleWants || b != slowWants {
				t.Errorf("the idle carve is %s, the slow one %s", a, b)
			}
		}
		later(InProgress, Initialized)
		r.send(cut(slow, data, 1000)[0])
		later(Expired, InProgress) // 18 minutes without a block; 9
		r.send(cut(slow, data, 1000)[1])
		later(Expired, Expired) // 27 minutes since the start

		carve := r.find(idle)
		if carve.EndedAt.IsZero() || carve.Error != "8 of 13 blocks are missing" || blocks(int64(len(data)), 1000) != 13 {
			t.Errorf("the idle carve is %+v", carve)
		}
		for range 2 { // as read from the table, and as remembered
			wantFault(t, "a late block", r.Block(t.Context(), cut(idle, data, 1000)[0]), fault.NotFound)
		}
		_, _, err := r.Open(t.Context(), idle)
		wantFault(t, "its archive", err, fault.Conflict)
		r.mustHold(quick, data, FormatTar)
		if got := r.files(); !slices.Equal(got, []string{"3.tar"}) {
			t.Errorf("the folder holds %v", got)
		}
	})
}

func TestARestartInTheMiddleLosesNothing(t *testing.T) {
	data := makeTar(t, 9000)
	each(t, Options{}, func(t *testing.T, r *rig) {
		sessionID := r.start(data, 1000)
		all := cut(sessionID, data, 1000)
		r.send(all[4], all[0], all[9])
		r = r.again(Options{})
		r.send(all[4]) // its answer was lost in the restart
		if n := r.find(sessionID).ReceivedBlocks; n != 3 {
			t.Errorf("%d blocks", n)
		}
		r.send(all[1:6]...)
		r = r.again(Options{})
		r.send(all...)
		r.mustHold(sessionID, data, FormatTar)
	})
}

func TestARestartDuringCompletionIsResumed(t *testing.T) {
	data := makeTar(t, 9000)
	tests := []struct {
		name    string
		crashed func(r *rig, id int64) error
		passes  time.Duration
		status  Status
		says    string
	}{
		{"before anything was done", func(*rig, int64) error { return nil }, time.Hour, Completed, ""},
		{"after the renaming", func(r *rig, id int64) error { return r.publish(id, ".tar") }, time.Hour, Completed, ""},
		{"when the disk lost the end of the file", func(r *rig, id int64) error { return os.Truncate(r.path(id, ".part"), 5000) }, time.Hour, Failed, "disk"},
		{"when the file is on no disk of ours in all the time there is", func(r *rig, id int64) error { return os.Remove(r.path(id, ".part")) }, 25 * time.Hour, Failed, "could not be finished"},
	}
	each(t, Options{}, func(t *testing.T, r *rig) {
		for i, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				before := r.again(Options{InlineSize: 1}) // nobody runs: it stays unfinished
				sessionID := before.startAs(int64(i+1), guid, data, 1000)
				before.send(cut(sessionID, data, 1000)...)
				carve := before.find(sessionID)
				if carve.Status != Building || carve.ReceivedBlocks != carve.BlockCount {
					t.Fatalf("before the crash the carve is %+v", carve)
				}
				before.send(cut(sessionID, data, 1000)[3])
				if err := test.crashed(before, carve.ID); err != nil {
					t.Fatal(err)
				}
				before.pass(test.passes) // being finished is not being idle
				after := r.again(Options{})
				defer after.run()()
				until(t, "the end", func() bool { return !after.find(sessionID).EndedAt.IsZero() })
				if carve = after.find(sessionID); carve.Status != test.status {
					t.Fatalf("the carve is %+v", carve)
				}
				if test.status == Completed {
					after.mustHold(sessionID, data, FormatTar)
					return
				}
				if !strings.Contains(carve.Error, test.says) || carve.SHA256 != "" {
					t.Errorf("the carve is %+v", carve)
				}
				until(t, "the file's end", func() bool {
					return !slices.Contains(after.files(), filepath.Base(after.path(carve.ID, partExtension)))
				})
			})
		}
	})
}

func TestLargeCarvesAreFinishedByRun(t *testing.T) {
	data := makeTar(t, 9000)
	each(t, Options{InlineSize: 1}, func(t *testing.T, r *rig) {
		stop := r.run()
		sessionID := r.start(data, 1000)
		r.send(cut(sessionID, data, 1000)...)
		until(t, "completion", func() bool { return r.find(sessionID).Status == Completed })
		stop()
		r.mustHold(sessionID, data, FormatTar)
	})
}

func TestACarveThatCannotBeFinishedIsGivenUpAfterADay(t *testing.T) {
	data := makeTar(t, 9000)
	each(t, Options{InlineSize: 1}, func(t *testing.T, r *rig) {
		sessionID := r.start(data, 1000)
		r.send(cut(sessionID, data, 1000)...)
		id := r.find(sessionID).ID
		// A folder in the place of the archive: renaming fails, today and tomorrow.
		if err := os.MkdirAll(r.path(id, ".tar")+"/x", 0o700); err != nil {
			t.Fatal(err)
		}
		r.finishAll(t.Context())
		if carve := r.find(sessionID); carve.Status != Building {
			t.Errorf("the carve is %+v", carve)
		}
		r.pass(25 * time.Hour)
		r.finishAll(t.Context())
		if carve := r.find(sessionID); carve.Status != Failed || carve.Error == "" {
			t.Errorf("a day later it is %+v", carve)
		}
	})
}

func TestReplicasShareSessions(t *testing.T) {
	data := makeTar(t, 3000)
	each(t, Options{}, func(t *testing.T, one *rig) {
		two := one.again(Options{})
		first, second, third := one.startAs(1, guid, data, 1000), one.startAs(2, guid, data, 1000), one.startAs(3, guid, data, 1000)
		for _, sessionID := range []string{first, second, third} { // both know them now
			one.send(cut(sessionID, data, 1000)[0])
			two.send(cut(sessionID, data, 1000)[1])
		}
		one.send(cut(first, data, 1000)...)
		one.mustHold(first, data, FormatTar)
		two.send(cut(first, data, 1000)...) // complete since, which two has yet to learn

		if err := one.Delete(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		wantFault(t, "a block of a deleted carve", two.Block(t.Context(), cut(second, data, 1000)[2]), fault.NotFound)

		one.pass(time.Hour)
		if err := one.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantFault(t, "a block of an expired carve", two.Block(t.Context(), cut(third, data, 1000)[2]), fault.NotFound)
		if got := one.files(); !slices.Equal(got, []string{"1.tar"}) {
			t.Errorf("the folder holds %v", got)
		}
	})
}

func TestDelete(t *testing.T) {
	data := makeTar(t, 3000)
	each(t, Options{InlineSize: 10_000}, func(t *testing.T, r *rig) {
		open, complete := r.startAs(1, guid, data, 1000), r.startAs(2, guid, data, 1000)
		r.send(cut(open, data, 1000)[:2]...)
		r.send(cut(complete, data, 1000)...)
		for _, sessionID := range []string{" " + open, complete} {
			if err := r.Delete(t.Context(), sessionID); err != nil {
				t.Error(err)
			}
			_, err := r.Find(t.Context(), sessionID)
			wantFault(t, "the deleted carve", err, fault.NotFound)
			wantFault(t, "a second deletion", r.Delete(t.Context(), sessionID), fault.NotFound)
		}
		wantFault(t, "a block of a deleted carve", r.Block(t.Context(), cut(open, data, 1000)[2]), fault.NotFound)
		if files, n := r.files(), r.rows("SELECT count(*) FROM carve_blocks"); len(files) != 0 || n != 0 {
			t.Errorf("%v and %d block rows stay", files, n)
		}
	})
}

// A deletion that comes while the archive is being made leaves nothing behind.
func TestDeleteDuringCompletion(t *testing.T) {
	data := makeTar(t, 3000)
	each(t, Options{InlineSize: 1}, func(t *testing.T, r *rig) {
		sessionID := r.start(data, 1000)
		r.send(cut(sessionID, data, 1000)...)
		id := r.find(sessionID).ID
		if err := r.db.Write(t.Context()).Exec("DELETE FROM carves WHERE id = ?", id).Error; err != nil {
			t.Fatal(err)
		}
		if err := r.publish(id, ".tar"); err != nil {
			t.Fatal(err)
		}
		if err := r.end(t.Context(), id, Completed, nil); err != nil {
			t.Fatal(err)
		}
		if files := r.files(); len(files) != 0 {
			t.Errorf("%v stay", files)
		}
	})
}

func TestPurge(t *testing.T) {
	data := makeTar(t, 3000)
	each(t, Options{KeepFailed: 30 * 24 * time.Hour, KeepComplete: 90 * 24 * time.Hour}, func(t *testing.T, r *rig) {
		hole, complete := r.startAs(1, guid, data, 1000), r.startAs(2, guid, data, 1000)
		r.send(cut(complete, data, 1000)...)
		if err := r.Requested(t.Context(), 9, guid, 1); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Hour)
		if err := r.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		open := r.startAs(3, guid, data, 1000)
		for _, stray := range []string{"1.part", "77.part", "note.txt"} {
			if err := os.WriteFile(r.Store.dir+"/"+stray, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		purge := func(want ...string) {
			t.Helper()
			if err := r.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := r.files(); !slices.Equal(got, want) {
				t.Errorf("the folder holds %v, want %v", got, want)
			}
		}
		purge("2.tar", "3.part", "note.txt")
		r.find(hole)
		r.send(cut(open, data, 1000)...)
		r.pass(31 * 24 * time.Hour)
		purge("2.tar", "3.tar", "note.txt")
		_, err := r.Find(t.Context(), hole)
		wantFault(t, "the expired carve", err, fault.NotFound)
		if n := r.rows("SELECT count(*) FROM carve_requests"); n != 0 {
			t.Errorf("%d requests stay", n)
		}
		r.mustHold(complete, data, FormatTar)
		r.pass(60 * 24 * time.Hour)
		purge("note.txt")
		if n := r.rows("SELECT count(*) FROM carves"); n != 0 {
			t.Errorf("%d carves stay", n)
		}
	})
}
