package outputs

import (
	"testing"
	"time"
)

func TestPaces(t *testing.T) {
	c := &clock{now: noon}
	p := newPaces(c.Now)
	const one, other = 1, 2
	mayEnter := func(sentence string, id int64, want bool) time.Duration {
		t.Helper()
		wait := p.enter(id)
		if (wait == 0) != want {
			t.Errorf("%s: wait %v", sentence, wait)
		}
		return wait
	}
	mayEnter("the first", one, true)
	mayEnter("a second", one, true)
	first := mayEnter("a third", one, false)
	if second := mayEnter("a fourth", one, false); second <= first {
		t.Errorf("those that are put off come back one after the other: %v, %v", first, second)
	}
	mayEnter("another alerter", other, true)
	p.leave(one, time.Second, false, 0)
	mayEnter("after one left", one, true)

	p.leave(one, time.Second, true, 0)
	p.leave(one, time.Second, true, 0)
	if wait := mayEnter("after failures", one, false); wait < 2*firstPause {
		t.Errorf("wait %v", wait)
	}
	c.pass(2 * firstPause)
	mayEnter("the one that tries", one, true)
	mayEnter("nobody beside it", one, false)
	p.leave(one, time.Second, true, time.Hour)
	if wait := mayEnter("a receiver that asked for an hour", one, false); wait < time.Hour {
		t.Errorf("wait %v", wait)
	}
	for range 10_000 {
		if wait := p.enter(one); wait < time.Hour || wait > time.Hour+mostSpread {
			t.Fatalf("those that are put off are spread over a bounded time: %v", wait)
		}
	}
	c.pass(time.Hour)
	mayEnter("the one that tries", one, true)
	p.leave(one, time.Second, false, 0)
	mayEnter("it is well", one, true)
	mayEnter("and takes two again", one, true)
}
