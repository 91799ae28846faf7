package intel

import (
	"context"
	"slices"
	"strings"

	"muster/server/database"
	"muster/server/fault"
)

// Provider is a reputation service.
type Provider string

// The services that there are keys for.
const (
	IBMXForce  Provider = "ibmxforce"
	VirusTotal Provider = "virustotal"
	AlienVault Provider = "alienvault"
)

// Providers are all services, in the order in which they are shown.
func Providers() []Provider { return []Provider{IBMXForce, VirusTotal, AlienVault} }

// paired reports whether the service wants a password beside its key.
func (p Provider) paired() bool { return p == IBMXForce }

const (
	keysSetting = "intel_keys"
	maxKey      = 512

	bothRequired = "Both IBMxForceKey and IBMxForcePass are required!"
)

// Mask stands at the start of every key that is shown. What starts with it is no
// key, so whoever sends back what was shown changes nothing.
const Mask = "********"

// Key is what a service knows us by. Pass is for services that want one.
type Key struct{ Key, Pass string }

// Change says what becomes of the keys. In Set an empty or masked text leaves what
// is stored; Remove forgets services.
type Change struct {
	Set    map[Provider]Key
	Remove []Provider
}

// sealedKey is a key as the setting holds it.
type sealedKey struct {
	Key  string `json:"key"`
	Pass string `json:"pass,omitempty"`
}

// Key returns the key of a service. Faults: NotFound when there is none,
// Unprocessable when it was sealed with another encryption key.
func (s *Store) Key(ctx context.Context, p Provider) (Key, error) {
	stored, err := s.stored(ctx, s.db)
	if err != nil {
		return Key{}, err
	}
	k, found := stored[p]
	if !found {
		return Key{}, fault.New(fault.NotFound, "There is no key for %s", p)
	}
	return s.open(p, k)
}

// Keys returns the services that have a key, with keys fit to be shown: a mask,
// and the last four characters of a key that is long enough to keep its secret. A
// key that cannot be opened any more is a mask alone.
func (s *Store) Keys(ctx context.Context) (map[Provider]Key, error) {
	stored, err := s.stored(ctx, s.db)
	if err != nil {
		return nil, err
	}
	return s.shown(stored), nil
}

func (s *Store) shown(stored map[Provider]sealedKey) map[Provider]Key {
	shown := map[Provider]Key{}
	for p, k := range stored {
		masked := Key{Key: Mask}
		if plain, err := s.open(p, k); err == nil {
			masked.Key = masked.Key + ending(plain.Key)
		}
		if k.Pass != "" {
			masked.Pass = Mask
		}
		shown[p] = masked
	}
	return shown
}

// ending is the part of a key that tells people which it is.
func ending(key string) string {
	if len(key) < 16 {
		return ""
	}
	return key[len(key)-4:]
}

// SetKeys changes the keys and returns them as Keys does, before and after.
// Nobody outside is asked whether a key is good. Faults: Unprocessable, with the
// services in its fields, for a key that can be none, for one half of a pair, and
// for a service that is not known; nothing is changed then.
func (s *Store) SetKeys(ctx context.Context, c Change) (before, after map[Provider]Key, err error) {
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, keysSetting); err != nil { // or one of two changes at a time is lost
			return err
		}
		stored, err := s.stored(ctx, tx)
		if err != nil {
			return err
		}
		before = s.shown(stored)
		if err := s.apply(stored, c); err != nil {
			return err
		}
		after = s.shown(stored)
		return tx.SetSetting(ctx, keysSetting, stored)
	})
	return before, after, err
}

// apply changes stored, in which a service that is not known counts for nothing.
func (s *Store) apply(stored map[Provider]sealedKey, c Change) error {
	for _, p := range c.Remove {
		if !slices.Contains(Providers(), p) {
			return wrong(p, "There is no such service")
		}
		delete(stored, p)
	}
	for _, p := range Providers() {
		given, err := s.given(p, c.Set[p])
		if err != nil {
			return err
		}
		if given == (Key{}) {
			continue
		}
		next := stored[p]
		if next.Key, err = s.replaced(p, "key", next.Key, given.Key); err != nil {
			return err
		}
		if next.Pass, err = s.replaced(p, "pass", next.Pass, given.Pass); err != nil {
			return err
		}
		if next.Key == "" || (p.paired() && next.Pass == "") {
			return wrong(p, bothRequired)
		}
		stored[p] = next
	}
	return nil
}

// given checks what was sent for a service; the zero key when that is nothing new.
func (s *Store) given(p Provider, k Key) (Key, error) {
	k.Key, k.Pass = strings.TrimSpace(k.Key), strings.TrimSpace(k.Pass)
	if p.paired() && (k.Key == "") != (k.Pass == "") {
		return Key{}, wrong(p, bothRequired)
	}
	if !fit(k.Key) || !fit(k.Pass) {
		return Key{}, wrong(p, "A key has at most 512 printable characters and no blanks")
	}
	if masked(k.Key) && (k.Pass == "" || masked(k.Pass)) {
		return Key{}, nil
	}
	return k, nil
}

func masked(text string) bool { return text == "" || strings.HasPrefix(text, Mask) }

func fit(text string) bool {
	return len(text) <= maxKey && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// replaced is the sealed form of text, or what was stored if text says nothing new.
func (s *Store) replaced(p Provider, part, stored, text string) (string, error) {
	if masked(text) {
		return stored, nil
	}
	return s.box.Seal(purpose(p, part), []byte(text))
}

func (s *Store) open(p Provider, k sealedKey) (Key, error) {
	key, err := s.box.Open(purpose(p, "key"), k.Key)
	if err != nil || k.Pass == "" {
		return Key{Key: string(key)}, err
	}
	pass, err := s.box.Open(purpose(p, "pass"), k.Pass)
	if err != nil {
		return Key{}, err
	}
	return Key{Key: string(key), Pass: string(pass)}, nil
}

func purpose(p Provider, part string) string { return "intel." + string(p) + "." + part }

// wrong says the same as the message and beside the service's name, as clients of
// the original expect (esp-api 1.1).
func wrong(p Provider, sentence string) error {
	return fault.New(fault.Unprocessable, "%s", sentence).Naming(map[string]string{string(p): sentence})
}

func (s *Store) stored(ctx context.Context, db *database.DB) (map[Provider]sealedKey, error) {
	stored := map[Provider]sealedKey{}
	_, err := db.Setting(ctx, keysSetting, &stored)
	return stored, err
}
