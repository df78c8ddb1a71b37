package kvcache

import (
	"bytes"
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kvasir/internal/crashfs"
	"kvasir/platform"
	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
	"kvasir/quant"
)

// stateGeometry is that of a hybrid: attention, one layer of it with a window, beside recurrent layers.
var stateGeometry = Geometry{StateBytes: 5000, Layers: []Layer{
	{NKVHeads: 1, HeadDim: 8, K: quant.KVInt8, V: quant.KVInt8},
	{NKVHeads: 1, HeadDim: 64, K: quant.KVInt8, V: quant.KVInt8, Window: 100},
}}

func openStates(t testing.TB, fsys vfs.FS, opt Options) (*Store, *Namespace) {
	t.Helper()
	s, err := Open(fsys, "/home", opt)
	must(t, err)
	n, err := s.Namespace(toyPrint, []byte("toy model"), stateGeometry)
	must(t, err)
	return s, n
}

// stateOf is what a recurrence makes of ids: any other path, or a token more or less, is another state.
func stateOf(ids []int32) []byte {
	b := make([]byte, stateGeometry.StateBytes)
	if len(ids) > 0 {
		rowOf(b, paths(ids)[len(ids)-1], len(ids), 7, K)
	}
	return b
}

// hybrid plays an engine with a state: it knows the one at q.Len().
type hybrid struct {
	q     *Sequence
	state []byte
}

// take does what an engine does after a call that may have moved the sequence.
func (h *hybrid) take(t testing.TB) {
	t.Helper()
	if s := h.q.State(); s != nil {
		h.state = bytes.Clone(s)
	} else if h.q.Len() == 0 {
		h.state = stateOf(nil)
	}
	if !bytes.Equal(h.state, stateOf(h.q.ids)) {
		t.Fatalf("the state is not that of the %d tokens", h.q.Len())
	}
	checkRows(t, h.q)
}

func (h *hybrid) match(t testing.TB, ids []int32) int {
	t.Helper()
	n, err := h.q.Match(ids)
	must(t, err)
	if n != h.q.Len() || commonPrefix(h.q.IDs(), ids) != n {
		t.Fatalf("match says %d, the sequence has %d of %d", n, h.q.Len(), len(ids))
	}
	h.take(t)
	return n
}

// extend computes ids and takes snapshots every 256 tokens and at the end.
func (h *hybrid) extend(t testing.TB, ids []int32) {
	t.Helper()
	for h.q.Len() < len(ids) {
		compute(t, h.q, ids[:min(len(ids), h.q.Len()/256*256+256)], 50)
		must(t, h.q.PutState(stateOf(h.q.ids)))
	}
	h.state = stateOf(ids)
	h.take(t)
}

func (h *hybrid) close(t testing.TB) {
	t.Helper()
	_ = h.q.Flush()
	must(t, h.q.Close())
}

// fillStates stores conversations that go on from length to length, and closes the store.
func fillStates(t testing.TB, fsys vfs.FS, opt Options, ids []int32, lengths ...int) {
	t.Helper()
	s, n := openStates(t, fsys, opt)
	h := &hybrid{q: n.NewSequence(nil)}
	h.match(t, ids[:lengths[0]])
	for _, size := range lengths {
		h.extend(t, ids[:size])
	}
	checkStates(t, n)
	h.close(t)
	must(t, s.Close())
}

// foundStates looks, in a new process, how far ids can be taken up.
func foundStates(t testing.TB, fsys vfs.FS, ids []int32) int {
	t.Helper()
	s, n := openStates(t, fsys, testOptions())
	h := &hybrid{q: n.NewSequence(nil)}
	got := h.match(t, ids)
	checkStates(t, n)
	if stored, err := StoredTokens(fsys, "/home", toyPrint, ids); err != nil || stored < got {
		t.Errorf("StoredTokens says %d, %v; %d were found", stored, err, got)
	}
	must(t, h.q.Close())
	must(t, n.closeFiles())
	must(t, s.lock.Close())
	return got
}

func stateSegment(t testing.TB, m *memfs.FS) string {
	t.Helper()
	for _, p := range m.Files() {
		if strings.HasPrefix(filepath.Base(p), "st-") {
			return p
		}
	}
	t.Fatal("no segment of snapshots")
	return ""
}

// starve runs fn while there is no memory for a block.
func starve(t testing.TB, n *Namespace, fn func()) {
	t.Helper()
	size := n.lay.slotBytes
	for n.pool != nil {
		must(t, platform.Unmap(n.pool[0]))
		if n.pool = n.pool[1:]; len(n.pool) == 0 {
			n.pool = nil
		}
	}
	n.lay.slotBytes = math.MaxInt // more than there are addresses
	defer func() { n.lay.slotBytes = size }()
	fn()
}

