package outputs

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"

	"muster/server/fault"
)

// Step is a part of the conversation with a mail server.
type Step string

// The steps, in their order.
const (
	StepConnect   Step = "connect"
	StepTLS       Step = "tls"
	StepSignIn    Step = "sign-in"
	StepSender    Step = "sender"
	StepRecipient Step = "recipient"
	StepContent   Step = "content"
)

// MailError is the cause of a fault that a mail server gave reason for.
type MailError struct {
	Step      Step
	Temporary bool // it may go better later
	Sent      int  // recipients who got the mail all the same
	cause     error
}

// Error is for the log.
func (e *MailError) Error() string { return fmt.Sprintf("%s: %v", e.Step, e.cause) }

// Unwrap returns the cause.
func (e *MailError) Unwrap() error { return e.cause }

// failed makes the fault of a step. The sentence goes on with what people can do
// something about. What a mail server says to a sign-in is left out, since it may
// repeat the password; so is what answers a connection, which may be no mail server.
func failed(step Step, err error, sentence string, args ...any) error {
	public := fmt.Sprintf(sentence, args...)
	if why := reason(step, err); why != "" {
		public += ": " + why
	}
	cause := err
	if step == StepSignIn {
		cause = errors.New(reason(step, err))
	}
	return fault.Wrap(&MailError{Step: step, Temporary: temporary(err), cause: cause}, fault.Unprocessable, "%s", public)
}

func reason(step Step, err error) string {
	var reply *textproto.Error
	switch answered := errors.As(err, &reply); {
	case answered && (step == StepSignIn || step == StepConnect || step == StepTLS):
		return fmt.Sprintf("it answered %d", reply.Code)
	case answered:
		return fmt.Sprintf("it answered %d %s", reply.Code, oneLine(reply.Msg, 200))
	}
	if why := networkReason(err); why != "" || step != StepConnect {
		return why
	}
	return "what answers there is no mail server, or the network does not lead there"
}

func isReply(err error) bool {
	var reply *textproto.Error
	return errors.As(err, &reply)
}

// temporary goes by the reply's first digit, where there is one. What the network
// does passes; what a certificate says does not.
func temporary(err error) bool {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return reply.Code/100 == 4
	}
	var network *net.OpError
	return isTimeout(err) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
