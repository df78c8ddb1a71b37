package kvcache

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
	"kvasir/quant"
)

func TestReopenAfterCleanStop(t *testing.T) {
	for _, n := range []int{1, 63, 64, 65, 200, 640} {
		m := memfs.New()
		ids := tokens(n, 1)
		fill(t, m, testOptions(), ids)
		if got := reopened(t, m, ids); got != n {
			t.Errorf("%d tokens stored, %d found after reopening", n, got)
		}
	}
}

// After kill -9 all full blocks are there: at most 63 tokens are lost.
func TestReopenAfterKill(t *testing.T) {
	m := memfs.New()
	_, n := openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	ids := tokens(300, 1)
	for size := 10; size <= len(ids); size += 10 {
		compute(t, q, ids[:size], 7)
		if got := reopened(t, m.Clone(), ids); got != size/64*64 {
			t.Fatalf("killed after %d tokens: %d found, want %d", size, got, size/64*64)
		}
	}
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := reopened(t, m.Clone(), ids); got != len(ids) {
		t.Fatalf("killed after flush of %d tokens: %d found", len(ids), got)
	}
}

func TestPartialReuseHasTokenGranularity(t *testing.T) {
	m := memfs.New()
	ids := tokens(230, 1)
	fill(t, m, testOptions(), ids)
	for _, same := range []int{0, 1, 63, 64, 100, 191, 192, 200, 229, 230} {
		other := append(slices.Clone(ids[:same]), tokens(100, 7)...)
		if got := reopened(t, m, other); got != same {
			t.Errorf("shares %d tokens, %d reused", same, got)
		}
	}
	if got := reopened(t, m, ids[:120]); got != 120 {
		t.Errorf("shorter path of 120: %d reused", got)
	}
}

// Invariant I7: a prefix is stored once.
func TestSharedPrefixIsStoredOnce(t *testing.T) {
	s, n := openStore(t, memfs.New(), testOptions())
	system := tokens(200, 1)
	var qs []*Sequence
	for i := range 5 {
		ids := append(slices.Clone(system), tokens(70, int32(10+i))...)
		q := n.NewSequence(nil)
		if i%2 == 0 {
			match(t, q, ids)
		}
		compute(t, q, ids, 33) // the odd ones compute what is there already
		checkRows(t, q)
		qs = append(qs, q)
	}
	st := s.Stats()
	if want := uint64(200/64 + 5); st.StoredBlocks != want {
		t.Errorf("%d blocks stored, want %d", st.StoredBlocks, want)
	}
	if st.SharedBlocks != 6 {
		t.Errorf("%d sealed blocks were there already, want 6", st.SharedBlocks)
	}
	closeAll(t, s, qs...)
}

func TestSaltKeepsUsersApart(t *testing.T) {
	m := memfs.New()
	s, n := openStore(t, m, testOptions())
	ids := tokens(100, 1)
	a, b := n.NewSequence([]byte("a")), n.NewSequence([]byte("b"))
	compute(t, a, ids, 100)
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := match(t, b, ids); got != 0 {
		t.Errorf("another salt reuses %d tokens", got)
	}
	closeAll(t, s, a, b)
	s, n = openStore(t, m, testOptions())
	a, b = n.NewSequence([]byte("a")), n.NewSequence([]byte("b"))
	if got := match(t, b, ids); got != 0 {
		t.Errorf("after reopening another salt reuses %d tokens", got)
	}
	if got := match(t, a, ids); got != 100 {
		t.Errorf("after reopening the same salt reuses %d tokens", got)
	}
	closeAll(t, s, a, b)
}

func TestOtherModelsFindNothing(t *testing.T) {
	m := memfs.New()
	ids := tokens(100, 1)
	fill(t, m, testOptions(), ids)
	s, err := Open(m, "/home", testOptions())
	if err != nil {
		t.Fatal(err)
	}
	other := slices.Clone(toyGeometry.Layers)
	other[2].K = quant.KVInt8
	for name, n := range map[string]func() (*Namespace, error){
		"fingerprint": func() (*Namespace, error) { return s.Namespace(Fingerprint{9}, nil, toyGeometry) },
		"geometry":    func() (*Namespace, error) { return s.Namespace(toyPrint, nil, Geometry{Layers: other}) },
	} {
		ns, err := n()
		if err != nil {
			t.Fatal(err)
		}
		q := ns.NewSequence(nil)
		if got := match(t, q, ids); got != 0 {
			t.Errorf("another %s reuses %d tokens", name, got)
		}
		q.Close()
	}
	closeAll(t, s)
}

