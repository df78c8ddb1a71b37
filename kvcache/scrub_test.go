package kvcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kvasir/internal/crashfs"
	"kvasir/platform/vfs/memfs"
)

// talk adds turns to a session, making it if it is not there, and stores their rows as an engine does: at the end of each.
func talk(t testing.TB, s *Sessions, n *Namespace, name string, turns ...[]int32) {
	t.Helper()
	j, c, err := s.Open(name)
	if errors.Is(err, ErrNoSession) {
		j, c = create(t, s, name), &Conversation{}
		must(t, j.Model(ModelRecord{Fingerprint: toyPrint, Name: "toy"}))
	} else {
		must(t, err)
	}
	path := c.IDs()
	q := n.NewSequence(nil)
	for _, ids := range turns {
		must(t, j.Turn("user", name, ids))
		path = append(path, ids...)
		match(t, q, path)
		compute(t, q, path, 50)
		must(t, q.Flush())
	}
	must(t, errors.Join(q.Close(), j.Close()))
}

// sees tells whether any segment holds the row of the last token of path, or its ids.
func sees(m *memfs.FS, path []int32) bool {
	row := make([]byte, 8)
	rowOf(row, paths(path)[len(path)-1], 0, 0, K)
	var ids []byte
	for _, id := range path[len(path)-3:] {
		ids = binary.LittleEndian.AppendUint32(ids, uint32(id))
	}
	for _, file := range m.Files() {
		if b := m.Bytes(file); strings.HasSuffix(file, ".seg") && (bytes.Contains(b, row) || bytes.Contains(b, ids)) {
			return true
		}
	}
	return false
}

// stored returns how many tokens of a path the store has.
func stored(t testing.TB, n *Namespace, path []int32) int {
	t.Helper()
	q := n.NewSequence(nil)
	defer q.Close()
	return match(t, q, path)
}

func join(parts ...[]int32) []int32 { return slices.Concat(parts...) }

// What only the removed session used is nowhere on the disk any more: rows, tails that longer blocks replaced, turns that it had
// taken back. What others use is as before: sessions with the same beginning, forks, runs without a session.
func TestRemovedSessionLeavesNoRows(t *testing.T) {
	m := memfs.New()
	store, n := openStore(t, m, testOptions())
	s := testSessions(m)
	system, private, secret, more := tokens(150, 1), tokens(100, 2), tokens(90, 3), tokens(70, 4)
	talk(t, s, n, "a", system, private[:30], private[30:], secret)
	j, _, err := s.Open("a")
	must(t, err)
	must(t, errors.Join(j.Rewind(3), j.Close()))
	talk(t, s, n, "a", more)
	talk(t, s, n, "b", system, tokens(80, 5))
	q := n.NewSequence(nil)
	run := join(system[:128], tokens(64, 6))
	match(t, q, run)
	compute(t, q, run, 64)
	must(t, errors.Join(q.Flush(), q.Close()))
	must(t, s.Fork(read(t, s, "a"), "fork", 2))

	full := join(system, private, more)
	if got := stored(t, n, full); got != len(full) || !sees(m, full) || !sees(m, join(system, private, secret)) {
		t.Fatalf("%d of %d tokens stored before", got, len(full))
	}
	rows, err := s.Rows(read(t, s, "a"))
	must(t, err)
	// 320 tokens; two blocks are shared with b and with the fork, whose third begins alike.
	if want := []SharedRows{{"fork", 128, 2 * 16384}, {"b", 128, 2 * 16384}}; rows.Blocks != 5 || rows.Bytes != 5*16384 || !slices.Equal(rows.Shared, want) {
		t.Errorf("rows %+v", rows)
	}
	done, err := s.RemoveRows("a", store)
	must(t, err)
	if done.Kept != 2 || done.Blocks < 4 || done.Why != nil {
		t.Errorf("removed %+v", done)
	}
	checkIndex(t, n)
	for name, path := range map[string][]int32{"last turn": full, "taken back": join(system, private, secret), "a tail": join(system, private[:30]), "a block": join(system, private)} {
		if sees(m, path) {
			t.Errorf("%s is still on the disk", name)
		}
	}
	for name, c := range map[string]struct {
		path []int32
		want int
	}{"a": {full, 150}, "b": {join(system, tokens(80, 5)), 230}, "run": {run, len(run)}, "fork": {join(system, private[:30]), 150}} {
		if got := stored(t, n, c.path); got != c.want { // of the third block, b has the end of what is common
			t.Errorf("%s: %d tokens stored, want %d", name, got, c.want)
		}
	}
	for _, name := range []string{"b", "fork"} {
		_, err := s.RemoveRows(name, store)
		must(t, err)
	}
	if st := n.Stats(); st.Blocks != 3 || stored(t, n, run) != len(run) {
		t.Errorf("%d blocks are left, want the three of the run without a session", st.Blocks)
	}
	must(t, store.Close())
	if got := reopened(t, m, full); got != 128 {
		t.Errorf("the next process finds %d tokens of the removed session", got)
	}
}

