package agentapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"muster/server/fault"
)

// body is a request's body, inflated and bounded: reading past the limit fails
// with errTooLarge.
type body struct {
	*bufio.Reader
	wire io.Reader    // as it comes, without a bound
	gz   *gzip.Reader // nil when it is not compressed
}

var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 32<<10) }}
	gzips   = sync.Pool{New: func() any { return new(gzip.Reader) }}
)

// openBody returns the body, of which at most limit bytes are read before and
// after inflation. Close gives its buffers back.
func openBody(r *http.Request, limit int64) (*body, error) {
	b := &body{wire: r.Body}
	var source io.Reader = &bounded{r: b.wire, left: limit}
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		b.gz = gzips.Get().(*gzip.Reader)
		if err := b.gz.Reset(source); err != nil {
			b.Close()
			return nil, fault.Wrap(err, fault.Invalid, "the body is no gzip")
		}
		source = b.gz
	}
	b.Reader = readers.Get().(*bufio.Reader)
	b.Reader.Reset(&bounded{r: source, left: limit})
	return b, nil
}

// Close gives the buffers back; the body is not read further.
func (b *body) Close() {
	if b.gz != nil {
		gzips.Put(b.gz)
		b.gz = nil
	}
	if b.Reader != nil {
		b.Reader.Reset(nil)
		readers.Put(b.Reader)
		b.Reader = nil
	}
}

// broken reports whether err came from the way here (a connection that broke, gzip
// that does not unpack): the sender should send again. Only what arrived whole can
// be malformed or too large.
func broken(err error) bool {
	return err != nil && !errors.Is(err, errMalformed) && !errors.Is(err, errTooLarge)
}

// verify reads the little that may follow the JSON, so that gzip's checksum is
// checked. It fails only when the sender should send again.
func (b *body) verify() error {
	if b.gz == nil {
		return nil
	}
	if _, err := io.CopyN(io.Discard, b, 64<<10); !errors.Is(err, io.EOF) && broken(err) {
		return err
	}
	return nil
}

// keyAtTheEnd reads a body that is too large or malformed to its end, keeping none
// of it but the node key there: agents before 5.23 send it last, uncompressed, and
// have to be known before they can be told to stop sending this.
func (b *body) keyAtTheEnd() string {
	if b.gz != nil {
		return ""
	}
	var tail []byte
	piece := make([]byte, 32<<10)
	for _, rest := range []io.Reader{b.Reader, b.wire} { // what was read ahead, then what was not
		for {
			n, err := rest.Read(piece)
			tail = append(tail, piece[:n]...)
			tail = tail[max(0, len(tail)-2*maxKey):]
			if err != nil {
				break
			}
		}
	}
	const name = `"node_key":`
	at := bytes.LastIndex(tail, []byte(name))
	if at < 0 {
		return ""
	}
	value, _, ok := oneValue(trimLeft(tail[at+len(name):]))
	if !ok {
		return ""
	}
	return text(value)
}

// readAll reads a small body whole. Faults: Invalid when it is larger than limit
// or cannot be inflated, Busy when the connection broke.
func readAll(r *http.Request, limit int) ([]byte, error) {
	b, err := openBody(r, int64(limit))
	if err != nil {
		return nil, err
	}
	defer b.Close()
	var buffer bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= int64(limit) && b.gz == nil {
		buffer.Grow(int(n) + bytes.MinRead)
	}
	_, err = buffer.ReadFrom(b)
	switch {
	case errors.Is(err, errTooLarge):
		tooLarge := &http.MaxBytesError{Limit: int64(limit)} // 413 for who looks at the status
		return nil, fault.Wrap(tooLarge, fault.Invalid, "the body is larger than %d bytes", limit)
	case err != nil:
		return nil, fault.Wrap(err, fault.Busy, "the body did not arrive whole")
	}
	return buffer.Bytes(), nil
}

var errTooLarge = errors.New("larger than the limit")

// bounded reads at most left bytes and then fails with errTooLarge.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// Only a byte too many is too many.
		var one [1]byte
		n, err := b.r.Read(one[:])
		if n == 0 {
			return 0, err
		}
		return 0, errTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
