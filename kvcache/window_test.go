package kvcache

import (
	"bytes"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"kvasir/internal/crashfs"
	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
	"kvasir/quant"
)

// windowGeometry has a global layer and two windowed ones of which 16 of a slot's 32 KiB can be given back.
var windowGeometry = Geometry{Layers: []Layer{
	{NKVHeads: 1, HeadDim: 64, K: quant.KVInt8, V: quant.KVInt8, Window: 100},
	{NKVHeads: 2, HeadDim: 8, K: quant.KVInt8, V: quant.KVInt8},
	{NKVHeads: 1, HeadDim: 64, K: quant.KVInt8, V: quant.KVF16, Window: 37},
}}

func openWindows(t testing.TB, fsys vfs.FS, opt Options) (*Store, *Namespace) {
	t.Helper()
	s, err := Open(fsys, "/home", opt)
	must(t, err)
	n, err := s.Namespace(toyPrint, []byte("toy model"), windowGeometry)
	must(t, err)
	return s, n
}

// extendTo matches what is there of ids and computes the rest, and returns how many were there.
func extendTo(t testing.TB, q *Sequence, ids []int32) int {
	t.Helper()
	got := match(t, q, ids)
	compute(t, q, ids, 50)
	checkRows(t, q)
	return got
}

// fillWindows stores paths in a store that is then closed, which punches; it returns how many tokens of each were there.
func fillWindows(t testing.TB, fsys vfs.FS, opt Options, paths ...[]int32) (found []int) {
	t.Helper()
	s, n := openWindows(t, fsys, opt)
	for _, ids := range paths {
		q := n.NewSequence(nil)
		found = append(found, extendTo(t, q, ids))
		must(t, q.Flush())
		must(t, q.Close())
	}
	checkIndex(t, n)
	closeAll(t, s)
	return found
}

func foundWindows(t testing.TB, fsys vfs.FS, ids []int32) int {
	t.Helper()
	s, n := openWindows(t, fsys, testOptions())
	q := n.NewSequence(nil)
	got := match(t, q, ids)
	compute(t, q, ids, 200)
	checkRows(t, q)
	checkIndex(t, n)
	must(t, q.Close())
	// Closing the store would punch and sync: this is a look, on a copy of what a test goes on with.
	for _, seg := range n.disk.segments {
		must(t, seg.close())
	}
	must(t, s.lock.Close())
	if stored, err := StoredTokens(fsys, "/home", toyPrint, ids); err != nil || stored < got {
		t.Errorf("StoredTokens says %d, %v; %d were found", stored, err, got)
	}
	return got
}

// onDisk returns what the segments occupy.
func onDisk(t testing.TB, m *memfs.FS) (bytes int64) {
	t.Helper()
	for _, path := range m.Files() {
		if path[len(path)-4:] == ".seg" {
			info, err := m.Stat(path)
			must(t, err)
			bytes += info.Allocated
		}
	}
	return bytes
}

// windowless returns for each slot of the first segment whether its header says that windowed planes are absent.
func windowless(t testing.TB, m *memfs.FS, slots int) (gone []bool) {
	t.Helper()
	b := m.Bytes(segmentPath(t, m))
	for slot := range slots {
		gone = append(gone, b[headerTableOff+slot*headerBytes+flagsOff]&flagWindowPlanes == 0)
	}
	return gone
}

// usable agrees with the definition: a length is usable when every position that a query at it or later sees has its planes,
// in the block of the last position whole.
func TestUsableLengths(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 3000 {
		lay := &layout{window: 1 + r.IntN(300)}
		n := r.IntN(700)
		has := make([]bool, (n+63)/64)
		for b := range has {
			has[b] = r.IntN(4) > 0
		}
		want := n
	search:
		for ; want > 0; want-- {
			for pos := max(want-lay.window+1, 0); pos <= want-1 || pos == want && want%64 != 0; pos++ {
				if !has[pos/64] {
					continue search
				}
			}
			break
		}
		if got := lay.usable(n, func(b int) bool { return has[b] }); got != want {
			t.Fatalf("window %d, %d tokens, blocks %v: usable %d, want %d", lay.window, n, has, got, want)
		}
	}
	global := &layout{}
	if got := global.usable(640, func(int) bool { panic("asked") }); got != 640 {
		t.Errorf("without windows %d of 640 are usable", got)
	}
}

