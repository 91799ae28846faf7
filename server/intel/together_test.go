package intel

import (
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
)

// Another replica changes one key while this one changes another.
func TestTwoChangesAtATimeAreBothKept(t *testing.T) {
	db := dbtest.Open(t, database.Postgres) // SQLite has one writer
	s, ctx := newStore(t, db, newBox(t, 0)), t.Context()
	changed := make(chan error, 1)
	err := db.Tx(ctx, func(tx *database.DB) error {
		elsewhere := newStore(t, tx, s.box)
		if _, _, err := elsewhere.SetKeys(ctx, Change{Set: map[Provider]Key{AlienVault: {Key: "a"}}}); err != nil {
			return err
		}
		go func() {
			_, _, err := s.SetKeys(ctx, Change{Set: map[Provider]Key{VirusTotal: {Key: "v"}}})
			changed <- err
		}()
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			var waiting int
			err := db.Read(ctx).Raw("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting).Error
			if err != nil || waiting > 0 {
				return err
			}
		}
		t.Error("the second change does not wait for the first")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-changed; err != nil {
		t.Fatal(err)
	}
	if keys, err := s.Keys(ctx); err != nil || len(keys) != 2 {
		t.Errorf("kept: %v %v", keys, err)
	}
}
