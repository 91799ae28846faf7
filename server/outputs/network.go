package outputs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"muster/server/dial"
	"muster/server/fault"
)

// sendError is the cause of a fault that a receiver, or the way to it, gave reason
// for. Its text holds nothing that the receiver said, which may repeat a secret.
type sendError struct {
	permanent bool          // the same again would fail again
	wait      time.Duration // the receiver asked for that; 0: it did not
	cause     string        // what the sentence of the fault does not say
}

func (e *sendError) Error() string { return e.cause }

// unsent makes the fault of something that did not arrive for reasons of the
// network. The sentence goes on with the reason. err itself is not kept: it may
// name an URL with a token in it.
func unsent(err error, receiver, sentence string) error {
	why := networkReason(err)
	if why == "" {
		why = "the connection failed"
	}
	return fault.Wrap(&sendError{permanent: errors.Is(err, dial.ErrNotCalled)}, fault.Unprocessable, "%s %s: %s", receiver, sentence, why)
}

// networkReason says what people can do something about; empty for what it does
// not know.
func networkReason(err error) string {
	var (
		name      *net.DNSError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		remote    *net.OpError
		record    tls.RecordHeaderError
	)
	switch {
	case isTimeout(err):
		return "it did not answer in time"
	case errors.As(err, &name):
		return "its name is not known"
	case errors.Is(err, dial.ErrNotCalled):
		return "link-local and multicast addresses are not called"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &authority):
		return "its certificate is signed by an unknown authority"
	case errors.As(err, &hostname):
		return "its certificate is for another name"
	case errors.As(err, &invalid):
		return "its certificate is not valid"
	case errors.As(err, &remote) && remote.Op == "remote error":
		return "it refused TLS with us"
	case errors.As(err, &record):
		return "it does not speak TLS at this port"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, syscall.ENOTCONN): // as when we close after they did
		return "the connection broke off"
	}
	return ""
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.As(err, &network) && network.Timeout()
}

// authorities reads certificates in PEM that a receiver's is checked against; nil,
// the system's, for an empty text. Faults: Unprocessable.
func authorities(pem string) (*x509.CertPool, error) {
	if pem == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, fault.New(fault.Unprocessable, "ca holds no certificate in PEM")
	}
	return pool, nil
}
