package carves

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"muster/server/fault"
)

func listBytes(t testing.TB, data []byte) (Listing, error) {
	t.Helper()
	format, err := detect(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return list(context.Background(), bytes.NewReader(data), format, guid)
}

func TestMembers(t *testing.T) {
	plain := makeTar(t, 5000)
	when := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	want := Listing{Members: []Member{
		{Name: "etc/hosts", Size: 20, Mode: 0o640, ModTime: when},
		{Name: `C\Users\a b\näme.bin`, Size: 5000, Mode: 0o640, ModTime: when},
	}}
	each(t, Options{}, func(t *testing.T, r *rig) {
		for _, data := range [][]byte{plain, makeZstd(t, plain)} {
			sessionID := r.start(data, 1000)
			_, err := r.Members(t.Context(), sessionID)
			wantFault(t, "members of an open carve", err, fault.Conflict)
			r.send(cut(sessionID, data, 1000)...)
			got, err := r.Members(t.Context(), sessionID)
			if err != nil || cmp.Diff(want, got) != "" {
				t.Errorf("%v %s", err, cmp.Diff(want, got))
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := r.Members(ctx, sessionID); err == nil {
				t.Error("a listing goes on when nobody waits")
			}
		}
		sessionID := r.start([]byte("text"), 1000)
		r.send(cut(sessionID, []byte("text"), 1000)...)
		_, err := r.Members(t.Context(), sessionID)
		wantFault(t, "no archive", err, fault.Unprocessable)
		sessionID = r.start(nil, 1000)
		if got, err := r.Members(t.Context(), sessionID); err != nil || len(got.Members) != 0 {
			t.Errorf("no bytes: %+v %v", got, err)
		}
		_, err = r.Members(t.Context(), "nope")
		wantFault(t, "no carve", err, fault.NotFound)
	})
}

func TestMembersOfDamagedArchives(t *testing.T) {
	plain := makeTar(t, 5000)
	for name, data := range map[string][]byte{"a cut tar": plain[:4000], "a cut zstd": makeZstd(t, plain)[:900]} {
		listing, err := listBytes(t, data)
		if err != nil || listing.Problem == "" {
			t.Errorf("%s: %+v %v", name, listing, err)
		}
	}
	if listing, err := listBytes(t, plain[:4000]); err != nil || len(listing.Members) == 0 {
		t.Errorf("what is whole before the cut is not listed: %+v %v", listing, err)
	}
}

func TestMembersAreBounded(t *testing.T) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for range maxMembers + 5 {
		name := "osquery_carve_" + guid + "/" + strings.Repeat("x", 100)
		if buf.Len() < 100 {
			name += strings.Repeat("y", 9000)
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	listing, err := listBytes(t, buf.Bytes())
	if err != nil || len(listing.Members) != maxMembers || !listing.Truncated || len(listing.Members[0].Name) != maxMemberName {
		t.Errorf("%d members, truncated %v, first name of %d bytes: %v", len(listing.Members), listing.Truncated, len(listing.Members[0].Name), err)
	}
	left := int64(600) // of bytes to unpack: the first header alone
	visited := 0
	_, err = walkTar(bounded{t.Context(), bytes.NewReader(buf.Bytes()), &left}, guid, func(Member, io.Reader) error { visited++; return nil })
	if !errors.Is(err, ErrTooMuch) {
		t.Errorf("unpacks without bound: %d members, %v", visited, err)
	}
}

func TestAWindowBeyondTheMemoryLimitIsRefused(t *testing.T) {
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf, zstd.WithWindowSize(2*maxWindow))
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 1<<20)
	for range 2*maxWindow/len(chunk) + 1 {
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if listing, err := listBytes(t, buf.Bytes()); err != nil || !strings.Contains(listing.Problem, "window") {
		t.Errorf("%+v %v", listing, err)
	}
}

func TestMemberName(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"below the agent's folder", "/tmp/osquery_carve_" + guid + "/etc/hosts", "etc/hosts"},
		{"on Windows", `C:\Temp\osquery_carve_` + guid + `\C\x`, `C\x`},
		{"elsewhere", "/etc/hosts", "/etc/hosts"},
		{"another carve's folder", "/tmp/osquery_carve_other/etc/hosts", "/tmp/osquery_carve_other/etc/hosts"},
		{"a longer guid", "/tmp/osquery_carve_" + guid + "x/etc", "/tmp/osquery_carve_" + guid + "x/etc"},
		{"the folder itself", "/tmp/osquery_carve_" + guid, "/tmp/osquery_carve_" + guid},
		{"no UTF-8", "a\xffb", "a\uFFFDb"},
	}
	for _, test := range tests {
		if got := memberName(test.in, guid); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzMembers(f *testing.F) {
	plain := makeTar(f, 300)
	f.Add(plain)
	f.Add(makeZstd(f, plain))
	f.Add(plain[:700])
	f.Add([]byte{0x28, 0xB5, 0x2F, 0xFD, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		listing, err := listBytes(t, data)
		if err != nil && !fault.Is(err, fault.Unprocessable) {
			t.Fatal(err)
		}
		if len(listing.Members) > maxMembers {
			t.Fatal("too many members")
		}
		for _, member := range listing.Members {
			if len(member.Name) > 3*maxMemberName || member.Size < 0 || member.Mode&fs.ModePerm != member.Mode.Perm() {
				t.Fatalf("%+v", member)
			}
			if _, err := json.Marshal(member); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestWalkHandsOverContents(t *testing.T) {
	plain := makeTar(t, 5000)
	for name, c := range map[string]struct {
		data  []byte
		names string
	}{
		"a tar":      {plain, `etc/hosts|C\Users\a b\näme.bin|`},
		"a zstd":     {makeZstd(t, plain), `etc/hosts|C\Users\a b\näme.bin|`},
		"no archive": {[]byte("just text"), "|"},
		"not a byte": {nil, ""},
	} {
		format, err := detect(bytes.NewReader(c.data), int64(len(c.data)))
		if err != nil {
			t.Fatal(err)
		}
		names, bytesRead := "", int64(0)
		problem, err := Walk(t.Context(), bytes.NewReader(c.data), format, guid, func(m Member, content io.Reader) error {
			names += m.Name + "|"
			n, err := io.Copy(io.Discard, content)
			bytesRead += n - m.Size
			return err
		})
		if err != nil || problem != "" || names != c.names || bytesRead != 0 {
			t.Errorf("%s: %q, %d bytes too many, %s %v", name, names, bytesRead, problem, err)
		}
	}
}
