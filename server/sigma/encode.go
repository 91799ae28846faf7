package sigma

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// dashes are the characters that can begin an option of a Windows program.
var dashes = []string{"-", "/", "\u2013", "\u2014", "\u2015"}

// maxDashes bounds the options of a value that windash varies: each takes the number
// of patterns times five.
const maxDashes = 5

// windash returns the pattern with each combination of dashes in the places where an
// option begins: a dash before a letter, digit or underscore and behind none.
func (p pattern) windash(line int) ([]pattern, error) {
	var cut pattern // with an empty placeholder for each dash
	count := 0
	for _, part := range p {
		if part.kind != literal {
			cut = append(cut, part)
			continue
		}
		start := 0
		for at, r := range part.text {
			end := at + utf8.RuneLen(r)
			if r == utf8.RuneError || !isDash(r) || inWord(utf8.DecodeLastRuneInString(part.text[:at])) || !inWord(utf8.DecodeRuneInString(part.text[end:])) {
				continue
			}
			cut = append(cut, piece{text: part.text[start:at]}, piece{kind: placeholder})
			start, count = end, count+1
		}
		cut = append(cut, piece{text: part.text[start:]})
	}
	if count > maxDashes {
		return nil, wrong(line, "windash in a value with more than %d options", maxDashes)
	}
	return cut.fill(func(string) []pattern {
		var all []pattern
		for _, dash := range dashes {
			all = append(all, pattern{{text: dash}})
		}
		return all
	}), nil
}

func isDash(r rune) bool { return r == '-' || r == '/' || 0x2013 <= r && r <= 0x2015 }

func inWord(r rune, size int) bool {
	return size > 0 && (r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r))
}

// fill returns every pattern that comes of putting each of the values that a
// placeholder has in its place.
func (p pattern) fill(values func(name string) []pattern) []pattern {
	filled := []pattern{nil}
	for _, part := range p {
		choices := []pattern{{part}}
		if part.kind == placeholder {
			choices = values(part.text)
		}
		var next []pattern
		for _, before := range filled {
			for _, choice := range choices {
				next = append(next, append(before[:len(before):len(before)], choice...))
			}
		}
		filled = next
	}
	for i := range filled {
		filled[i] = filled[i].joined()
	}
	return filled
}

// joined is the pattern with neighbouring texts in one piece.
func (p pattern) joined() pattern {
	var out pattern
	for _, part := range p {
		if last := len(out) - 1; part.kind == literal && last >= 0 && out[last].kind == literal {
			out[last].text += part.text
		} else if part.kind != literal || part.text != "" {
			out = append(out, part)
		}
	}
	return out
}

// encode returns what a plain text becomes through a modifier of encoding.
func encode(modifier, text string) []string {
	switch modifier {
	case "base64":
		return []string{base64.StdEncoding.EncodeToString([]byte(text))}
	case "base64offset":
		return base64offset(text)
	case "utf16be":
		return []string{wide(text, true)}
	case "utf16":
		return []string{"\xFF\xFE" + wide(text, false)}
	default: // wide, utf16le
		return []string{wide(text, false)}
	}
}

// base64offset returns what is the same in every base64 text that holds the text,
// for each of the three ways in which it can stand across the groups of three bytes.
func base64offset(text string) []string {
	var variants []string
	for shift, head := range []int{0, 2, 3} { // digits that bytes before it have a part in
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", shift) + text))
		tail := []int{0, 3, 2}[(shift+len(text))%3] // padding, and a digit that bytes behind it have a part in
		if head < len(encoded)-tail {
			variants = append(variants, encoded[head:len(encoded)-tail])
		}
	}
	return variants
}

// wide returns the bytes of UTF-16.
func wide(text string, bigEndian bool) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		low, high := byte(unit), byte(unit>>8)
		if bigEndian {
			low, high = high, low
		}
		b = append(b, low, high)
	}
	return string(b)
}