// What a window does not reach is given back when nobody holds it, counted, and never missed at the end of the path, nor up to 64
// tokens before it, in this process or the next ones.
func TestPunchingBehindTheWindow(t *testing.T) {
	for _, size := range []int{64, 200, 290, 291, 292, 293, 355, 356, 640, 1000} {
		m := memfs.New()
		ids := tokens(size, 1)
		fillWindows(t, m, testOptions(), ids)
		gone := windowless(t, m, size/64)
		for b, is := range gone {
			if want := (b+1)*64+100-1+keepTokens <= size; is != want {
				t.Errorf("%d tokens: block %d windowless %v, want %v", size, b, is, want)
			}
		}
		for back := range 65 {
			if got := foundWindows(t, m.Clone(), ids[:max(size-back, 0)]); got != max(size-back, 0) {
				t.Fatalf("%d tokens stored, %d of %d found", size, got, size-back)
			}
		}
		s, n := openWindows(t, m, testOptions())
		holes := 0
		for _, is := range gone {
			if is {
				holes++
			}
		}
		whole := segmentBytes(n.lay, newSegmentSlots(n.lay, 1<<30))
		if used := s.Stats().UsedBytes; used != whole-int64(holes*n.lay.hole.n) || used != onDisk(t, m) {
			t.Errorf("%d tokens, %d holes: %d bytes counted, %d on the disk, %d without holes", size, holes, used, onDisk(t, m), whole)
		}
		q := n.NewSequence(nil)
		more := append(slices.Clone(ids), tokens(300, 2)...)
		if got := extendTo(t, q, more); got != size {
			t.Errorf("%d of %d found to go on", got, size)
		}
		must(t, q.Flush())
		closeAll(t, s, q)
		if got := foundWindows(t, m, more); got != len(more) {
			t.Errorf("%d of %d found", got, len(more))
		}
	}
}

// While a sequence is open nothing that it holds is punched: it can go back wherever it likes.
func TestNothingIsPunchedUnderASequence(t *testing.T) {
	m := memfs.New()
	s, n := openWindows(t, m, testOptions())
	q := n.NewSequence(nil)
	ids := tokens(900, 1)
	extendTo(t, q, ids)
	must(t, q.Flush())
	for _, size := range []int{700, 333, 64, 1} {
		must(t, q.Truncate(size))
		checkRows(t, q)
	}
	if slices.Contains(windowless(t, m, 14), true) || s.Stats().PunchedBytes != 0 {
		t.Error("planes of a block that a sequence held are gone")
	}
	closeAll(t, s, q)
	if !slices.Contains(windowless(t, m, 14), true) {
		t.Error("nothing is punched when it is closed")
	}
}

// Going back to where the planes are gone ends at the last place from where rows can be computed right; from there on all is
// computed anew, and the planes are there again, for the next one too.
func TestRewindIntoThePunchedRange(t *testing.T) {
	m := memfs.New()
	ids := tokens(900, 1)
	fillWindows(t, m, testOptions(), ids)
	s, n := openWindows(t, m, testOptions())
	q := n.NewSequence(nil)
	if got := match(t, q, ids); got != 900 {
		t.Fatalf("%d of 900 found", got)
	}
	if err := q.Truncate(500); !errors.Is(err, ErrLost) || q.Len() != 0 {
		t.Fatalf("truncated to %d: %v", q.Len(), err)
	}
	if got := match(t, q, ids[:500]); got != 0 {
		t.Fatalf("%d of 500 found", got)
	}
	if d := q.Divergence(ids[:500], 1); d.Lost != GivenBack || d.Len != 500 {
		t.Errorf("why it was not found: %+v", d)
	}
	if d := q.Divergence(ids, 1); d.Lost != NotLost || d.Len != 900 {
		t.Errorf("why all was found: %+v", d)
	}
	compute(t, q, ids[:500], 64)
	checkRows(t, q)
	if got := s.Stats().StoredBlocks; got != 7 {
		t.Errorf("%d blocks stored to heal 500 tokens, want 7", got)
	}
	must(t, q.Flush())
	must(t, q.Truncate(300))
	checkRows(t, q)
	checkIndex(t, n)
	// The rest of the path still hangs below what was stored anew.
	if got := extendTo(t, q, ids); got != 900 {
		t.Errorf("%d of 900 found after healing", got)
	}
	if got := foundWindows(t, m.Clone(), ids[:500]); got != 500 {
		t.Errorf("%d of 500 found after healing and a kill", got)
	}
	closeAll(t, s, q)
	if got := foundWindows(t, m.Clone(), ids); got != 900 {
		t.Errorf("%d of 900 found at the end", got)
	}
}