// The session goes, its rows stay and it is said why: another process has the store, or the journal does not tell.
func TestRemoveRowsThatCannotBeRemoved(t *testing.T) {
	m := memfs.New()
	store, n := openStore(t, m, testOptions())
	s := testSessions(m)
	ids := tokens(150, 1)
	for _, name := range []string{"a", "b", "c"} {
		talk(t, s, n, name, ids)
	}
	other, err := Open(m, "/home", testOptions())
	must(t, err)
	if done, err := s.RemoveRows("a", other); err != nil || !errors.Is(done.Why, other.Status().Reason) || done.Blocks != 0 {
		t.Errorf("beside another process: %+v, %v", done, err)
	}
	must(t, other.Close())
	clear(m.Bytes(s.path("b"))[:8])
	clear(m.Bytes(s.path("b"))[journalCopy:][:8])
	if done, err := s.RemoveRows("b", store); err != nil || !errors.Is(done.Why, ErrJournal) || done.Blocks != 0 {
		t.Errorf("an unreadable journal: %+v, %v", done, err)
	}
	q := n.NewSequence(nil)
	match(t, q, ids)
	if done, err := s.RemoveRows("c", store); err != nil || done.Kept != 2 || done.Blocks != 1 {
		t.Errorf("under a running sequence: %+v, %v", done, err)
	}
	checkRows(t, q)
	closeAll(t, store, q)
	for _, name := range []string{"a", "b", "c"} {
		if _, err := s.Read(name); !errors.Is(err, ErrNoSession) {
			t.Errorf("session %s: %v", name, err)
		}
	}
	if got := reopened(t, m, ids); got != 128 {
		t.Errorf("%d tokens stored", got)
	}
}

// The pin of a session goes with it, also where its rows are to stay; what another pin holds stays.
func TestRemoveRowsAndPins(t *testing.T) {
	for _, keep := range []bool{false, true} {
		m := memfs.New()
		store, n := openStore(t, m, testOptions())
		s := testSessions(m)
		system, private := tokens(130, 1), tokens(100, 2)
		talk(t, s, n, "a", system, private)
		for label, path := range map[string][]int32{SessionPin("a"): join(system, private), "pack": system} {
			_, err := n.Pin(label, path)
			must(t, err)
		}
		remove := s.RemoveRows
		if keep {
			remove = s.RemoveUnpinned
		}
		done, err := remove("a", store)
		must(t, err)
		want := 192 // the block in which the pack ends stays whole
		if keep {
			want = 230
		}
		if got := stored(t, n, join(system, private)); got != want || keep != (done.Blocks == 0) || done.Why != nil {
			t.Errorf("keep %v: %d tokens stored, want %d; %+v", keep, got, want, done)
		}
		if pins := n.Pins(); len(pins) != 1 || pins[0].Label != "pack" || pins[0].Stored != 130 {
			t.Errorf("keep %v: pins %+v", keep, pins)
		}
		must(t, store.Close())
	}
}

