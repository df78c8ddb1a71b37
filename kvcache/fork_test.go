package kvcache

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kvasir/internal/crashfs"
	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

// longSession makes a session of n tokens in exchanges of 25 read and 75 generated ones, one record per generated token.
func longSession(t testing.TB, s *Sessions, name string, n int) {
	t.Helper()
	j := create(t, s, name)
	must(t, j.Model(ModelRecord{Fingerprint: toyPrint, Name: "toy"}))
	state := make([]byte, 16)
	for id := 0; id < n; id += 100 {
		must(t, j.turn(s.now(), "user", strings.Repeat("word ", 25), tokens(25, int32(id))))
		for k := range 75 {
			state[0] = byte(k)
			must(t, j.Tokens([]int32{int32(id + 25 + k)}, []byte(" word"), state))
		}
		must(t, j.endTurn(s.now(), "stop", state))
	}
	must(t, errors.Join(j.Sync(), j.Close()))
}

// heldSession is what a session should hold, and its journal while it is open.
type heldSession struct {
	turns []Turn
	open  bool // tokens that follow belong to the last turn
	j     *Journal
}

// copyOf is what a fork of the first n turns should hold.
func (h *heldSession) copyOf(n int) *heldSession {
	c := &heldSession{open: h.open && n == len(h.turns)}
	for _, t := range h.turns[:n] {
		t.IDs, t.Sampler = slices.Clone(t.IDs), slices.Clone(t.Sampler)
		c.turns = append(c.turns, t)
	}
	return c
}

// sameTurns is reflect.DeepEqual but for empty slices that are nil.
func sameTurns(a, b []Turn) bool {
	return slices.EqualFunc(a, b, func(x, y Turn) bool {
		same := slices.Equal(x.IDs, y.IDs) && slices.Equal(x.Sampler, y.Sampler) && x.At.Equal(y.At)
		x.IDs, y.IDs, x.Sampler, y.Sampler, x.At, y.At = nil, nil, nil, nil, time.Time{}, time.Time{}
		return same && reflect.DeepEqual(x, y)
	})
}

// act does one random thing to the session, in its journal and in what it should hold.
func (h *heldSession) act(t *testing.T, r *rand.Rand, at time.Time) {
	t.Helper()
	ids := tokens(r.IntN(4), int32(r.IntN(100)))
	text := strings.Repeat("é", r.IntN(5))
	if r.IntN(150) == 0 { // more than one record holds
		ids, text = tokens(70_000, 1), strings.Repeat("word ", 30_000)
	}
	state := []byte{byte(r.IntN(256)), byte(r.IntN(256))}[:r.IntN(3)]
	generated := func() *Turn {
		if !h.open {
			h.turns, h.open = append(h.turns, Turn{Role: "assistant", Generated: true}), true
		}
		return &h.turns[len(h.turns)-1]
	}
	switch op := r.IntN(10); {
	case op < 2:
		must(t, h.j.Turn("user", text, ids))
		h.turns, h.open = append(h.turns, Turn{Role: "user", Text: text, IDs: ids, Complete: true, At: at}), false
	case op < 7:
		last := generated()
		for len(ids) > 0 || len(text) > 0 {
			n, m := min(len(ids), 60_000), min(len(text), 60_000)
			must(t, h.j.Tokens(ids[:n], []byte(text[:m]), state))
			if last.IDs, last.Text = append(last.IDs, ids[:n]...), last.Text+text[:m]; len(state) > 0 {
				last.Sampler = state
			}
			ids, text = ids[n:], text[m:]
		}
		must(t, h.j.Tokens(nil, nil, nil))
	case op < 9:
		last := generated()
		must(t, h.j.EndTurn("length", state))
		if last.Complete, last.Finish, last.At = true, "length", at; len(state) > 0 {
			last.Sampler = state
		}
		h.open = false
	default:
		n := r.IntN(len(h.turns) + 1)
		must(t, h.j.Rewind(n))
		h.turns, h.open = h.turns[:n], false
	}
}