// Without memory for the rows that would be copied, a Truncate leaves the sequence and its state as they were, and a Match does not end where
// the state is unknown.
func TestGoBackWithoutMemory(t *testing.T) {
	m, ids := memfs.New(), tokens(512, 1)
	fillStates(t, m, testOptions(), ids, 100, 400, 512)
	s, n := openStates(t, m, testOptions())
	h := &hybrid{q: n.NewSequence(nil)}
	if got := h.match(t, ids); got != 512 {
		t.Fatalf("%d tokens found", got)
	}
	starve(t, n, func() {
		if err := h.q.Truncate(450); !errors.Is(err, ErrNoMemory) || h.q.Len() != 512 {
			t.Errorf("truncate: %v, %d tokens left", err, h.q.Len())
		}
		h.take(t)
		at, err := h.q.Match(append(slices.Clone(ids[:448]), 9))
		if !errors.Is(err, ErrNoMemory) || at != h.q.Len() {
			t.Errorf("match: %d, %v", at, err)
		}
		h.take(t)
	})
	if got := h.match(t, ids[:450]); got != 400 {
		t.Errorf("with memory %d tokens are found", got)
	}
	h.close(t)
	must(t, s.Close())
}

// Rows that turn out to be damaged when they are copied send the sequence back further, with the state of where it then ends.
func TestGoBackIntoAChangedBlock(t *testing.T) {
	base, ids := memfs.New(), tokens(500, 1)
	fillStates(t, base, testOptions(), ids, 100, 400, 500)
	for _, truncate := range []bool{true, false} {
		m := base.Clone()
		s, n := openStates(t, m, testOptions())
		h := &hybrid{q: n.NewSequence(nil)}
		if got := h.match(t, ids); got != 500 {
			t.Fatalf("%d tokens found", got)
		}
		b := h.q.entries[6].block
		file := m.Bytes(segmentPath(t, m))
		m.Fault = func(op memfs.Op) error {
			if op.Kind == memfs.Read && strings.HasPrefix(filepath.Base(op.Path), "st-") { // the snapshot at 400, just before the rows
				file[b.seg.slotOff(b.slot)+5] ^= 0x55
				b.seg.generation.Add(1)
				m.Fault = nil
			}
			return nil
		}
		if truncate {
			var lost *LostError
			if err := h.q.Truncate(450); !errors.As(err, &lost) || !slices.Equal(lost.IDs, ids[256:450]) {
				t.Errorf("truncate: %v", err)
			}
		} else if _, err := h.q.Match(append(slices.Clone(ids[:448]), 9)); err != nil {
			t.Errorf("match: %v", err)
		}
		if h.q.Len() != 256 || h.q.State() == nil {
			t.Errorf("truncate %v: the sequence ends at %d, with a state of %d bytes", truncate, h.q.Len(), len(h.q.State()))
		}
		h.take(t)
		h.close(t)
		must(t, s.Close())
	}
}

// checkStates asserts what holds of snapshots between operations.
func checkStates(t reporter, n *Namespace) {
	t.Helper()
	checkIndex(t, n)
	n.mu.Lock()
	defer n.mu.Unlock()
	behind := 0
	for _, b := range n.blocks {
		behind += len(b.states)
	}
	for _, r := range n.roots {
		behind += len(r.states)
	}
	if behind != len(n.states) {
		t.Errorf("%d snapshots behind blocks, %d in the index", behind, len(n.states))
	}
	for h, s := range n.states {
		if s.hash != h || s.dropped || s.reading != 0 || (s.seg == nil) == (s.ram == nil) || !slices.Contains(s.parent.states, s) {
			t.Errorf("snapshot %+v", s)
		}
		if s.parent.ids != nil && n.blocks[s.parent.hash] != s.parent {
			t.Errorf("a snapshot without a path")
		}
	}
	if n.disk == nil {
		return
	}
	for _, seg := range n.disk.states {
		held := 0
		for _, s := range n.states {
			if s.seg == seg {
				held++
			}
		}
		if !seg.failed && held+len(seg.free) != seg.slotCount {
			t.Errorf("%s: %d slots held, %d free, of %d", seg.name, held, len(seg.free), seg.slotCount)
		}
	}
}

