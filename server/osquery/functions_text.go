package osquery

import (
	"crypto/md5"  // #nosec G501 -- osquery's function of that name
	"crypto/sha1" // #nosec G505 -- osquery's function of that name
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"sync"
)

func textFunctions() []function {
	patterns := &patternCache{}
	return []function{
		{name: "split", min: 3, max: 3, call: split},
		{name: "regex_split", min: 3, max: 3, call: patterns.split},
		{name: "regex_match", min: 3, max: 3, call: patterns.match},
		{name: "to_base64", min: 1, max: 1, call: onText(func(s string) any { return base64.StdEncoding.EncodeToString([]byte(s)) })},
		{name: "from_base64", min: 1, max: 1, call: onText(fromBase64)},
		{name: "conditional_to_base64", min: 1, max: 1, call: onText(conditionalToBase64)},
		{name: "md5", min: 1, max: 1, call: onText(func(s string) any { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) })},   // #nosec G401
		{name: "sha1", min: 1, max: 1, call: onText(func(s string) any { sum := sha1.Sum([]byte(s)); return hex.EncodeToString(sum[:]) })}, // #nosec G401
		{name: "sha256", min: 1, max: 1, call: onText(func(s string) any { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) })},
		{name: "parent_directory", min: 1, max: 1, call: onText(parentDirectory)},
		{name: "find_file_path_in_cmd", min: 1, max: 3, call: programPath},
		{name: "is_path_deterministic", min: 1, max: 3, call: pathDeterministic},
	}
}

// onText makes a function of one text; NULL stays NULL.
func onText(f func(string) any) func([]any) (any, error) {
	return func(args []any) (any, error) {
		s, ok := text(args[0])
		if !ok {
			return nil, nil
		}
		return f(s), nil
	}
}

func fromBase64(s string) any {
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return ""
	}
	return string(data)
}

// conditionalToBase64 encodes only what holds a character that cannot be printed.
func conditionalToBase64(s string) any {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return base64.StdEncoding.EncodeToString([]byte(s))
		}
	}
	return s
}

func parentDirectory(path string) any {
	at := strings.LastIndexAny(path, `/\`)
	if at < 0 {
		return nil
	}
	return path[:at]
}

var errSplit = errors.New("Invalid input to split function") //nolint:staticcheck // osquery's words

// split cuts at any of the characters, drops empty pieces and answers one.
func split(args []any) (any, error) {
	return pick(args, func(input, characters string) ([]string, error) {
		var pieces []string
		for _, piece := range strings.FieldsFunc(input, func(r rune) bool { return strings.ContainsRune(characters, r) }) {
			if piece = strings.TrimSpace(piece); piece != "" {
				pieces = append(pieces, piece)
			}
		}
		return pieces, nil
	})
}

// pick splits a text by the second argument and answers the piece at an index from 0.
func pick(args []any, pieces func(input, separator string) ([]string, error)) (any, error) {
	words, ok := texts(args[:2])
	index, known := number(args[2])
	if !ok || !known {
		return nil, nil
	}
	if words[1] == "" {
		return nil, errSplit
	}
	all, err := pieces(words[0], words[1])
	if err != nil || index < 0 || index >= float64(len(all)) {
		return nil, err
	}
	return all[int(index)], nil
}

// patternCache remembers the last pattern: a query asks for the same one row by row.
// Go's patterns know no look-around and no back reference; agents' do.
type patternCache struct {
	mu      sync.Mutex
	pattern string
	regex   *regexp.Regexp
}

func (c *patternCache) compile(pattern string) (*regexp.Regexp, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.regex != nil && c.pattern == pattern {
		return c.regex, nil
	}
	regex, err := regexp.Compile(pattern)
	if err != nil {
		return nil, errors.New("Invalid regex: " + err.Error()) //nolint:staticcheck // the agent's words
	}
	c.pattern, c.regex = pattern, regex
	return regex, nil
}

func (c *patternCache) split(args []any) (any, error) {
	return pick(args, func(input, pattern string) ([]string, error) {
		regex, err := c.compile(pattern)
		if err != nil {
			return nil, err
		}
		return regex.Split(input, -1), nil
	})
}

// match answers a group of the first match: 0 is all of it, a missing one NULL.
func (c *patternCache) match(args []any) (any, error) {
	words, ok := texts(args[:2])
	index, known := number(args[2])
	if !ok || !known {
		return nil, nil
	}
	regex, err := c.compile(words[1])
	if err != nil {
		return nil, err
	}
	groups := regex.FindStringSubmatchIndex(words[0])
	at := 2 * int(max(-1, min(index, 1000)))
	if at < 0 || at+1 >= len(groups) || groups[at] < 0 {
		return nil, nil
	}
	return words[0][groups[at]:groups[at+1]], nil
}

// programPath answers the program at the start of a command line. Agents look
// which prefix is a file; here every first word is one.
func programPath(args []any) (any, error) {
	words, ok := texts(args)
	if !ok || len(words) > 2 && len(words[2]) != 1 {
		return nil, errors.New("Invalid inputs to find_binary_path_from_cmd") //nolint:staticcheck // osquery's words
	}
	path, _ := firstWord(words)
	return path, nil
}

// pathDeterministic answers 1 when a command line can mean one program only.
func pathDeterministic(args []any) (any, error) {
	words, ok := texts(args)
	if !ok || len(words) > 2 && len(words[2]) != 1 {
		return nil, errors.New("Invalid inputs to is_path_deterministic") //nolint:staticcheck // osquery's words
	}
	_, rest := firstWord(words)
	return rest == "", nil
}

// firstWord takes a command line, whether quotes count (not 0), and the escape sign.
func firstWord(words []string) (word, rest string) {
	command, escape := strings.TrimSpace(words[0]), byte('\\')
	quotes := len(words) > 1 && words[1] != "0" && words[1] != ""
	if len(words) > 2 {
		escape = words[2][0]
	}
	var out []byte
	inside := false
	for i := 0; i < len(command); i++ {
		switch c := command[i]; {
		case c == escape && i+1 < len(command):
			i++
			out = append(out, command[i])
		case quotes && c == '"':
			inside = !inside
		case !inside && (c == ' ' || c == '\t'):
			return string(out), command[i:]
		default:
			out = append(out, c)
		}
	}
	return string(out), ""
}
