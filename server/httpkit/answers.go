package httpkit

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"iter"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// WriteJSON answers value as JSON. It encodes before it writes, so that a value
// that cannot be encoded becomes a 500 rather than half an answer.
func WriteJSON(w http.ResponseWriter, status int, value any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		http.Error(w, `{"status":"failure","message":"Internal server error"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

// Attachment names the file that an answer should be saved as.
func Attachment(w http.ResponseWriter, contentType, filename string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": filename}))
}

// CSV is an answer that writes itself as its rows come: a file of comma
// separated values. Rows may be of any number; the first error among them cuts
// the connection, so that nobody takes half a file for a whole one.
type CSV struct {
	Filename string
	Header   []string
	Rows     iter.Seq2[[]string, error]
}

// ServeHTTP writes the file as an attachment.
func (c CSV) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	Attachment(w, "text/csv; charset=utf-8", c.Filename)
	if err := WriteCSV(Patient(w), c.Header, c.Rows); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// Listed are rows that are at hand.
func Listed(rows [][]string) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// WriteCSV writes header and rows. A cell that a spreadsheet would run as a
// formula is preceded by an apostrophe. Without a header there is none.
func WriteCSV(w io.Writer, header []string, rows iter.Seq2[[]string, error]) error {
	out := csv.NewWriter(w)
	if len(header) > 0 {
		if err := out.Write(escapeCells(header)); err != nil {
			return err
		}
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if err := out.Write(escapeCells(row)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// patience is how long a piece of a long answer may take.
const patience = 30 * time.Second

// Patient gives each piece of an answer its own time, so that the server's limit
// for a whole answer does not cut long downloads, while a client that takes
// nothing any more still goes.
func Patient(w http.ResponseWriter) http.ResponseWriter {
	return &patient{w, http.NewResponseController(w)}
}

type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Write extends the deadline and writes.
func (p *patient) Write(data []byte) (int, error) {
	// A writer without deadlines has no limit either.
	_ = p.control.SetWriteDeadline(time.Now().Add(patience))
	return p.ResponseWriter.Write(data)
}

func escapeCells(row []string) []string {
	safe := make([]string, len(row))
	for i, cell := range row {
		safe[i] = EscapeCell(cell)
	}
	return safe
}

// EscapeCell makes a cell harmless to spreadsheets; numbers such as -5 stay.
func EscapeCell(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r\n|", rune(cell[0])) {
		return cell
	}
	if _, err := strconv.ParseFloat(cell, 64); err == nil && cell[0] == '-' {
		return cell
	}
	return "'" + cell
}