// I9: a hybrid is taken up at the last snapshot before any place, with the state of exactly the tokens before it, and computes at most 256
// tokens again; the same after a kill, but for the tail that was not flushed.
func TestResumeWithAState(t *testing.T) {
	m := memfs.New()
	ids := tokens(1300, 1)
	lengths := []int{30, 64, 200, 257, 700, 1000, 1300}
	fillStates(t, m, testOptions(), ids, lengths...)
	snapshots := append([]int{0, 256, 512, 768, 1024, 1280}, lengths...)
	for n := 0; n <= 1300; n += 1 + n%7 {
		want := 0
		for _, at := range snapshots {
			if at <= n {
				want = max(want, at)
			}
		}
		got := foundStates(t, m.Clone(), ids[:n])
		// Rows of the layer with a window are given back but near the end; elsewhere the snapshot does not help.
		if got != want && (n > 1300-64 || got != 0) {
			t.Errorf("%d tokens: taken up at %d, want %d", n, got, want)
		}
	}
	global := stateGeometry
	global.Layers = global.Layers[:1]
	s, err := Open(memfs.New(), "/home", testOptions())
	must(t, err)
	n, err := s.Namespace(toyPrint, nil, global)
	must(t, err)
	h := &hybrid{q: n.NewSequence(nil)}
	h.extend(t, ids)
	for size := 1300; size > 0; size -= 1 + size%7 {
		other := &hybrid{q: n.NewSequence(nil)}
		if got := other.match(t, ids[:size]); size-got > 255 {
			t.Errorf("%d tokens: taken up at %d", size, got)
		}
		must(t, other.q.Close())
	}
	must(t, h.q.Close())
	must(t, s.Close())
	if got := foundStates(t, m.Clone(), append(slices.Clone(ids[:1290]), 7, 8, 9)); got != 1280 {
		t.Errorf("another path from 1290 on: taken up at %d, want 1280", got)
	}
	// Killed in mid-answer: blocks and snapshots that were written are found.
	m = memfs.New()
	_, n = openStates(t, m, testOptions())
	h = &hybrid{q: n.NewSequence(nil)}
	h.extend(t, ids[:900])
	if got := foundStates(t, m.Clone(), ids); got != 768 {
		t.Errorf("killed: taken up at %d, want 768", got)
	}
	must(t, h.q.Flush())
	if got := foundStates(t, m.Clone(), ids); got != 900 {
		t.Errorf("killed after a flush: taken up at %d, want 900", got)
	}
}

// Within a process: going back and to other paths gives the state of that place, in memory alone, too; the caller's own state is left
// alone where the sequence stays.
func TestGoingBackWithAState(t *testing.T) {
	ram, err := NewRAM(stateGeometry)
	must(t, err)
	s, stored := openStates(t, memfs.New(), testOptions())
	for name, n := range map[string]*Namespace{"in memory": ram, "on disk": stored} {
		ids := tokens(1000, 1)
		h := &hybrid{q: n.NewSequence(nil)}
		if err := h.q.PutState(stateOf(nil)); err != nil || h.q.State() != nil {
			t.Errorf("%s: a snapshot of nothing: %v", name, err)
		}
		h.extend(t, ids[:300])
		h.extend(t, ids)
		if got := h.match(t, ids); got != 1000 || h.q.State() != nil {
			t.Errorf("%s: %d of the own tokens matched, a snapshot restored: %v", name, got, h.q.State() != nil)
		}
		var lost *LostError
		err := h.q.Truncate(900)
		h.take(t)
		if !errors.As(err, &lost) || h.q.Len() != 768 || !slices.Equal(lost.IDs, ids[768:900]) {
			t.Errorf("%s: back to 900 ends at %d, %v", name, h.q.Len(), err)
		}
		compute(t, h.q, ids[:800], 32)
		h.state = stateOf(ids[:800])
		if got := h.match(t, ids); got != 800 || h.q.State() != nil {
			t.Errorf("%s: %d matched from 800 on", name, got)
		}
		must(t, h.q.Truncate(300))
		h.take(t)
		other := append(slices.Clone(ids[:299]), tokens(50, 9)...)
		if got := h.match(t, other); got != 256 {
			t.Errorf("%s: another path is taken up at %d, want 256", name, got)
		}
		h.extend(t, other)
		if err := h.q.Truncate(20); !errors.Is(err, ErrLost) || h.q.Len() != 0 {
			t.Errorf("%s: back to 20 ends at %d: %v", name, h.q.Len(), err)
		}
		h.take(t)
		checkStates(t, n)
		must(t, h.q.Close())
	}
	if len(ram.states) != 0 || len(ram.roots) != 0 {
		t.Errorf("%d snapshots in memory outlive their path", len(ram.states))
	}
	must(t, ram.Close())
	must(t, s.Close())
	for _, data := range [][]byte{nil, make([]byte, 4999)} {
		q := mustRAM(t, stateGeometry).NewSequence(nil)
		if err := q.PutState(data); !errors.Is(err, ErrGeometry) {
			t.Errorf("a state of %d bytes: %v", len(data), err)
		}
	}
	q := mustRAM(t, toyGeometry).NewSequence(nil)
	if err := q.PutState([]byte{1}); !errors.Is(err, ErrGeometry) {
		t.Errorf("a state of a model without one: %v", err)
	}
}

func mustRAM(t testing.TB, g Geometry) *Namespace {
	t.Helper()
	n, err := NewRAM(g)
	must(t, err)
	return n
}