// Where two paths part the planes are kept: once two conversations have begun alike, the third finds what they share.
func TestPlanesAreKeptWherePathsPart(t *testing.T) {
	m := memfs.New()
	system := tokens(448, 1)
	path := func(seed int32) []int32 { return append(slices.Clone(system), tokens(700, seed)...) }
	got := fillWindows(t, m, testOptions(), path(2))
	got = append(got, fillWindows(t, m, testOptions(), path(3), path(4))...)
	got = append(got, fillWindows(t, m, testOptions(), path(5), path(6))...)
	got = append(got, foundWindows(t, m, path(7)))
	// The first conversation was closed and punched before the second came. From then on all is there.
	if want := []int{0, 0, 448, 448, 448, 448}; !slices.Equal(got, want) {
		t.Errorf("of 448 shared tokens these were found: %v, want %v", got, want)
	}
	whole := 0
	for b, gone := range windowless(t, m, 64) {
		if !gone && b < 64 {
			whole++
		}
	}
	t.Logf("%d of 64 slots have all planes", whole)
}

// A fork goes on from where another conversation ends, and far: with Keep the other one is found to its last token.
func TestKeepWhereAForkBegan(t *testing.T) {
	for _, at := range []int{1, 63, 64, 65, 290, 320, 383} {
		for _, keep := range []bool{true, false} {
			for _, flushed := range []bool{true, false} {
				m := memfs.New()
				ids := tokens(at, 1)
				fillWindows(t, m, testOptions(), ids)
				s, n := openWindows(t, m, testOptions())
				q := n.NewSequence(nil)
				match(t, q, ids)
				if keep {
					must(t, q.Keep(at))
				}
				if flushed {
					must(t, q.Flush())
				}
				more := append(slices.Clone(ids), tokens(900, 2)...)
				extendTo(t, q, more)
				must(t, q.Flush())
				closeAll(t, s, q)
				fillWindows(t, m, testOptions(), append(more, tokens(100, 3)...))
				if got := foundWindows(t, m, ids); keep && got != at || !keep && got == at && at > 64 {
					t.Errorf("%d of %d found; kept %v", got, at, keep)
				}
			}
		}
	}
}

// A conversation goes back and is flushed there, while the path that it left goes on: what was flushed is found by the next process.
// A tail that takes the place of one that is kept is kept, too, and so is the full block that takes its own.
func TestKeptTailThatOthersExtend(t *testing.T) {
	m := memfs.New()
	ids := tokens(1200, 1)
	s, n := openWindows(t, m, testOptions())
	q := n.NewSequence(nil)
	extendTo(t, q, ids[:40])
	must(t, q.Keep(40))
	must(t, q.Flush())
	must(t, q.Close())
	q = n.NewSequence(nil)
	for _, size := range []int{60, len(ids)} {
		match(t, q, ids[:size])
		extendTo(t, q, ids[:size])
		must(t, q.Flush())
	}
	closeAll(t, s, q)
	if got := foundWindows(t, m, ids[:40]); got != 40 {
		t.Errorf("%d of 40 kept tokens are found", got)
	}
}

// Repeating that marks no block twice.
func TestFlushWhereAnotherPathGoesOn(t *testing.T) {
	for _, at := range []int{1, 320, 700, 704, 705, 895} { // 832 is the last full block, 896 the end of the next
		m := memfs.New()
		ids := tokens(900, 1)
		s, n := openWindows(t, m, testOptions())
		q := n.NewSequence(nil)
		extendTo(t, q, ids)
		must(t, q.Flush())
		must(t, q.Truncate(at))
		for range 3 {
			must(t, q.Flush())
		}
		marked := 0
		for _, b := range n.blocks {
			if b.marked {
				marked++
			}
		}
		if marked != 1 {
			t.Errorf("%d blocks are marked", marked)
		}
		closeAll(t, s, q)
		if got := foundWindows(t, m, ids[:at]); got != at {
			t.Errorf("%d of %d flushed tokens are found", got, at)
		}
		fillWindows(t, m, testOptions(), append(slices.Clone(ids), tokens(900, 2)...)) // the other path goes on once more
		if got := foundWindows(t, m, ids[:at]); got != at {
			t.Errorf("%d of %d flushed tokens are found later", got, at)
		}
	}
	// A conversation that only goes forward marks nothing, however often it is flushed.
	m := memfs.New()
	s, n := openWindows(t, m, testOptions())
	q := n.NewSequence(nil)
	for size := 32; size <= 640; size += 32 {
		extendTo(t, q, tokens(640, 1)[:size])
		must(t, q.Flush())
	}
	for _, b := range n.blocks {
		if b.marked {
			t.Errorf("the block at %d is marked", b.firstPos)
		}
	}
	closeAll(t, s, q)
}

