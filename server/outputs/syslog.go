package outputs

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"muster/server/dial"
	"muster/server/fault"
)

const (
	syslogTimeout  = 20 * time.Second // of a whole delivery
	syslogFarewell = time.Second      // for the receiver to close after us
	maxSyslogText  = 1 << 20          // bytes of one message
	syslogTime     = "2006-01-02T15:04:05.000000Z07:00"
)

// syslogTarget is where syslog messages are sent, over TCP or TLS.
type syslogTarget struct {
	address string        // host:port
	tls     *tls.Config   // nil: no TLS; otherwise with a ServerName
	timeout time.Duration // of a whole delivery; 0 means 20 s
}

// syslogMessage is one message of RFC 5424, without structured data.
type syslogMessage struct {
	facility, severity int // 0-23, 0-7
	at                 time.Time
	host, app, id      string // of the header; whatever is no printable ASCII becomes _
	text               string // may have line ends: frames say their length
}

// send hands over messages in their order on a connection of their own. Syslog has
// no receipts. So send closes its direction and waits a moment for the receiver
// to close the other: one that had not read everything resets the connection
// instead, which is an error. A message may arrive although send failed. Faults:
// Unprocessable, whose cause is a *sendError.
func (t syslogTarget) send(ctx context.Context, messages ...syslogMessage) error {
	if t.timeout <= 0 {
		t.timeout = syslogTimeout
	}
	for _, m := range messages {
		if len(m.text) > maxSyslogText {
			return fault.Wrap(&sendError{permanent: true, cause: "message too large"}, fault.Unprocessable, "A syslog message has more than %d bytes", maxSyslogText)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	conn, err := dial.New().DialContext(ctx, "tcp", t.address)
	if err != nil {
		return unsent(err, "The syslog server "+t.address, "cannot be reached")
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if t.tls != nil {
		secure := tls.Client(conn, t.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return unsent(err, "The syslog server "+t.address, "cannot be reached over TLS")
		}
		conn = secure
	}
	if err := deliverFrames(conn, messages); err != nil {
		return unsent(err, "The syslog server "+t.address, "did not take everything")
	}
	return nil
}

// deliverFrames writes the frames and says goodbye.
func deliverFrames(conn net.Conn, messages []syslogMessage) error {
	buffer := bufio.NewWriterSize(conn, 64<<10)
	for _, m := range messages {
		if _, err := buffer.WriteString(m.frame()); err != nil {
			return err
		}
	}
	if err := buffer.Flush(); err != nil {
		return err
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return err
		}
	}
	waiting := time.AfterFunc(syslogFarewell, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer waiting.Stop()
	_, err := io.CopyN(io.Discard, conn, 4096)
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isTimeout(err) {
		return nil
	}
	return err
}

// frame is the message with its length before it (RFC 6587, section 3.4.1; RFC
// 5425, section 4.3).
func (m syslogMessage) frame() string {
	text := fmt.Sprintf("<%d>1 %s %s %s - %s - %s", m.facility*8+m.severity, m.at.UTC().Format(syslogTime),
		syslogName(m.host, 255), syslogName(m.app, 48), syslogName(m.id, 32), strings.ToValidUTF8(m.text, "\uFFFD"))
	return fmt.Sprintf("%d %s", len(text), text)
}

// syslogName is a field of the header: printable ASCII without blanks, or "-".
func syslogName(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, text)
	if text == "" {
		return "-"
	}
	return text[:min(len(text), limit)]
}
