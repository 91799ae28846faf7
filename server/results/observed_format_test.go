package results

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// made is a segment of so many rows, and every key in it with its rows.
func made(t testing.TB, rows, values int) (sieveBlob, postings []byte, holds map[uint64]map[int64]hit) {
	t.Helper()
	b, holds := newBuilder(segmentRows), map[uint64]map[int64]hit{}
	keys := keyMaker{}
	for i := range rows {
		r := stored{id: int64(1_000_000 + 3*(rows-i)), hostID: rand.Int64N(1 << 40), name: fmt.Appendf(nil, "q%d", i%7), action: []byte([]string{"added", "removed"}[i%2])}
		value := fmt.Sprint("v", rand.IntN(values))
		r.columns = fmt.Appendf(nil, `{"md5":%q,"path":%q}`, value, value)
		b.add(r)
		for _, column := range []string{"md5", "path"} {
			key := keys.key(column, value)
			if holds[key] == nil {
				holds[key] = map[int64]hit{}
			}
			holds[key][r.id] = hit{r.id, r.hostID, string(r.name), i%2 == 1, key}
		}
	}
	sieveBlob, postings, err := b.encode()
	if err != nil {
		t.Fatal(err)
	}
	return sieveBlob, postings, holds
}

func TestSegmentsComeBackAsTheyWere(t *testing.T) {
	for _, size := range [][2]int{{0, 1}, {1, 1}, {2, 1}, {10, 5}, {3000, 2}, {3000, 3000}, {20_000, 9000}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			blob, postings, holds := made(t, size[0], size[1])
			v, err := decodeSieve(blob)
			if err != nil {
				t.Fatal(err)
			}
			for key, want := range holds {
				if !v.mayHold(key) {
					t.Fatalf("the sieve does not know %x", key)
				}
				from, to := v.part(key)
				got := map[int64]hit{}
				err := eachPosting(postings[from:to], []uint64{key}, v.first, func(p posting) {
					got[p.row] = hit{p.row, p.host, v.names[p.name/2], p.name%2 == 1, p.key}
				})
				if err != nil || len(got) != len(want) {
					t.Fatalf("%x has %d rows, want %d: %v", key, len(got), len(want), err)
				}
				for row := range want {
					if got[row] != want[row] {
						t.Fatalf("%+v, want %+v", got[row], want[row])
					}
				}
			}
			wrong := 0
			for range 100_000 {
				if key := rand.Uint64(); holds[key] == nil && v.mayHold(key) {
					wrong++
				}
			}
			if wrong > 20 { // two are to be expected
				t.Errorf("the sieve lets %d of 100,000 strangers through", wrong)
			}
		})
	}
}

func TestSeveralKeysOfABucket(t *testing.T) {
	blob, postings, holds := made(t, 500, 30) // fewer keys than a bucket has
	v, err := decodeSieve(blob)
	if err != nil || v.bits > 1 {
		t.Fatalf("%d bits, %v", v.bits, err)
	}
	var keys []uint64
	for key := range holds {
		keys = append(keys, key, key+1)
	}
	slices.SortFunc(keys, cmp.Compare[uint64])
	found := 0
	for i := range v.offsets[1:] {
		if err := eachPosting(postings[v.offsets[i]:v.offsets[i+1]], keys, v.first, func(posting) { found++ }); err != nil {
			t.Fatal(err)
		}
	}
	if found != 1000 {
		t.Errorf("found %d postings, want 1000", found)
	}
}

func FuzzDecodeSegment(f *testing.F) {
	blob, postings, _ := made(f, 50, 20)
	empty, none, _ := made(f, 0, 1)
	f.Add(blob, postings, uint64(1))
	f.Add(empty, none, uint64(1))
	f.Fuzz(func(t *testing.T, blob, postings []byte, key uint64) {
		if v, err := decodeSieve(blob); err == nil {
			v.mayHold(key)
			if from, to := v.part(key); int(to) <= len(postings) {
				_ = eachPosting(postings[from:to], []uint64{key}, v.first, func(posting) {})
			}
		}
		_ = eachPosting(postings, []uint64{key, key + 1}, 0, func(posting) {})
	})
}