// A disk that fails under a removal leaves the session, so that it can be removed again.
func TestRemoveRowsAgainAfterAFailure(t *testing.T) {
	for _, kind := range []memfs.Kind{memfs.Punch, memfs.Fdatasync, memfs.Write} {
		m := memfs.New()
		store, n := openStore(t, m, testOptions())
		s := testSessions(m)
		talk(t, s, n, "a", tokens(150, 1))
		m.Fault = func(op memfs.Op) error {
			if op.Kind == kind && strings.HasSuffix(op.Path, ".seg") {
				return errDisk
			}
			return nil
		}
		if _, err := s.RemoveRows("a", store); !errors.Is(err, errDisk) {
			t.Errorf("%s fails: %v", kind, err)
		}
		m.Fault = nil
		_ = store.Close()
		read(t, s, "a")
		store, n = openStore(t, m, testOptions())
		_, err := s.RemoveRows("a", store)
		must(t, err)
		if got := stored(t, n, tokens(150, 1)); got != 0 || sees(m, tokens(150, 1)) {
			t.Errorf("%s: %d tokens left after the second removal", kind, got)
		}
		must(t, store.Close())
	}
}

// A header that cannot be read ends a removal; each free slot is then free once, or two blocks would share it.
func TestRemoveRowsWithAnUnreadableHeader(t *testing.T) {
	m := memfs.New()
	store, n := openStore(t, m, testOptions())
	s := testSessions(m)
	ids := tokens(200, 1)
	talk(t, s, n, "a", ids)
	n.mu.Lock()
	for n.lru.back != nil { // evicted: slots that are free and hold headers of the session
		n.drop(n.lru.back)
	}
	seg := n.disk.segments[0]
	free := slices.Sorted(slices.Values(seg.free))
	last := seg.free[len(seg.free)-1]
	n.mu.Unlock()
	m.Fault = func(op memfs.Op) error {
		if op.Kind == memfs.Read && strings.HasSuffix(op.Path, ".seg") && op.Off == headerTableOff+int64(last)*headerBytes {
			return errDisk
		}
		return nil
	}
	if _, err := s.RemoveRows("a", store); !errors.Is(err, errDisk) {
		t.Errorf("removed: %v", err)
	}
	m.Fault = nil
	n.mu.Lock()
	if now := slices.Sorted(slices.Values(seg.free)); !slices.Equal(now, free) {
		t.Errorf("%d slots are free, were %d: %v", len(now), len(free), now)
	}
	n.mu.Unlock()
	done, err := s.RemoveRows("a", store)
	if must(t, err); sees(m, ids) || done.Why != nil {
		t.Errorf("rows are left after the second removal: %+v", done)
	}
	must(t, store.Close())
}