// In memory a bounded number of snapshots is kept, those used last.
func TestStatesInMemoryAreBounded(t *testing.T) {
	n := mustRAM(t, stateGeometry)
	h := &hybrid{q: n.NewSequence(nil)}
	ids := tokens(300, 1)
	for size := 1; size <= 300; size++ {
		h.extend(t, ids[:size])
	}
	if len(n.states) != maxStatesInMemory {
		t.Errorf("%d snapshots in memory, want %d", len(n.states), maxStatesInMemory)
	}
	must(t, h.q.Truncate(280))
	h.take(t)
	checkStates(t, n)
	must(t, h.q.Close())
	must(t, n.Close())
}

// Large snapshots are bounded by their bytes; one is always kept.
func TestLargeStatesInMemoryAreBounded(t *testing.T) {
	for size, want := range map[int]int{4 << 20: 16, 80 << 20: 1} {
		g := stateGeometry
		g.StateBytes = size
		n := mustRAM(t, g)
		q := n.NewSequence(nil)
		ids := tokens(18, 1)
		data := make([]byte, size)
		for at := 1; at <= len(ids); at++ {
			compute(t, q, ids[:at], 64)
			data[0] = byte(at)
			must(t, q.PutState(data))
		}
		if len(n.states) != want {
			t.Errorf("%d snapshots of %d MiB in memory, want %d", len(n.states), size>>20, want)
		}
		if n.states[stateHash(&q.root.hash, ids)] == nil {
			t.Error("the last snapshot is not among them")
		}
		must(t, q.Close())
		must(t, n.Close())
	}
}

// A store that rows have filled makes room for snapshots: without them the rows of a hybrid are of no use to the next process.
func TestStatesMakeRoom(t *testing.T) {
	for name, fill := range map[string]func(s *Store, n *Namespace) *Namespace{
		"rows of another model": func(s *Store, _ *Namespace) *Namespace {
			other, err := s.Namespace(Fingerprint{9}, nil, toyGeometry)
			must(t, err)
			return other
		},
		"rows of its own": func(_ *Store, n *Namespace) *Namespace { return n },
	} {
		m := memfs.New()
		opt := testOptions()
		opt.MaxBytes, opt.segmentSlots = 1<<20, 6
		s, n := openStates(t, m, opt)
		rows := fill(s, n)
		for i := range 40 {
			q := rows.NewSequence(nil)
			compute(t, q, tokens(300, 10+int32(i)), 300)
			must(t, q.Close())
		}
		if room := opt.MaxBytes - s.Stats().UsedBytes; room > segmentBytes(n.lay.state, 1) || s.Stats().EvictedBlocks == 0 {
			t.Fatalf("%s: %d bytes of room are left", name, room)
		}
		ids := tokens(300, 1)
		h := &hybrid{q: n.NewSequence(nil)}
		h.extend(t, ids)
		checkStates(t, n)
		h.close(t)
		if real := onDisk(t, m); real > opt.MaxBytes {
			t.Errorf("%s: %d bytes on the disk, the limit is %d", name, real, opt.MaxBytes)
		}
		must(t, s.Close())
		if got := foundStates(t, m, ids); got != 300 {
			t.Errorf("%s: taken up at %d, want 300", name, got)
		}
	}
}

// Snapshots that have taken the whole cap make room for rows, those used longest ago first.
func TestRowsMakeRoomAmongStates(t *testing.T) {
	m := memfs.New()
	opt := ticking(testOptions())
	opt.segmentSlots = 6
	lay, err := newLayout(stateGeometry)
	must(t, err)
	opt.MaxBytes = 3 * segmentBytes(lay.state, 6)
	s, n := openStates(t, m, opt)
	for i := range int32(18) { // prompts shorter than a block, of which the rows find no room
		h := &hybrid{q: n.NewSequence(nil)}
		h.extend(t, tokens(40, 10+i))
		must(t, h.q.Close())
	}
	if len(n.disk.states) != 3 || len(n.disk.segments) != 0 {
		t.Fatalf("%d segments of snapshots, %d of rows", len(n.disk.states), len(n.disk.segments))
	}
	ids := tokens(600, 1)
	h := &hybrid{q: n.NewSequence(nil)}
	h.extend(t, ids)
	must(t, h.q.Flush())
	must(t, h.q.Close())
	checkStates(t, n)
	must(t, s.Close())
	if real := onDisk(t, m); real > opt.MaxBytes {
		t.Errorf("%d bytes on the disk, the limit is %d", real, opt.MaxBytes)
	}
	if got := foundStates(t, m, ids); got != 600 {
		t.Errorf("%d of 600 flushed tokens are found", got)
	}
}

