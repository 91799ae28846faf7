package outputs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestSettingsAreKept(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, m := t.Context(), NewMail(db, newBox(t, 1), MailOptions{})
		if _, err := m.Settings(ctx); !fault.Is(err, fault.NotFound) {
			t.Errorf("at first: %v", err)
		}
		s := MailSettings{Address: " muster@example.com", Recipients: []string{"a@example.com", "A@example.com ", "b@example.com"}, Host: "[2001:db8::1]", Port: 465, Password: password}
		want := MailSettings{Address: "muster@example.com", Recipients: []string{"a@example.com", "b@example.com"}, Host: "2001:db8::1", Port: 465, Password: Mask}
		before, after, err := m.Save(ctx, s)
		if diff := cmp.Diff(want, after); err != nil || before != nil || diff != "" {
			t.Fatal(before, err, diff)
		}
		got, err := m.Settings(ctx)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
		var text string
		if err := db.Read(ctx).Raw("SELECT value FROM settings WHERE name = ?", mailSetting).Scan(&text).Error; err != nil || strings.Contains(text, password) {
			t.Errorf("%s, %v", text, err)
		}
		lost := NewMail(db, newBox(t, 2), MailOptions{})
		if err := lost.Send(ctx, Message{}); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("with another encryption key: %v", err)
		}
		if _, err := lost.Settings(ctx); err != nil {
			t.Errorf("the rest can still be read: %v", err)
		}
	})
}

func TestThePasswordStaysWithItsServer(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, m := t.Context(), NewMail(db, newBox(t, 1), MailOptions{})
		start := MailSettings{Address: "muster@example.com", Recipients: []string{"a@example.com"}, Host: "mail.example.com", Port: 587, Password: password}
		for sentence, c := range map[string]struct {
			change func(*MailSettings)
			want   string // the password afterwards; "refused": none of it
		}{
			"the mask keeps it":                     {func(s *MailSettings) { s.Port, s.Recipients = 465, []string{"b@example.com"} }, password},
			"another server does not get it":        {func(s *MailSettings) { s.Host = "mail.evil.example" }, "refused"},
			"another account does not use it":       {func(s *MailSettings) { s.Username = "root" }, "refused"},
			"another sender, who is the account":    {func(s *MailSettings) { s.Address = "other@example.com" }, "refused"},
			"another server with its own":           {func(s *MailSettings) { s.Host, s.Password = "mail.other.example", "own" }, "own"},
			"another server without any":            {func(s *MailSettings) { s.Host, s.Password = "mail.other.example", "" }, ""},
			"the account may be named":              {func(s *MailSettings) { s.Username = "muster@example.com" }, password},
			"an empty one ends the signing in":      {func(s *MailSettings) { s.Password = "" }, ""},
			"a password with a line end is refused": {func(s *MailSettings) { s.Password = "a\r\nb" }, "refused"},
		} {
			if _, _, err := m.Save(ctx, start); err != nil {
				t.Fatal(err)
			}
			next := start
			next.Password = Mask
			c.change(&next)
			_, _, err := m.Save(ctx, next)
			want := c.want
			if want == "refused" {
				want = password
				if !fault.Is(err, fault.Unprocessable) || !fault.Is(m.Test(ctx, next), fault.Unprocessable) {
					t.Errorf("%s: %v", sentence, err)
				}
			} else if err != nil {
				t.Errorf("%s: %v", sentence, err)
			}
			stored, err := m.stored(ctx, db)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := m.password(stored); err != nil || got != want {
				t.Errorf("%s: %q, %v", sentence, got, err)
			}
		}
	})
}

func TestSettingsThatAreWrong(t *testing.T) {
	good := MailSettings{Address: "muster@example.com", Recipients: []string{"a@example.com"}, Host: "mail.example.com", Port: 587}
	if _, err := good.checked(); err != nil {
		t.Fatal(err)
	}
	for sentence, change := range map[string]func(*MailSettings){
		"no sender":                     func(s *MailSettings) { s.Address = "" },
		"a sender with a name":          func(s *MailSettings) { s.Address = "Muster <muster@example.com>" },
		"a sender with a line end":      func(s *MailSettings) { s.Address = "a@example.com\r\nBcc: b@example.com" },
		"a sender that is too long":     func(s *MailSettings) { s.Address = strings.Repeat("a", 250) + "@example.com" },
		"no recipient":                  func(s *MailSettings) { s.Recipients = nil },
		"an empty recipient":            func(s *MailSettings) { s.Recipients = []string{"a@example.com", ""} },
		"two recipients in one":         func(s *MailSettings) { s.Recipients = []string{"a@example.com b@example.com"} },
		"too many recipients":           func(s *MailSettings) { s.Recipients = manyRecipients(maxRecipients + 1) },
		"no server":                     func(s *MailSettings) { s.Host = "" },
		"a server with a port":          func(s *MailSettings) { s.Host = "mail.example.com:25" },
		"a server that is an URL":       func(s *MailSettings) { s.Host = "smtp://mail.example.com" },
		"a server with a line end":      func(s *MailSettings) { s.Host = "mail.example.com\r\n.x" },
		"no port":                       func(s *MailSettings) { s.Port = 0 },
		"a port that is too high":       func(s *MailSettings) { s.Port = 65536 },
		"an account with a line end":    func(s *MailSettings) { s.Username = "a\nb" },
		"a password that is too long":   func(s *MailSettings) { s.Password = strings.Repeat("x", maxCredential+1) },
		"a password that is not UTF-8":  func(s *MailSettings) { s.Password = "\xff" },
		"a password with a null byte":   func(s *MailSettings) { s.Password = "a\x00b" },
		"a recipient with an angle (>)": func(s *MailSettings) { s.Recipients = []string{"a@example.com>"} },
	} {
		s := good
		change(&s)
		if _, err := s.checked(); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

func manyRecipients(n int) []string {
	var all []string
	for i := range n {
		all = append(all, strings.Repeat("a", i+1)+"@example.com")
	}
	return all
}

func FuzzRecipient(f *testing.F) {
	f.Add("a@example.com")
	f.Add("\"a b\"@example.com")
	f.Add("a@b\r\nRCPT TO:<c@d>")
	f.Fuzz(func(t *testing.T, text string) {
		if isAddress(text) && strings.ContainsAny(text, "\r\n\x00") {
			t.Errorf("%q is accepted", text)
		}
	})
}
