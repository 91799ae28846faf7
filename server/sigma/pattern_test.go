package sigma

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPatternsAreReadAsTheSpecificationSays(t *testing.T) {
	for _, test := range []struct{ name, written, operator, value string }{
		{"plain text", `cmd.exe`, "equal", `cmd.exe`},
		{"nothing", ``, "equal", ``},
		{"a star at the end", `C:\Temp*`, "begins_with", `C:\Temp`},
		{"a star at the start", `*.exe`, "ends_with", `.exe`},
		{"a star at both ends", `*mimi*`, "contains", `mimi`},
		{"nothing but a star", `*`, "is_not_null", ``},
		{"stars alone", `**`, "is_not_null", ``},
		{"a star inside", `a*b`, "matches_wildcard", `a*b`},
		{"a question mark", `prog?.exe`, "matches_wildcard", `prog?.exe`},
		{"a question mark alone", `?`, "matches_wildcard", `?`},
		{"stars around a star", `*a*b*`, "matches_wildcard", `*a*b*`},
		{"a plain backslash", `C:\x`, "equal", `C:\x`},
		{"two backslashes are one", `C:\\x`, "equal", `C:\x`},
		{"three are two", `\\\x`, "equal", `\\x`},
		{"four are two", `\\\\x`, "equal", `\\x`},
		{"a backslash at the end", `C:\`, "equal", `C:\`},
		{"an escaped star", `\*`, "equal", `*`},
		{"an escaped question mark", `\?`, "equal", `?`},
		{"a backslash before a star", `C:\\*`, "begins_with", `C:\`},
		{"a backslash before a plain star", `\\\*`, "equal", `\*`},
		{"plain wildcards beside a real one", `a\*[x]?`, "matches_wildcard", `a[*][[]x]?`},
		{"a percent sign", `%PATH%`, "equal", `%PATH%`},
	} {
		t.Run(test.name, func(t *testing.T) {
			operator, value := parsePattern(test.written, false).operator()
			if operator != test.operator || value != test.value {
				t.Errorf("%s %q, want %s %q", operator, value, test.operator, test.value)
			}
		})
	}
}

func TestPlacesPutStarsAroundAPattern(t *testing.T) {
	for _, test := range []struct{ written, place, operator, value string }{
		{`a`, contains, "contains", `a`},
		{`a`, startswith, "begins_with", `a`},
		{`a`, endswith, "ends_with", `a`},
		{`*a`, startswith, "contains", `a`},
		{`a*b`, endswith, "matches_wildcard", `*a*b`},
		{``, contains, "is_not_null", ``},
		{`\*`, contains, "contains", `*`},
	} {
		if operator, value := parsePattern(test.written, false).at(test.place).operator(); operator != test.operator || value != test.value {
			t.Errorf("%q %s: %s %q, want %s %q", test.written, test.place, operator, value, test.operator, test.value)
		}
	}
}

func written(patterns []pattern) []string {
	var all []string
	for _, p := range patterns {
		all = append(all, p.wildcard())
	}
	return all
}

func TestWindashVariesWhatBeginsAnOption(t *testing.T) {
	five := func(before, after string) []string {
		return []string{before + "-" + after, before + "/" + after, before + "\u2013" + after, before + "\u2014" + after, before + "\u2015" + after}
	}
	for _, test := range []struct {
		name, written string
		want          []string
	}{
		{"an option", ` -enc`, five(" ", "enc")},
		{"an option with a slash", ` /enc`, five(" ", "enc")},
		{"an option with a long dash", " \u2014enc", five(" ", "enc")},
		{"at the start", `-f`, five("", "f")},
		{"the second of two dashes", `--all`, five("-", "all")},
		{"none inside a word", `foo-bar`, []string{"foo-bar"}},
		{"none before a blank", `a - b`, []string{"a - b"}},
		{"none at the end", `a -`, []string{"a -"}},
		{"after a wildcard", `*-x`, five("*", "x")},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parsePattern(test.written, false).windash(1)
			if diff := cmp.Diff(test.want, written(got)); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
	both, err := parsePattern(`-a -b`, false).windash(1)
	if all := written(both); err != nil || len(all) != 25 || !slices.Contains(all, "/a \u2013b") {
		t.Errorf("two options: %d, %v: %v", len(all), err, all)
	}
	if _, err := parsePattern(`-a -b -c -d -e -f`, false).windash(1); err == nil {
		t.Error("six options become 15,625 patterns")
	}
}

func TestEncodings(t *testing.T) {
	for _, test := range []struct {
		modifier, text string
		want           []string
	}{
		{"base64", "foobar", []string{"Zm9vYmFy"}},
		{"base64", "ping", []string{"cGluZw=="}},
		{"base64offset", "foobar", []string{"Zm9vYmFy", "Zvb2Jhc", "mb29iYX"}},
		{"base64offset", "http://", []string{"aHR0cDovL", "h0dHA6Ly", "odHRwOi8v"}},
		{"utf16le", "cmd", []string{"c\x00m\x00d\x00"}},
		{"wide", "é", []string{"\xe9\x00"}},
		{"utf16be", "cmd", []string{"\x00c\x00m\x00d"}},
		{"utf16", "cmd", []string{"\xff\xfec\x00m\x00d\x00"}},
		{"wide", "\U0001F600", []string{"\x3d\xd8\x00\xde"}},
	} {
		if diff := cmp.Diff(test.want, encode(test.modifier, test.text)); diff != "" {
			t.Errorf("%s of %q: %s", test.modifier, test.text, diff)
		}
	}
}