// Rows do not take the room of the snapshots that their own path needs.
func TestRowsLeaveStatesOfTheirPath(t *testing.T) {
	m := memfs.New()
	opt := ticking(testOptions())
	opt.segmentSlots = 6
	lay, err := newLayout(stateGeometry)
	must(t, err)
	opt.MaxBytes = 3*segmentBytes(lay.state, 6) + 16<<10
	ids := tokens(1280, 1)
	fillStates(t, m, opt, ids, len(ids)) // room for 12 blocks beside the snapshots
	if got := foundStates(t, m, ids); got != 768 {
		t.Errorf("taken up at %d, want 768", got)
	}
}

// A snapshot whose block found no room at first is stored with it, by the next flush or when it is given again.
func TestStateIsStoredLate(t *testing.T) {
	for _, again := range []bool{false, true} {
		m := memfs.New()
		s, n := openStates(t, m, testOptions())
		ids := tokens(300, 1)
		m.Fault = func(op memfs.Op) error {
			if op.Kind == memfs.Fallocate {
				return vfs.ErrNoSpace
			}
			return nil
		}
		h := &hybrid{q: n.NewSequence(nil)}
		for _, size := range []int{20, 256, 300} {
			h.extend(t, ids[:size])
		}
		checkStates(t, n)
		m.Fault = nil
		if again {
			n.disk.full.Store(false)
			must(t, h.q.storeLate())
			must(t, h.q.PutState(stateOf(ids)))
		} else {
			must(t, h.q.Flush())
		}
		checkStates(t, n)
		for _, st := range n.states {
			if want := !again || st.pos() == 300; want != (st.seg != nil) {
				t.Errorf("given again %v: the snapshot behind %d is stored: %v", again, st.pos(), st.seg != nil)
			}
		}
		must(t, h.q.Flush())
		must(t, h.q.Close())
		must(t, s.Close())
		for _, size := range []int{20, 256, 300} {
			if got := foundStates(t, m, ids[:size]); got != size {
				t.Errorf("the next process goes on at %d of %d flushed tokens", got, size)
			}
		}
	}
}

// With a negative cap no snapshot is written, and none goes for another one; those that are there are used.
func TestNoStateIsWrittenUnderANegativeCap(t *testing.T) {
	m := memfs.New()
	ids := tokens(600, 1)
	fillStates(t, m, testOptions(), ids, 256, 600)
	opt := testOptions()
	opt.MaxBytes = -1
	s, n := openStates(t, m, opt)
	h := &hybrid{q: n.NewSequence(nil)}
	if got := h.match(t, ids[:599]); got != 512 {
		t.Errorf("taken up at %d, want 512", got)
	}
	from, there := m.Calls(), len(n.disk.states)
	h.extend(t, append(slices.Clone(h.q.ids), tokens(30, 9)...)) // behind a block that is stored
	h.close(t)
	for _, op := range m.Ops()[from:] {
		if op.Kind != memfs.Fdatasync && strings.Contains(op.Path, "st-") {
			t.Errorf("%s %s at %d, %d bytes", op.Kind, op.Path, op.Off, op.N)
		}
	}
	if len(n.disk.states) != there {
		t.Errorf("%d segments of snapshots, %d before", len(n.disk.states), there)
	}
	must(t, s.Close())
	if got := foundStates(t, m, ids); got != 600 {
		t.Errorf("%d of 600 tokens are found afterwards", got)
	}
}

