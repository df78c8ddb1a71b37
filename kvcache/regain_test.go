package kvcache

import (
	"strings"
	"testing"

	"kvasir/platform"
	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

// keptSpace is a file system that keeps the space of removed files, as one with snapshots does.
type keptSpace struct {
	*memfs.FS
	free int64
}

func (k *keptSpace) Free(string) (platform.Space, error) {
	return platform.Space{Total: 1 << 40, Free: k.free}, nil
}

// tenSegments fills ten segments of eight slots.
func tenSegments(t *testing.T, n *Namespace) {
	t.Helper()
	for i := range int32(10) {
		q := n.NewSequence(nil)
		compute(t, q, tokens(8*BlockTokens, i), 64)
		must(t, q.Flush())
		must(t, q.Close())
	}
	if len(n.disk.segments) != 10 {
		t.Fatalf("%d segments, want 10", len(n.disk.segments))
	}
}

// Where removing a segment of another model brings no space, the others stay, however often a block wants some; and when there is
// space again, it is used.
func TestSegmentsStayWhereTheirSpaceDoesNotComeBack(t *testing.T) {
	const floor = 1 << 30
	for name, c := range map[string]struct {
		free  int64
		fault error
	}{
		"no space though some is free":      {1 << 40, vfs.ErrNoSpace},
		"free space that removals leave":    {floor, nil},
		"no space, and none seems to be":    {floor, vfs.ErrNoSpace},
		"free space below the floor by far": {floor / 2, nil},
	} {
		m := &keptSpace{memfs.New(), 1 << 40}
		opt := ticking(testOptions())
		opt.segmentSlots, opt.MinFree = 8, floor
		opt.MaxBytes = 1 << 40
		s, err := Open(m, "/home", opt)
		must(t, err)
		a, b := openModel(t, s, 0), openModel(t, s, 1)
		tenSegments(t, a)
		m.free = c.free
		m.Fault = func(op memfs.Op) error {
			if op.Kind == memfs.Fallocate && strings.HasSuffix(op.Path, ".seg") {
				return c.fault
			}
			return nil
		}
		q := b.NewSequence(nil)
		ids := tokens(20*BlockTokens, 99)
		for to := 4 * BlockTokens; to <= len(ids); to += 4 * BlockTokens {
			compute(t, q, ids[:to], 64)
			_ = q.Flush() // says that there is no room
		}
		if left := len(a.disk.segments); left < 9 {
			t.Errorf("%s: %d segments of 10 are left of the other model", name, left)
		}
		if len(b.disk.segments) > 0 {
			t.Errorf("%s: %d segments are made", name, len(b.disk.segments))
		}
		m.Fault, m.free = nil, 1<<40
		must(t, q.Flush())
		if len(b.disk.segments) == 0 {
			t.Errorf("%s: nothing is stored when there is space again", name)
		}
		closeAll(t, s, q)
	}
}

// Space that comes with every removal is taken until there is enough.
func TestSegmentsGoWhileTheirSpaceComesBack(t *testing.T) {
	m := memfs.New()
	opt := ticking(testOptions())
	opt.segmentSlots, opt.MinFree = 8, 1<<20
	opt.MaxBytes = 1 << 40
	s, err := Open(m, "/home", opt)
	must(t, err)
	a, b := openModel(t, s, 0), openModel(t, s, 1)
	tenSegments(t, a)
	m.Limit = s.Stats().UsedBytes - segmentBytes(a.lay, 8) + opt.MinFree // a segment more is there than may be
	q := b.NewSequence(nil)
	compute(t, q, tokens(BlockTokens, 99), 64)
	if left := len(a.disk.segments); len(b.disk.segments) != 1 || left > 8 || left < 6 {
		t.Errorf("%d segments are made, %d of 10 are left of the other model", len(b.disk.segments), left)
	}
	m.Limit = 0
	closeAll(t, s, q)
}

// A snapshot that finds no space costs the rows no more than it would take itself.
func TestRowsStayWhereSnapshotsFindNoSpace(t *testing.T) {
	m := memfs.New()
	opt := ticking(testOptions())
	opt.segmentSlots = 8
	s, n := openStates(t, m, opt)
	tenSegments(t, n)
	m.Fault = func(op memfs.Op) error {
		if op.Kind == memfs.Fallocate && strings.Contains(op.Path, "-st-") {
			return vfs.ErrNoSpace
		}
		return nil
	}
	for i := range int32(5) {
		h := &hybrid{q: n.NewSequence(nil)}
		h.match(t, nil)
		h.extend(t, tokens(40, 99+i))
		h.close(t)
	}
	lost := segmentBytes(n.lay.state, 8)/segmentBytes(n.lay, 8) + 1
	if left := len(n.disk.segments); left < 10-int(lost) {
		t.Errorf("%d segments of 10 are left; one of snapshots is as large as %d of them", left, lost)
	}
	m.Fault = nil
	must(t, s.Close())
}
