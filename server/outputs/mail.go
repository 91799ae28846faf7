// Package outputs is what leaves the server on its own account: mail, alerts to
// whomever rules name, and logs to destinations.
//
// It writes the tables alerters, alerter_digests, destinations and
// destination_cursors, and one row of the table settings: email. Passwords, keys and
// addresses that hold tokens are sealed.
//
// Mail sends when it is asked to and tries once: who must not lose a mail asks
// again. Alerters do so by jobs (see Alerters.Worker). A file for each kind of
// alerter says what it sends; it knows nothing of the others, of rules, or of
// who reads it. Destinations follow the logs by themselves (see Destinations.Run),
// each kind in a file of its own as well.
package outputs

import (
	"context"
	"crypto/x509"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/seal"
)

const (
	mailSetting  = "email"
	mailPurpose  = "email.password"
	mailTimeout  = 20 * time.Second
	mailSessions = 4

	implicitTLSPort = 465
)

// Mask stands for a password that is not shown: whoever sends it back means the
// one that is stored.
const Mask = "********"

// MailSettings say how mail is sent and to whom.
type MailSettings struct {
	Address    string   // of the sender
	Recipients []string // of what is for nobody in particular
	Host       string
	Port       int // 465: TLS from the first byte; others: STARTTLS
	Username   string
	Password   string // empty: no sign-in; Mask: the stored one
}

// storedMail is MailSettings as the setting email holds it.
type storedMail struct {
	Address    string   `json:"address"`
	Recipients []string `json:"recipients"`
	Host       string   `json:"host"`
	Port       int      `json:"port"`
	Username   string   `json:"username,omitempty"`
	Password   string   `json:"password,omitempty"` // sealed
}

// MailOptions are the limits of Mail; the zero value of each means its default.
type MailOptions struct {
	Timeout time.Duration  // of a whole conversation (20 s)
	Roots   *x509.CertPool // authorities of mail servers (the system's)
	Now     func() time.Time

	implicit int // the port of TLS from the first byte, for tests (465)
}

// Mail sends mail by SMTP. It is safe for concurrent use.
type Mail struct {
	db    *database.DB
	box   *seal.Box
	o     MailOptions
	slots chan struct{} // bounds the conversations under way
}

// NewMail returns a sender that seals its password in box.
func NewMail(db *database.DB, box *seal.Box, o MailOptions) *Mail {
	if o.Timeout <= 0 {
		o.Timeout = mailTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.implicit == 0 {
		o.implicit = implicitTLSPort
	}
	return &Mail{db: db, box: box, o: o, slots: make(chan struct{}, mailSessions)}
}

// Settings returns what is stored, with Mask in place of a password. Faults:
// NotFound when nothing is.
func (m *Mail) Settings(ctx context.Context) (MailSettings, error) {
	stored, err := m.stored(ctx, m.db)
	return stored.shown(), err
}

func (s storedMail) shown() MailSettings {
	shown := MailSettings{Address: s.Address, Recipients: s.Recipients, Host: s.Host, Port: s.Port, Username: s.Username}
	if s.Password != "" {
		shown.Password = Mask
	}
	return shown
}

func (m *Mail) stored(ctx context.Context, db *database.DB) (storedMail, error) {
	var stored storedMail
	found, err := db.Setting(ctx, mailSetting, &stored)
	if err == nil && !found {
		err = fault.New(fault.NotFound, "Mail is not configured")
	}
	return stored, err
}

// Save checks settings and stores them, without talking to the mail server: one
// that is down must not keep anybody from naming another. It returns them as
// Settings does, before (nil: there were none) and after. The stored password
// stays with the server and the account that it is for. Faults: Unprocessable.
func (m *Mail) Save(ctx context.Context, s MailSettings) (before *MailSettings, after MailSettings, err error) {
	err = m.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, mailSetting); err != nil {
			return err
		}
		old, err := m.stored(ctx, tx)
		switch {
		case err == nil:
			shown := old.shown()
			before = &shown
		case !fault.Is(err, fault.NotFound):
			return err
		}
		next, err := m.sealed(s, old)
		if err != nil {
			return err
		}
		after = next.shown()
		return tx.SetSetting(ctx, mailSetting, next)
	})
	return before, after, err
}

// sealed checks settings and gives them the form in which they are stored.
func (m *Mail) sealed(s MailSettings, old storedMail) (storedMail, error) {
	s, err := s.checked()
	if err != nil {
		return storedMail{}, err
	}
	next := storedMail{Address: s.Address, Recipients: s.Recipients, Host: s.Host, Port: s.Port, Username: s.Username}
	switch {
	case s.Password == Mask && old.Password != "":
		if next.Host != old.Host || next.account() != old.account() {
			return next, fault.New(fault.Unprocessable, "The password has to be entered again when the server or the account changes")
		}
		next.Password = old.Password
	case s.Password != "" && s.Password != Mask:
		next.Password, err = m.box.Seal(mailPurpose, []byte(s.Password))
	}
	return next, err
}

// account is the name to sign in with.
func (s storedMail) account() string {
	if s.Username != "" {
		return s.Username
	}
	return s.Address
}

// Test sends a mail with settings that need not be stored; Mask is understood as
// in Save. Every recipient has to be accepted. It takes as long as the mail
// server does, up to the timeout. Faults: Unprocessable, saying which step
// failed; the cause is a *MailError then, if it was the mail server's. Busy when
// too many mails are under way.
func (m *Mail) Test(ctx context.Context, s MailSettings) error {
	old, err := m.stored(ctx, m.db)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	trial, err := m.sealed(s, old)
	if err != nil {
		return err
	}
	return m.deliver(ctx, trial, Message{Subject: testSubject, Text: testText}, true)
}

// Send sends a mail with the stored settings, to its own recipients or to those
// of the settings. Faults as for Test, and NotFound when nothing is stored. If
// only some recipients are refused the others get it, and MailError.Sent says
// how many these are.
func (m *Mail) Send(ctx context.Context, message Message) error {
	stored, err := m.stored(ctx, m.db)
	if err != nil {
		return err
	}
	return m.deliver(ctx, stored, message, false)
}

// deliver has one conversation. all: nobody gets the mail unless everybody does.
func (m *Mail) deliver(ctx context.Context, s storedMail, message Message, all bool) error {
	text, err := compose(s, message, m.o.Now())
	if err != nil {
		return err
	}
	password, err := m.password(s)
	if err != nil {
		return err
	}
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	default:
		return fault.New(fault.Busy, "Too many mails are being sent: try again in a moment")
	}
	ctx, cancel := context.WithTimeout(ctx, m.o.Timeout)
	defer cancel()
	c := conversation{host: s.Host, port: s.Port, implicit: s.Port == m.o.implicit, username: s.account(), password: password, roots: m.o.Roots}
	if err := c.open(ctx); err != nil {
		return err
	}
	defer c.close()
	return c.send(s.Address, recipients(s, message), text, all)
}

func (m *Mail) password(s storedMail) (string, error) {
	if s.Password == "" {
		return "", nil
	}
	plain, err := m.box.Open(mailPurpose, s.Password)
	return string(plain), err
}
