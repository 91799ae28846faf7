package smtptest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"net"
	"strings"
)

// session is one connection.
type session struct {
	server   *Server
	conn     net.Conn
	in       *bufio.Reader
	tls      bool
	username string // who signed in
	mail     Message
}

// secure starts TLS; false ends the session.
func (s *session) secure() bool {
	if s.server.o.Answers["TLS"] == Drop {
		return false
	}
	conn := tls.Server(s.conn, &tls.Config{Certificates: []tls.Certificate{s.server.cert}, MinVersion: tls.VersionTLS12})
	if conn.HandshakeContext(s.server.ctx) != nil {
		return false
	}
	s.conn, s.in, s.tls = conn, bufio.NewReader(conn), true
	return true
}

// line reads one; false ends the session.
func (s *session) line() (string, bool) {
	text, err := s.in.ReadString('\n')
	if !s.tls {
		s.server.mu.Lock()
		s.server.clear.WriteString(text)
		s.server.mu.Unlock()
	}
	return strings.TrimRight(text, "\r\n"), err == nil
}

// reply answers what the client said, unless the test wants something else.
func (s *session) reply(said, answer string) bool {
	said = strings.ToUpper(said)
	for start, other := range s.server.o.Answers {
		if strings.HasPrefix(said, start) {
			answer = other
		}
	}
	switch answer {
	case Drop:
		return false
	case Hang:
		<-s.server.done
		return false
	}
	_, err := s.conn.Write([]byte(strings.ReplaceAll(answer, "\n", "\r\n") + "\r\n"))
	return err == nil
}

// next reads a command and answers it.
func (s *session) next() bool {
	text, ok := s.line()
	if !ok {
		return false
	}
	verb, rest, _ := strings.Cut(text, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		return s.reply(text, s.extensions())
	case "STARTTLS":
		return s.reply(text, "220 go ahead") && s.server.o.Answers["STARTTLS"] == "" && s.secure()
	case "AUTH":
		return s.auth(text, rest)
	case "MAIL", "RCPT":
		return s.envelope(text, rest)
	case "DATA":
		return s.data(text)
	case "QUIT":
		_ = s.reply(text, "221 bye")
		return false
	case "RSET", "NOOP", "HELO":
		return s.reply(text, "250 ok")
	}
	return s.reply(text, "502 what?")
}

// envelope takes a sender or a recipient, in angles as RFC 5321 wants them.
func (s *session) envelope(text, rest string) bool {
	_, address, open := strings.Cut(rest, ":<")
	address, _, closed := strings.Cut(address, ">")
	switch {
	case !open || !closed:
		return s.reply(text, "501 5.5.4 no address")
	case s.server.o.Password != "" && s.username == "":
		return s.reply(text, "530 5.7.0 sign in first")
	case strings.HasPrefix(strings.ToUpper(text), "MAIL"):
		s.mail = Message{From: address, Username: s.username, TLS: s.tls}
	case !s.refuses(text):
		s.mail.To = append(s.mail.To, address)
	}
	return s.reply(text, "250 ok")
}

// refuses reports whether the test wants another reply than ours.
func (s *session) refuses(text string) bool {
	for start := range s.server.o.Answers {
		if strings.HasPrefix(strings.ToUpper(text), start) {
			return true
		}
	}
	return false
}

func (s *session) extensions() string {
	text := "250-smtptest\n250-8BITMIME\n"
	if s.server.o.Mode == StartTLS && !s.tls {
		text += "250-STARTTLS\n"
	}
	if s.server.o.Password != "" {
		text += "250-AUTH " + strings.Join(s.server.o.Mechanisms, " ") + "\n"
	}
	return text + "250 ENHANCEDSTATUSCODES"
}

func (s *session) auth(text, rest string) bool {
	mechanism, initial, _ := strings.Cut(rest, " ")
	username, password := "", ""
	switch strings.ToUpper(mechanism) {
	case "PLAIN":
		parts := strings.Split(decode(initial), "\x00")
		if len(parts) == 3 {
			username, password = parts[1], parts[2]
		}
	case "LOGIN":
		var ok bool
		if username, ok = s.ask("Username:"); !ok {
			return false
		}
		if password, ok = s.ask("Password:"); !ok {
			return false
		}
	default:
		return s.reply(text, "504 5.5.4 no such mechanism")
	}
	if username != s.server.o.Username || password != s.server.o.Password {
		return s.reply(text, "535 5.7.8 you said "+initial)
	}
	s.username = username
	return s.reply(text, "235 2.7.0 welcome")
}

func (s *session) ask(prompt string) (string, bool) {
	if !s.reply(prompt, "334 "+base64.StdEncoding.EncodeToString([]byte(prompt))) {
		return "", false
	}
	text, ok := s.line()
	return decode(text), ok
}

func decode(text string) string {
	plain, _ := base64.StdEncoding.DecodeString(text)
	return string(plain)
}

func (s *session) data(text string) bool {
	if !s.reply(text, "354 go on") {
		return false
	}
	if s.refuses(text) {
		return true
	}
	var content strings.Builder
	for {
		line, ok := s.line()
		if !ok {
			return false
		}
		if line == "." {
			break
		}
		content.WriteString(strings.TrimPrefix(line, ".") + "\n")
	}
	if !s.refuses(".") {
		s.mail.Data = content.String()
		s.server.mu.Lock()
		s.server.messages = append(s.server.messages, s.mail)
		s.server.mu.Unlock()
	}
	return s.reply(".", "250 2.0.0 queued")
}
