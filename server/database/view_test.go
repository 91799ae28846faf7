package database_test

import (
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
)

func TestAViewSeesOneState(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		count := func(db *database.DB) (n int64) {
			t.Helper()
			if err := db.Read(t.Context()).Raw("SELECT count(*) FROM settings").Scan(&n).Error; err != nil {
				t.Fatal(err)
			}
			return n
		}
		err := db.View(t.Context(), func(view *database.DB) error {
			before := count(view)
			if err := db.SetSetting(t.Context(), "x", 1); err != nil {
				return err
			}
			if count(view) != before {
				t.Error("a view sees what was committed after its first statement")
			}
			if view.View(t.Context(), func(again *database.DB) error { count(again); return nil }) != nil {
				t.Error("a view inside a view fails")
			}
			if view.SetSetting(t.Context(), "y", 1) == nil {
				t.Error("a view writes")
			}
			return nil
		})
		if count(db) != 1 {
			t.Errorf("afterwards there are %d settings (%v)", count(db), err)
		}
	})
}

func TestALockIsHeldUntilItsTransactionEnds(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		if err := db.Lock(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		held, order := make(chan struct{}), make(chan string, 2)
		done := make(chan error)
		go func() {
			done <- db.Tx(t.Context(), func(tx *database.DB) error {
				if err := tx.Lock(t.Context(), "a"); err != nil {
					return err
				}
				close(held)
				order <- "first"
				return tx.SetSetting(t.Context(), "x", 1)
			})
		}()
		<-held
		err := db.Tx(t.Context(), func(tx *database.DB) error {
			err := tx.Lock(t.Context(), "a")
			var value int
			if found, _ := tx.Setting(t.Context(), "x", &value); !found {
				t.Error("the lock is taken while another transaction holds it")
			}
			order <- "second"
			return err
		})
		if first := <-order; err != nil || <-done != nil || first != "first" {
			t.Errorf("%v, %s came first", err, first)
		}
	})
}
