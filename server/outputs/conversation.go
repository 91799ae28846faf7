package outputs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"muster/server/dial"
)

const (
	maxReplies = 1 << 20 // bytes that a mail server may say
	farewell   = 2 * time.Second
)

// conversation is one connection to a mail server.
type conversation struct {
	host               string
	port               int
	implicit           bool   // TLS from the first byte
	username, password string // no password: no sign-in
	roots              *x509.CertPool

	conn   net.Conn
	client *smtp.Client
	stop   func() bool
}

// open connects, starts TLS and signs in, or fails with a fault that says at
// which step. Everything until close happens before ctx ends.
func (c *conversation) open(ctx context.Context) error {
	address := net.JoinHostPort(c.host, strconv.Itoa(c.port))
	conn, err := dial.New().DialContext(ctx, "tcp", address)
	if err != nil {
		return failed(StepConnect, err, "The mail server %s cannot be reached", address)
	}
	c.conn = conn
	c.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	if err := c.greet(ctx, &bounded{Conn: conn, left: maxReplies}); err != nil {
		c.stop()
		_ = conn.Close()
		return err
	}
	if err := c.signIn(); err != nil {
		c.close()
		return err
	}
	return nil
}

// greet goes as far as a connection that is encrypted where it has to be.
func (c *conversation) greet(ctx context.Context, conn net.Conn) error {
	config := &tls.Config{ServerName: c.host, RootCAs: c.roots, MinVersion: tls.VersionTLS12}
	if c.implicit {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return failed(StepTLS, err, "TLS with the mail server failed")
		}
		conn = secure
	}
	var err error
	if c.client, err = smtp.NewClient(conn, c.host); err != nil {
		return failed(StepConnect, err, "The mail server did not greet")
	}
	if err := c.client.Hello(localName()); err != nil {
		return failed(StepConnect, err, "The mail server did not take the greeting")
	}
	if c.implicit {
		return nil
	}
	offered, _ := c.client.Extension("STARTTLS")
	switch {
	case offered:
		if err := c.client.StartTLS(config); err != nil {
			return failed(StepTLS, err, "TLS with the mail server failed")
		}
	case c.password != "":
		return failed(StepTLS, errNoTLS, "The mail server offers no TLS, and a password is not sent without")
	}
	return nil
}

var (
	errNoTLS       = errors.New("no STARTTLS among the extensions")
	errNoMechanism = errors.New("neither PLAIN nor LOGIN is offered")
)

// signIn is where a password leaves the server, on an encrypted connection alone.
func (c *conversation) signIn() error {
	if c.password == "" {
		return nil
	}
	if _, encrypted := c.client.TLSConnectionState(); !encrypted {
		return failed(StepTLS, errNoTLS, "The mail server offers no TLS, and a password is not sent without")
	}
	_, offered := c.client.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	var auth smtp.Auth
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		auth = smtp.PlainAuth("", c.username, c.password, c.host, false)
	case slices.Contains(mechanisms, "LOGIN"):
		auth = smtp.LoginAuth(c.username, c.password, c.host, false)
	default:
		return failed(StepSignIn, errNoMechanism, "The mail server offers no sign-in by password")
	}
	if err := c.client.Auth(auth); err != nil {
		return failed(StepSignIn, err, "The mail server refused the sign-in")
	}
	return nil
}

// send hands over one mail. all: to everybody or to nobody.
func (c *conversation) send(from string, to []string, text []byte, all bool) error {
	if err := c.client.Mail("<" + from + ">"); err != nil {
		return failed(StepSender, err, "The mail server refused the sender %s", from)
	}
	var refused error
	sent := 0
	for _, recipient := range to {
		if err := c.client.Rcpt("<" + recipient + ">"); err != nil {
			refused = failed(StepRecipient, err, "The mail server refused the recipient %s", recipient)
			if all || !isReply(err) {
				return refused
			}
			continue
		}
		sent++
	}
	if sent == 0 {
		return refused
	}
	if err := c.content(text); err != nil {
		return failed(StepContent, err, "The mail server did not take the mail")
	}
	var partly *MailError
	if errors.As(refused, &partly) {
		partly.Sent = sent
	}
	return refused
}

func (c *conversation) content(text []byte) error {
	body, err := c.client.Data()
	if err != nil {
		return err
	}
	_, err = body.Write(text)
	return errors.Join(err, body.Close())
}

// close says goodbye and does not mind if nobody answers: the mail is taken.
func (c *conversation) close() {
	c.stop()
	_ = c.conn.SetDeadline(time.Now().Add(farewell))
	if c.client.Quit() != nil {
		_ = c.client.Close()
	}
}

// localName is what the server calls itself to mail servers.
func localName() string {
	name, err := os.Hostname()
	if err != nil || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "localhost"
	}
	return name
}

// bounded keeps a mail server from talking for ever.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
