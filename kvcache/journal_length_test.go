package kvcache

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

// longTail makes a session whose last turn begins in one extent and ends in another, and returns its file.
func longTail(t *testing.T, fsys vfs.FS) (*Sessions, string) {
	t.Helper()
	s := testSessions(fsys)
	j := create(t, s, "s")
	must(t, j.Turn("user", "x", tokens(10, 1)))
	must(t, j.Turn("user", strings.Repeat("y", 80<<10), tokens(10, 1)))
	must(t, j.Close())
	return s, s.path("s")
}

// However often it is opened, a journal does not grow; but each time it gets a new length (J11), and what a process left that grew it
// is given back.
func TestJournalDoesNotGrowByOpening(t *testing.T) {
	m := memfs.New()
	s, path := longTail(t, m)
	m.Put(path, append(m.Bytes(path), make([]byte, 5*journalExtent)...))
	for i := range 10 {
		from := m.Calls()
		j, c, err := s.Open("s")
		must(t, err)
		if len(c.Turns) != 2 || c.Damaged {
			t.Fatalf("%d turns, damaged %v", len(c.Turns), c.Damaged)
		}
		if got := len(m.Bytes(path)); got != 3*journalExtent {
			t.Fatalf("opened %d times it has %d bytes, the records end in the second extent", i+1, got)
		}
		if !slices.ContainsFunc(m.Ops()[from:], func(op memfs.Op) bool { return op.Kind == memfs.Write && op.Off == 2*journalExtent }) {
			t.Fatalf("opened %d times: its length is the old one", i+1)
		}
		must(t, j.Close())
	}
	j, _, err := s.Open("s")
	must(t, err)
	must(t, j.Turn("user", strings.Repeat("z", 100<<10), nil))
	must(t, j.Close())
	if c := read(t, s, "s"); len(c.Turns) != 3 || c.Damaged {
		t.Errorf("%d turns, damaged %v", len(c.Turns), c.Damaged)
	}
}

// A journal that has its largest size gets a new length, too.
func TestJournalOfTheLargestSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	f, err := vfs.OS().OpenFile(path, vfs.Write|vfs.Create)
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(maxJournalBytes))
	for _, left := range []int64{100, 0} {
		j := &Journal{sessions: testSessions(vfs.OS()), file: f, end: maxJournalBytes - left, size: maxJournalBytes}
		must(t, j.relength(maxJournalBytes))
		if size, err := f.Size(); err != nil || size != maxJournalBytes || j.size != size || int64(j.stats.ZeroBytes) != left {
			t.Errorf("%d bytes are left: it has %d, %v, and %d zeros were written", left, size, err, j.stats.ZeroBytes)
		}
	}
}

// staleSize is a file that had another length when it was asked.
type staleSize struct {
	vfs.File
	size int64
}

func (f *staleSize) Size() (int64, error) { return f.size, nil }

// Zeros that are cut off while a journal is read are no error.
func TestJournalIsCutWhileItIsRead(t *testing.T) {
	m := memfs.New()
	s, path := longTail(t, m)
	whole := read(t, s, "s")
	for _, length := range []int64{whole.end, whole.end + 8, whole.end + 100, 2 * journalExtent} {
		m.Put(path, slices.Clone(m.Bytes(path)[:length]))
		f, err := m.OpenFile(path, vfs.Read)
		must(t, err)
		c, err := readConversation(&staleSize{f, 5 * journalExtent})
		if err != nil || len(c.Turns) != 2 || c.Damaged {
			t.Errorf("cut to %d bytes: %v, %+v", length, err, c)
		}
		must(t, f.Close())
		m.Put(path, append(m.Bytes(path)[:whole.end], make([]byte, 2*journalExtent-whole.end)...))
	}
}
