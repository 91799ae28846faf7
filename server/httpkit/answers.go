package httpkit

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
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

// CSV is an answer that writes itself: a file of comma separated values.
type CSV struct {
	Filename string
	Header   []string
	Rows     [][]string
}

// ServeHTTP writes the file as an attachment.
func (c CSV) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	Attachment(w, "text/csv; charset=utf-8", c.Filename)
	// A failed write means that the client is gone.
	_ = WriteCSV(w, c.Header, c.Rows)
}

// WriteCSV writes header and rows. A cell that a spreadsheet would run as a
// formula is preceded by an apostrophe.
func WriteCSV(w io.Writer, header []string, rows [][]string) error {
	out := csv.NewWriter(w)
	if err := out.Write(escapeCells(header)); err != nil {
		return err
	}
	for _, row := range rows {
		if err := out.Write(escapeCells(row)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
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
