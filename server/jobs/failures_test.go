package jobs

import (
	"strconv"
	"testing"
	"time"
)

func TestTheSameFailureIsSaidOnceAMinute(t *testing.T) {
	var q failures
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		what  string
		after time.Duration
		left  int
		aloud bool
	}{
		{"a", 0, 0, true},
		{"a", time.Second, 0, false},
		{"b", time.Second, 0, true},
		{"a", 59 * time.Second, 0, false},
		{"a", time.Minute, 2, true},
		{"a", 2 * time.Minute, 0, true},
	} {
		if left, aloud := q.say(c.what, start.Add(c.after)); left != c.left || aloud != c.aloud {
			t.Errorf("%s after %v: %d %t", c.what, c.after, left, aloud)
		}
	}
	for i := range 3 * maxSaid {
		q.say(strconv.Itoa(i), start)
	}
	if len(q.said) > maxSaid {
		t.Errorf("%d are remembered", len(q.said))
	}
}
