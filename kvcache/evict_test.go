package kvcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
	"kvasir/quant"
)

// bigGeometry has slots of 128 KiB, eight times those of toyGeometry.
var bigGeometry = Geometry{Layers: []Layer{{NKVHeads: 4, HeadDim: 240, K: quant.KVInt8, V: quant.KVInt8}}}

// toyModels are namespaces of different slot sizes.
var toyModels = []struct {
	fp Fingerprint
	g  Geometry
}{{toyPrint, toyGeometry}, {Fingerprint{2}, toyGeometry}, {Fingerprint{3}, bigGeometry}}

func openModel(t testing.TB, s *Store, i int) *Namespace {
	t.Helper()
	n, err := s.Namespace(toyModels[i].fp, []byte("toy"), toyModels[i].g)
	must(t, err)
	return n
}

// meter follows what segment files take, call by call: I4 holds between any two of them.
type meter struct {
	used, most int64
	files      map[int]int64
}

func meterOf(m *memfs.FS) *meter {
	x := &meter{files: map[int]int64{}}
	m.Fault = func(op memfs.Op) error {
		switch {
		case op.Kind == memfs.Fallocate && strings.HasSuffix(op.Path, ".seg"):
			x.used += op.N
			x.files[op.File] = op.N
		case op.Kind == memfs.Remove:
			x.used -= x.files[op.File]
			delete(x.files, op.File)
		}
		x.most = max(x.most, x.used)
		return nil
	}
	return x
}

// TestBoundsAgainstModel runs random operations on sequences of several models under a small cap on a small disk: what segments
// take never exceeds the cap and leaves the floor, at any moment; the index is closed under prefixes; held and pinned rows stay.
func TestBoundsAgainstModel(t *testing.T) {
	seeds := 16
	if testing.Short() {
		seeds = 4
	}
	evicted := uint64(0)
	for seed := range seeds {
		evicted += runBounds(t, uint64(seed))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if evicted == 0 {
		t.Error("no run evicted anything")
	}
}

type boundedSeq struct {
	modelled
	model int
}

func runBounds(t *testing.T, seed uint64) (evicted uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	m := memfs.New()
	m.NoRecord = true
	m.Limit = 12 << 20
	opt := testOptions()
	opt.MaxBytes = []int64{2 << 20, 5 << 20, 20 << 20}[r.IntN(3)]
	opt.MinFree = []int64{-1, 4 << 20}[r.IntN(2)]
	clock := int64(1e9)
	opt.Now = func() time.Time { return time.Unix(clock, 0) }
	x := meterOf(m)
	s, err := Open(m, "/home", opt)
	must(t, err)
	seqs := make([]boundedSeq, 4)
	fresh := func(i int) {
		model := r.IntN(len(toyModels))
		seqs[i] = boundedSeq{modelled{q: openModel(t, s, model).NewSequence(nil)}, model}
	}
	for i := range seqs {
		fresh(i)
	}
	reopen := func() {
		evicted += s.Stats().EvictedBlocks
		s, err = Open(m, "/home", opt)
		must(t, err)
		for i := range seqs {
			q := &seqs[i]
			q.q = openModel(t, s, q.model).NewSequence(nil)
			match(t, q.q, q.ids)
			compute(t, q.q, q.ids, 128)
		}
	}
	for range 50 {
		clock += r.Int64N(100)
		q := &seqs[r.IntN(len(seqs))]
		switch op := r.IntN(14); {
		case op < 6:
			q.ids = append(q.ids, randomIDs(r, 1+r.IntN(400))...)
			compute(t, q.q, q.ids, 1+r.IntN(130))
		case op < 7:
			q.ids = q.ids[:r.IntN(len(q.ids)+1)]
			must(t, q.q.Truncate(len(q.ids)))
		case op < 9:
			_ = q.q.Flush() // no room is no failure
		case op < 11:
			i := r.IntN(len(seqs))
			must(t, seqs[i].q.Close())
			fresh(i)
		case op < 12:
			label := string(rune('a' + r.IntN(3)))
			if r.IntN(2) == 0 {
				_ = q.q.ns.Unpin(label) // there may be none
			} else if n, err := q.q.ns.Pin(label, q.ids); err == nil && n == 0 {
				t.Fatal("a pin of nothing")
			}
		case op < 13: // kill -9
			m.Kill()
			reopen()
		default:
			for i := range seqs {
				_ = seqs[i].q.Flush()
				must(t, seqs[i].q.Close())
			}
			must(t, s.Close())
			reopen()
		}
		for i := range seqs {
			checkRows(t, seqs[i].q)
			if !slices.Equal(seqs[i].q.IDs(), seqs[i].ids) {
				t.Fatal("ids differ")
			}
		}
		if got := s.Stats().UsedBytes; got != x.used {
			t.Fatalf("counts %d bytes, there are %d", got, x.used)
		}
		space, _ := m.Free("/home")
		if x.most > opt.MaxBytes || opt.MinFree > 0 && space.Free < opt.MinFree-64<<10 { // small files are not held to the floor
			t.Fatalf("%d bytes at most, cap %d; %d bytes free, floor %d", x.most, opt.MaxBytes, space.Free, opt.MinFree)
		}
		for _, n := range s.all() {
			checkIndex(t, n)
			checkPins(t, n)
		}
	}
	for i := range seqs {
		must(t, seqs[i].q.Close())
	}
	evicted += s.Stats().EvictedBlocks
	must(t, s.Close())
	return evicted
}

// checkPins asserts that each block counts the pins whose path it is on, and that pinned blocks are in no list.
func checkPins(t *testing.T, n *Namespace) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	want := map[*block]int{}
	for label, p := range n.pins {
		if p.node != nil && p.node.dropped {
			t.Errorf("pin %s stands on a block that is gone", label)
		}
		for b := p.node; b != nil && b.ids != nil; b = b.parent {
			want[b]++
		}
	}
	for _, b := range n.blocks {
		if b.kept != want[b] {
			t.Errorf("block at %d: %d pins counted, %d stand on it", b.firstPos, b.kept, want[b])
		}
	}
	last := int64(1 << 62)
	for b := n.lru.front; b != nil; b = b.next {
		if b.used > last {
			t.Errorf("the list is not in the order of use")
		}
		last = b.used
		if b.kept > 0 {
			t.Error("a pinned block is in the list")
		}
		for _, c := range b.children {
			if c.refs == 0 && c.used > b.used {
				t.Error("a block was used before one below it")
			}
		}
	}
}