func TestSecondProcessStaysInMemory(t *testing.T) {
	m := memfs.New()
	ids := tokens(150, 1)
	fill(t, m, testOptions(), ids)
	first, _ := openStore(t, m, testOptions())
	warnings := 0
	opt := testOptions()
	opt.Warn = func(err error) { warnings++ }
	before := len(m.Ops())
	second, n := openStore(t, m, opt)
	if st := second.Status(); st.Mode != InMemory || !errors.Is(st.Reason, vfs.ErrLocked) || warnings != 1 {
		t.Errorf("status %v, %v; %d warnings", st.Mode, st.Reason, warnings)
	}
	q := n.NewSequence(nil)
	compute(t, q, ids, 64)
	if err := q.Flush(); err != nil {
		t.Error(err)
	}
	checkRows(t, q)
	closeAll(t, second, q)
	for _, op := range m.Ops()[before:] {
		t.Errorf("without the lock: %s %s", op.Kind, op.Path)
	}
	closeAll(t, first)
	if got := reopened(t, m, ids); got != 150 {
		t.Errorf("%d found when the lock is free", got)
	}
}

func TestReadOnlyHomeIsLookedUp(t *testing.T) {
	m := memfs.New()
	ids := tokens(150, 1)
	fill(t, m, testOptions(), ids)
	m.ReadOnly = true
	s, n := openStore(t, m, testOptions())
	if st := s.Status(); st.Mode != ReadOnly || !errors.Is(st.Reason, vfs.ErrReadOnly) {
		t.Errorf("status %v, %v", st.Mode, st.Reason)
	}
	q := n.NewSequence(nil)
	if got := match(t, q, ids); got != 150 {
		t.Errorf("%d tokens reused", got)
	}
	compute(t, q, append(slices.Clone(ids), tokens(100, 2)...), 64)
	if err := q.Flush(); err != nil {
		t.Error(err)
	}
	checkRows(t, q)
	closeAll(t, s, q)

	empty := memfs.New()
	empty.ReadOnly = true
	s, n = openStore(t, empty, testOptions())
	if st := s.Status(); st.Mode != InMemory || !errors.Is(st.Reason, vfs.ErrReadOnly) {
		t.Errorf("empty home: status %v, %v", st.Mode, st.Reason)
	}
	q = n.NewSequence(nil)
	compute(t, q, ids, 64)
	checkRows(t, q)
	closeAll(t, s, q)
}

func TestWithoutMapping(t *testing.T) {
	m := memfs.New()
	m.NoMap = true
	ids := tokens(230, 1)
	fill(t, m, testOptions(), ids)
	if got := reopened(t, m, ids); got != 230 {
		t.Errorf("%d tokens reused by copying", got)
	}
}

// A full disk is no error for a sequence; what did not fit is stored when there is room again.
func TestFullDisk(t *testing.T) {
	m := memfs.New()
	m.Limit = 4_300_000 // one segment of 4.24 MB, and no second one however small
	opt := testOptions()
	var warnings []error
	opt.Warn = func(err error) { warnings = append(warnings, err) }
	s, n := openStore(t, m, opt)
	ids := tokens(64*230, 1) // a segment has 204 slots
	q := n.NewSequence(nil)
	compute(t, q, ids, 512)
	checkRows(t, q)
	if st := s.Status(); !errors.Is(st.Reason, ErrFull) || len(warnings) != 1 {
		t.Errorf("status %v, %v; warnings %v", st.Mode, st.Reason, warnings)
	}
	if err := q.Flush(); !errors.Is(err, ErrFull) {
		t.Errorf("flush on a full disk: %v", err)
	}
	if got := reopened(t, m.Clone(), ids); got != 204*64 {
		t.Errorf("%d tokens found, want those of 204 blocks", got)
	}
	m.Limit = 0
	if err := q.Flush(); err != nil {
		t.Errorf("flush with room: %v", err)
	}
	if st := s.Status(); st.Mode != OnDisk || st.Reason != nil {
		t.Errorf("status with room: %v, %v", st.Mode, st.Reason)
	}
	checkRows(t, q)
	if got := reopened(t, m.Clone(), ids); got != len(ids) {
		t.Errorf("%d tokens found after a flush with room, want %d", got, len(ids))
	}
	closeAll(t, s, q)
}

