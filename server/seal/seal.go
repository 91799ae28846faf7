// Package seal keeps secrets that the server must be able to use again, such as
// the password of a mail account, unreadable in the database.
//
// A Box seals with AES-256-GCM under one key, which is not in the database: it is
// a file of the data folder, or a setting where several replicas share a database.
// It writes no table and knows no feature: whoever seals stores the text.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"muster/server/fault"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// version starts every sealed text: another way to seal gets another.
const version = "v1"

// Box seals and opens under one key. It is safe for concurrent use.
type Box struct {
	aead cipher.AEAD
	id   string // of the key; tells a foreign text from a damaged one
}

// New returns a box for a key of KeySize random bytes. Faults: Invalid for
// another length.
func New(key []byte) (*Box, error) {
	if len(key) != KeySize {
		return nil, fault.New(fault.Invalid, "A key has %d bytes", KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(append([]byte("muster seal key "), key...))
	return &Box{aead: aead, id: hex.EncodeToString(digest[:4])}, nil
}

// ParseKey reads a key as people write it: 32 random bytes in base64 (either
// alphabet, padded or not) or as 64 hexadecimal digits. The error does not repeat
// the text.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if key, err := hex.DecodeString(text); err == nil && len(key) == KeySize {
		return key, nil
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	if key, err := base64.RawStdEncoding.DecodeString(plain); err == nil && len(key) == KeySize {
		return key, nil
	}
	return nil, errors.New("is not 32 bytes in base64 or hexadecimal (make some: openssl rand -base64 32)")
}

// Seal returns plain as text that only Open with the same purpose gives back. The
// purpose says what the secret is for, so that nobody who can write the database
// moves one to where another is used.
func (b *Box) Seal(purpose string, plain []byte) (string, error) {
	sealed := b.aead.Seal(nil, nil, plain, b.bound(purpose)) //nolint:gosec // it makes a nonce of its own, see New
	return strings.Join([]string{version, b.id, base64.RawURLEncoding.EncodeToString(sealed)}, "."), nil
}

// Open returns what Seal was given. Faults: Unprocessable for a text that was
// sealed with another key; Internal for one that is damaged, was made for another
// purpose, or is none of ours.
func (b *Box) Open(purpose, sealed string) ([]byte, error) {
	parts := strings.Split(sealed, ".")
	if len(parts) != 3 || parts[0] != version {
		return nil, fault.New(fault.Internal, "A stored secret is in no form that this version knows")
	}
	if parts[1] != b.id {
		return nil, fault.New(fault.Unprocessable, "A stored secret was sealed with another encryption key: enter it again, or bring that key back")
	}
	content, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "A stored secret is damaged")
	}
	plain, err := b.aead.Open(nil, nil, content, b.bound(purpose))
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "A stored secret is damaged")
	}
	return plain, nil
}

// bound is what is authenticated beside the secret itself.
func (b *Box) bound(purpose string) []byte { return []byte(version + "\x00" + b.id + "\x00" + purpose) }

// newKey returns a key and the text that ParseKey reads.
func newKey() ([]byte, string) {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // it never fails; see its documentation
	return key, base64.StdEncoding.EncodeToString(key)
}