// storePaths fills the store of a home with paths of one model, each at its own second, and closes it.
func storePaths(t testing.TB, m *memfs.FS, opt Options, model int, paths ...[]int32) {
	t.Helper()
	s, err := Open(m, "/home", opt)
	must(t, err)
	n := openModel(t, s, model)
	for _, ids := range paths {
		q := n.NewSequence(nil)
		match(t, q, ids)
		compute(t, q, ids, 64)
		must(t, q.Flush())
		must(t, q.Close())
	}
	must(t, s.Close())
}

// toyLayout is that of toyGeometry, with the number of slots of a segment that has room.
func toyLayout(t testing.TB) (*layout, int) {
	t.Helper()
	lay, err := newLayout(toyGeometry)
	must(t, err)
	return lay, newSegmentSlots(lay, 1<<40)
}

// found returns how many of ids a new process finds for a model.
func found(t testing.TB, m *memfs.FS, opt Options, model int, ids []int32) int {
	t.Helper()
	s, err := Open(m, "/home", opt)
	must(t, err)
	q := openModel(t, s, model).NewSequence(nil)
	got := match(t, q, ids)
	closeAll(t, s, q)
	return got
}

// ticking is a clock that moves on by a second each time it is read.
func ticking(opt Options) Options {
	now := int64(1e9)
	opt.Now = func() time.Time { now++; return time.Unix(now, 0) }
	return opt
}

// A cap that another model has filled gives way, the segment used longest ago first, though nobody opens that model.
func TestOtherModelsGiveWay(t *testing.T) {
	m := memfs.New()
	opt := ticking(testOptions())
	lay, count := toyLayout(t)
	opt.MaxBytes = 3*segmentBytes(lay, count) + 64<<10
	var paths [][]int32
	for i := range 3 { // three segments, one conversation each
		paths = append(paths, tokens(count*64, int32(i*100)))
	}
	storePaths(t, m, opt, 1, paths...)
	storePaths(t, m, opt, 1, paths[0]) // used again: now the middle one is the oldest

	ids := tokens(8*64, 7)
	storePaths(t, m, opt, 2, ids)
	if got := found(t, m, opt, 2, ids); got != len(ids) {
		t.Errorf("of the new model %d of %d tokens are stored", got, len(ids))
	}
	for i, want := range []int{len(paths[0]), 0, len(paths[2])} {
		if got := found(t, m, opt, 1, paths[i]); got != want {
			t.Errorf("conversation %d of the other model has %d tokens, want %d", i, got, want)
		}
	}
}