// Invariant I4: what is allocated stays under the cap, whatever is asked; old paths make room.
func TestCapEvictsLeastRecentlyUsedLeaves(t *testing.T) {
	m := memfs.New()
	opt := testOptions()
	opt.MaxBytes = 600 << 10 // a segment of 25 slots
	s, n := openStore(t, m, opt)
	for i := range 20 {
		q := n.NewSequence(nil)
		ids := tokens(64*5+10, int32(i+1))
		compute(t, q, ids, 100)
		if err := q.Flush(); err != nil {
			t.Fatal(err)
		}
		checkRows(t, q)
		q.Close()
		q = n.NewSequence(nil)
		if got := match(t, q, tokens(64*3, 1)); got != 64*3 { // the first path stays in use
			t.Fatalf("after %d paths: %d tokens of the one in use are left", i, got)
		}
		q.Close()
		var size int64
		for _, p := range m.Files() {
			if strings.HasSuffix(p, ".seg") {
				size += int64(len(m.Bytes(p)))
			}
		}
		if size > opt.MaxBytes || size != s.Stats().UsedBytes {
			t.Fatalf("segments take %d bytes, counted %d, cap %d", size, s.Stats().UsedBytes, opt.MaxBytes)
		}
	}
	if s.Stats().EvictedBlocks == 0 {
		t.Error("nothing was evicted")
	}
	for _, b := range n.blocks { // invariant I5
		if b.parent.ids != nil && n.blocks[b.parent.hash] != b.parent {
			t.Error("a block in the index has no parent there")
		}
	}
	q := n.NewSequence(nil)
	if got := match(t, q, tokens(64*5+10, 20)); got != 64*5+10 {
		t.Errorf("%d tokens of the latest path are left", got)
	}
	closeAll(t, s, q)
	opt.MaxBytes = 1000
	s, n = openStore(t, memfs.New(), opt)
	q = n.NewSequence(nil)
	compute(t, q, tokens(200, 1), 64)
	checkRows(t, q)
	if st := s.Stats(); st.UsedBytes != 0 || st.MemoryBlocks != 3 {
		t.Errorf("a cap below one slot: %d bytes used, %d blocks in memory", st.UsedBytes, st.MemoryBlocks)
	}
	closeAll(t, s, q)
}

// Invariant I6: a held slot is not rewritten, however hard the pressure.
func TestHeldBlocksAreNotEvicted(t *testing.T) {
	opt := testOptions()
	opt.MaxBytes = 600 << 10
	s, n := openStore(t, memfs.New(), opt)
	held := n.NewSequence(nil)
	compute(t, held, tokens(64*20, 1), 512)
	for i := range 10 {
		q := n.NewSequence(nil)
		compute(t, q, tokens(64*10, int32(i+2)), 512)
		checkRows(t, q)
		checkRows(t, held)
		q.Close()
	}
	closeAll(t, s, held)
}

func TestWriteErrorKeepsTheSequence(t *testing.T) {
	for _, kind := range []memfs.Kind{memfs.Write, memfs.Fallocate, memfs.Fdatasync, memfs.CreateOp, memfs.Rename, memfs.SyncDir} {
		m := memfs.New()
		s, n := openStore(t, m, testOptions())
		q := n.NewSequence(nil)
		m.Fault = func(op memfs.Op) error {
			if op.Kind == kind {
				return errDisk
			}
			return nil
		}
		ids := tokens(300, 1)
		compute(t, q, ids, 100)
		_ = q.Flush() // its error is for information
		compute(t, q, tokens(400, 1), 100)
		checkRows(t, q)
		if st := s.Status(); st.Mode != InMemory || !errors.Is(st.Reason, errDisk) {
			t.Errorf("%s: status %v, %v", kind, st.Mode, st.Reason)
		}
		if n.Durable() {
			t.Errorf("%s: namespace says it is durable", kind)
		}
		m.Fault = nil
		closeAll(t, s, q)
	}
}

// Rule W4: after a failed sync the blocks that were not durable are not served to anyone else, a retry proves nothing, and the
// sequence that holds them goes on with what it can prove.
func TestFailedSyncIsNotRetried(t *testing.T) {
	m := memfs.New()
	s, n := openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	ids := tokens(400, 1)
	compute(t, q, ids[:140], 100)
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	compute(t, q, ids[:270], 100)
	failures := 0
	m.Fault = func(op memfs.Op) error {
		if op.Kind == memfs.Fdatasync && failures == 0 {
			failures++
			return errDisk
		}
		return nil
	}
	if err := q.Flush(); !errors.Is(err, errDisk) {
		t.Fatalf("flush: %v", err)
	}
	// The kernel dropped the dirty pages: the map shows old bytes for block 2.
	b := m.Bytes(segmentPath(t, m))
	seg := n.disk.segments[0]
	clear(b[seg.slotOff(q.entries[2].block.slot):][:seg.slotBytes])

	other := n.NewSequence(nil)
	if got := match(t, other, ids); got != 128 && got != 140 {
		t.Errorf("another sequence is served %d tokens, want only durable ones", got)
	}
	err := q.Reserve(1)
	if !errors.Is(err, ErrLost) || q.Len() != 128 {
		t.Fatalf("reserve: %v, len %d; want ErrLost at 128", err, q.Len())
	}
	checkRows(t, q)
	compute(t, q, ids, 100)
	checkRows(t, q)
	if q.Flush() != nil || m.Fault(memfs.Op{Kind: memfs.Fdatasync}) != nil {
		t.Error("flush after the failure")
	}
	closeAll(t, s, other, q)
}

