package outputs

import (
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"muster/server/fault"
)

const (
	maxAddress    = 254 // RFC 5321
	maxRecipients = 50
	maxCredential = 1024
)

// A name, an IPv4 or an IPv6 address.
var mailHost = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$|^[0-9A-Fa-f:.]{2,45}$`)

// checked returns settings that are fit to be used, with every recipient once.
func (s MailSettings) checked() (MailSettings, error) {
	refused := func(sentence string, args ...any) (MailSettings, error) {
		return MailSettings{}, fault.New(fault.Unprocessable, sentence, args...)
	}
	if s.Address = strings.TrimSpace(s.Address); !isAddress(s.Address) {
		return refused("The sender %.80q is no mail address", s.Address)
	}
	var unique []string
	for _, recipient := range s.Recipients {
		recipient = strings.TrimSpace(recipient)
		if !isAddress(recipient) {
			return refused("The recipient %.80q is no mail address", recipient)
		}
		if !slices.ContainsFunc(unique, func(other string) bool { return strings.EqualFold(other, recipient) }) {
			unique = append(unique, recipient)
		}
	}
	if s.Recipients = unique; len(unique) == 0 || len(unique) > maxRecipients {
		return refused("There have to be between 1 and %d recipients", maxRecipients)
	}
	s.Host = strings.Trim(strings.TrimSpace(s.Host), "[]")
	if !mailHost.MatchString(s.Host) {
		return refused("The mail server %.80q is neither a name nor an address", s.Host)
	}
	if s.Port < 1 || s.Port > 65535 {
		return refused("The port is not between 1 and 65535")
	}
	if s.Username = strings.TrimSpace(s.Username); !isCredential(s.Username) || !isCredential(s.Password) {
		return refused("Account and password have at most %d characters and no control characters", maxCredential)
	}
	return s, nil
}

// isAddress takes plain addresses only: no names, groups, comments or line ends.
func isAddress(text string) bool {
	parsed, err := mail.ParseAddress(text)
	return err == nil && parsed.Address == text && len(text) <= maxAddress && !strings.ContainsFunc(text, unicode.IsControl)
}

func isCredential(text string) bool {
	return len(text) <= maxCredential && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