// What a sequence of another model holds in the same process, or has pinned, does not give way: the new blocks stay in memory.
func TestHeldSegmentsOfOthersStay(t *testing.T) {
	for _, pinned := range []bool{false, true} {
		m := memfs.New()
		opt := ticking(testOptions())
		opt.MaxBytes = segmentBytes(toyLayout(t))
		s, err := Open(m, "/home", opt)
		must(t, err)
		n := openModel(t, s, 1)
		q := n.NewSequence(nil)
		compute(t, q, tokens(64, 1), 64)
		if pinned {
			if got, err := n.Pin("x", q.IDs()); got != 64 || err != nil {
				t.Fatal(got, err)
			}
			must(t, q.Close())
		}
		p := openModel(t, s, 0).NewSequence(nil)
		compute(t, p, tokens(64*3, 2), 64)
		if st := s.Stats(); st.MemoryBlocks != 3 || st.EvictedBlocks != 0 {
			t.Errorf("pinned %v: %+v", pinned, st)
		}
		checkRows(t, p)
		if pinned {
			must(t, n.Unpin("x"))
		} else {
			checkRows(t, q)
			must(t, q.Close())
		}
		must(t, p.Flush()) // now there is room
		if st := s.Stats(); st.StoredBlocks != 4 || st.EvictedBlocks != 1 {
			t.Errorf("pinned %v, when it may go: %+v", pinned, st)
		}
		closeAll(t, s, p)
	}
}

// A block that could not be stored in an empty store either evicts nothing.
func TestNothingGoesForWhatWillNotFit(t *testing.T) {
	m := memfs.New()
	opt := ticking(testOptions())
	opt.MaxBytes = 200 << 10 // room for small slots only
	ids := tokens(64*3, 1)
	storePaths(t, m, opt, 1, ids)
	s, err := Open(m, "/home", opt)
	must(t, err)
	q := openModel(t, s, 2).NewSequence(nil)
	compute(t, q, tokens(64*2, 2), 64)
	closeAll(t, s, q)
	if got := found(t, m, opt, 1, ids); got != len(ids) {
		t.Errorf("%d of %d tokens left", got, len(ids))
	}
}

// A store that is opened with a smaller cap shrinks to it.
func TestSmallerCapShrinksTheStore(t *testing.T) {
	m := memfs.New()
	opt := ticking(testOptions())
	lay, count := toyLayout(t)
	old, recent := tokens(count*64, 1), tokens(count*64, 200)
	storePaths(t, m, opt, 0, old)
	storePaths(t, m, opt, 1, recent)
	opt.MaxBytes = segmentBytes(lay, count) + 1
	s, err := Open(m, "/home", opt)
	must(t, err)
	if st := s.Stats(); st.UsedBytes > opt.MaxBytes || s.Status().Mode != OnDisk {
		t.Errorf("%d bytes used of %d: %+v", st.UsedBytes, opt.MaxBytes, s.Status())
	}
	must(t, s.Close())
	if a, b := found(t, m, opt, 0, old), found(t, m, opt, 1, recent); a != 0 || b != len(recent) {
		t.Errorf("%d tokens of the older conversation, %d of the younger", a, b)
	}
}

