package database_test

import (
	"context"
	"errors"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestOpen(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		if err := db.Ready(t.Context()); err != nil {
			t.Fatalf("a fresh database is not ready: %v", err)
		}
	})
	if _, err := database.Open(t.Context(), "mysql://x"); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown engine: %v", err)
	}
}

func TestTx(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := t.Context()
		boom := errors.New("boom")
		err := db.Tx(ctx, func(tx *database.DB) error {
			if err := tx.SetSetting(ctx, "kept", 1); err != nil {
				return err
			}
			_ = tx.Tx(ctx, func(inner *database.DB) error {
				_ = inner.SetSetting(ctx, "undone", 1)
				return boom
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if found, err := db.Setting(ctx, "kept", &n); !found || n != 1 || err != nil {
			t.Errorf("the transaction is lost: %v %d %v", found, n, err)
		}
		if found, _ := db.Setting(ctx, "undone", &n); found {
			t.Error("the savepoint was kept")
		}
	})
}

func TestFaults(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		insert := func() error {
			return database.Fault(db.Write(t.Context()).Exec("INSERT INTO tags (value, created_at) VALUES ('a', 1)").Error)
		}
		if err := insert(); err != nil {
			t.Fatal(err)
		}
		if err := insert(); !fault.Is(err, fault.Conflict) {
			t.Errorf("a duplicate is %v", err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		err := database.Fault(db.Write(cancelled).Exec("INSERT INTO tags (value, created_at) VALUES ('b', 1)").Error)
		if !fault.Is(err, fault.Busy) {
			t.Errorf("a cancelled statement is %v", err)
		}
		_ = db.Close()
		if err := db.Ready(t.Context()); !fault.Is(err, fault.Busy) {
			t.Errorf("a closed database is %v", err)
		}
		if err := insert(); !fault.Is(err, fault.Busy) {
			t.Errorf("a statement on a closed database is %v", err)
		}
	})
}