// Any damage to a snapshot, its header or its segment is a miss: the next earlier one serves, never a wrong one.
func TestDamagedStates(t *testing.T) {
	base := memfs.New()
	ids := tokens(300, 1)
	fillStates(t, base, testOptions(), ids, 200, 300) // snapshots at 200, 256, 300 in slots 0 to 2
	lay, err := newLayout(stateGeometry)
	must(t, err)
	size := len(base.Bytes(stateSegment(t, base)))
	count := newSegmentSlots(lay.state, 1<<30)
	data := int(dataOff(count))
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		want   int
	}{
		"nothing":               {func(b []byte) []byte { return b }, 300},
		"payload of the last":   {func(b []byte) []byte { b[data+2*lay.state.slotBytes+4999] ^= 1; return b }, 256},
		"payload of the others": {func(b []byte) []byte { b[data] ^= 1; b[data+lay.state.slotBytes] ^= 1; return b }, 300},
		"header":                {func(b []byte) []byte { b[headerTableOff+2*headerBytes+40] ^= 1; return b }, 256},
		"two headers swapped": {func(b []byte) []byte {
			h := b[headerTableOff:]
			for i := range headerBytes {
				h[2*headerBytes+i], h[headerBytes+i] = h[headerBytes+i], h[2*headerBytes+i]
			}
			return b
		}, 200},
		"two payloads swapped": {func(b []byte) []byte {
			p := b[data:]
			for i := range lay.state.slotBytes {
				p[2*lay.state.slotBytes+i], p[lay.state.slotBytes+i] = p[lay.state.slotBytes+i], p[2*lay.state.slotBytes+i]
			}
			return b
		}, 200},
		"both superblocks": {func(b []byte) []byte { b[0], b[superblockCopy] = 0, 0; return b }, 0},
		"cut short":        {func(b []byte) []byte { return b[:size-1] }, 0},
		"empty":            {func([]byte) []byte { return nil }, 0},
	} {
		m := base.Clone()
		path := stateSegment(t, m)
		m.Put(path, c.damage(slices.Clone(m.Bytes(path))))
		if got := foundStates(t, m, ids); got != c.want {
			t.Errorf("%s: taken up at %d, want %d", name, got, c.want)
		}
	}
	// Of another model, or of another size of the state: nothing.
	m := base.Clone()
	s, err := Open(m, "/home", testOptions())
	must(t, err)
	larger := stateGeometry
	larger.StateBytes++
	for _, open := range []func() (*Namespace, error){
		func() (*Namespace, error) { return s.Namespace(Fingerprint{9}, nil, stateGeometry) },
		func() (*Namespace, error) { return s.Namespace(toyPrint, nil, larger) },
	} {
		n, err := open()
		must(t, err)
		q := n.NewSequence(nil)
		if got, err := q.Match(ids); got != 0 || err != nil || q.State() != nil {
			t.Errorf("%d tokens of another model, %v", got, err)
		}
		// Nor if its file is put there: the superblock names its model.
		m.Put(filepath.Join(n.disk.dir, stateSegmentName(1)), base.Bytes(stateSegment(t, base)))
		must(t, q.Close())
	}
	must(t, s.Close())
	s, err = Open(m, "/home", testOptions())
	must(t, err)
	n, err := s.Namespace(Fingerprint{9}, nil, stateGeometry)
	must(t, err)
	if len(n.states) != 0 || len(n.disk.setAside) != 1 {
		t.Errorf("%d snapshots of another model, set aside: %v", len(n.states), n.disk.setAside)
	}
	must(t, s.Close())
}

// A process that died may have left the header of a snapshot without the rest. Who computes that far again and has the state does not take
// the header for it: the next process finds the snapshot.
func TestDamagedStateIsStoredAgain(t *testing.T) {
	m := memfs.New()
	ids := tokens(100, 1)
	fillStates(t, m, testOptions(), ids, 90, 100)
	lay, err := newLayout(stateGeometry)
	must(t, err)
	m.Bytes(stateSegment(t, m))[int(dataOff(newSegmentSlots(lay.state, 1<<30)))+lay.state.slotBytes] ^= 1 // that behind all
	s, n := openStates(t, m, testOptions())
	h := &hybrid{q: n.NewSequence(nil)}
	if got := h.match(t, ids[:95]); got != 90 {
		t.Fatalf("taken up at %d, want 90", got)
	}
	h.extend(t, ids)
	from := m.Calls()
	must(t, h.q.PutState(stateOf(ids)))
	if m.Calls() != from {
		t.Error("a snapshot that was written is written again")
	}
	checkStates(t, n)
	h.close(t)
	must(t, s.Close())
	if got := foundStates(t, m, ids); got != 100 {
		t.Errorf("the next process goes on at %d of 100 flushed tokens", got)
	}
}

// Power cuts at every call of a run with snapshots: never a wrong state, and what was flushed is found.
func TestPowerCutsWithStates(t *testing.T) {
	m := memfs.New()
	s, n := openStates(t, m, testOptions())
	h := &hybrid{q: n.NewSequence(nil)}
	ids := tokens(600, 1)
	type promise struct{ ops, size int }
	promises := []promise{{0, 0}}
	for _, size := range []int{40, 192, 300, 576} {
		h.extend(t, ids[:size])
		must(t, h.q.Flush())
		promises = append(promises, promise{len(m.Ops()), size})
	}
	h.close(t)
	must(t, s.Close())
	ops := m.Ops()
	for cut := 0; cut <= len(ops); cut++ {
		for variant := range 6 {
			image := crashfs.Replay(ops, cut, func(op int, page int64) bool {
				return variant == 0 || variant > 1 && crc32.ChecksumIEEE([]byte{byte(op), byte(op >> 8), byte(page), byte(page >> 8), byte(variant)})&1 == 0
			})
			want := 0
			for _, p := range promises {
				// A tail that was flushed is replaced, without a sync, by the block that it begins.
				if p.ops <= cut && (p.size%64 == 0 || p == promises[len(promises)-1]) {
					want = p.size
				}
			}
			if got := foundStates(t, image, ids); got < want {
				t.Fatalf("cut after %d of %d calls, variant %d: taken up at %d, %d were flushed", cut, len(ops), variant, got, want)
			}
		}
	}
}