// The order of use survives a restart, whatever the order of writing was; without the hints, or with any bytes in their place, the
// order of writing counts, and nothing else is lost.
func TestOrderOfUseSurvivesRestarts(t *testing.T) {
	opt := ticking(testOptions())
	lay, err := newLayout(toyGeometry)
	must(t, err)
	opt.MaxBytes = segmentBytes(lay, 8)
	first, second := tokens(64*3, 1), tokens(64*3, 2)
	build := func() *memfs.FS {
		m := memfs.New()
		storePaths(t, m, opt, 0, first, second, first) // the last time it is only found again
		return m
	}
	next := tokens(64*4, 3) // takes the one slot that is free and three more
	for _, c := range []struct {
		name   string
		damage func(m *memfs.FS, path string)
		gone   []int32
	}{
		{"with hints", func(*memfs.FS, string) {}, second},
		{"without", func(m *memfs.FS, path string) { must(t, m.Remove(path)) }, first},
		{"empty", func(m *memfs.FS, path string) { m.Put(path, nil) }, first},
		{"flipped bit", func(m *memfs.FS, path string) { m.Bytes(path)[20] ^= 1 }, first},
		{"cut short", func(m *memfs.FS, path string) { b := m.Bytes(path); m.Put(path, b[:len(b)-7]) }, first},
		{"huge", func(m *memfs.FS, path string) { m.Put(path, make([]byte, 20<<20)) }, first},
	} {
		m := build()
		paths := m.Files()
		i := slices.IndexFunc(paths, func(p string) bool { return filepath.Base(p) == "lru" })
		if i < 0 {
			t.Fatal("no hints among ", paths)
		}
		c.damage(m, paths[i])
		storePaths(t, m, opt, 0, next)
		left := []int{found(t, m, opt, 0, first), found(t, m, opt, 0, second)}
		want := []int{64 * 3, 0}
		if &c.gone[0] == &first[0] {
			want = []int{0, 64 * 3}
		}
		if !slices.Equal(left, want) {
			t.Errorf("%s: %v tokens left, want %v", c.name, left, want)
		}
	}
}

// Uses of the file lru that no clock shows are not believed.
func TestHintsOfTheFarFuture(t *testing.T) {
	h := hints{seq: 3, written: maxUse + 5, uses: map[uint64]int64{1: maxUse, 2: maxUse - 1, 3: -1}}
	got := decodeHints(h.encode())
	if got.seq != 3 || got.written != 0 || got.uses[1] != 0 || got.uses[2] != maxUse-1 || got.uses[3] != 0 {
		t.Errorf("%+v", got)
	}
}

// The removal of a segment is durable before its room is taken: whatever call the power fails at, the next process finds no more
// than the cap.
func TestPowerCutsDuringEviction(t *testing.T) {
	m := memfs.New()
	opt := ticking(testOptions())
	opt.MaxBytes = segmentBytes(toyLayout(t))
	ids := tokens(64*3, 1)
	storePaths(t, m, opt, 1, ids)
	from := m.Calls()
	storePaths(t, m, opt, 0, tokens(64*2, 2))
	ops := m.Ops()[from:]
	removed, synced := -1, -1
	for i, op := range ops {
		switch {
		case op.Kind == memfs.Remove && strings.HasSuffix(op.Path, ".seg") && strings.Contains(op.Path, "/m-"):
			removed = i
		case op.Kind == memfs.SyncDir && removed >= 0 && op.Path == filepath.Dir(ops[removed].Path) && synced < 0:
			synced = i
		case op.Kind == memfs.Fallocate && strings.HasSuffix(op.Path, ".seg"):
			if removed < 0 || synced < 0 {
				t.Fatalf("call %d takes room that is not free yet", i)
			}
		}
	}
	if synced < 0 {
		t.Fatal("nothing was removed")
	}
}

