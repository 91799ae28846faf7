package hosts

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"muster/server/database"
)

// stored reads a host's contact times and address from the database.
func (f *fixture) stored(id int64) (contactTimes, string) {
	f.t.Helper()
	var row hostRow
	f.ok(f.db.Read(f.t.Context()).Raw("SELECT "+hostColumns+" FROM hosts WHERE id = ?", id).Scan(&row).Error)
	return row.times(), row.LastIP
}

func TestContactsShowAtOnceAndAreWrittenLater(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, host := f.enroll(web("1"))
		enrolled := f.clock.now()
		version := f.reg.version(host.ID)
		f.clock.advance(time.Hour)
		at := f.clock.now()
		for _, c := range []Contact{ContactConfig, ContactResult, ContactStatus, ContactQueryRead, ContactQueryWrite, ContactCarve, 99} {
			f.Seen(host.ID, c, "::ffff:192.0.2.7")
		}
		f.Seen(host.ID+1000, ContactConfig, "192.0.2.8")
		shown := f.find(host.ID)
		for _, time := range []time.Time{shown.LastCheckin, shown.LastConfig, shown.LastResult, shown.LastStatus, shown.LastQueryRead, shown.LastQueryWrite} {
			if !time.Equal(at) {
				t.Errorf("shows %v, want %v", time, at)
			}
		}
		if shown.LastIP != "192.0.2.7" {
			t.Errorf("address %q", shown.LastIP)
		}
		if times, _ := f.stored(host.ID); times[timeCheckin] != enrolled.UnixMicro() {
			t.Error("a contact was written at once")
		}
		f.ok(f.Flush(t.Context()))
		times, ip := f.stored(host.ID)
		for _, stored := range times {
			if stored != at.UnixMicro() {
				t.Errorf("stored %v", times)
			}
		}
		var raised int64
		f.ok(f.db.Read(t.Context()).Raw("SELECT updated_at FROM hosts WHERE id = ?", host.ID).Scan(&raised).Error)
		if ip != "192.0.2.7" || raised != version {
			t.Errorf("address %q; version %d was %d", ip, raised, version)
		}
	})
}

func TestAFlushNeverGoesBackwards(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, host := f.enroll(web("1"))
		other := f.replica()
		f.clock.advance(time.Minute)
		other.Seen(host.ID, ContactConfig, "10.0.0.2") // older, written last
		f.clock.advance(time.Minute)
		f.Seen(host.ID, ContactConfig, "10.0.0.3")
		f.ok(f.Flush(t.Context()))
		f.ok(other.Flush(t.Context()))
		times, ip := f.stored(host.ID)
		if now := f.clock.now().UnixMicro(); times[timeConfig] != now || times[timeCheckin] != now || ip != "10.0.0.3" {
			t.Errorf("stored %v from %s", times, ip)
		}
		// In memory neither, when a clock is set back.
		f.clock.advance(-time.Hour)
		f.Seen(host.ID, ContactConfig, "10.0.0.3")
		if got := f.find(host.ID).LastConfig; !got.Equal(f.clock.now().Add(time.Hour)) {
			t.Errorf("went back to %v", got)
		}
	})
}

func TestContactsSurviveAFailedFlush(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, one := f.enroll(web("1"))
		_, two := f.enroll(web("2"))
		f.clock.advance(time.Minute)
		f.Seen(one.ID, ContactResult, "")
		f.Seen(two.ID, ContactResult, "")
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 {
			if f.Flush(cancelled) == nil {
				t.Fatal("a cancelled flush succeeded")
			}
			f.Seen(one.ID, ContactResult, "")
		}
		if n := len(f.contacts.waiting); n != 2 {
			t.Errorf("%d hosts wait", n)
		}
		f.ok(f.Flush(t.Context()))
		for _, id := range []int64{one.ID, two.ID} {
			if times, _ := f.stored(id); times[timeResult] != f.clock.now().UnixMicro() {
				t.Errorf("host %d: %v", id, times)
			}
		}
	})
}