// Rule R8: a tail does not give way to a block without windowed planes, from which nothing can be gone on at its end.
func TestTailBesideAWindowlessBlock(t *testing.T) {
	m := memfs.New()
	ids := tokens(900, 1)
	fillWindows(t, m, testOptions(), ids[:100])
	s, n := openWindows(t, m, testOptions())
	ram, err := NewRAM(windowGeometry)
	must(t, err)
	from := ram.NewSequence(nil)
	compute(t, from, ids, 64)
	to := &rowSink{store: s, seq: n.NewSequence(nil)}
	for i := range len(ids) / BlockTokens {
		b := &archiveBlock{firstPos: i * 64, ids: ids[i*64:][:64], payload: bytes.Clone(from.entries[i].data[:n.lay.payloadBytes]), windows: i == 0 || i > 10}
		if !b.windows {
			n.lay.clearWindows(b.payload)
		}
		must(t, to.add(b))
	}
	to.finish()
	to.close()
	q := n.NewSequence(nil)
	if got := match(t, q, ids[:100]); got != 100 {
		t.Errorf("%d of 100 flushed tokens are found", got)
	}
	checkIndex(t, n)
	closeAll(t, s, q)
	must(t, errors.Join(from.Close(), ram.Close()))
	if got := foundWindows(t, m, ids[:100]); got != 100 {
		t.Errorf("the next process finds %d of 100 flushed tokens", got)
	}
}

// Nor does a tail on disk give way to a block that is in memory only, until that is stored.
func TestTailBesideABlockInMemory(t *testing.T) {
	ids := tokens(100, 1)
	for _, late := range []bool{true, false} {
		m := memfs.New()
		s, n := openWindows(t, m, testOptions())
		q := n.NewSequence(nil)
		compute(t, q, ids[:40], 64)
		must(t, q.Flush())
		m.Fault = func(op memfs.Op) error {
			if op.Kind == memfs.Write && strings.HasSuffix(op.Path, ".seg") {
				return vfs.ErrNoSpace
			}
			return nil
		}
		compute(t, q, ids, 64)
		m.Fault = nil
		want, blocks := 40, 1
		if late {
			must(t, q.Flush())
			want, blocks = 100, 2
		}
		must(t, q.Close())
		if len(n.blocks) != blocks {
			t.Errorf("late %v: %d blocks in the index, want %d", late, len(n.blocks), blocks)
		}
		checkIndex(t, n)
		closeAll(t, s)
		if got := foundWindows(t, m, ids); got != want {
			t.Errorf("late %v: the next process finds %d tokens, want %d", late, got, want)
		}
	}
}

// What is marked while its header is being written has the flag all the same: nobody marks it a second time.
func TestMarkedWhileItIsStored(t *testing.T) {
	ids := tokens(100, 1)
	flags := func(m *memfs.FS, b *block) byte {
		return m.Bytes(segmentPath(t, m))[headerTableOff+int(b.slot)*headerBytes+flagsOff]
	}
	atHeader := func(m *memfs.FS, slot int64, do func()) {
		m.Fault = func(op memfs.Op) error {
			if op.Kind == memfs.Write && strings.HasSuffix(op.Path, ".seg") && op.Off == headerTableOff+slot*headerBytes {
				do()
			}
			return nil
		}
	}
	t.Run("late", func(t *testing.T) {
		m := memfs.New()
		s, n := openWindows(t, m, testOptions())
		m.Fault = func(op memfs.Op) error {
			if op.Kind == memfs.Fallocate {
				return vfs.ErrNoSpace
			}
			return nil
		}
		q, other := n.NewSequence(nil), n.NewSequence(nil)
		compute(t, q, ids, 64)
		match(t, other, ids[:64])
		atHeader(m, 0, func() { must(t, other.Keep(40)) })
		must(t, q.Flush())
		if b := q.entries[0].block; b.seg == nil || !b.marked || flags(m, b)&flagKeep == 0 {
			t.Errorf("stored %v, marked %v, flags %x", b.seg != nil, b.marked, flags(m, b))
		}
		closeAll(t, s, q, other)
	})
	t.Run("sealed", func(t *testing.T) {
		m := memfs.New()
		fillWindows(t, m, testOptions(), ids[:40])
		s, n := openWindows(t, m, testOptions())
		q := n.NewSequence(nil)
		match(t, q, ids[:40])
		tail, _ := n.bestChild(q.root, ids)
		atHeader(m, 1, func() { // what mark does before it waits for the write
			n.mu.Lock()
			tail.marked = true
			n.mu.Unlock()
		})
		compute(t, q, ids, 64)
		if b := q.entries[0].block; b.slot != 1 || !b.marked || flags(m, b)&flagKeep == 0 {
			t.Errorf("slot %d, marked %v, flags %x", b.slot, b.marked, flags(m, b))
		}
		n.release(tail)
		closeAll(t, s, q)
	})
}