// A disk that fails under snapshots: they go to memory or are left out, and what is found is right.
func TestFaultsWithStates(t *testing.T) {
	ids := tokens(600, 1)
	for _, kind := range []memfs.Kind{memfs.Write, memfs.Fdatasync, memfs.Fallocate, memfs.CreateOp, memfs.Read} {
		for _, cause := range []error{errDisk, vfs.ErrNoSpace} {
			for nth := range 3 {
				m := memfs.New()
				calls := 0
				m.Fault = func(op memfs.Op) error {
					if op.Kind == kind && strings.Contains(op.Path, "st-") {
						if calls++; calls > nth {
							return cause
						}
					}
					return nil
				}
				s, n := openStates(t, m, testOptions())
				h := &hybrid{q: n.NewSequence(nil)}
				h.extend(t, ids[:300])
				_ = h.q.Flush()
				h.extend(t, ids)
				_ = h.q.Truncate(500)
				h.take(t)
				if h.q.Len() != 256 && h.q.Len() != 300 && h.q.Len() != 0 {
					t.Errorf("%s %v: back at %d", kind, cause, h.q.Len())
				}
				_ = h.q.Flush()
				must(t, h.q.Close())
				_ = s.Close()
				m.Fault = nil
				foundStates(t, m, ids)
			}
		}
	}
}

// Random operations under caps: the state is always that of the path, slots add up, and the cap holds for rows and snapshots together.
func TestStatesAgainstModel(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 6
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(uint64(seed), 11))
		m := memfs.New()
		m.NoRecord = true
		opt := testOptions()
		opt.MaxBytes = []int64{64 << 20, 2 << 20, 900 << 10}[r.IntN(3)]
		s, n := openStates(t, m, opt)
		hs := make([]*hybrid, 3)
		for i := range hs {
			hs[i] = &hybrid{q: n.NewSequence(nil), state: stateOf(nil)}
		}
		var known [][]int32
		for range 40 {
			i := r.IntN(len(hs))
			h := hs[i]
			switch op := r.IntN(10); {
			case op < 4:
				h.extend(t, append(slices.Clone(h.q.ids), randomIDs(r, 1+r.IntN(300))...))
				known = append(known, slices.Clone(h.q.ids))
			case op < 5:
				if err := h.q.Truncate(r.IntN(h.q.Len() + 1)); err != nil && !errors.Is(err, ErrLost) {
					t.Fatal(err)
				}
				h.take(t)
			case op < 7 && len(known) > 0:
				ids := known[r.IntN(len(known))]
				ids = append(slices.Clone(ids[:r.IntN(len(ids)+1)]), randomIDs(r, r.IntN(50))...)
				h.match(t, ids)
				h.extend(t, ids)
			case op < 8:
				_ = h.q.Flush()
			case op < 9:
				h.close(t)
				hs[i] = &hybrid{q: n.NewSequence(nil), state: stateOf(nil)}
			default:
				kill := r.IntN(2) == 0
				all := make([][]int32, len(hs))
				for i := range hs {
					all[i] = slices.Clone(hs[i].q.ids)
					if !kill {
						hs[i].close(t)
					}
				}
				if kill {
					m = m.Clone()
					m.NoRecord = true
				} else {
					must(t, s.Close())
				}
				s, n = openStates(t, m, opt)
				for i := range hs {
					hs[i] = &hybrid{q: n.NewSequence(nil), state: stateOf(nil)}
					hs[i].match(t, all[i])
					hs[i].extend(t, all[i])
				}
			}
			checkStates(t, n)
			if real := onDisk(t, m); real > opt.MaxBytes {
				t.Fatalf("seed %d: %d bytes on the disk, the limit is %d", seed, real, opt.MaxBytes)
			}
		}
		for _, h := range hs {
			must(t, h.q.Close())
		}
		must(t, s.Close())
	}
}

// A session that is removed takes its snapshots along: their slots are overwritten. Those of another session stay.
func TestRemovedSessionLeavesNoState(t *testing.T) {
	m := memfs.New()
	sessions := testSessions(m)
	shared := tokens(128, 1)
	mine, other := append(slices.Clone(shared), tokens(300, 2)...), append(slices.Clone(shared), tokens(200, 3)...)
	for name, ids := range map[string][]int32{"mine": mine, "other": other} {
		j := create(t, sessions, name)
		must(t, j.Model(ModelRecord{Fingerprint: toyPrint, Name: "toy"}))
		must(t, j.Turn("user", "text", ids))
		must(t, j.Close())
	}
	fillStates(t, m, testOptions(), other, 128, 150, len(other))
	fillStates(t, m, testOptions(), mine, 150, 320, len(mine))
	traces := func(ids []int32) (n int) {
		file := m.Bytes(stateSegment(t, m))
		for _, size := range []int{128, 150, 256, 320, len(ids)} {
			if size <= len(ids) && bytes.Contains(file, stateOf(ids[:size])) {
				n++
			}
		}
		return n
	}
	if traces(mine) != 5 {
		t.Fatalf("%d snapshots before", traces(mine))
	}
	s, _ := openStates(t, m, testOptions())
	if done, err := sessions.RemoveRows("mine", s); err != nil || done.Why != nil {
		t.Fatalf("%+v, %v", done, err)
	}
	must(t, s.Close())
	if n := traces(mine); n != 1 { // the one behind what both share
		t.Errorf("%d snapshots of the removed session are left in the file", n)
	}
	if got := foundStates(t, m, other); got != len(other) {
		t.Errorf("the other session is taken up at %d of %d", got, len(other))
	}
}

