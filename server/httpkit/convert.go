package httpkit

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// converter turns an argument into a value of its type. It returns an invalid
// Value for an argument that is as good as absent, or what is wrong.
type converter func(given argument) (reflect.Value, string)

func converterOf(t reflect.Type) converter {
	switch t.Kind() {
	case reflect.String:
		return toString
	case reflect.Int, reflect.Int64:
		return toInt
	case reflect.Bool:
		return toBool
	case reflect.Slice:
		switch t.Elem().Kind() {
		case reflect.String:
			return toStrings
		case reflect.Int64:
			return toInts
		}
	case reflect.Struct:
		if t == reflect.TypeFor[File]() {
			return toFile
		}
	case reflect.Map:
		if t == reflect.TypeFor[map[string]any]() {
			return toObject
		}
	}
	return nil
}

// scalar returns the text of an argument that should be one value: the first of
// a list, as the original's parser did.
func scalar(given argument) (text string, found bool, problem string) {
	if !given.isJSON {
		if len(given.texts) == 0 {
			return "", false, ""
		}
		return clean(given.texts[0])
	}
	value := given.json
	if list, ok := value.([]any); ok {
		if len(list) == 0 {
			return "", false, ""
		}
		value = list[0]
	}
	return scalarJSON(value)
}

func scalarJSON(value any) (text string, found bool, problem string) {
	switch v := value.(type) {
	case nil:
		return "", false, ""
	case string:
		return clean(v)
	case json.Number:
		return v.String(), true, ""
	case bool:
		return strconv.FormatBool(v), true, ""
	}
	return "", false, "a single value is expected here"
}

// clean keeps out what PostgreSQL refuses in a text.
func clean(text string) (string, bool, string) {
	if strings.ContainsRune(text, 0) {
		return "", false, "a NUL character is not allowed"
	}
	return strings.ToValidUTF8(text, "\uFFFD"), true, ""
}

// toFile takes what was uploaded as a file, and nothing else.
func toFile(given argument) (reflect.Value, string) {
	if given.file == nil {
		return reflect.Value{}, ""
	}
	return reflect.ValueOf(*given.file), ""
}

func toString(given argument) (reflect.Value, string) {
	text, found, problem := scalar(given)
	if problem != "" || !found {
		return reflect.Value{}, problem
	}
	return reflect.ValueOf(text), ""
}

func toInt(given argument) (reflect.Value, string) {
	text, found, problem := scalar(given)
	if text = strings.TrimSpace(text); problem != "" || !found || text == "" {
		return reflect.Value{}, problem
	}
	n, ok := parseInt(text)
	if !ok {
		return reflect.Value{}, quote(text) + " is not a whole number"
	}
	return reflect.ValueOf(n), ""
}

// parseInt reads 5, "5" and 5.0, as JSON writers without integers put it.
func parseInt(text string) (int64, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

func toBool(given argument) (reflect.Value, string) {
	text, found, problem := scalar(given)
	if text = strings.ToLower(strings.TrimSpace(text)); problem != "" || !found || text == "" {
		return reflect.Value{}, problem
	}
	switch text {
	case "true", "1", "yes", "on", "t", "y":
		return reflect.ValueOf(true), ""
	case "false", "0", "no", "off", "f", "n":
		return reflect.ValueOf(false), ""
	}
	return reflect.Value{}, quote(text) + " is neither true nor false"
}

// toStrings reads a JSON array, repeated values, or a comma list; blanks around
// and between are dropped.
func toStrings(given argument) (reflect.Value, string) {
	texts, problem := list(given)
	if problem != "" {
		return reflect.Value{}, problem
	}
	return reflect.ValueOf(texts), ""
}

func toInts(given argument) (reflect.Value, string) {
	texts, problem := list(given)
	if problem != "" {
		return reflect.Value{}, problem
	}
	numbers := make([]int64, 0, len(texts))
	for _, text := range texts {
		n, ok := parseInt(text)
		if !ok {
			return reflect.Value{}, quote(text) + " is not a whole number"
		}
		numbers = append(numbers, n)
	}
	return reflect.ValueOf(numbers), ""
}

func list(given argument) ([]string, string) {
	texts := []string{}
	if items, ok := given.json.([]any); ok {
		for _, item := range items {
			text, _, problem := scalarJSON(item)
			if problem != "" {
				return nil, "a list of single values is expected here"
			}
			texts = appendTrimmed(texts, text)
		}
		return texts, ""
	}
	raw := given.texts
	if given.isJSON {
		text, _, problem := scalarJSON(given.json)
		if problem != "" {
			return nil, "a list is expected here"
		}
		raw = []string{text}
	}
	for _, text := range raw {
		text, _, problem := clean(text)
		if problem != "" {
			return nil, problem
		}
		for part := range strings.SplitSeq(text, ",") {
			texts = appendTrimmed(texts, part)
		}
	}
	return texts, ""
}

func appendTrimmed(texts []string, text string) []string {
	if text = strings.TrimSpace(text); text != "" {
		texts = append(texts, text)
	}
	return texts
}

// toObject reads a JSON object, or a text that holds one.
func toObject(given argument) (reflect.Value, string) {
	object, ok := given.json.(map[string]any)
	if !ok {
		text, found, problem := scalar(given)
		if problem != "" || (!found && !given.isJSON) {
			return reflect.Value{}, problem
		}
		parsed, err := parseObject([]byte(text))
		if err != nil || parsed == nil {
			return reflect.Value{}, "a JSON object is expected here"
		}
		object = parsed
	}
	if holdsNUL(object) {
		return reflect.Value{}, "a NUL character is not allowed"
	}
	return reflect.ValueOf(object), ""
}

func holdsNUL(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		for _, item := range v {
			if holdsNUL(item) {
				return true
			}
		}
	case map[string]any:
		for name, item := range v {
			if strings.ContainsRune(name, 0) || holdsNUL(item) {
				return true
			}
		}
	}
	return false
}

// quote shows a client its own value, in part when it is long.
func quote(text string) string {
	if runes := []rune(text); len(runes) > 64 {
		text = string(runes[:64]) + "..."
	}
	return "'" + text + "'"
}