// What is written in a day has a bound, over restarts and kills; the blocks behind it stay in memory, with one warning, until the
// day ends.
func TestDailyBudget(t *testing.T) {
	m := memfs.New()
	now := time.Date(2026, 11, 25, 22, 0, 0, 0, time.UTC)
	var warnings []string
	opt := testOptions()
	opt.Now = func() time.Time { return now }
	opt.Warn = func(err error) { warnings = append(warnings, err.Error()) }
	lay, err := newLayout(toyGeometry)
	must(t, err)
	cost := int64(lay.payloadBytes + headerBytes)
	opt.DailyBytes = 12*cost + writtenAhead + 20<<10 // with what stands beside blocks, and the charge ahead of a killed process
	var wrote int64
	for round := range 3 {
		s, n := openStore(t, m, opt)
		q := n.NewSequence(nil)
		compute(t, q, tokens(64*8, int32(round+1)), 64)
		wrote += int64(s.Stats().PayloadBytes + s.Stats().HeaderBytes)
		switch {
		case round < 2 && s.Stats().MemoryBlocks != 0:
			t.Errorf("round %d: %+v", round, s.Stats())
		case round == 0: // a clean stop: the count is exact
			closeAll(t, s, q)
			if v, err := Look(m, "/home", opt); err != nil || v.Written.Today < wrote || v.Written.Today > wrote+1<<10 || v.Written.Total != v.Written.Today || v.DailyBytes != opt.DailyBytes {
				t.Errorf("%d bytes were written: %+v, %v", wrote, v, err)
			}
		case round == 1: // a kill: not less than was written is counted
			m.Kill()
			if v, err := Look(m, "/home", opt); err != nil || v.Written.Today < wrote || v.Written.Today > wrote+writtenAhead {
				t.Errorf("after a kill, %d bytes were written: %+v, %v", wrote, v.Written, err)
			}
		default:
			if st := s.Stats(); st.MemoryBlocks == 0 || st.StoredBlocks == 0 || wrote > opt.DailyBytes || len(warnings) != 1 || !strings.Contains(warnings[0], "budget") {
				t.Errorf("%+v, %d bytes of %d, warnings %q", st, wrote, opt.DailyBytes, warnings)
			}
			checkRows(t, q)
			now = now.Add(3 * time.Hour) // the next day
			must(t, q.Flush())
			if st := s.Stats(); st.StoredBlocks != 8 || s.Status().Reason != nil {
				t.Errorf("on the next day: %+v, %+v", st, s.Status())
			}
			closeAll(t, s, q)
		}
	}
}

// The count of bytes written accepts any bytes: what is none begins at nothing.
func TestDamagedCountOfBytes(t *testing.T) {
	good := encodeWritten(20782, 5<<20, 7<<30)
	if day, today, total, err := decodeWritten(good); day != 20782 || today != 5<<20 || total != 7<<30 || err != nil {
		t.Fatal(day, today, total, err)
	}
	for i := range 8 * len(good) {
		b := slices.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		if _, _, _, err := decodeWritten(b); err == nil {
			t.Errorf("bit %d flipped and believed", i)
		}
	}
	for _, b := range [][]byte{nil, good[:63], append(slices.Clone(good), 0), encodeWritten(-1, 0, 0), encodeWritten(1<<60, 0, 0), encodeWritten(0, -5, 0)} {
		if _, _, _, err := decodeWritten(b); err == nil {
			t.Errorf("%d bytes believed", len(b))
		}
	}
	m := memfs.New()
	storePaths(t, m, testOptions(), 0, tokens(64, 1))
	m.Put("/home/kv/v1/written", []byte("nonsense"))
	storePaths(t, m, testOptions(), 0, tokens(64, 2))
	if v, err := Look(m, "/home", testOptions()); err != nil || v.Written.Total == 0 {
		t.Errorf("%+v, %v", v, err)
	}
}

// Pins.

// A pinned path survives what evicts everything else, over restarts, until it is unpinned.
func TestPinnedPathsAreNotEvicted(t *testing.T) {
	m := memfs.New()
	opt := ticking(testOptions())
	lay, err := newLayout(toyGeometry)
	must(t, err)
	opt.MaxBytes = segmentBytes(lay, 12)
	kept := tokens(64*3+20, 1)
	storePaths(t, m, opt, 0, kept)
	s, n := openStore(t, m, opt)
	if got, err := n.Pin("system", append(slices.Clone(kept), 5, 6)); got != len(kept) || err != nil {
		t.Fatal(got, err)
	}
	must(t, s.Close())
	for i := range 4 {
		storePaths(t, m, opt, 0, tokens(64*6, int32(10+i)))
	}
	if got := found(t, m, opt, 0, kept); got != len(kept) {
		t.Errorf("%d of %d pinned tokens left", got, len(kept))
	}
	v, err := Look(m, "/home", opt)
	must(t, err)
	if p := v.Namespaces[0].Pins; len(p) != 1 || p[0] != (Pin{"system", len(kept), len(kept)}) || v.Namespaces[0].Pinned != 4*int64(lay.slotBytes+headerBytes) {
		t.Errorf("%+v", v.Namespaces[0])
	}
	s, n = openStore(t, m, opt)
	if err := n.Unpin("other"); err == nil {
		t.Error("unpinned what is not pinned")
	}
	must(t, n.Unpin("system"))
	must(t, s.Close())
	for i := range 4 {
		storePaths(t, m, opt, 0, tokens(64*6, int32(20+i)))
	}
	if got := found(t, m, opt, 0, kept); got != 0 {
		t.Errorf("%d tokens left when they are not pinned any more", got)
	}
}