// The same where the bytes can still be read: the sequence goes on without a gap, from memory.
func TestFailedSyncKeepsWhatCanBeProved(t *testing.T) {
	m := memfs.New()
	s, n := openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	ids := tokens(400, 1)
	compute(t, q, ids[:270], 100)
	m.Fault = func(op memfs.Op) error {
		if op.Kind == memfs.Fdatasync {
			return errDisk
		}
		return nil
	}
	if err := q.Flush(); !errors.Is(err, errDisk) {
		t.Fatalf("flush: %v", err)
	}
	compute(t, q, ids, 100)
	clear(m.Bytes(segmentPath(t, m))[headerTableOff:]) // nothing of it is looked at any more
	checkRows(t, q)
	m.Fault = nil
	closeAll(t, s, q)
}

func TestSequenceMisuse(t *testing.T) {
	n, err := NewRAM(toyGeometry)
	if err != nil {
		t.Fatal(err)
	}
	q := n.NewSequence(nil)
	for name, err := range map[string]error{
		"reserve -1":             q.Reserve(-1),
		"reserve too many":       q.Reserve(MaxReserve + 1),
		"commit without reserve": q.Commit([]int32{1}),
		"truncate beyond":        q.Truncate(1),
		"truncate below":         q.Truncate(-1),
	} {
		if !errors.Is(err, ErrReserve) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := n.Close(); !errors.Is(err, ErrBusy) {
		t.Errorf("close of a namespace in use: %v", err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	_, matchErr := q.Match(nil)
	for name, err := range map[string]error{
		"reserve": q.Reserve(1), "commit": q.Commit(nil), "truncate": q.Truncate(0), "flush": q.Flush(), "close": q.Close(), "match": matchErr,
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after close: %v", name, err)
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRAMNamespaceSharesWhileHeld(t *testing.T) {
	g := uniform(2, 2, 8, quant.KVF32)
	n, err := NewRAM(g)
	if err != nil {
		t.Fatal(err)
	}
	a, b := n.NewSequence(nil), n.NewSequence(nil)
	ids := tokens(200, 1)
	compute(t, a, ids, 64)
	if got := match(t, b, ids); got != 192 {
		t.Errorf("%d tokens shared, want the full blocks", got)
	}
	a.Close()
	checkRows(t, b)
	b.Close()
	if st := n.Stats(); st.Blocks != 0 || len(n.roots) != 0 {
		t.Errorf("%d blocks and %d roots left without a holder", st.Blocks, len(n.roots))
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

// A namespace on disk is listed with what it takes to open it without a model; one whose META is damaged says why.
func TestStoredNamespaces(t *testing.T) {
	m := memfs.New()
	s, n := openStore(t, m, Options{})
	closeAll(t, s)
	all, err := StoredNamespaces(m, "/home")
	if err != nil || len(all) != 1 || all[0].Err != nil {
		t.Fatalf("%+v, %v", all, err)
	}
	got := all[0]
	if got.Fingerprint != toyPrint || !slices.Equal(got.Geometry.Layers, toyGeometry.Layers) {
		t.Errorf("read back %+v", got)
	}
	s, err = Open(m, "/home", Options{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Namespace(got.Fingerprint, got.Inputs, got.Geometry)
	if err != nil || again.lay.recipeHash != n.lay.recipeHash || s.Status().Reason != nil {
		t.Errorf("opened again: %v, %v", err, s.Status().Reason)
	}
	m.Bytes(filepath.Join("/home", "kv", "v1", got.Dir, "META"))[20] ^= 1
	if all, err = s.Stored(); err != nil || len(all) != 1 || all[0].Err == nil || !strings.Contains(all[0].Err.Error(), "checksum") {
		t.Errorf("damaged: %+v, %v", all, err)
	}
}