// A path that leaves another one inside the punched range is computed from the start, and both are right afterwards.
func TestDivergenceInsideThePunchedRange(t *testing.T) {
	for _, at := range []int{1, 63, 64, 100, 257, 640, 740, 790, 836, 899} {
		m := memfs.New()
		ids := tokens(900, 1)
		fillWindows(t, m, testOptions(), ids)
		other := append(slices.Clone(ids[:at]), tokens(200, 9)...)
		got := fillWindows(t, m, testOptions(), other)[0]
		if got != at && got != 0 {
			t.Errorf("parting at %d: %d found", at, got)
		}
		if got := foundWindows(t, m.Clone(), ids); got != 900 {
			t.Errorf("parted at %d: %d of 900 found of the first", at, got)
		}
		if got := foundWindows(t, m.Clone(), other); got != len(other) {
			t.Errorf("parted at %d: %d of %d found of the second", at, got, len(other))
		}
	}
}

// The bit that says whether planes are there may be wrong, by damage or because a crash came between header and hole: the
// checksums decide, and the block is lost only for paths that need its windowed planes.
func TestWrongWindowFlag(t *testing.T) {
	base := memfs.New()
	ids := tokens(900, 1)
	fillWindows(t, base, testOptions(), ids)
	gone := windowless(t, base, 14)
	for slot := range gone {
		m := base.Clone()
		m.Bytes(segmentPath(t, m))[headerTableOff+slot*headerBytes+flagsOff] ^= flagWindowPlanes
		want := 900
		if (slot+1)*64 > 900-100+1 { // the end sees it; before it enough is kept
			want = slot * 64
		}
		if got := foundWindows(t, m, ids); got != want {
			t.Errorf("flag of slot %d (windowless %v) inverted: %d found, want %d", slot, gone[slot], got, want)
		}
	}
	// A hole that came without its header: as a crash cannot leave it, but a clumsy copy can.
	m := memfs.New()
	s, n := openWindows(t, m, testOptions())
	q := n.NewSequence(nil)
	extendTo(t, q, ids)
	must(t, q.Flush())
	copied := m.Clone()
	b, hole := copied.Bytes(segmentPath(t, copied)), n.lay.hole
	for slot := range 14 {
		clear(b[slotAt(n.lay, n.disk.segments[0].slotCount, slot)+hole.off:][:hole.n])
	}
	if got := foundWindows(t, copied, ids); got != 0 {
		t.Errorf("%d found of a path without any windowed planes", got)
	}
	closeAll(t, s, q)
}

// Where holes cannot be punched, nothing is done: no flag is cleared, no space counted as free.
func TestNoPunchingWhereItIsUnsupported(t *testing.T) {
	m := memfs.New()
	m.Fault = func(op memfs.Op) error {
		if op.Kind == memfs.Punch {
			return vfs.ErrUnsupported
		}
		return nil
	}
	ids := tokens(900, 1)
	fillWindows(t, m, testOptions(), ids)
	if slices.Contains(windowless(t, m, 14), true) {
		t.Error("a flag was cleared")
	}
	if got := foundWindows(t, m, ids[:500]); got != 500 {
		t.Errorf("%d of 500 found", got)
	}
}

// A disk that fails while planes are given back loses none that are needed.
func TestFaultsWhilePunching(t *testing.T) {
	ids := tokens(900, 1)
	for _, kind := range []memfs.Kind{memfs.Write, memfs.Fdatasync, memfs.Punch} {
		for nth := range 4 {
			m := memfs.New()
			s, n := openWindows(t, m, testOptions())
			q := n.NewSequence(nil)
			extendTo(t, q, ids)
			must(t, q.Flush())
			must(t, q.Close())
			calls := 0
			m.Fault = func(op memfs.Op) error {
				if op.Kind == kind && filepath.Ext(op.Path) == ".seg" {
					if calls++; calls == nth+1 {
						return errDisk
					}
				}
				return nil
			}
			_, err := s.PunchWindows()
			failed := calls > nth
			unsupported := kind == memfs.Punch && nth == 0
			if failed != (err != nil) && !unsupported {
				t.Errorf("%s %d: failed %v, error %v", kind, nth, failed, err)
			}
			m.Fault = nil
			checkIndex(t, n)
			q = n.NewSequence(nil)
			got := extendTo(t, q, ids)
			if want := 900; got != want && kind != memfs.Fdatasync {
				t.Errorf("%s %d: %d of %d found", kind, nth, got, want)
			}
			must(t, q.Close())
			_ = s.Close()
			if got := foundWindows(t, m, ids); got != 900 {
				t.Errorf("%s %d: %d of 900 found by the next process", kind, nth, got)
			}
		}
	}
}

