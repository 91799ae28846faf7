package yara

import (
	"log/slog"
	"sync"
	"testing"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
)

func TestZZ(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		var starting sync.WaitGroup
		for range 8 {
			starting.Go(func() {
				if err := New(db, bus.NewMemory(), slog.New(slog.DiscardHandler), Options{}).Load(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		starting.Wait()
	})
}
