package kvcache

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"kvasir/internal/guardmem"
	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
	"kvasir/quant"
)

// qwen is the geometry of Qwen2.5-0.5B.
var qwen = uniform(24, 2, 64, quant.KVInt8)

func realStore(t testing.TB, dir string, g Geometry) (*Store, *Namespace) {
	t.Helper()
	s, err := Open(vfs.OS(), dir, Options{MaxBytes: 2 << 30, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	if st := s.Status(); st.Mode != OnDisk {
		t.Fatal(st.Reason)
	}
	n, err := s.Namespace(toyPrint, nil, g)
	if err != nil {
		t.Fatal(err)
	}
	return s, n
}

func commitAll(t testing.TB, q *Sequence, ids []int32) {
	for len(ids) > 0 {
		n := min(len(ids), MaxReserve)
		must(t, q.Reserve(n))
		must(t, q.Commit(ids[:n]))
		ids = ids[n:]
	}
}

// On the system's own file system: a clean stop and a second process, mapped for real.
func TestOnRealFiles(t *testing.T) {
	dir := t.TempDir()
	s, n := realStore(t, dir, toyGeometry)
	q := n.NewSequence(nil)
	ids := tokens(500, 1)
	compute(t, q, ids, 64)
	must(t, q.Flush())
	if q.entries[0].block.seg.view == nil {
		t.Error("the segment is not mapped")
	}
	other, err := Open(vfs.OS(), dir, testOptions())
	must(t, err)
	if other.Status().Mode != InMemory {
		t.Errorf("a second process: %v", other.Status().Mode)
	}
	must(t, other.Close())
	closeAll(t, s, q)
	s, n = realStore(t, dir, toyGeometry)
	q = n.NewSequence(nil)
	if got := match(t, q, ids); got != len(ids) {
		t.Errorf("%d tokens found, want %d", got, len(ids))
	}
	closeAll(t, s, q)

	sessions := NewSessions(vfs.OS(), dir)
	j := create(t, sessions, "talk")
	must(t, j.Turn("user", "hello", ids))
	if _, _, err := sessions.Open("talk"); err == nil {
		t.Error("a session was opened twice")
	}
	must(t, j.Close())
	if c := read(t, sessions, "talk"); len(c.Turns) != 1 || !slices.Equal(c.Turns[0].IDs, ids) {
		t.Errorf("conversation %+v", c)
	}
	if list, err := sessions.List(); err != nil || len(list) != 1 || list[0].Name != "talk" || list[0].Modified.IsZero() {
		t.Errorf("list %+v, %v", list, err)
	}
	must(t, sessions.Remove("talk"))
}

// A segment that somebody cuts short under the mapping: an error, not the end of the process.
func TestFileCutShortUnderTheMapping(t *testing.T) {
	if guardmem.Emulated() {
		t.Skip("user-mode emulation: it reports a bus error at address 0, which Go takes for a nil pointer")
	}
	dir := t.TempDir()
	s, n := realStore(t, dir, qwen)
	q, other := n.NewSequence(nil), n.NewSequence(nil)
	commitAll(t, q, tokens(64*5, 1))
	files, err := filepath.Glob(filepath.Join(dir, "kv/v1/m-*/kv-000001.seg"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	must(t, os.Truncate(files[0], headerTableOff))
	if err := q.Truncate(64*3 + 5); !errors.Is(err, ErrLost) || q.Len() != 64*3 {
		t.Errorf("truncate: %v, len %d", err, q.Len())
	}
	if got, err := other.Match(tokens(64*2+10, 1)); err != nil || got != 0 {
		t.Errorf("match in a file that no process will open again: %d, %v", got, err)
	}
	must(t, q.Close())
	must(t, other.Close())
	must(t, s.Close())
}

// Several conversations at once, with common prefixes, over one store; run with -race.
func TestConcurrentSequences(t *testing.T) {
	opt := testOptions()
	opt.MaxBytes = 2 << 20
	s, n := openStore(t, memfs.New(), opt)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for round := range 12 {
				q := n.NewSequence(nil)
				ids := append(tokens(150, int32(round%3)), tokens(100, int32(worker%2*10+round))...)
				if _, err := q.Match(ids[:len(ids)-1]); err != nil {
					t.Error(err)
				}
				compute(t, q, ids, 60)
				if n := wrongRows(q); n != 0 {
					t.Errorf("%d wrong rows", n)
				}
				if round%2 == 0 {
					_ = q.Flush() // full at times
				}
				if err := q.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	checkIndex(t, n)
	closeAll(t, s)
}

func TestSteadyStateAllocations(t *testing.T) {
	n, err := NewRAM(toyGeometry)
	must(t, err)
	q := n.NewSequence(nil)
	id := []int32{7}
	must(t, q.Reserve(1))
	must(t, q.Commit(id))
	var sink quant.KVPlane
	allocs := testing.AllocsPerRun(50, func() { // stays within one block
		must(t, q.Reserve(1))
		sink = q.Plane(0, 1, V, 0)
		must(t, q.Commit(id))
	})
	if allocs != 0 || sink.N() != BlockTokens {
		t.Errorf("%v allocations per token", allocs)
	}
	must(t, q.Close())
	must(t, n.Close())
}

func BenchmarkPlane(b *testing.B) {
	n, _ := NewRAM(qwen)
	q := n.NewSequence(nil)
	must(b, q.Reserve(64))
	sum := 0
	for b.Loop() {
		p := q.Plane(11, 1, V, 0)
		sum += len(p.Rows) + len(p.Scales)
	}
	if sum == 0 {
		b.Fatal("no rows")
	}
}

// One token committed, sealing and storing every 64th one.
func BenchmarkCommitToken(b *testing.B) {
	for _, c := range []struct {
		name string
		open func() *Namespace
	}{
		{"ram", func() *Namespace { n, _ := NewRAM(qwen); return n }},
		{"disk", func() *Namespace { _, n := realStore(b, b.TempDir(), qwen); return n }},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := c.open()
			q := n.NewSequence(nil)
			id := make([]int32, 1)
			for b.Loop() {
				if q.Len() == 4096 {
					must(b, q.Truncate(0))
					id[0]++
				}
				must(b, q.Reserve(1))
				must(b, q.Commit(id))
			}
		})
	}
}

// A stored path of 2,048 tokens: found in a new process whose page cache is warm (first), and again in the same one.
func BenchmarkMatch2048(b *testing.B) {
	dir := b.TempDir()
	ids := tokens(2048, 1)
	s, n := realStore(b, dir, qwen)
	q := n.NewSequence(nil)
	commitAll(b, q, ids)
	must(b, q.Flush())
	closeAll(b, s, q)
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			s, n := realStore(b, dir, qwen)
			q := n.NewSequence(nil)
			b.StartTimer()
			if got, err := q.Match(ids); got != len(ids) || err != nil {
				b.Fatal(got, err)
			}
			b.StopTimer()
			closeAll(b, s, q)
			b.StartTimer()
		}
	})
	b.Run("again", func(b *testing.B) {
		s, n := realStore(b, dir, qwen)
		defer s.Close()
		for b.Loop() {
			q := n.NewSequence(nil)
			if got, err := q.Match(ids); got != len(ids) || err != nil {
				b.Fatal(got, err)
			}
			must(b, q.Close())
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, _ := realStore(b, dir, qwen)
			must(b, s.Close())
		}
	})
}

func BenchmarkJournalToken(b *testing.B) {
	j := create(b, NewSessions(vfs.OS(), b.TempDir()), "s")
	ids, text := []int32{5}, []byte(" word")
	for b.Loop() {
		must(b, j.Tokens(ids, text, nil))
	}
}

// One token committed where no block becomes full.
func BenchmarkCommitWithinBlock(b *testing.B) {
	n, _ := NewRAM(qwen)
	q := n.NewSequence(nil)
	id := []int32{7}
	for b.Loop() {
		if q.Len() == BlockTokens-1 {
			must(b, q.Truncate(1))
		}
		must(b, q.Reserve(1))
		must(b, q.Commit(id))
	}
}