// Random turns, cut-off answers, restarts, rewinds, forks of open and closed sessions and removals, compared with lists of
// turns: nothing that is done to one session shows in another (I2, I8).
func TestForksAndRewindsAgainstModel(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 5))
		m := memfs.New()
		m.NoRecord = true
		s := testSessions(m)
		at := s.now()
		held := map[string]*heldSession{"first": {j: create(t, s, "first")}}
		for step := range 80 {
			var names []string
			for name := range held {
				names = append(names, name)
			}
			slices.Sort(names)
			name := names[r.IntN(len(names))]
			h := held[name]
			switch op := r.IntN(20); {
			case op < 14:
				if h.j == nil {
					j, c, err := s.Open(name)
					must(t, err)
					if h.j = j; !sameTurns(c.Turns, h.turns) || j.Turns() != len(h.turns) {
						t.Fatalf("seed %d, step %d: opened with\n%+v, want\n%+v", seed, step, c.Turns, h.turns)
					}
				}
				h.act(t, r, at)
			case op < 16 && h.j != nil:
				must(t, h.j.Close())
				h.j = nil
			case op < 19:
				n := r.IntN(len(h.turns) + 1)
				if r.IntN(2) == 0 {
					n = len(h.turns)
				}
				child := fmt.Sprint(step)
				c := read(t, s, name)
				must(t, s.Fork(c, child, n))
				held[child] = h.copyOf(n)
				if p := read(t, s, child).Parent; p == nil || p.Session != name || p.Turns != n || p.id != c.id {
					t.Fatalf("seed %d, step %d: parent %+v", seed, step, p)
				}
				if err := s.Fork(c, name, n); !errors.Is(err, ErrExists) {
					t.Fatalf("a fork onto a session that exists: %v", err)
				}
			case op == 19 && len(names) > 2:
				if h.j != nil {
					must(t, h.j.Close())
				}
				must(t, s.Remove(name))
				delete(held, name)
			}
			for name, h := range held {
				if c := read(t, s, name); !sameTurns(c.Turns, h.turns) || c.Damaged || c.Sound != len(h.turns) || c.Name != name {
					t.Fatalf("seed %d, step %d, session %s: %+v\nwant %+v", seed, step, name, c.Turns, h.turns)
				}
			}
		}
	}
}

// What a fork holds of a damaged conversation is what stands before the damage; a rewind to there makes it whole.
func TestForkAndRewindBeforeDamage(t *testing.T) {
	base := memfs.New()
	path := journalOf(t, base, "s", 4)
	whole := read(t, testSessions(base), "s")
	seen := map[int]bool{}
	for off := recordsOff; off < int(whole.end); off += 3 {
		m := base.Clone()
		m.Bytes(path)[off] ^= 0x40
		s := testSessions(m)
		c := read(t, s, "s")
		if !c.Damaged {
			continue // padding, or the last record: as if it had not been written
		}
		seen[c.Sound] = true
		if !sameTurns(c.Turns[:c.Sound], whole.Turns[:c.Sound]) {
			t.Fatalf("byte %d: %d turns are said to be sound: %+v", off, c.Sound, c.Turns)
		}
		if len(c.Turns) > c.Sound {
			if err := s.Fork(c, "f", c.Sound+1); !errors.Is(err, ErrDamaged) || !errors.Is(err, ErrJournal) {
				t.Fatalf("byte %d: a fork behind the damage: %v", off, err)
			}
		}
		must(t, s.Fork(c, "f", c.Sound))
		if f := read(t, s, "f"); f.Damaged || !sameTurns(f.Turns, whole.Turns[:c.Sound]) {
			t.Fatalf("byte %d: the fork holds %+v", off, f.Turns)
		}
		j, c, err := s.Open("s")
		must(t, err)
		must(t, j.Close())
		if again := read(t, s, "s"); !again.Damaged || again.Sound != c.Sound || again.cut {
			t.Fatalf("byte %d: opened it is damaged %v behind %d turns of %d", off, again.Damaged, again.Sound, c.Sound)
		}
		j, c, err = s.Open("s")
		must(t, err)
		must(t, j.Rewind(c.Sound)) // also where what is lost stood at the end
		must(t, j.Turn("user", "again", nil))
		must(t, j.Close())
		if got := read(t, s, "s"); got.Damaged || len(got.Turns) != c.Sound+1 || !sameTurns(got.Turns[:c.Sound], whole.Turns[:c.Sound]) {
			t.Fatalf("byte %d: rewound to %d turns: %+v", off, c.Sound, got)
		}
	}
	if len(seen) < 8 {
		t.Errorf("damage behind %v turns only", seen)
	}
}

