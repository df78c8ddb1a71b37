package kvcache

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"kvasir/internal/guardmem"
	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

// onlySegment returns the path of the one segment under a home directory.
func onlySegment(t testing.TB, home string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(home, "kv/v1/m-*/kv-*.seg"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	return files[0]
}

// byAnother changes a file as another process would: through a descriptor of its own, later than the file system's clock ticks.
func byAnother(t testing.TB, path string, change func(f vfs.File) error) {
	t.Helper()
	time.Sleep(20 * time.Millisecond)
	f, err := vfs.OS().OpenFile(path, vfs.Write)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(change(f), f.Close()); errors.Is(err, vfs.ErrUnsupported) {
		t.Skip("this file system cannot do it: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
}

// P3 against other programs: what somebody does to a segment under the running process is found before the next pass. What is
// damaged is computed again and stored again; what is not stays.
func TestChangesByOthersAreFound(t *testing.T) {
	if guardmem.Emulated() {
		t.Skip("user-mode emulation: it reports a bus error at address 0, which Go takes for a nil pointer")
	}
	lay, _ := newLayout(toyGeometry)
	count := newSegmentSlots(lay, 1<<30)
	at := func(slot int) int64 { return int64(slotAt(lay, count, slot)) }
	ids := tokens(5*64+10, 1)
	for name, c := range map[string]struct {
		change func(f vfs.File) error
		kept   int // positions that are left
	}{
		"a hole over block 2": {func(f vfs.File) error { return f.Punch(at(2), int64(lay.slotBytes)) }, 128},
		"a hole over all":     {func(f vfs.File) error { return f.Punch(0, at(count)) }, 0},
		"a byte of block 3":   {func(f vfs.File) error { _, err := f.WriteAt([]byte{0x55}, at(3)+100); return err }, 192},
		"the same bytes": {func(f vfs.File) error {
			b := make([]byte, lay.slotBytes)
			if _, err := f.ReadAt(b, at(1)); err != nil {
				return err
			}
			_, err := f.WriteAt(b, at(1))
			return err
		}, 5*64 + 10},
		"the first superblock": {func(f vfs.File) error { _, err := f.WriteAt(make([]byte, 4096), 0); return err }, 5*64 + 10},
		"a free slot":          {func(f vfs.File) error { _, err := f.WriteAt([]byte{1}, at(count-1)); return err }, 5*64 + 10},
		"cut to a quarter":     {func(f vfs.File) error { return f.Truncate(at(count) / 4) }, 0},
		"emptied":              {func(f vfs.File) error { return f.Truncate(0) }, 0},
		"one byte more":        {func(f vfs.File) error { return f.Truncate(at(count) + 1) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, n := realStore(t, dir, toyGeometry)
			q, other := n.NewSequence(nil), n.NewSequence(nil)
			compute(t, q, ids, 100)
			byAnother(t, onlySegment(t, dir), c.change)

			err := q.Reserve(1)
			var lost *LostError
			if c.kept == len(ids) && err != nil || c.kept < len(ids) && (!errors.As(err, &lost) || !slices.Equal(lost.IDs, ids[c.kept:])) || q.Len() != c.kept {
				t.Fatalf("reserve: %v, %d positions left, expected %d", err, q.Len(), c.kept)
			}
			checkRows(t, q)
			if got := match(t, other, ids); got != c.kept/64*64 { // the tail is q's own
				t.Errorf("another sequence finds %d tokens, expected %d", got, c.kept/64*64)
			}
			compute(t, q, ids, 64)
			checkRows(t, q)
			must(t, q.Flush())
			if st := s.Status(); st.Reason != nil {
				t.Errorf("status %v", st.Reason)
			}
			closeAll(t, s, q, other)

			expectStored(t, dir, ids)
		})
	}
}

// expectStored fails the test unless the next process finds the whole path in the store at dir.
func expectStored(t *testing.T, dir string, path []int32) {
	t.Helper()
	s, n := realStore(t, dir, toyGeometry)
	q := n.NewSequence(nil)
	if got := match(t, q, path); got != len(path) {
		t.Errorf("the next process finds %d tokens of %d", got, len(path))
	}
	closeAll(t, s, q)
}

// What we write ourselves, from several sequences, raises no alarm: nothing is verified twice.
func TestOwnWritesAreNoAlarm(t *testing.T) {
	dir := t.TempDir()
	s, n := realStore(t, dir, toyGeometry)
	var qs []*Sequence
	for i := range 3 {
		q := n.NewSequence(nil)
		qs = append(qs, q)
		for size := 40; size <= 400; size += 40 {
			compute(t, q, tokens(size, int32(i)), 64)
			must(t, q.Flush())
			time.Sleep(time.Millisecond)
		}
	}
	seg := n.disk.segments[0]
	if g := seg.generation.Load(); g != 1 || s.Stats().Verified != 0 {
		t.Errorf("generation %d, %d blocks verified", g, s.Stats().Verified)
	}
	closeAll(t, s, qs...)
}

// A file system whose times never stand still costs a bounded number of verifications in an hour, and what was not verified is when it is
// over; a hole and a file cut short are found at once all the same.
func TestRestlessTimesWaitForTheNextHour(t *testing.T) {
	lay, _ := newLayout(toyGeometry)
	dir := t.TempDir()
	s, n := realStore(t, dir, toyGeometry)
	q := n.NewSequence(nil)
	ids := tokens(200, 1)
	compute(t, q, ids, 64)
	path, seg := onlySegment(t, dir), n.disk.segments[0]
	now := time.Unix(1e9, 0)
	seg.clock = func() time.Time { return now }
	touch := func(i int) {
		t.Helper()
		at := time.Unix(int64(1e9+i), 0)
		must(t, os.Chtimes(path, at, at))
		must(t, q.Reserve(1))
	}
	generation := func(want uint32) {
		t.Helper()
		if g := seg.generation.Load(); g != want {
			t.Errorf("generation %d, want %d", g, want)
		}
	}
	for i := range 2 * maxAlarms {
		touch(i)
	}
	generation(1 + maxAlarms)
	now = now.Add(alarmPeriod)
	must(t, q.Reserve(1)) // what waited
	generation(2 + maxAlarms)
	for i := range 2 * maxAlarms { // touched once a day, for ever
		now = now.Add(24 * time.Hour)
		touch(i)
	}
	generation(2 + 3*maxAlarms)
	for i := range 2 * maxAlarms {
		touch(i)
	}
	checkRows(t, q)
	byAnother(t, path, func(f vfs.File) error {
		return f.Punch(int64(slotAt(lay, newSegmentSlots(lay, 1<<30), 1)), int64(lay.slotBytes))
	})
	if err := q.Reserve(1); !errors.Is(err, ErrLost) || q.Len() != 64 {
		t.Errorf("a hole: %v, %d positions left", err, q.Len())
	}
	for i := range 2 * maxAlarms {
		touch(i)
	}
	must(t, os.Truncate(path, 1<<16))
	if err := q.Reserve(1); !errors.Is(err, ErrLost) || q.Len() != 0 {
		t.Errorf("reserve: %v, %d positions left", err, q.Len())
	}
	closeAll(t, s, q)
}

// The look at the segments before every pass costs no memory.
func TestReserveAllocatesNothing(t *testing.T) {
	s, n := realStore(t, t.TempDir(), toyGeometry)
	q := n.NewSequence(nil)
	compute(t, q, tokens(200, 1), 64)
	if a := testing.AllocsPerRun(100, func() { must(t, q.Reserve(1)) }); a != 0 {
		t.Errorf("%v allocations", a)
	}
	closeAll(t, s, q)
}

// Going back into a block copies its rows out of the mapping: what somebody did to them meanwhile is found before the copy is used, and
// neither served nor stored anew with checksums that fit.
func TestTruncateIntoAChangedBlock(t *testing.T) {
	lay, _ := newLayout(toyGeometry)
	count := newSegmentSlots(lay, 1<<30)
	at := func(slot int) int64 { return int64(slotAt(lay, count, slot)) }
	punch := func(slot int) func(f vfs.File) error {
		return func(f vfs.File) error { return f.Punch(at(slot), int64(lay.slotBytes)) }
	}
	windows := func(f vfs.File) error {
		_, err := f.WriteAt([]byte{0x55}, at(4)+int64(lay.planes[2*1].off)+50) // of the windowed layer
		return err
	}
	ids := tokens(5*64+10, 1)
	for name, c := range map[string]struct {
		change func(f vfs.File) error
		kept   int
	}{
		"a hole over the block":      {punch(4), 256},
		"a hole before the block":    {punch(3), 286}, // found by the next Reserve
		"windowed rows of the block": {windows, 256},
		"the same bytes": {func(f vfs.File) error {
			b := make([]byte, lay.slotBytes)
			if _, err := f.ReadAt(b, at(4)); err != nil {
				return err
			}
			_, err := f.WriteAt(b, at(4))
			return err
		}, 286},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, n := realStore(t, dir, toyGeometry)
			q := n.NewSequence(nil)
			compute(t, q, ids, 100)
			must(t, q.Flush())
			byAnother(t, onlySegment(t, dir), c.change)

			err := q.Truncate(4*64 + 30)
			var lost *LostError
			if c.kept == 286 && err != nil || c.kept < 286 && (!errors.As(err, &lost) || !slices.Equal(lost.IDs, ids[c.kept:286])) || q.Len() != c.kept {
				t.Fatalf("truncate: %v, %d positions left, expected %d", err, q.Len(), c.kept)
			}
			if err := q.Reserve(1); err != nil && !errors.Is(err, ErrLost) {
				t.Fatal(err)
			}
			checkRows(t, q)
			path := slices.Concat(ids[:q.Len()], tokens(100, 9))
			compute(t, q, path, 64)
			must(t, q.Flush())
			closeAll(t, s, q)
			expectStored(t, dir, path)
		})
	}
}

// A pack is made of rows that were verified, or not at all: its checksums would make others' zeros good.
func TestPackOfAChangedSegment(t *testing.T) {
	lay, _ := newLayout(toyGeometry)
	count := newSegmentSlots(lay, 1<<30)
	at := func(slot int) int64 { return int64(slotAt(lay, count, slot)) }
	ids := tokens(5*64+10, 1)
	for name, c := range map[string]struct {
		change func(f vfs.File) error
		whole  bool
	}{
		"a hole": {func(f vfs.File) error { return f.Punch(at(2), int64(lay.slotBytes)) }, false},
		"windowed rows": {func(f vfs.File) error {
			_, err := f.WriteAt([]byte{0x55}, at(4)+int64(lay.planes[2*1].off)+50)
			return err
		}, false},
		"a free slot": {func(f vfs.File) error { _, err := f.WriteAt([]byte{1}, at(count-1)); return err }, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, n := realStore(t, dir, toyGeometry)
			q := n.NewSequence(nil)
			compute(t, q, ids, 100)
			byAnother(t, onlySegment(t, dir), c.change)
			var pack bytes.Buffer
			if _, err := q.WritePack(&pack, toyPrint, nil, "x"); c.whole && err != nil || !c.whole && !errors.Is(err, ErrLost) {
				t.Errorf("pack: %v", err)
			}
			closeAll(t, s, q)
			s, n = openStore(t, memfs.New(), testOptions())
			_, err := s.AddPack(&pack, false)
			if c.whole {
				must(t, err)
			}
			q = n.NewSequence(nil)
			if got := match(t, q, ids); c.whole && got != len(ids) {
				t.Errorf("%d tokens of the pack are found", got)
			}
			closeAll(t, s, q)
		})
	}
}