// A pin follows its path when the tail grows into a block, and when damage was healed; it refuses what would leave nothing to evict,
// what is not stored, and what it cannot keep.
func TestPinsFollowTheirPath(t *testing.T) {
	m := memfs.New()
	opt := ticking(testOptions())
	lay, err := newLayout(toyGeometry)
	must(t, err)
	opt.MaxBytes = segmentBytes(lay, 16)
	ids := tokens(64*2+20, 1)
	storePaths(t, m, opt, 0, ids)
	s, n := openStore(t, m, opt)
	if _, err := n.Pin("x", tokens(64, 9)); err == nil {
		t.Error("a pin of what is not stored")
	}
	if _, err := n.Pin("", ids); err == nil {
		t.Error("a pin without a label")
	}
	if _, err := n.Pin("x", ids); err != nil {
		t.Fatal(err)
	}
	q := n.NewSequence(nil)
	longer := append(slices.Clone(ids), tokens(80, 50)...)
	match(t, q, longer)
	compute(t, q, longer, 64)
	must(t, q.Flush())
	if p := n.Pins(); len(p) != 1 || p[0] != (Pin{"x", len(ids), len(ids)}) {
		t.Errorf("%+v", p)
	}
	checkPins(t, n)
	closeAll(t, s, q)

	// Damage takes the pinned path away; computing it again pins it again.
	b := m.Bytes(segmentPath(t, m))
	b[slotAt(lay, 16, 0)] ^= 1
	s, n = openStore(t, m, opt)
	q = n.NewSequence(nil)
	if got := match(t, q, ids); got != 0 {
		t.Fatalf("%d tokens of a damaged path", got)
	}
	if p := n.Pins(); p[0].Stored != 0 {
		t.Errorf("%+v", p)
	}
	compute(t, q, ids, 64)
	must(t, q.Flush())
	if p := n.Pins(); p[0].Stored != len(ids) {
		t.Errorf("%+v", p)
	}
	checkPins(t, n)
	must(t, q.Close())
	checkPins(t, n)
	checkIndex(t, n)

	// Three quarters of the cap is all that may be pinned.
	pinned := 3
	for i := range 4 {
		p := n.NewSequence(nil)
		long := tokens(64*4, int32(60+i*10))
		compute(t, p, long, 64)
		must(t, p.Flush())
		must(t, p.Close())
		_, err := n.Pin(string(rune('a'+i)), long)
		if room := int64(pinned+4)*int64(lay.slotBytes+headerBytes) <= opt.MaxBytes/4*3; (err == nil) != room {
			t.Errorf("with %d blocks pinned: %v", pinned, err)
		}
		if err == nil {
			pinned += 4
		}
		checkPins(t, n)
	}
	must(t, s.Close())
	other, err := Open(m, "/home", opt)
	must(t, err)
	second, err := Open(m, "/home", opt)
	must(t, err)
	if _, err := openModel(t, second, 0).Pin("x", ids); err == nil {
		t.Error("a process without the lock pins")
	}
	must(t, other.Close())
	must(t, second.Close())
}