func TestRunWritesTheLastContactsBeforeItEnds(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, host := f.enroll(web("1"))
		f.clock.advance(time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { f.Run(ctx) })
		f.Seen(host.ID, ContactStatus, "10.9.9.9")
		cancel()
		run.Wait()
		if times, ip := f.stored(host.ID); times[timeStatus] != f.clock.now().UnixMicro() || ip != "10.9.9.9" {
			t.Errorf("stored %v from %s", times, ip)
		}
		secrets, err := f.ListSecrets(t.Context())
		f.ok(err)
		if secrets[0].Uses != 1 || len(f.secrets.uses) != 0 {
			t.Errorf("secret %+v, %d waiting", secrets[0], len(f.secrets.uses))
		}
	})
}

func TestReplicasLearnEachOthersContacts(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if f.db.Engine() == database.SQLite {
			return // one process
		}
		_, host := f.enroll(web("1"))
		other := f.replica()
		f.clock.advance(time.Hour)
		f.Seen(host.ID, ContactResult, "10.0.0.9")
		f.ok(f.Flush(t.Context()))
		f.ok(other.poll(t.Context(), 1))
		if got := other.find(host.ID); !got.Online(f.clock.now()) || got.LastIP != "10.0.0.9" {
			t.Errorf("last seen %v at %s", got.LastCheckin, got.LastIP)
		}
	})
}

func TestChangesReachOtherReplicasByHintAndByPoll(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, cancel := context.WithCancel(t.Context())
		other, slow := f.replica(), f.replica()
		var run sync.WaitGroup
		run.Go(func() { other.Run(ctx) })
		defer run.Wait()
		defer cancel()

		_, host := f.enroll(web("1"))
		eventually(t, "the host reaches the other replica", func() bool { return other.reg.get(host.ID) != nil })
		f.ok(f.AddTag(t.Context(), host.ID, "blue"))
		eventually(t, "the tag reaches the other replica", func() bool { return len(other.find(host.ID).Tags) == 2 })
		_, err := f.AddSecret(t.Context(), NewSecret{Name: "second", Secret: "second"})
		f.ok(err)
		eventually(t, "the secret reaches the other replica", func() bool {
			_, found := other.secrets.match("second", f.clock.now())
			return found
		})

		f.clock.advance(time.Hour)
		f.ok(f.AddTag(t.Context(), host.ID, "green"))
		f.ok(slow.poll(t.Context(), 1))
		if got := slow.find(host.ID).Tags; len(got) != 3 {
			t.Errorf("the poll found tags %v", got)
		}
		// A replica whose clock is an hour behind is caught up with now and then.
		f.ok(f.db.Write(ctx).Exec("UPDATE hosts SET updated_at = ?, hostname = 'late' WHERE id = ?", f.reg.version(host.ID)+1, host.ID).Error)
		slow.reg.newest = f.clock.now().Add(time.Hour).UnixMicro()
		f.clock.advance(2 * time.Hour)
		f.ok(slow.poll(t.Context(), 1))
		f.ok(slow.poll(t.Context(), pollsPerSweep))
		if got := slow.find(host.ID).Hostname; got != "late" {
			t.Errorf("the sweep found %q", got)
		}
	})
}

func TestASlowReaderCannotUndoANewerChange(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, host := f.enroll(web("1"))
		old, err := readHosts(t.Context(), f.db, []int64{host.ID})
		f.ok(err)
		f.ok(f.AddTag(t.Context(), host.ID, "blue"))
		f.reg.install(old)
		if got := f.find(host.ID).Tags; len(got) != 2 {
			t.Errorf("tags %v", got)
		}
	})
}

func TestAChangeInATransactionIsNotShownBeforeItsCommit(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		_, host := f.enroll(web("1"))
		undo := database.Fault(context.Canceled)
		err := f.db.Tx(ctx, func(tx *database.DB) error {
			within := f.With(tx)
			if err := within.AddTag(ctx, host.ID, "undone"); err != nil {
				return err
			}
			if _, err := within.AddSecret(ctx, NewSecret{Name: "undone", Secret: "undone"}); err != nil {
				return err
			}
			_, created, err := within.Enroll(ctx, web("2").enrollment())
			if err != nil {
				return err
			}
			if seen, err := within.FindByID(ctx, created.ID); err != nil || seen.ID != created.ID {
				t.Errorf("the transaction does not see its own host: %v", err)
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Fatal(err)
		}
		if got := f.find(host.ID).Tags; len(got) != 1 || len(f.reg.byID) != 1 {
			t.Errorf("shows tags %v, %d hosts", got, len(f.reg.byID))
		}
	})
}
