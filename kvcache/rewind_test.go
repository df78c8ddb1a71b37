package kvcache

import (
	"os"
	"testing"

	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

// Damage stays until somebody decides to do without what is lost, however often the session is opened; then it is whole, also where no
// turn stands behind the damage, or none at all.
func TestRewindAcceptsDamage(t *testing.T) {
	var homes, what []string
	var own []*Conversation
	for name, c := range map[string]struct {
		write func(j *Journal) (damaged int64) // where a record is that will be damaged
		turns int                              // left
		sound int
	}{
		"at the end": {func(j *Journal) int64 {
			must(t, j.Turn("user", "q", []int32{1}))
			at := j.end
			answer(t, j, "abcdef", []int32{2, 3, 4}, false)
			return at
		}, 1, 1},
		"of all turns": {func(j *Journal) int64 {
			at := j.end
			must(t, j.Turn("user", "q", []int32{1}))
			must(t, j.Model(ModelRecord{Name: "m"}))
			return at
		}, 0, 0},
		"before a turn that is left": {func(j *Journal) int64 {
			at := j.end
			must(t, j.Turn("user", "q", []int32{1}))
			must(t, j.Turn("user", "r", []int32{2}))
			return at
		}, 1, 0},
	} {
		home := t.TempDir()
		s := testSessions(vfs.OS())
		s.home = home
		j := create(t, s, "s")
		at := c.write(j)
		must(t, j.Close())
		b, err := os.ReadFile(s.path("s"))
		must(t, err)
		b[at+recordHead] ^= 1
		must(t, os.WriteFile(s.path("s"), b, 0o600))
		for range 3 {
			j, got, err := s.Open("s")
			must(t, err)
			if len(got.Turns) != c.turns || !got.Damaged || got.Sound != c.sound {
				t.Fatalf("%s: %d turns, damaged %v behind %d", name, len(got.Turns), got.Damaged, got.Sound)
			}
			must(t, j.Close())
		}
		keep := func(when string) {
			t.Helper()
			homes, own, what = append(homes, t.TempDir()), append(own, read(t, s, "s")), append(what, name+", "+when)
			must(t, os.CopyFS(homes[len(homes)-1], os.DirFS(home)))
		}
		keep("damaged")
		j, _, err = s.Open("s")
		must(t, err)
		must(t, j.Rewind(c.turns))
		if got := read(t, s, "s"); got.Damaged != (c.sound < c.turns) || len(got.Turns) != c.turns {
			t.Errorf("%s: rewound to what is left it has %d turns, damaged %v", name, len(got.Turns), got.Damaged)
		}
		keep("rewound to what is left")
		must(t, j.Rewind(c.sound))
		must(t, j.Turn("user", "again", nil))
		must(t, j.Close())
		if got := read(t, s, "s"); got.Damaged || len(got.Turns) != c.sound+1 || got.Sound != c.sound+1 {
			t.Errorf("%s: rewound to what is sound it has %d turns, damaged %v behind %d", name, len(got.Turns), got.Damaged, got.Sound)
		}
		keep("gone on with")
	}
	for i, v := range checkers(t, homes) {
		for _, j := range v.Journals {
			if j.Damaged != own[i].Damaged || j.Turns != len(own[i].Turns) || j.Gaps != len(own[i].Gaps) {
				t.Errorf("%s: kvcheck.py says %+v", what[i], j)
			}
		}
	}
}

// Turns that a fork has taken over and forgotten are not its parent's any more, whatever is said in their place; an answer that was cut
// off among those taken over changes nothing.
func TestRewindForgetsWhereTurnsCameFrom(t *testing.T) {
	s := testSessions(memfs.New())
	j := create(t, s, "p")
	must(t, j.Turn("user", "q", []int32{1}))
	answer(t, j, "cut", []int32{2, 3}, false)
	must(t, j.settle()) // the answer goes on as another turn
	answer(t, j, "off", []int32{4}, true)
	must(t, j.Turn("user", "r", []int32{5}))
	must(t, j.Close())
	must(t, s.Fork(read(t, s, "p"), "f", 3))
	for _, c := range []struct{ keep, want int }{{3, 3}, {2, 2}, {0, 0}} {
		j, _, err := s.Open("f")
		must(t, err)
		must(t, j.Turn("user", "its own", []int32{6}))
		must(t, j.Rewind(c.keep))
		for range 3 {
			must(t, j.Turn("user", "its own", []int32{6}))
		}
		must(t, j.Close())
		if p := read(t, s, "f").Parent; p == nil || p.Session != "p" || p.Turns != c.want {
			t.Errorf("rewound to %d turns: %+v", c.keep, p)
		}
	}
}