// A snapshot inside a block stays when a session is removed if another session or a pin has its tokens; else it goes.
func TestRemovedSessionLeavesSharedStates(t *testing.T) {
	prompt := tokens(100, 1)
	mine := append(slices.Clone(prompt), tokens(60, 2)...)
	next := append(slices.Clone(prompt), tokens(60, 4)...) // a conversation to come
	for name, want := range map[string]int{"another session": 100, "a pin": 100, "nobody": 0} {
		m := memfs.New()
		sessions := testSessions(m)
		s, n := openStates(t, m, testOptions())
		talk := func(name string, ids []int32) {
			j := create(t, sessions, name)
			must(t, j.Model(ModelRecord{Fingerprint: toyPrint, Name: "toy"}))
			must(t, j.Turn("user", "text", ids))
			must(t, j.Close())
			h := &hybrid{q: n.NewSequence(nil)}
			h.match(t, ids)
			h.extend(t, prompt)
			must(t, h.q.Flush())
			h.extend(t, ids)
			h.close(t)
		}
		talk("mine", mine)
		switch name {
		case "another session":
			talk("other", append(slices.Clone(prompt), tokens(60, 3)...))
		case "a pin":
			if _, err := n.Pin("system", prompt); err != nil {
				t.Fatal(err)
			}
		}
		if done, err := sessions.RemoveRows("mine", s); err != nil || done.Why != nil {
			t.Fatalf("%+v, %v", done, err)
		}
		checkStates(t, n)
		must(t, s.Close())
		if got := foundStates(t, m, next); got != want {
			t.Errorf("%s: taken up at %d, want %d", name, got, want)
		}
		if bytes.Contains(m.Bytes(stateSegment(t, m)), stateOf(mine)) {
			t.Errorf("%s: a snapshot of the removed session is left", name)
		}
	}
}

// 'cache check' and 'cache gc' know snapshots: damage is found, and a segment of them goes like any other.
func TestCheckAndCollectStates(t *testing.T) {
	m := memfs.New()
	ids := tokens(300, 1)
	fillStates(t, m, testOptions(), ids, 200, 300)
	c, err := Check(m, "/home", CheckOptions{})
	if err != nil || c.States != 3 || len(c.Findings) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	v, err := Look(m, "/home", testOptions())
	if err != nil || v.Namespaces[0].States != 3 {
		t.Errorf("%+v, %v", v, err)
	}
	lay, err := newLayout(stateGeometry)
	must(t, err)
	damaged := m.Clone()
	damaged.Bytes(stateSegment(t, damaged))[int(dataOff(newSegmentSlots(lay.state, 1<<30)))+lay.state.slotBytes] ^= 1
	if c, err = Check(damaged, "/home", CheckOptions{}); err != nil || c.Damaged() != 1 || !strings.Contains(c.Findings[0].Lost, "state behind 256 tokens") {
		t.Errorf("%+v, %v", c, err)
	}
	opt := testOptions()
	opt.MaxBytes = -1
	if got, err := Collect(m, "/home", opt, false); err != nil || got.Used != 0 || got.Evicted.Segments != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A sequence holds one snapshot in memory, wherever it goes back to; where it goes on from one it uses the same memory again.
func TestSequenceHoldsOneSnapshot(t *testing.T) {
	m := memfs.New()
	ids := tokens(14*64, 1)
	s, n := openStates(t, m, testOptions())
	h := &hybrid{q: n.NewSequence(nil)}
	for _, size := range []int{200, 600, len(ids)} {
		h.extend(t, ids[:size])
	}
	look := func(doing string) {
		t.Helper()
		if h.q.state != nil && h.q.scratch != nil {
			t.Errorf("%s: two are held", doing)
		}
	}
	for _, size := range []int{600, 200} {
		must(t, h.q.Truncate(size))
		h.take(t)
		look("truncate")
	}
	before := &h.q.state[0]
	h.extend(t, ids[:300])
	h.match(t, ids)
	look("match of more")
	if h.q.Len() != len(ids) || &h.q.state[0] != before {
		t.Errorf("at %d other memory is used", h.q.Len())
	}
	h.close(t)
	must(t, s.Close())
}
