package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// visible replaces what a terminal would act on: rows come from machines that
// may be hostile.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if acts(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}

// acts reports whether a terminal may act on a character rather than show it.
func acts(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

// escapeControls writes what a terminal would act on as JSON's own escapes. Line
// ends stay: the encoder leaves them between values alone.
func escapeControls(lines []byte) []byte {
	var safe []byte
	for _, r := range string(lines) {
		if r == '\n' || !acts(r) {
			safe = utf8.AppendRune(safe, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			safe = fmt.Appendf(safe, "\\u%04x", unit)
		}
	}
	return safe
}
