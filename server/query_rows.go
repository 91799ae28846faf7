package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// answer is what one host answered, its rows in the order and with the columns
// that osquery gave them.
type answer struct {
	host string
	rows []row
}

type row struct {
	names, values []string
	raw           json.RawMessage
}

func (r row) get(name string) string {
	if i := slices.Index(r.names, name); i >= 0 {
		return r.values[i]
	}
	return ""
}

// columns is the union of the rows' columns, in order of appearance.
func (a answer) columns() []string {
	var columns []string
	for _, r := range a.rows {
		for _, name := range r.names {
			if !slices.Contains(columns, name) {
				columns = append(columns, name)
			}
		}
	}
	return columns
}

// parseRows reads an array of objects. encoding/json's maps would lose the order
// of the columns.
func parseRows(data json.RawMessage) ([]row, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(data, &raws); err != nil {
		return nil, fmt.Errorf("the rows of an answer cannot be read: %w", err)
	}
	rows := make([]row, 0, len(raws))
	for _, raw := range raws {
		r, err := parseRow(raw)
		if err != nil {
			return nil, fmt.Errorf("a row of an answer cannot be read: %w", err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func parseRow(raw json.RawMessage) (row, error) {
	r := row{raw: raw}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	open, err := decoder.Token()
	if err != nil {
		return r, err
	}
	if open != json.Delim('{') {
		return r, errors.New("it is no object")
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return r, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return r, err
		}
		r.names = append(r.names, name.(string)) // a key is a string or the decoder fails
		r.values = append(r.values, cell(value))
	}
	_, err = decoder.Token()
	return r, err
}

// cell is the text of a value: osquery sends texts, and whatever else comes is
// shown as it was written.
func cell(value json.RawMessage) string {
	var text string
	if err := json.Unmarshal(value, &text); err == nil {
		return text
	}
	return string(value)
}
