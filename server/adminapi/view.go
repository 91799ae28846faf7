package adminapi

import (
	"encoding/json"
	"time"
)

// mask stands where a secret would: it tells that there is one and nothing else.
const mask = "********"

// Formats of times on the wire (reference 0.5): most are ISO with microseconds
// and no zone, in UTC; recent activity has slashes in its time.
const (
	isoFormat      = "2006-01-02T15:04:05.000000"
	activityFormat = "01/02/2006 15/04/05"
)

// iso renders a time; one that never was is null.
func iso(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format(isoFormat)
	return &text
}

// orNull is nil for the zero value.
func orNull[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// orEmpty keeps an empty object from becoming null on the wire.
func orEmpty[V any](object map[string]V) map[string]V {
	if object == nil {
		return map[string]V{}
	}
	return object
}

// object decodes a stored object; one that is none is empty.
func object(raw json.RawMessage) map[string]any {
	info := map[string]any{}
	if json.Unmarshal(raw, &info) != nil || info == nil {
		return map[string]any{}
	}
	return info
}

// list keeps an empty list from becoming null on the wire.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// What is stored as JSON is passed on as it is, and replaced where it is none: a
// broken row must not break the answer around it.

func orObject(raw json.RawMessage) json.RawMessage { return orElse(raw, "{}") }

func orList(raw json.RawMessage) json.RawMessage { return orElse(raw, "[]") }

func orElse(raw json.RawMessage, fallback string) json.RawMessage {
	if !json.Valid(raw) {
		return json.RawMessage(fallback)
	}
	return raw
}
