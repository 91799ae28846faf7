package hosts

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Bounds in bytes of what a host says about itself.
const (
	maxIdentifier  = 255
	maxName        = 255
	maxUUID        = 64
	maxSerial      = 128
	maxWord        = 64 // platform, architecture, version
	maxAddress     = 64
	maxColumn      = 128
	maxValue       = 2048
	maxColumns     = 128 // of one row
	maxRows        = 64  // of network_info
	maxDetailTable = 16  // tables of one enrolment
)

// clean makes text storable on both engines: valid UTF-8 without NUL (cpu_brand
// has been seen padded with them).
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
}

// clip cuts text to at most limit bytes, between two characters.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

func trimmed(text string) string { return strings.TrimSpace(clean(text)) }

// identity is clean text for names and keys: trimmed, without control
// characters, at most limit bytes.
func identity(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, clean(text))
	return strings.TrimSpace(clip(strings.TrimSpace(text), limit))
}

// cleanRow bounds a row that a host sent.
func cleanRow(row map[string]string) map[string]string {
	kept := make(map[string]string, min(len(row), maxColumns))
	for column, value := range row {
		if len(kept) == maxColumns {
			break
		}
		if column = identity(column, maxColumn); column != "" {
			kept[column] = clip(trimmed(value), maxValue)
		}
	}
	return kept
}

// jsonText renders v, a map or slice of strings, with sorted keys.
func jsonText(v any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // maps and slices of strings always encode
	return strings.TrimSuffix(out.String(), "\n")
}
