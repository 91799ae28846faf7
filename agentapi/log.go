package agentapi

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"

	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/results"
)

// A log request is decoded as a stream: lines are handed on in chunks, each
// committed before the next is read, so that memory does not grow with the body.
const (
	chunkLines = 2000
	chunkBytes = 4 << 20
)

// logs takes result and status lines (osquery-tls 3). The answer {} makes the
// agent delete what it sent, so it is given only after the last line's commit; a
// line that nobody could ever read is kept as a sample and does not stop the rest.
func (d *Door) logs(ctx context.Context, r *http.Request) ([]byte, error) {
	l := &logRequest{door: d, ctx: ctx, request: r}
	if headerKey(r) != "" {
		if err := l.authenticate(""); err != nil {
			return nil, err
		}
	}
	b, err := openBody(r, d.limits.Body)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	defer l.close()
	return accepted, l.run(b)
}

// logRequest is one log request under way.
type logRequest struct {
	door    *Door
	ctx     context.Context
	request *http.Request
	host    *hosts.Host // nil until the key is known
	lines   *lineReader
	chunk   *chunk
	spool   *spool // data that came before node_key
}

// run reads the body to its end and commits every line of it.
func (l *logRequest) run(b *body) error {
	walkErr := l.walk(&stream{b.Reader})
	if l.refused(walkErr) {
		return walkErr
	}
	if broken(walkErr) {
		return fault.Wrap(walkErr, fault.Busy, "the body did not arrive whole")
	}
	if l.host == nil {
		key := ""
		if walkErr != nil {
			key = b.keyAtTheEnd()
		}
		if err := l.authenticate(key); err != nil {
			return err
		}
	}
	if l.spool != nil {
		source, err := l.spool.replay()
		if err != nil {
			return fault.Wrap(err, fault.Internal, "the body could not be read back")
		}
		err = l.data(&stream{source})
		switch {
		case l.refused(err):
			return err
		case broken(err):
			return fault.Wrap(err, fault.Busy, "the body could not be read back")
		case err != nil:
			walkErr = err
		}
	}
	if walkErr != nil {
		l.drained(walkErr)
	} else if err := b.verify(); err != nil {
		return fault.Wrap(err, fault.Busy, "the body did not arrive whole")
	}
	return l.flush()
}

// refused tells a verdict of ours from what is wrong with the body.
func (l *logRequest) refused(err error) bool {
	var verdict *fault.Fault
	return errors.As(err, &verdict)
}

// drained records that a body came to us whole and cannot be read to its end:
// an error would make the agent send the same bytes for ever.
func (l *logRequest) drained(err error) {
	l.door.Log.Error("a log body could not be read to its end and was drained", "host_id", l.host.ID, "error", err)
	c := l.current()
	c.lines = append(c.lines, l.lines.unreadable([]byte(err.Error()), "a log body could not be read to its end"))
}

// walk goes through the members in whatever order they come.
func (l *logRequest) walk(s *stream) error {
	if _, err := s.next(); errors.Is(err, errMalformed) && l.host != nil {
		return nil // an empty body with a valid header: nothing was sent
	}
	return s.object(func(key string) error {
		switch key {
		case "node_key":
			var value bytes.Buffer
			if _, err := s.copyValue(&value, maxKey); err != nil {
				return err
			}
			if l.host != nil {
				return nil
			}
			return l.authenticate(text(value.Bytes()))
		case "data":
			if l.host != nil {
				return l.data(s)
			}
			if l.spool != nil {
				return s.skip()
			}
			l.spool = &spool{dir: l.door.limits.SpoolDir, room: &l.door.spooled}
			_, err := s.copyValue(l.spool, int(l.door.limits.Body))
			return err
		}
		return s.skip()
	})
}

func (l *logRequest) authenticate(key string) error {
	host, err := l.door.authenticate(l.ctx, l.request, key)
	if err != nil {
		return err
	}
	l.host = host
	l.lines = newLineReader(host.ID, l.door.Now())
	return nil
}

// data reads the array of lines; anything else in its place is nothing.
func (l *logRequest) data(s *stream) error {
	if c, err := s.next(); err != nil || c != '[' {
		return errors.Join(err, s.skip())
	}
	return s.array(func() error {
		c := l.current()
		start := c.buffer.Len()
		size, err := s.copyValue(&c.buffer, l.door.limits.Line)
		if err != nil {
			c.buffer.Truncate(start)
			return err
		}
		c.lines = append(c.lines, l.lines.read(c.buffer.Bytes()[start:], size))
		if len(c.lines) >= chunkLines || c.buffer.Len() >= chunkBytes {
			return l.flush()
		}
		return nil
	})
}

// flush commits the lines read so far.
func (l *logRequest) flush() error {
	c := l.chunk
	if c == nil || len(c.lines) == 0 {
		return nil
	}
	l.chunk = nil
	if err := l.accept(c.lines); err != nil {
		return err // the chunk's memory may still be in use: leave it to the collector
	}
	l.seen(c.lines)
	c.release()
	return nil
}

// accept commits lines. When the database refuses one for what it holds, that one
// is replaced by a note and the others are kept: refused as a whole, they would
// come again for ever.
func (l *logRequest) accept(lines []results.Line) error {
	_, err := l.door.Pipeline.Accept(l.ctx, l.host, lines)
	if !fault.Is(err, fault.Unprocessable) {
		return err
	}
	if half := len(lines) / 2; half > 0 {
		if err := l.accept(lines[:half]); err != nil {
			return err
		}
		return l.accept(lines[half:])
	}
	note := l.lines.unreadable([]byte(err.Error()), "a log line cannot be stored")
	_, err = l.door.Pipeline.Accept(l.ctx, l.host, []results.Line{note})
	return err
}

func (l *logRequest) seen(lines []results.Line) {
	address := l.door.Address(l.request)
	result, status := false, false
	for i := range lines {
		result = result || lines[i].Status == nil
		status = status || lines[i].Status != nil
	}
	if result {
		l.door.Hosts.Seen(l.host.ID, hosts.ContactResult, address)
	}
	if status {
		l.door.Hosts.Seen(l.host.ID, hosts.ContactStatus, address)
	}
}

func (l *logRequest) current() *chunk {
	if l.chunk == nil {
		l.chunk = chunks.Get().(*chunk)
	}
	return l.chunk
}

func (l *logRequest) close() {
	if l.spool != nil {
		l.spool.close()
	}
}

// chunk holds lines and the bytes they point into.
type chunk struct {
	buffer bytes.Buffer
	lines  []results.Line
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// release gives the memory back; only after a commit, when nobody points into it.
func (c *chunk) release() {
	if c.buffer.Cap() > 2*chunkBytes {
		return
	}
	c.buffer.Reset()
	clear(c.lines)
	c.lines = c.lines[:0]
	chunks.Put(c)
}
