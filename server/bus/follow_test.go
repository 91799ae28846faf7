package bus

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestFollowLooksAtOnceAfterHintsAndNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewMemory()
		ctx, cancel := context.WithCancel(t.Context())
		var looks atomic.Int32
		done := make(chan struct{})
		go func() {
			defer close(done)
			Follow(ctx, b, time.Minute, func() { looks.Add(1) }, "a", "b")
		}()
		for _, step := range []struct {
			what string
			do   func()
			want int32
		}{
			{"at once", func() {}, 1},
			{"a hint", func() { b.Publish("a") }, 2},
			{"a hint of the other topic", func() { b.Publish("b") }, 3},
			{"a hint that nobody asked for", func() { b.Publish("c") }, 3},
			{"a minute without a hint", func() { time.Sleep(time.Minute) }, 4},
		} {
			step.do()
			synctest.Wait()
			if looks := looks.Load(); looks != step.want {
				t.Errorf("%s: %d looks, want %d", step.what, looks, step.want)
			}
		}
		cancel()
		<-done
		if len(b.subs["a"])+len(b.subs["b"]) != 0 {
			t.Error("it stays subscribed")
		}
	})
}