// Random sessions that branch, go on, take back and are removed: a removal takes all that only the removed one ever used, and
// nothing that another session uses.
func TestRemoveRowsAgainstModel(t *testing.T) {
	seeds := uint64(25)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 3))
		m := memfs.New()
		m.NoRecord = true
		store, n := openStore(t, m, testOptions())
		s := testSessions(m)
		past := map[string][][]int32{} // every path a session has had
		path := func(name string) []int32 { return read(t, s, name).IDs() }
		next := int32(100)
		for step := range 40 {
			names := slices.Collect(func(yield func(string) bool) {
				_ = s.Scan(func(i SessionInfo, _ *Conversation) error { yield(i.Name); return nil })
			})
			slices.Sort(names)
			if len(names) < 2 {
				name := fmt.Sprint("new", step)
				talk(t, s, n, name, tokens(100, 1), tokens(30, next))
				past[name] = append(past[name], path(name))
				next++
				continue
			}
			name := names[r.IntN(len(names))]
			c := read(t, s, name)
			switch op := r.IntN(8); {
			case op < 3:
				talk(t, s, n, name, tokens(1+r.IntN(150), next))
				next++
			case op < 4:
				j, _, err := s.Open(name)
				must(t, err)
				must(t, errors.Join(j.Rewind(r.IntN(len(c.Turns)+1)), j.Close()))
			case op < 6:
				name = fmt.Sprint("fork", step)
				must(t, s.Fork(c, name, r.IntN(len(c.Turns)+1)))
			default:
				before := map[string]int{}
				for _, other := range names {
					before[other] = stored(t, n, path(other)) / BlockTokens
				}
				done, err := s.RemoveRows(name, store)
				must(t, err)
				for _, other := range names {
					if other == name {
						continue
					}
					if got := stored(t, n, path(other)) / BlockTokens; got != before[other] {
						t.Fatalf("seed %d, step %d: removing %s (%+v) took rows of %s: %d blocks of %d", seed, step, name, done, other, got, before[other])
					}
				}
				for _, gone := range past[name] {
					needed := slices.ContainsFunc(names, func(other string) bool {
						return other != name && slices.ContainsFunc(past[other], func(p []int32) bool { return commonPrefix(p, gone) == len(gone) })
					})
					if len(gone) > 2 && !needed && sees(m, gone) {
						t.Fatalf("seed %d, step %d: rows of %s are still there", seed, step, name)
					}
				}
				delete(past, name)
				checkIndex(t, n)
				continue
			}
			past[name] = append(past[name], path(name))
		}
		must(t, store.Close())
	}
}

// A power cut at any call of a removal with rows: each session is whole or gone, no wrong row is found and no other session's is
// lost; when the removal has returned, nothing of the removed rows can come back.
func TestRemoveRowsCrashes(t *testing.T) {
	m := memfs.New()
	store, n := openStore(t, m, testOptions())
	s := testSessions(m)
	system, private := tokens(70, 1), tokens(100, 2)
	talk(t, s, n, "a", system, private[:40], private[40:])
	talk(t, s, n, "b", system, tokens(30, 3))
	a, b := read(t, s, "a").Turns, read(t, s, "b").Turns
	must(t, store.Sync())
	disk, done, images := crashfs.NewDisk(nil), 0, 0
	for _, op := range m.Ops() {
		disk.Apply(op)
		done++
	}
	_, err := s.RemoveRows("a", store)
	must(t, err)
	must(t, store.Close())
	ops := m.Ops()
	seen := map[uint64]bool{}
	for ; ; done++ {
		for choice := range disk.Choices(crashfs.Plan{Exhaustive: 32, Random: 6, Torn: 3, Stale: 1}, 0, seen, rand.New(rand.NewPCG(2, uint64(done)))) {
			image := disk.Image(choice)
			fail := func(format string, args ...any) {
				t.Helper()
				t.Fatalf("cut after call %d (%s): %s\n%s", done, ops[done-1].Kind, fmt.Sprintf(format, args...), disk.Describe(choice))
			}
			s := testSessions(image)
			if c, err := s.Read("a"); err == nil && !sameTurns(c.Turns, a) || err != nil && !errors.Is(err, ErrNoSession) || err == nil && done == len(ops) {
				fail("session a: %v", err)
			}
			if c, err := s.Read("b"); err != nil || !sameTurns(c.Turns, b) {
				fail("session b: %v", err)
			}
			if done == len(ops) && sees(image, join(system, private)) {
				fail("rows are left")
			}
			store, n := openStore(t, image, testOptions())
			if got := stored(t, n, join(system, tokens(30, 3))); got != 100 {
				fail("%d of b's tokens are stored", got)
			}
			stored(t, n, join(system, private)) // what is found is right
			if _, err := s.Read("a"); err == nil {
				if _, err := s.RemoveRows("a", store); err != nil || sees(image, join(system, private)) {
					fail("removed again: rows are left, or %v", err)
				}
			}
			must(t, store.Close())
			images++
		}
		if done == len(ops) {
			break
		}
		disk.Apply(ops[done])
	}
	t.Logf("%d images of %d calls", images, len(ops))
}