// The engine cannot read what is not there: zeros would be taken for rows.
func TestPlaneThatIsNotThere(t *testing.T) {
	m := memfs.New()
	ids := tokens(900, 1)
	fillWindows(t, m, testOptions(), ids)
	s, n := openWindows(t, m, testOptions())
	q := n.NewSequence(nil)
	match(t, q, ids)
	for layer, l := range windowGeometry.Layers {
		got := func() (err error) {
			defer func() { err, _ = recover().(error) }()
			q.Plane(layer, 0, K, 2)
			return nil
		}()
		if want := l.Window > 0; (got != nil) != want {
			t.Errorf("layer %d with window %d: %v", layer, l.Window, got)
		}
	}
	closeAll(t, s, q)
}

// In memory alone a sequence gives back what it does not see any more, if nobody else holds it.
func TestGivingBackMemory(t *testing.T) {
	n, err := NewRAM(windowGeometry)
	must(t, err)
	ids := tokens(900, 1)
	a, b := n.NewSequence(nil), n.NewSequence(nil)
	extendTo(t, a, ids)
	extendTo(t, b, ids[:200])
	must(t, a.Flush())
	for i, e := range a.entries {
		if want := i >= 3 && (i+1)*64+100-1+keepTokens <= 900; e.windowless != want {
			t.Errorf("block %d windowless %v, want %v", i, e.windowless, want)
		}
	}
	checkRows(t, b)
	if got := extendTo(t, b, ids); got != 896 { // the tail is a's own
		t.Errorf("%d of 900 found", got)
	}
	if err := a.Truncate(500); !errors.Is(err, ErrLost) || a.Len() != 192 {
		t.Errorf("truncated to %d: %v", a.Len(), err)
	}
	extendTo(t, a, ids[:600])
	must(t, a.Close())
	must(t, b.Close())
	must(t, n.Close())
}

// Power cuts at every call of a run that stores, punches, heals and stores over holes: wrong rows never, and what was flushed is
// found at its end.
func TestPowerCutsAroundPunching(t *testing.T) {
	m := memfs.New()
	opt := testOptions()
	opt.MaxBytes = 700 << 10 // one segment of 19 slots
	type promise struct {
		ops int
		ids []int32
	}
	var promises []promise
	ids := tokens(600, 1)
	step := func(paths ...[]int32) {
		s, n := openWindows(t, m, opt)
		for _, p := range paths {
			q := n.NewSequence(nil)
			extendTo(t, q, p)
			must(t, q.Flush())
			promises = append(promises, promise{len(m.Ops()), p})
			must(t, q.Close())
		}
		closeAll(t, s)
	}
	step(ids)
	step(ids[:300]) // heals
	step(append(slices.Clone(ids), tokens(200, 2)...))
	lastKept := len(promises)
	step(tokens(300, 5), tokens(300, 6), tokens(300, 7)) // over slots of the others
	ops := m.Ops()
	images := 0
	for cut := 0; cut <= len(ops); cut++ {
		for variant := range 8 {
			image := crashfs.Replay(ops, cut, func(op int, page int64) bool {
				return variant == 0 || variant > 1 && crc32.ChecksumIEEE([]byte{byte(op), byte(op >> 8), byte(page), byte(page >> 8), byte(variant)})&1 == 0
			})
			for i, p := range promises[:lastKept] {
				if p.ops > cut || i+1 < len(promises) && promises[i+1].ops <= cut {
					continue
				}
				// A later step may have replaced the PACKED tail of the one before without a sync, and the last ones evict.
				want := len(p.ids) / 64 * 64
				if i+1 == lastKept {
					want = 0
				}
				if got := foundWindows(t, image, p.ids); got < want {
					for i, op := range ops[:cut] {
						t.Logf("%d %s %s %d+%d", i, op.Kind, op.Path, op.Off, op.N)
					}
					t.Fatalf("cut after %d of %d calls (%s), variant %d: %d of %d tokens found", cut, len(ops), ops[max(cut-1, 0)].Kind, variant, got, len(p.ids))
				}
				images++
			}
		}
	}
	t.Logf("%d images of %d calls", images, len(ops))
}

// Random operations under caps that force eviction and the use of slots with holes: rows are right, the index is whole, and what
// is counted is what the disk holds.
func TestWindowsAgainstModel(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 6
	}
	var punched, evicted uint64
	for seed := range seeds {
		p, e := runWindowModel(t, uint64(seed))
		punched, evicted = punched+p, evicted+e
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if punched == 0 || evicted == 0 {
		t.Errorf("%d bytes punched and %d blocks evicted: this tests nothing", punched, evicted)
	}
}

