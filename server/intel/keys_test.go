package intel

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/seal"
)

func newBox(t testing.TB, fill byte) *seal.Box {
	t.Helper()
	key := make([]byte, seal.KeySize)
	key[0] = fill
	box, err := seal.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

const vtKey = "69f922502ee0ea958fa0ead2979257bd084fa012c283ef9540176ce857ac6f2c"

func TestKeys(t *testing.T) {
	ibm := Key{Key: "304020f8-99fd-4a17-9e72-80033278810a", Pass: "6710f119-9966-4d94-a7ad-9f98e62373c8"}
	start := Change{Set: map[Provider]Key{IBMXForce: ibm, VirusTotal: {Key: vtKey}}}
	shown := map[Provider]Key{IBMXForce: {Key: Mask + "810a", Pass: Mask}, VirusTotal: {Key: Mask + "6f2c"}}
	cases := map[string]struct {
		change Change
		want   map[Provider]Key // shown afterwards; nil: refused
		opened map[Provider]Key
	}{
		"nothing changes nothing":        {Change{}, shown, nil},
		"what was shown changes nothing": {Change{Set: shown}, shown, map[Provider]Key{IBMXForce: ibm, VirusTotal: {Key: vtKey}}},
		"one service leaves the others": {Change{Set: map[Provider]Key{AlienVault: {Key: " short "}}},
			map[Provider]Key{IBMXForce: shown[IBMXForce], VirusTotal: shown[VirusTotal], AlienVault: {Key: Mask}},
			map[Provider]Key{AlienVault: {Key: "short"}, VirusTotal: {Key: vtKey}}},
		"a new key beside the mask of the password": {Change{Set: map[Provider]Key{IBMXForce: {Key: "a-new-key-of-some-length", Pass: Mask}}},
			map[Provider]Key{IBMXForce: {Key: Mask + "ngth", Pass: Mask}, VirusTotal: shown[VirusTotal]},
			map[Provider]Key{IBMXForce: {Key: "a-new-key-of-some-length", Pass: ibm.Pass}}},
		"a service is forgotten": {Change{Remove: []Provider{IBMXForce}}, map[Provider]Key{VirusTotal: shown[VirusTotal]}, nil},
		"a service is forgotten and set anew": {Change{Remove: []Provider{VirusTotal}, Set: map[Provider]Key{VirusTotal: {Key: "another"}}},
			map[Provider]Key{IBMXForce: shown[IBMXForce], VirusTotal: {Key: Mask}}, map[Provider]Key{VirusTotal: {Key: "another"}}},
		"a mask for what was forgotten is no key": {Change{Remove: []Provider{VirusTotal}, Set: map[Provider]Key{VirusTotal: {Key: Mask}}},
			map[Provider]Key{IBMXForce: shown[IBMXForce]}, nil},
		"half a pair is refused":             {Change{Set: map[Provider]Key{IBMXForce: {Key: "x"}, VirusTotal: {Key: "new"}}}, nil, nil},
		"the other half is refused":          {Change{Set: map[Provider]Key{IBMXForce: {Pass: "x"}}}, nil, nil},
		"a mask without the other half":      {Change{Set: map[Provider]Key{IBMXForce: {Key: Mask}}}, nil, nil},
		"a new half of a pair that is gone":  {Change{Remove: []Provider{IBMXForce}, Set: map[Provider]Key{IBMXForce: {Key: "x", Pass: Mask}}}, nil, nil},
		"a key with a line end is refused":   {Change{Set: map[Provider]Key{VirusTotal: {Key: "a\nb"}}}, nil, nil},
		"a key that is too long is refused":  {Change{Set: map[Provider]Key{VirusTotal: {Key: strings.Repeat("k", 513)}}}, nil, nil},
		"a service that is unknown is named": {Change{Remove: []Provider{"shodan"}}, nil, nil},
	}
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		for sentence, c := range cases {
			t.Run(sentence, func(t *testing.T) {
				ctx, s := t.Context(), newStore(t, db, newBox(t, 1))
				if err := db.SetSetting(ctx, keysSetting, map[string]any{}); err != nil {
					t.Fatal(err)
				}
				if _, _, err := s.SetKeys(ctx, start); err != nil {
					t.Fatal(err)
				}
				before, after, err := s.SetKeys(ctx, c.change)
				want := c.want
				if want == nil {
					want = shown
					if !fault.Is(err, fault.Unprocessable) || len(fault.FieldsOf(err)) != 1 {
						t.Errorf("got %v", err)
					}
				} else if diff := cmp.Diff(want, after); err != nil || diff != "" || !maps.Equal(before, shown) {
					t.Error(err, diff, before)
				}
				got, err := s.Keys(ctx)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Error(err, diff)
				}
				for p, want := range c.opened {
					if got, err := s.Key(ctx, p); err != nil || got != want {
						t.Errorf("%s: %v, %v", p, got, err)
					}
				}
			})
		}
	})
}

func TestKeysAreSealed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, s := t.Context(), newStore(t, db, newBox(t, 1))
		if _, err := s.Key(ctx, VirusTotal); !fault.Is(err, fault.NotFound) {
			t.Errorf("before anything is set: %v", err)
		}
		if _, _, err := s.SetKeys(ctx, Change{Set: map[Provider]Key{VirusTotal: {Key: vtKey}}}); err != nil {
			t.Fatal(err)
		}
		var text string
		if err := db.Read(ctx).Raw("SELECT value FROM settings WHERE name = ?", keysSetting).Scan(&text).Error; err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, vtKey) || strings.Contains(text, "6f2c") || !strings.Contains(text, "virustotal") {
			t.Errorf("the database holds %s", text)
		}
		other := newStore(t, db, newBox(t, 2))
		if _, err := other.Key(ctx, VirusTotal); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("with another encryption key: %v", err)
		}
		got, err := other.Keys(ctx)
		if diff := cmp.Diff(map[Provider]Key{VirusTotal: {Key: Mask}}, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
		if _, _, err := other.SetKeys(ctx, Change{Set: map[Provider]Key{VirusTotal: {Key: "entered-again-and-long"}}}); err != nil {
			t.Errorf("it cannot be entered again: %v", err)
		}
	})
}