// P5, I8: a fork at 32k tokens writes no KV byte and takes less than 5 ms on the machine of the benchmark, syncs included.
func BenchmarkFork32k(b *testing.B) {
	home := b.TempDir()
	s := NewSessions(vfs.OS(), home)
	longSession(b, s, "long", 32<<10)
	size := func(name string) int64 {
		i, err := os.Stat(s.path(name))
		must(b, err)
		return i.Size()
	}
	n := 0
	for b.Loop() {
		n++
		c, err := s.Read("long")
		must(b, err)
		must(b, s.Fork(c, fmt.Sprint("fork", n), len(c.Turns)))
	}
	tokens := float64(len(read(b, s, "long").IDs()))
	b.ReportMetric(float64(size("long"))/tokens, "parent-B/token")
	b.ReportMetric(float64(size("fork1"))/tokens, "fork-B/token")
	if _, err := os.Stat(filepath.Join(home, "kv")); !os.IsNotExist(err) {
		b.Errorf("the KV store was touched: %v", err)
	}
}

// A process or a power supply that dies at any call of a fork, a rewind or a removal leaves each session as it was before or as
// it is after, with any pages lost, and the other sessions untouched (I2, I8).
func TestForkRewindRemoveCrashes(t *testing.T) {
	m := memfs.New()
	s := testSessions(m)
	for _, name := range []string{"a", "b"} {
		j := create(t, s, name)
		for i := range 3 {
			must(t, j.Turn("user", strings.Repeat(name, 9000), tokens(3000*i, 1)))
			answer(t, j, "an answer", []int32{1, 2, 3}, i < 2)
		}
		must(t, errors.Join(j.Sync(), j.Close()))
	}
	type sessions map[string][]Turn // nil: there is none
	names := []string{"a", "b", "c", "d"}
	look := func(s *Sessions) sessions {
		all := sessions{}
		for _, name := range names {
			c, err := s.Read(name)
			if errors.Is(err, ErrNoSession) {
				continue
			}
			must(t, err)
			all[name] = append([]Turn{}, c.Turns...)
		}
		return all
	}
	same := func(a, b sessions) bool {
		for _, name := range names {
			if (a[name] == nil) != (b[name] == nil) || !sameTurns(a[name], b[name]) {
				return false
			}
		}
		return true
	}
	disk, done, images := crashfs.NewDisk(nil), 0, 0
	seen, plan := map[uint64]bool{}, crashfs.Plan{Exhaustive: 32, Random: 6, Torn: 3, Stale: 1}
	for step, act := range []func(){
		func() { must(t, s.Fork(read(t, s, "a"), "c", 6)) },
		func() { must(t, s.Fork(read(t, s, "c"), "d", 3)) },
		func() {
			j, _, err := s.Open("a")
			must(t, err)
			must(t, errors.Join(j.Rewind(2), j.Close()))
		},
		func() { must(t, s.Remove("b")) },
		func() { must(t, s.Remove("c")) },
		func() { must(t, s.Fork(read(t, s, "d"), "c", 1)) }, // a name that was used
	} {
		before := look(s)
		for _, op := range m.Ops()[done:] {
			disk.Apply(op)
			done++
		}
		act()
		after, ops := look(s), m.Ops()
		for ; ; done++ {
			for choice := range disk.Choices(plan, uint64(step), seen, rand.New(rand.NewPCG(1, uint64(done)))) {
				s := testSessions(disk.Image(choice))
				got := look(s)
				if !same(got, before) && !same(got, after) || done == len(ops) && !same(got, after) {
					t.Fatalf("step %d, cut after call %d (%s): the sessions are neither as before nor as after:\n%s", step, done, ops[done-1].Kind, disk.Describe(choice))
				}
				// What was begun can be done again, and then nothing of it is left.
				for _, name := range names {
					if got[name] == nil {
						must(t, s.Fork(&Conversation{Name: "nobody"}, name, 0))
					}
				}
				if files, err := s.fs.ReadDir(s.dir()); err != nil || len(files) != len(names) {
					t.Fatalf("step %d, cut after call %d: files %v, %v", step, done, files, err)
				}
				images++
			}
			if done == len(ops) {
				break
			}
			disk.Apply(ops[done])
		}
	}
	t.Logf("%d images", images)
}