func runWindowModel(t *testing.T, seed uint64) (punched, evicted uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	m := memfs.New()
	m.NoRecord = true
	m.NoMap = r.IntN(4) == 0
	opt := testOptions()
	opt.MaxBytes = []int64{64 << 20, 1500 << 10, 700 << 10}[r.IntN(3)]
	s, n := openWindows(t, m, opt)
	seqs := make([]modelled, 3)
	for i := range seqs {
		seqs[i].q = n.NewSequence(nil)
	}
	var known [][]int32
	exact := true
	reopen := func() {
		// Headers do not tell of holes in slots without a block, nor that a hole was filled for a block that did not come: a process
		// that finds such may count too much, never too little.
		s, n = openWindows(t, m, opt)
		exact = false
	}
	for range 50 {
		x := &seqs[r.IntN(len(seqs))]
		switch op := r.IntN(12); {
		case op < 4:
			x.ids = append(x.ids, randomIDs(r, 1+r.IntN(400))...)
			compute(t, x.q, x.ids, 1+r.IntN(130))
			known = append(known, slices.Clone(x.ids))
		case op < 5:
			if err := x.q.Truncate(r.IntN(len(x.ids) + 1)); err != nil && !errors.Is(err, ErrLost) {
				t.Fatal(err)
			}
			x.ids = x.ids[:x.q.Len()]
		case op < 7 && len(known) > 0:
			ids := known[r.IntN(len(known))]
			x.ids = append(slices.Clone(ids[:r.IntN(len(ids)+1)]), randomIDs(r, r.IntN(50))...)
			extendTo(t, x.q, x.ids)
			known = append(known, slices.Clone(x.ids))
		case op < 8:
			_ = x.q.Flush()
		case op < 10: // another sequence in place of this one: what it held may be punched
			_ = x.q.Flush()
			must(t, x.q.Close())
			*x = modelled{q: n.NewSequence(nil)}
			if _, err := s.PunchWindows(); err != nil {
				t.Fatal(err)
			}
		case op < 11: // kill -9
			m = m.Clone()
			m.NoRecord = true
			st := s.Stats()
			punched, evicted = punched+st.PunchedBytes, evicted+st.EvictedBlocks
			reopen()
			for i := range seqs {
				seqs[i].q = n.NewSequence(nil)
				extendTo(t, seqs[i].q, seqs[i].ids)
			}
		default: // clean stop: one sequence may end where another has gone on
			for i := range seqs {
				must(t, seqs[i].q.Keep(seqs[i].q.Len()))
				_ = seqs[i].q.Flush()
				must(t, seqs[i].q.Close())
			}
			st := s.Stats()
			punched, evicted = punched+st.PunchedBytes, evicted+st.EvictedBlocks
			must(t, s.Close())
			reopen()
			for i := range seqs {
				x := &seqs[i]
				x.q = n.NewSequence(nil)
				if got := extendTo(t, x.q, x.ids); opt.MaxBytes > 32<<20 && got != len(x.ids) {
					t.Fatalf("seed %d: after a clean stop %d of %d tokens are found, sequence %d", seed, got, len(x.ids), i)
				}
			}
		}
		checkRows(t, x.q)
		used, real := s.Stats().UsedBytes, onDisk(t, m)
		if real > opt.MaxBytes || real > used || exact && used != real {
			t.Fatalf("seed %d: %d bytes counted, %d on the disk, the limit is %d", seed, used, real, opt.MaxBytes)
		}
		checkIndex(t, n)
	}
	for _, x := range seqs {
		must(t, x.q.Close())
	}
	st := s.Stats()
	must(t, s.Close())
	return punched + st.PunchedBytes, evicted + st.EvictedBlocks
}

// What Gemma-3-1B keeps of 4,096 tokens: 52 MiB in whole blocks, of which the windows of 22 layers need an eighth.
func TestGemmaKeepsWhatItsWindowsNeed(t *testing.T) {
	g := uniform(26, 1, 256, quant.KVInt8)
	for i := range g.Layers {
		if i%6 != 5 {
			g.Layers[i].Window = 512
		}
	}
	m := memfs.New()
	m.NoRecord = true
	opt := testOptions()
	opt.MaxBytes = 128 << 20
	s, err := Open(m, "/home", opt)
	must(t, err)
	n, err := s.Namespace(toyPrint, nil, g)
	must(t, err)
	q := n.NewSequence(nil)
	ids := tokens(4096, 1)
	for len(ids) > q.Len() {
		must(t, q.Reserve(512))
		must(t, q.Commit(ids[q.Len():q.Len()+512])) // any rows will do
	}
	must(t, q.Flush())
	must(t, q.Close())
	_, err = s.PunchWindows()
	must(t, err)
	stored := float64(64*n.lay.slotBytes-int(s.Stats().PunchedBytes)) / (1 << 20)
	t.Logf("%.1f MiB of %.1f", stored, float64(64*n.lay.slotBytes)/(1<<20))
	if stored > 17 {
		t.Errorf("%.1f MiB are kept, want at most 17", stored)
	}
	q = n.NewSequence(nil)
	if got, err := q.Match(ids); got != len(ids) || err != nil {
		t.Errorf("%d of %d found, %v", got, len(ids), err)
	}
	closeAll(t, s, q)
}

