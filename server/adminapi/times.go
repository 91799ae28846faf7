package adminapi

import (
	"strings"
	"time"

	"muster/server/fault"
)

// timeFormats are the ways in which an argument may write a time; without a zone
// it is UTC, as in answers.
var timeFormats = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly}

// argStretch reads the arguments from and to; the zero time for one that is not
// given. A date alone is its midnight. Faults: Invalid, naming each that is wrong.
func argStretch(from, to string) (start, end time.Time, err error) {
	wrong := map[string]string{}
	start, end = argTime(wrong, "from", from), argTime(wrong, "to", to)
	if len(wrong) > 0 {
		return time.Time{}, time.Time{}, fault.Fields(wrong)
	}
	return start, end, nil
}

// argMoment reads one time; the zero time where none is given. Faults: Invalid.
func argMoment(name, text string) (time.Time, error) {
	wrong := map[string]string{}
	at := argTime(wrong, name, text)
	if len(wrong) > 0 {
		return time.Time{}, fault.Fields(wrong)
	}
	return at, nil
}

func argTime(wrong map[string]string, name, text string) time.Time {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}
	}
	for _, format := range timeFormats {
		if at, err := time.Parse(format, text); err == nil && at.Year() > 0 {
			return at.UTC()
		}
	}
	wrong[name] = "give a time such as 2026-03-01T12:00:00Z, or a date"
	return time.Time{}
}
