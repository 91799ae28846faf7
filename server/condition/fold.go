package condition

import "strings"

// folded maps A to Z to small letters and leaves every other byte as it is.
var folded = func() (table [256]byte) {
	for i := range table {
		table[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			table[i] += 'a' - 'A'
		}
	}
	return table
}()

// fold returns s with A to Z as small letters.
func fold(s string) string {
	for i := range len(s) {
		if folded[s[i]] != s[i] {
			out := []byte(s)
			for i := range out {
				out[i] = folded[out[i]]
			}
			return string(out)
		}
	}
	return s
}

// foldEqual reports whether s folded is text, which is folded.
func foldEqual(s, text string) bool {
	if len(s) != len(text) {
		return false
	}
	for i := range len(text) {
		if folded[s[i]] != text[i] {
			return false
		}
	}
	return true
}

// longNeedle is how long a text may be that is looked for at every place of a
// value. A longer one gets a folded copy of the value, and a search whose time
// does not grow with both.
const longNeedle = 64

// foldContains reports whether s folded holds text, which is folded.
func foldContains(s, text string) bool {
	if len(text) == 0 {
		return true
	}
	if len(text) > longNeedle && len(s) > len(text) {
		return strings.Contains(fold(s), text)
	}
	first := text[0]
	for i := 0; i+len(text) <= len(s); i++ {
		if folded[s[i]] == first && foldEqual(s[i:i+len(text)], text) {
			return true
		}
	}
	return false
}
