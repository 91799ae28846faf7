package adminapi

import (
	"context"
	"testing"

	"muster/server/fault"
)

func TestFeedsAreImportedOneAtATime(t *testing.T) {
	a := &api{feeds: make(chan struct{}, 1)}
	done, err := a.feedTurn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.feedTurn(gone); !fault.Is(err, fault.Busy) {
		t.Errorf("a second at once: %v", err)
	}
	done()
	if done, err = a.feedTurn(t.Context()); err != nil {
		t.Fatal(err)
	}
	done()
}