// An archive takes along that planes are absent: after the import the path is found to its end, and not inside.
func TestArchiveOfAPunchedPath(t *testing.T) {
	m := memfs.New()
	ids := tokens(900, 1)
	fillWindows(t, m, testOptions(), ids)
	sessions := testSessions(m)
	j := create(t, sessions, "s")
	must(t, j.Model(ModelRecord{Fingerprint: toyPrint, Name: "toy"}))
	must(t, j.Turn("user", "a long text", ids))
	must(t, j.Close())
	var session, pack bytes.Buffer
	info, err := sessions.Export(&session, "s", false)
	if err != nil || info.KVTokens != 900 {
		t.Fatalf("%+v, %v", info, err)
	}
	s, n := openWindows(t, m, testOptions())
	q := n.NewSequence(nil)
	match(t, q, ids)
	if _, err = q.WritePack(&pack, toyPrint, []byte("toy model"), "text"); err != nil {
		t.Fatal(err)
	}
	closeAll(t, s, q)
	for name, take := range map[string]func(fsys vfs.FS, s *Store) (*Imported, error){
		"session": func(fsys vfs.FS, s *Store) (*Imported, error) {
			return testSessions(fsys).Import(&session, ImportOptions{Store: s})
		},
		"pack": func(_ vfs.FS, s *Store) (*Imported, error) { return s.AddPack(&pack, false) },
	} {
		other := memfs.New()
		s, _ := openWindows(t, other, testOptions())
		in, err := take(other, s)
		if err != nil || in.Stored != 900 || in.Reason != nil {
			t.Fatalf("%s: %+v, %v", name, in, err)
		}
		closeAll(t, s)
		if got := foundWindows(t, other.Clone(), ids); got != 900 {
			t.Errorf("%s: %d of 900 found", name, got)
		}
		if got := foundWindows(t, other.Clone(), ids[:500]); got != 0 {
			t.Errorf("%s: %d of 500 found", name, got)
		}
		// What was never there passes for nothing, whatever the flag says.
		b := other.Bytes(segmentPath(t, other))
		for slot := range 14 {
			b[headerTableOff+slot*headerBytes+flagsOff] |= flagWindowPlanes
		}
		if got := foundWindows(t, other, ids[:500]); got != 0 {
			t.Errorf("%s: %d of 500 found after the flags were set", name, got)
		}
	}
}

// A windowed row that another program changes under a sequence: where its window reaches, the sequence ends before it; elsewhere it
// does not notice.
func TestWindowDamagedUnderASequence(t *testing.T) {
	for _, c := range []struct{ block, left int }{{3, 900}, {9, 900}, {12, 768}, {13, 832}} {
		m := memfs.New()
		s, n := openWindows(t, m, testOptions())
		q := n.NewSequence(nil)
		ids := tokens(900, 1)
		extendTo(t, q, ids)
		seg := n.disk.segments[0]
		m.Bytes(segmentPath(t, m))[slotAt(n.lay, seg.slotCount, c.block)+n.lay.hole.off+100] ^= 1
		err := q.Recheck()
		var lost *LostError
		if q.Len() != c.left || (err != nil) != (c.left < 900) || err != nil && (!errors.As(err, &lost) || !slices.Equal(lost.IDs, ids[c.left:])) {
			t.Errorf("block %d: %d positions are left, want %d: %v", c.block, q.Len(), c.left, err)
		}
		checkRows(t, q)
		extendTo(t, q, ids)
		must(t, q.Flush())
		closeAll(t, s, q)
		if got := foundWindows(t, m, ids); got != 900 {
			t.Errorf("block %d: %d of 900 found", c.block, got)
		}
	}
}

// Sequences come, compute, read and go while planes are given back.
func TestPunchingBesideSequences(t *testing.T) {
	m := memfs.New()
	m.NoRecord = true
	s, n := openWindows(t, m, testOptions())
	var users, puncher sync.WaitGroup
	stop := make(chan struct{})
	puncher.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := s.PunchWindows(); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for g := range 3 {
		users.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 3))
			for range 25 {
				ids := append(tokens(300+64*r.IntN(8), 1), tokens(r.IntN(300), int32(2+r.IntN(3)))...)
				q := n.NewSequence(nil)
				if _, err := q.Match(ids); err != nil {
					t.Error(err)
				}
				compute(t, q, ids, 64)
				if wrong := wrongRows(q); wrong > 0 {
					t.Errorf("%d wrong rows", wrong)
				}
				if err := errors.Join(q.Flush(), q.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	users.Wait()
	close(stop)
	puncher.Wait()
	checkIndex(t, n)
	closeAll(t, s)
}
