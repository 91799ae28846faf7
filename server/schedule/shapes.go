package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// shape reports whether a decoded JSON value has the form that a parser of osquery
// reads without looking (a string where it expects a list is undefined there).
type shape func(value any) error

func isText(value any) error {
	if _, ok := value.(string); !ok {
		return errors.New("it must be a string")
	}
	return nil
}

func isBool(value any) error {
	if _, ok := value.(bool); !ok {
		return errors.New("it must be true or false")
	}
	return nil
}

func isNumber(value any) error {
	if _, ok := value.(json.Number); !ok {
		return errors.New("it must be a number")
	}
	return nil
}

// isScalar is what an option may be; agents turn anything else into text.
func isScalar(value any) error {
	if isText(value) == nil || isBool(value) == nil || isInteger(-maxWhole, maxWhole)(value) == nil {
		return nil
	}
	return errors.New("it must be a string, a whole number, true or false")
}

func isInteger(low, high int) shape {
	return func(value any) error {
		number, _ := value.(json.Number)
		n, err := strconv.Atoi(number.String())
		if err != nil || n < low || n > high {
			return fmt.Errorf("it must be a whole number from %d to %d", low, high)
		}
		return nil
	}
}

func listOf(item shape) shape {
	return func(value any) error {
		list, ok := value.([]any)
		if !ok {
			return errors.New("it must be a list")
		}
		for _, element := range list {
			if err := item(element); err != nil {
				return fmt.Errorf("in a list, %w", err)
			}
		}
		return nil
	}
}

func mapOf(item shape) shape {
	return func(value any) error {
		object, ok := value.(map[string]any)
		if !ok {
			return errors.New("it must be an object")
		}
		for key, element := range object {
			if err := item(element); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		return nil
	}
}

// record is an object whose known members have a shape; others may be anything.
type record map[string]shape

func (r record) check(value any) error {
	object, ok := value.(map[string]any)
	if !ok {
		return errors.New("it must be an object")
	}
	for key, element := range object {
		if check, known := r[key]; known {
			if err := check(element); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return nil
}

func isIntervals(value any) error {
	if err := mapOf(listOf(isText))(value); err != nil {
		return err
	}
	for key := range value.(map[string]any) {
		if n, err := strconv.Atoi(key); err != nil || n <= 0 || n%60 != 0 {
			return fmt.Errorf("%s: the interval of a decorator must be a multiple of 60", key)
		}
	}
	return nil
}

// filters are the top-level keys that osquery parses besides options, schedule and
// packs (osquery-tls 2.4).
var filters = record{
	"file_paths":       mapOf(listOf(isText)),
	"file_paths_query": mapOf(listOf(isText)),
	"exclude_paths":    mapOf(listOf(isText)),
	"file_accesses":    listOf(isText),
	"views":            mapOf(isText),
	"events":           record{"disable_subscribers": listOf(isText), "enable_subscribers": listOf(isText)}.check,
	"decorators":       record{"load": listOf(isText), "always": listOf(isText), "interval": isIntervals}.check,
	"yara": record{
		"signatures": mapOf(listOf(isText)), "signature_urls": listOf(isText), "file_paths": mapOf(listOf(isText)),
	}.check,
	"auto_table_construction": mapOf(record{
		"query": isText, "path": isText, "columns": listOf(isText), "platform": isText,
	}.check),
	"feature_vectors":    record{"character_frequencies": listOf(isNumber)}.check,
	"prometheus_targets": record{"timeout": isNumber, "urls": listOf(isText)}.check,
}

func checkFilter(key string, value any) error {
	if err := filters.check(map[string]any{key: value}); err != nil {
		return fmt.Errorf("config, %w", err)
	}
	return nil
}