// A block of a pinned path may be replaced while the pin is being removed: the pin is counted where it stands, and then nowhere.
func TestUnpinWhileABlockIsReplaced(t *testing.T) {
	m := memfs.New()
	ids := tokens(640, 1)
	fillWindows(t, m, testOptions(), ids)
	s, n := openWindows(t, m, testOptions())
	_, err := n.Pin("p", ids)
	must(t, err)
	leaf := n.pins["p"].node
	var by *block
	for _, fails := range []bool{true, false} {
		m.Fault = func(op memfs.Op) error {
			if op.Kind != memfs.Rename {
				return nil
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			if by == nil { // as a sequence does that has computed a windowless leaf again
				seg, slot, _ := n.popSlot()
				by = &block{hash: leaf.hash, ids: leaf.ids, firstPos: leaf.firstPos, seg: seg, slot: slot, crcs: leaf.crcs}
				n.supersede(leaf, by)
				n.touch(by)
			}
			if fails {
				return errDisk
			}
			return nil
		}
		if err := n.Unpin("p"); errors.Is(err, errDisk) != fails {
			t.Fatal(err)
		}
		checkPins(t, n)
		if leaf.kept != 0 || (by.kept == 1) != fails {
			t.Errorf("fails %v: %d pins counted in the old leaf, %d in the new one", fails, leaf.kept, by.kept)
		}
		if len(n.Pins()) != by.kept {
			t.Errorf("fails %v: pins %v", fails, n.Pins())
		}
	}
	m.Fault = nil
	checkIndex(t, n)
	closeAll(t, s)
}

// A session that is removed takes its pin with it; rows that another pin keeps stay.
func TestRemovedSessionIsUnpinned(t *testing.T) {
	m := memfs.New()
	store, n := openStore(t, m, testOptions())
	s := testSessions(m)
	system, own := tokens(128, 1), tokens(100, 2)
	talk(t, s, n, "a", system, own)
	if got, err := n.Pin(SessionPin("a"), join(system, own)); got != 228 || err != nil {
		t.Fatal(got, err)
	}
	if _, err := n.Pin("prompt", system); err != nil {
		t.Fatal(err)
	}
	if done, err := s.RemoveRows("a", store); err != nil || done.Blocks != 2 || done.Kept != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	if p := n.Pins(); len(p) != 1 || p[0] != (Pin{"prompt", 128, 128}) {
		t.Errorf("%+v", p)
	}
	checkPins(t, n)
	must(t, store.Close())
}

// A pin that cannot be written is none.
func TestPinThatCannotBeWritten(t *testing.T) {
	m := memfs.New()
	opt := testOptions()
	ids := tokens(64*2, 1)
	storePaths(t, m, opt, 0, ids)
	s, n := openStore(t, m, opt)
	m.Fault = func(op memfs.Op) error {
		if op.Kind == memfs.Write && strings.HasSuffix(op.Path, "-pins") {
			return fmt.Errorf("%w", vfs.ErrNoSpace)
		}
		return nil
	}
	if _, err := n.Pin("x", ids); err == nil || len(n.Pins()) != 0 {
		t.Errorf("%v, %v", err, n.Pins())
	}
	checkPins(t, n)
	checkIndex(t, n)
	m.Fault = nil
	must(t, s.Close())
}

// The file pins accepts any bytes: what is none pins nothing, and the next pin replaces it; one of a later version is left alone.
func TestDamagedPins(t *testing.T) {
	m := memfs.New()
	opt := testOptions()
	ids := tokens(64+10, 1)
	storePaths(t, m, opt, 0, ids)
	s, n := openStore(t, m, opt)
	if _, err := n.Pin("x", ids); err != nil {
		t.Fatal(err)
	}
	path, good := filepath.Join(n.disk.dir, "pins"), n.encodePins()
	must(t, s.Close())
	if pins, err := decodePins(good); err != nil || len(pins) != 1 || pins[0].label != "x" || len(pins[0].tail) != 10 {
		t.Fatal(pins, err)
	}
	for i := range 8 * len(good) {
		b := slices.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		if _, err := decodePins(b); err == nil {
			t.Errorf("bit %d flipped and believed", i)
		}
	}
	for _, b := range [][]byte{nil, []byte("x"), good[:len(good)-1]} {
		m.Put(path, b)
		s, n := openStore(t, m, opt)
		if len(n.Pins()) != 0 || len(n.disk.setAside) != 1 {
			t.Errorf("of %d bytes: %v, %v", len(b), n.Pins(), n.disk.setAside)
		}
		if _, err := n.Pin("y", ids); err != nil {
			t.Error(err)
		}
		must(t, s.Close())
	}
	later := slices.Clone(good)
	later[8] = 9
	later = withChecksum(later)
	m.Put(path, later)
	s, n = openStore(t, m, opt)
	if _, err := n.Pin("y", ids); err == nil {
		t.Error("a later version was replaced")
	}
	must(t, s.Close())
}

// withChecksum returns b with its last four bytes the checksum of the others.
func withChecksum(b []byte) []byte {
	body := b[:len(b)-4]
	return binary.LittleEndian.AppendUint32(slices.Clone(body), crc32.Checksum(body, castagnoli))
}
