package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"muster/server/fault"
)

func box(t *testing.T, first byte) *Box {
	t.Helper()
	key := bytes.Repeat([]byte{7}, KeySize)
	key[0] = first
	b, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealed(t *testing.T) {
	b := box(t, 1)
	sealed, err := b.Seal("mail", []byte("s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Seal("mail", []byte("s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	if sealed == again || strings.Contains(sealed, "s3cret") {
		t.Errorf("%s and %s", sealed, again)
	}
	parts := strings.Split(sealed, ".")
	flipped := []byte(parts[2])
	flipped[5] ^= 1
	for sentence, c := range map[string]struct {
		box             *Box
		purpose, sealed string
		want            string
		kind            fault.Kind
	}{
		"it opens":                     {b, "mail", sealed, "s3cret", 0},
		"it opens twice":               {b, "mail", again, "s3cret", 0},
		"another key is named":         {box(t, 2), "mail", sealed, "", fault.Unprocessable},
		"another purpose is refused":   {b, "intel", sealed, "", fault.Internal},
		"a flipped bit is refused":     {b, "mail", parts[0] + "." + parts[1] + "." + string(flipped), "", fault.Internal},
		"a short text is refused":      {b, "mail", parts[0] + "." + parts[1] + ".AAAA", "", fault.Internal},
		"nothing is refused":           {b, "mail", "", "", fault.Internal},
		"no base64 is refused":         {b, "mail", parts[0] + "." + parts[1] + ".%%%", "", fault.Internal},
		"a later version is refused":   {b, "mail", "v2" + strings.TrimPrefix(sealed, "v1"), "", fault.Internal},
		"an open text is no secret":    {b, "mail", "s3cret", "", fault.Internal},
		"a forged key id is refused":   {box(t, 2), "mail", "v1." + box(t, 2).id + "." + parts[2], "", fault.Internal},
		"more parts than are expected": {b, "mail", sealed + ".x", "", fault.Internal},
	} {
		t.Run(sentence, func(t *testing.T) {
			plain, err := c.box.Open(c.purpose, c.sealed)
			if c.want != "" && (err != nil || string(plain) != c.want) {
				t.Errorf("got %q, %v", plain, err)
			}
			if c.want == "" && (!fault.Is(err, c.kind) || plain != nil) {
				t.Errorf("got %q, %v", plain, err)
			}
		})
	}
}

func TestParseKey(t *testing.T) {
	key := bytes.Repeat([]byte{0xfb, 0xef}, KeySize/2)
	for sentence, c := range map[string]struct {
		text string
		ok   bool
	}{
		"base64":                     {base64.StdEncoding.EncodeToString(key), true},
		"base64 for addresses":       {base64.URLEncoding.EncodeToString(key), true},
		"base64 without padding":     {base64.RawURLEncoding.EncodeToString(key), true},
		"hexadecimal":                {hex.EncodeToString(key), true},
		"hexadecimal in capitals":    {strings.ToUpper(hex.EncodeToString(key)), true},
		"with the end of a line":     {hex.EncodeToString(key) + "\r\n", true},
		"a key that is too short":    {hex.EncodeToString(key[1:]), false},
		"a key that is too long":     {base64.StdEncoding.EncodeToString(append(key, 1)), false},
		"a password":                 {"correct horse battery staple", false},
		"nothing":                    {"", false},
		"32 letters are no 32 bytes": {strings.Repeat("a", 32), false},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := ParseKey(c.text)
			if c.ok != (err == nil) || (c.ok && !bytes.Equal(got, key)) {
				t.Errorf("got %x, %v", got, err)
			}
			if err != nil && c.text != "" && strings.Contains(err.Error(), c.text) {
				t.Errorf("%v repeats the text", err)
			}
		})
	}
}

func TestKeyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets.key")
	first, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := first.Seal("x", []byte("kept"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := second.Open("x", sealed); err != nil || string(plain) != "kept" {
		t.Errorf("after a restart: %q, %v", plain, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil || !strings.Contains(err.Error(), "secrets.key") {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "nowhere", "secrets.key")); err == nil {
		t.Error("a folder that is not there")
	}
}

func TestRacingForTheKey(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "secrets.key")
	ids := make([]string, 16)
	var racing sync.WaitGroup
	for i := range ids {
		racing.Go(func() {
			b, err := Open(file)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = b.id
		})
	}
	racing.Wait()
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Fatalf("more than one key: %v", ids)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("what is left: %v, %v", left, err)
	}
}

func FuzzOpen(f *testing.F) {
	b, err := New(make([]byte, KeySize))
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := b.Seal("x", []byte("y"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add("v1." + b.id + ".")
	f.Fuzz(func(t *testing.T, text string) {
		if plain, err := b.Open("x", text); err == nil && string(plain) != "y" {
			t.Errorf("%q opens to %q", text, plain)
		}
	})
}
