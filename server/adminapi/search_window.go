package adminapi

import (
	"strings"
	"time"

	"muster/server/fault"
)

// windowArgs say when rows arrived: from and to (ours), or the original's window
// around a day. Without any of them there is no bound.
type windowArgs struct {
	From     string `arg:"from"`
	To       string `arg:"to"`
	Duration int    `arg:"duration,default=3,min=1,max=4"`
	Type     int    `arg:"type,default=2,min=1,max=2"`
	Date     string `arg:"date"`
}

const day = 24 * time.Hour

// durations are what the numbers of the argument duration stand for (reference 0.6).
var durations = map[int]time.Duration{1: time.Hour, 2: day, 3: 7 * day, 4: 30 * day}

// noDate is for windows that have no bound unless one is asked for.
var noDate time.Time

// window is the stretch of time asked for; from and to win over date. today, if it
// is not zero, is the date where nothing is said. Faults: Invalid.
func (w windowArgs) window(today time.Time) (start, end time.Time, err error) {
	date := strings.TrimSpace(w.Date)
	if strings.TrimSpace(w.From+w.To) != "" {
		return argStretch(w.From, w.To)
	}
	at := today.UTC().Truncate(day)
	if date != "" {
		if at, err = time.Parse("2006-1-2", date); err != nil || at.Year() < 1 {
			return time.Time{}, time.Time{}, fault.New(fault.Invalid, "Date format passed is invalid!")
		}
	}
	switch {
	case date == "" && today.IsZero():
		return time.Time{}, time.Time{}, nil
	case w.Type == 1:
		return at, at.Add(durations[w.Duration]), nil
	}
	return at.Add(day - durations[w.Duration]), at.Add(day), nil
}
