package outputs

import (
	"bytes"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"muster/server/fault"
)

const (
	maxSubject = 200     // runes
	maxText    = 1 << 20 // bytes

	testSubject = "Muster: a test of the mail settings"
	testText    = "This mail was sent to test the mail settings of Muster.\n\nThat you can read it means that they work. Nothing has to be done.\n"
)

// Message is a mail in plain text.
type Message struct {
	To      []string // empty: the recipients of the settings
	Subject string   // line ends and the like become blanks; what is too long is cut
	Text    string
}

func recipients(s storedMail, m Message) []string {
	if len(m.To) > 0 {
		return m.To
	}
	return s.Recipients
}

// compose renders a mail. Faults: Unprocessable.
func compose(s storedMail, m Message, now time.Time) ([]byte, error) {
	if len(m.Text) > maxText {
		return nil, fault.New(fault.Unprocessable, "The mail has more than %d bytes", maxText)
	}
	to := recipients(s, m)
	if len(to) > maxRecipients {
		return nil, fault.New(fault.Unprocessable, "The mail has more than %d recipients", maxRecipients)
	}
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := message.From(s.Address); err != nil {
		return nil, fault.Wrap(err, fault.Unprocessable, "The sender is no mail address")
	}
	for _, recipient := range to {
		if err := message.AddTo(recipient); err != nil || !isAddress(recipient) {
			return nil, fault.New(fault.Unprocessable, "The recipient %.80q is no mail address", recipient)
		}
	}
	message.Subject(oneLine(m.Subject, maxSubject))
	message.SetDateWithValue(now)
	message.SetMessageID()
	message.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody on holiday answers
	message.SetBodyString(gomail.TypeTextPlain, strings.ToValidUTF8(m.Text, "\uFFFD"))
	var text bytes.Buffer
	if _, err := message.WriteTo(&text); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "The mail cannot be written")
	}
	return text.Bytes(), nil
}

// oneLine is text with blanks for control characters, cut after limit runes.
func oneLine(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit])
	}
	return text
}
