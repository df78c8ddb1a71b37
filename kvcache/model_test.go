package kvcache

import (
	"math/rand/v2"
	"slices"
	"testing"

	"kvasir/platform/vfs/memfs"
)

// TestAgainstModel runs random operations on several sequences over one store and compares with what a plain list of ids
// says: rows always belong to their tokens, a kill loses at most the unsealed tail, nothing allocated exceeds the cap.
func TestAgainstModel(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		runModel(t, uint64(seed))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

type modelled struct {
	q   *Sequence
	ids []int32
}

func runModel(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 99))
	m := memfs.New()
	m.NoRecord = true
	m.NoMap = r.IntN(4) == 0
	opt := testOptions()
	opt.MaxBytes = []int64{64 << 20, 1 << 20, 400 << 10}[r.IntN(3)]
	roomy := opt.MaxBytes > 32<<20
	s, n := openStore(t, m, opt)
	seqs := make([]modelled, 3)
	for i := range seqs {
		seqs[i].q = n.NewSequence(nil)
	}
	var known [][]int32 // paths that were stored, as far as full blocks go
	for range 60 {
		x := &seqs[r.IntN(len(seqs))]
		switch op := r.IntN(12); {
		case op < 5: // append, at times in one batch across several blocks
			x.ids = append(x.ids, randomIDs(r, 1+r.IntN(200))...)
			compute(t, x.q, x.ids, 1+r.IntN(130))
			known = append(known, slices.Clone(x.ids))
		case op < 6:
			x.ids = x.ids[:r.IntN(len(x.ids)+1)]
			if err := x.q.Truncate(len(x.ids)); err != nil {
				t.Fatal(err)
			}
		case op < 8 && len(known) > 0: // go on with a prefix of some path, as a fork or a client's edit does
			ids := known[r.IntN(len(known))]
			ids = append(slices.Clone(ids[:r.IntN(len(ids)+1)]), randomIDs(r, r.IntN(50))...)
			own := commonPrefix(x.q.IDs(), ids)
			got := match(t, x.q, ids)
			if got < own {
				t.Fatalf("match of a path of %d reuses %d, the sequence itself had %d", len(ids), got, own)
			}
			x.ids = ids
			compute(t, x.q, x.ids, 64)
			known = append(known, slices.Clone(x.ids))
		case op < 9:
			if err := x.q.Flush(); err != nil && roomy {
				t.Fatal(err)
			}
		case op < 10: // another sequence in place of this one
			if err := x.q.Close(); err != nil {
				t.Fatal(err)
			}
			*x = modelled{q: n.NewSequence(nil)}
		case op < 11: // kill -9
			m = m.Clone()
			m.NoRecord = true
			s, n = openStore(t, m, opt)
			for i := range seqs {
				x := &seqs[i]
				x.q = n.NewSequence(nil)
				got := match(t, x.q, x.ids)
				if roomy && got < len(x.ids)/64*64 {
					t.Fatalf("after a kill %d of %d tokens are found", got, len(x.ids))
				}
				compute(t, x.q, x.ids, 128)
			}
		default: // clean stop
			for i := range seqs {
				_ = seqs[i].q.Flush()
				if err := seqs[i].q.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s, n = openStore(t, m, opt)
			for i := range seqs {
				x := &seqs[i]
				x.q = n.NewSequence(nil)
				if got := match(t, x.q, x.ids); roomy && got != len(x.ids) {
					t.Fatalf("after a clean stop %d of %d tokens are found", got, len(x.ids))
				}
				compute(t, x.q, x.ids, 128)
			}
		}
		checkRows(t, x.q)
		if !slices.Equal(x.q.IDs(), x.ids) {
			t.Fatal("ids differ")
		}
		if used := s.Stats().UsedBytes; used > opt.MaxBytes {
			t.Fatalf("%d bytes used of %d", used, opt.MaxBytes)
		}
		checkIndex(t, n)
	}
	for _, x := range seqs {
		checkRows(t, x.q)
		if err := x.q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// randomIDs draws from few values, so that paths meet by chance.
func randomIDs(r *rand.Rand, n int) []int32 {
	ids := make([]int32, n)
	base := int32(r.IntN(3) * 100)
	for i := range ids {
		ids[i] = base + int32(i)
	}
	return ids
}

// reporter is what takes findings: a test, or what checks many images for one.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// checkIndex asserts what must always hold between operations.
func checkIndex(t reporter, n *Namespace) {
	t.Helper()
	if n.disk == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	type at struct {
		seg  *segment
		slot uint32
	}
	used := map[at]string{}
	take := func(a at, who string) {
		if old := used[a]; old != "" {
			t.Errorf("slot %d of %s belongs to %s and %s", a.slot, a.seg.name, old, who)
		}
		used[a] = who
	}
	for _, seg := range n.disk.segments {
		for _, slot := range seg.free {
			take(at{seg, slot}, "the free list")
		}
	}
	listed := 0
	for b := n.lru.front; b != nil; b = b.next {
		listed++
		if b.next == nil && n.lru.back != b || b.refs != 0 || b.dropped {
			t.Errorf("list of unreferenced blocks is broken")
		}
	}
	if b := n.lru.back; b != nil && len(b.children) != 0 && n.lay.window == 0 {
		t.Errorf("the least recently used block is not a leaf")
	}
	unreferenced := 0
	for h, b := range n.blocks {
		if b.hash != h || b.dropped {
			t.Errorf("index entry under another hash, or dropped")
		}
		if b.firstPos > 0 && (n.blocks[b.parent.hash] != b.parent || !b.parent.full() || b.parent.firstPos+BlockTokens != b.firstPos) {
			t.Errorf("index: a block at %d has no parent there", b.firstPos)
		}
		if b.seg != nil {
			take(at{b.seg, b.slot}, "a block")
		} else if b.refs == 0 {
			t.Errorf("a block in memory that nobody holds")
		}
		if b.seg != nil && b.parent.ids != nil && b.parent.seg == nil {
			t.Errorf("a stored block whose parent is not stored")
		}
		if b.refs == 0 && b.kept == 0 {
			unreferenced++
		}
	}
	if listed != unreferenced {
		t.Errorf("%d blocks unreferenced, %d in the list", unreferenced, listed)
	}
}
