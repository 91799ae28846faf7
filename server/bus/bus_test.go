package bus_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
)

func woken(wake <-chan struct{}) bool {
	select {
	case <-wake:
		return true
	case <-time.After(10 * time.Second):
		return false
	}
}

func TestMemory(t *testing.T) {
	b := bus.NewMemory()
	wake, stop := b.Subscribe("a")
	other, stopOther := b.Subscribe("b")
	defer stopOther()
	b.Publish("a")
	b.Publish("a")
	if !woken(wake) {
		t.Fatal("not woken")
	}
	select {
	case <-wake:
		t.Error("two hints while busy are two wakes")
	case <-other:
		t.Error("woken by another topic")
	default:
	}
	stop()
	b.Publish("a")
	select {
	case <-wake:
		t.Error("woken after the end of the subscription")
	default:
	}
}

func TestHintsReachOtherReplicas(t *testing.T) {
	url := dbtest.URL(t, database.Postgres)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	replica := func() *bus.Replicated {
		db, err := database.Open(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return bus.NewReplicated(db, slog.New(slog.NewTextHandler(io.Discard, nil)))
	}
	one, two := replica(), replica()
	listening, stopListening := two.Subscribe("anything") // woken once connected
	defer stopListening()
	go one.Run(ctx)
	go two.Run(ctx)
	if !woken(listening) {
		t.Fatal("never connected")
	}
	wake, stop := two.Subscribe("hosts")
	defer stop()
	one.Publish("hosts")
	if !woken(wake) {
		t.Fatal("the hint did not arrive")
	}
}
