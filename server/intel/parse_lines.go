package intel

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"muster/server/fault"
)

// readList reads one value a line. Lines that are blank or begin with a mark of
// comments say nothing.
func readList(g *gatherer, content []byte) error {
	number := 0
	for line := range bytes.Lines(content) {
		number++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue
		}
		if g.add(number, NewIndicator{Type: g.defaults.Type, Value: text}); g.full {
			break
		}
	}
	return nil
}

// csvNames are the columns of a CSV file by the names that they may have.
var csvNames = map[string]string{
	"value": "value", "indicator": "value", "ioc": "value", "ioc_value": "value",
	"type": "type", "ioc_type": "type", "indicator_type": "type",
	"threat_name": "threat", "threat": "threat", "name": "threat", "malware": "threat",
	"severity": "severity", "confidence": "confidence", "confidence_level": "confidence",
	"description": "description", "comment": "description",
	"expires": "expires", "expires_at": "expires", "expiration": "expires", "valid_until": "expires",
}

// csvHeader says which column is where; nil for a line that names no column of values.
func csvHeader(fields []string) map[string]int {
	at := map[string]int{}
	for i, field := range fields {
		name := csvNames[strings.ToLower(strings.Trim(strings.TrimSpace(field), `"#`))]
		if _, taken := at[name]; name != "" && !taken {
			at[name] = i
		}
	}
	if _, found := at["value"]; !found {
		return nil
	}
	return at
}

// firstLine is the first line that says something, at its commas.
func firstLine(content []byte) []string {
	for line := range bytes.Lines(content[:min(len(content), 64<<10)]) {
		if text := strings.TrimSpace(string(line)); text != "" && text[0] != '#' {
			return strings.Split(text, ",")
		}
	}
	return nil
}

// readCSV reads records; the first names the columns.
func readCSV(g *gatherer, content []byte) error {
	var at map[string]int
	for before, part := range csvParts(content) {
		if g.full {
			break
		}
		if err := readCSVPart(g, &at, before, part); err != nil {
			return err
		}
	}
	if at == nil {
		return fault.New(fault.Unprocessable, "The file is empty")
	}
	return nil
}

// readCSVPart reads a part of a file with so many lines before it.
func readCSVPart(g *gatherer, columns *map[string]int, before int, part []byte) error {
	reader := csv.NewReader(bytes.NewReader(part))
	reader.Comment, reader.FieldsPerRecord, reader.LazyQuotes, reader.TrimLeadingSpace, reader.ReuseRecord = '#', -1, true, true, true
	for !g.full {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			var wrong *csv.ParseError
			if !errors.As(err, &wrong) {
				return fault.Wrap(err, fault.Unprocessable, "The file cannot be read as CSV")
			}
			g.problem(before+wrong.StartLine, "it is no line of CSV")
			continue
		}
		line, _ := reader.FieldPos(0)
		line += before
		if *columns == nil {
			if *columns = csvHeader(fields); *columns == nil {
				return fault.New(fault.Unprocessable, "The first line of a CSV file names its columns, and one of them is value")
			}
			continue
		}
		n, problem := csvIndicator(*columns, fields)
		if problem != "" {
			g.problem(line, problem)
			continue
		}
		if n.Type == "" {
			n.Type = g.defaults.Type
		}
		g.add(line, n)
	}
	return nil
}

func csvIndicator(at map[string]int, fields []string) (n NewIndicator, problem string) {
	get := func(name string) string {
		if i, there := at[name]; there && i < len(fields) {
			return strings.Clone(strings.TrimSpace(fields[i]))
		}
		return ""
	}
	n = NewIndicator{Value: get("value"), ThreatName: get("threat"), Severity: get("severity"), Description: get("description")}
	if n.Value == "" {
		return n, "it has no value"
	}
	if name := get("type"); name != "" {
		if n.Type = typeNames[strings.ToLower(name)]; n.Type == "" {
			return n, quoted(name) + " is no type of indicator"
		}
	}
	if text := get("confidence"); text != "" {
		confidence, err := strconv.Atoi(text)
		if err != nil {
			return n, quoted(text) + " is no confidence"
		}
		n.Confidence = confidence
	}
	if text := get("expires"); text != "" {
		var known bool
		if n.Expires, known = readTime(text); !known {
			return n, quoted(text) + " is no time"
		}
	}
	return n, ""
}

// readTime reads the times of feeds: with or without a zone, which is UTC then, or a
// day alone.
func readTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if at, err := time.Parse(layout, strings.TrimSpace(text)); err == nil && at.Year() > 1970 && at.Year() < 10_000 {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

// withoutPort takes the port off an address.
func withoutPort(value string) (string, bool) {
	at, err := netip.ParseAddrPort(value)
	if err != nil {
		return "", false
	}
	return at.Addr().String(), true
}
