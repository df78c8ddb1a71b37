package kvcache

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"kvasir/platform/vfs/memfs"
)

// What Divergence says of a path is what Match then finds, it tells how the stored path goes on, and it reads no payload.
func TestDivergenceForetellsMatch(t *testing.T) {
	m := memfs.New()
	first, second := tokens(300, 1), append(slices.Clone(tokens(300, 1)[:150]), tokens(100, 2)...)
	fill(t, m, testOptions(), first, second)
	s, n := openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	stored := func(ids []int32, at, most int) []int32 { return ids[at:min(len(ids), at+most)] }
	for _, c := range []struct {
		ids    []int32
		length int
		behind []int32
	}{
		{nil, 0, stored(second, 0, 70)}, // of several, what was written last
		{first[:1], 1, stored(second, 1, 70)},
		{first, 300, nil},
		{first[:299], 299, stored(first, 299, 70)},
		{first[:150], 150, stored(second, 150, 70)},
		{first[:151], 151, stored(first, 151, 70)},
		{second, 250, nil},
		{append(slices.Clone(second), 5, 6, 7), 250, nil},
		{append(slices.Clone(first[:127]), 9), 127, stored(second, 127, 70)},
		{append(slices.Clone(first[:128]), 9, 9), 128, stored(second, 128, 70)},
		{append(slices.Clone(first[:200]), 9), 200, stored(first, 200, 70)},
		{tokens(100, 3), 0, stored(second, 0, 70)},
	} {
		before := s.Stats().Verified
		d := q.Divergence(c.ids, 70)
		if after := s.Stats().Verified; after != before {
			t.Fatalf("%d payloads were read", after-before)
		}
		fresh := n.NewSequence(nil)
		if got := match(t, fresh, c.ids); d.Len != c.length || got != c.length || !slices.Equal(d.Stored, c.behind) || d.Empty || d.Lost != NotLost {
			t.Errorf("%v...: %+v, %d matched; want %d, then %v", c.ids[:min(3, len(c.ids))], d, got, c.length, c.behind)
		}
		if err := fresh.Close(); err != nil {
			t.Fatal(err)
		}
	}
	other := n.NewSequence([]byte("salt"))
	if d := other.Divergence(first, 8); !d.Empty || d.Len != 0 || d.Stored != nil {
		t.Errorf("another salt: %+v", d)
	}
	closeAll(t, s, q, other)
}

// The same for random paths, in memory and on disk.
func TestDivergenceForetellsMatchOfRandomPaths(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for round := range 20 {
		s, n := openStore(t, memfs.New(), testOptions())
		var known [][]int32
		var open []*Sequence
		for range 12 {
			var ids []int32
			if len(known) > 0 {
				ids = known[r.IntN(len(known))]
				ids = slices.Clone(ids[:r.IntN(len(ids)+1)])
			}
			ids = append(ids, randomIDs(r, 1+r.IntN(150))...)
			q := n.NewSequence(nil)
			d := q.Divergence(ids, 5)
			if got := match(t, q, ids); got != d.Len || len(d.Stored) > 5 {
				t.Fatalf("round %d: %+v, %d matched", round, d, got)
			}
			if d.Len < len(ids) && len(d.Stored) > 0 && d.Stored[0] == ids[d.Len] {
				t.Fatalf("round %d: %+v, but the path goes on with %d", round, d, ids[d.Len])
			}
			compute(t, q, ids, 64)
			if err := q.Flush(); err != nil {
				t.Fatal(err)
			}
			known, open = append(known, ids), append(open, q)
		}
		closeAll(t, s, open...)
	}
}