// Forks, new sessions and removals of one name at once, as by several processes: one of them has the name at a time, and whoever has
// it writes to the file that the others read.
func TestOneNameManyHands(t *testing.T) {
	s := NewSessions(vfs.OS(), t.TempDir())
	j := create(t, s, "parent")
	must(t, errors.Join(j.Turn("user", "of the parent", []int32{1}), j.Close()))
	parent := read(t, s, "parent")
	end := time.Now().Add(300 * time.Millisecond)
	var wg sync.WaitGroup
	var made, forked, removed atomic.Int32
	busy := func(err error) bool {
		for _, e := range []error{ErrExists, ErrNoSession, vfs.ErrLocked, fs.ErrNotExist, fs.ErrExist} {
			if errors.Is(err, e) {
				return true
			}
		}
		return false
	}
	for hand := range 6 {
		wg.Go(func() {
			for time.Now().Before(end) {
				var err error
				switch hand % 3 {
				case 0:
					var j *Journal
					if j, err = s.Create("x"); err != nil {
						break
					}
					made.Add(1)
					text := fmt.Sprint("of hand ", hand)
					err = j.Turn("user", text, nil)
					if c, err := s.Read("x"); err != nil || len(c.Turns) != 1 || c.Turns[0].Text != text {
						t.Errorf("what was written to the session is not there: %+v, %v", c, err)
					}
					err = errors.Join(err, j.Close())
				case 1:
					if err = s.Fork(parent, "x", 1); err == nil {
						forked.Add(1)
					}
				case 2:
					if err = s.Remove("x"); err == nil {
						removed.Add(1)
					}
				}
				if err != nil && !busy(err) {
					t.Error(err)
				}
				time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
			}
		})
	}
	wg.Wait()
	if n := made.Load() + forked.Load() - removed.Load(); n != 0 && n != 1 || made.Load()+forked.Load() == 0 {
		t.Errorf("%d made, %d forked, %d removed", made.Load(), forked.Load(), removed.Load())
	}
	t.Logf("%d made, %d forked, %d removed", made.Load(), forked.Load(), removed.Load())
}

// Without space there is no fork, and nothing of it is left.
func TestForkOnAFullDisk(t *testing.T) {
	m := memfs.New()
	s := testSessions(m)
	longSession(t, s, "long", 30<<10)
	c, before := read(t, s, "long"), len(m.Files())
	s.dropBallast()
	m.Limit = int64(len(m.Bytes(s.path("long"))) + 2*journalExtent)
	if err := s.Fork(c, "fork", len(c.Turns)); !errors.Is(err, vfs.ErrNoSpace) {
		t.Errorf("fork: %v", err)
	}
	if files := m.Files(); len(files) != before-1 { // the ballast
		t.Errorf("left: %v", files)
	}
	m.Limit = 0
	must(t, s.Fork(c, "fork", len(c.Turns)))
	if got := read(t, s, "fork"); !sameTurns(got.Turns, c.Turns) {
		t.Error("the fork differs")
	}
}