// What happened to rows that are not there any more is told, where it is known.
func TestDivergenceTellsOfLosses(t *testing.T) {
	ids := tokens(4*64+20, 1)
	look := func(n *Namespace, ids []int32) (d Divergence) {
		q := n.NewSequence(nil)
		d = q.Divergence(ids, 8)
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		return d
	}

	// Evicted: a store of few slots in which other paths are written.
	opt := testOptions()
	opt.MaxBytes = 600 << 10
	s, n := openStore(t, memfs.New(), opt)
	for seed := range int32(12) {
		q := n.NewSequence(nil)
		compute(t, q, tokens(4*64+20, seed+1), 100)
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if d := look(n, ids); d.Lost != Evicted || d.Len >= 256 {
		t.Errorf("evicted: %+v", d)
	}
	if d := look(n, tokens(200, 77)); d.Lost != NotLost {
		t.Errorf("a path that never was: %+v", d)
	}
	closeAll(t, s)

	// A checksum that does not match, found at first use.
	base := memfs.New()
	fill(t, base, testOptions(), ids)
	m, b, lay := damagedCopy(t, base)
	slots := int(binary.LittleEndian.Uint32(b[104:]))
	b[slotAt(lay, slots, 2)] ^= 1
	s, n = openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	if got := match(t, q, ids); got != 128 {
		t.Fatalf("%d tokens matched with the third block damaged", got)
	}
	if d := q.Divergence(ids, 8); d.Lost != Damaged || d.Len != 128 {
		t.Errorf("damaged: %+v", d)
	}
	if d := q.Divergence(ids[:128], 8); d.Lost != NotLost {
		t.Errorf("a path that ends before the damage: %+v", d)
	}
	closeAll(t, s, q)

	// A header that is not readable, with blocks behind it.
	for slot, length := range []int{0, 64, 128, 192} {
		m, b, _ = damagedCopy(t, base)
		clear(b[headerTableOff+slot*headerBytes:][:headerBytes])
		s, n = openStore(t, m, testOptions())
		if d := look(n, ids); d.Lost != Gone || d.Len != length {
			t.Errorf("header %d: %+v", slot, d)
		}
		closeAll(t, s)
	}
}

// The memory of losses is bounded, and the latest count.
func TestLossesAreBounded(t *testing.T) {
	var l losses
	parent, none := Hash{1}, Hash{}
	if l.of(&parent, &none, nil, 0) != NotLost {
		t.Error("a loss in an empty list")
	}
	l.add(loss{Hash{2}, parent, []int32{1, 2, 3}, Damaged})
	for i := range lossesKept - 1 {
		if l.of(&parent, &none, []int32{1, 2}, 1) != Damaged {
			t.Fatalf("forgotten after %d others", i)
		}
		l.add(loss{Hash{3}, Hash{9, byte(i), byte(i >> 8)}, []int32{1}, Evicted})
	}
	for _, c := range []struct {
		ids    []int32
		shared int
		want   Loss
	}{{[]int32{1, 2}, 1, Damaged}, {[]int32{1, 2}, 2, NotLost}, {[]int32{4}, 0, NotLost}} {
		if got := l.of(&parent, &none, c.ids, c.shared); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	l.add(loss{Hash{4}, parent, []int32{1, 2, 3}, Evicted})
	if l.of(&parent, &none, []int32{1, 2, 3, 4}, 1) != Evicted {
		t.Error("the latest loss does not count")
	}
}

// Invariant I7: while any path over a shared prefix is left, a new one finds all of it, whichever others are damaged; full
// blocks from one place, the rest by copying rows of whoever has them.
func TestSharedPrefixLivesAsLongAsAnySibling(t *testing.T) {
	const shared, nSiblings = 200, 4
	system := tokens(shared, 1)
	base := memfs.New()
	var paths [][]int32
	for i := range nSiblings {
		paths = append(paths, append(slices.Clone(system), tokens(90, int32(10+i))...))
	}
	fill(t, base, testOptions(), paths...)
	probe := append(slices.Clone(system), tokens(30, 99)...)
	// Blocks 0 to 2 are shared, 3 is each sibling's own: slots 3, 5, 7...; damage these one after the other.
	for nDamaged := range nSiblings + 1 {
		m, b, lay := damagedCopy(t, base)
		slots := int(binary.LittleEndian.Uint32(b[104:]))
		s, n := openStore(t, m, testOptions())
		damaged := 0
		for _, blk := range n.blocks {
			if blk.firstPos == 192 && damaged < nDamaged {
				b[slotAt(lay, slots, int(blk.slot))] ^= 1
				damaged++
			}
		}
		want := shared
		if nDamaged == nSiblings {
			want = shared / BlockTokens * BlockTokens // nobody is left who has the rows behind the shared blocks
		}
		q := n.NewSequence(nil)
		if got := match(t, q, probe); got != want {
			t.Errorf("%d of %d siblings damaged: %d tokens reused, want %d", nDamaged, nSiblings, got, want)
		}
		closeAll(t, s, q)
	}
}
