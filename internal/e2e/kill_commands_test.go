package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// P1 for what changes sessions as a whole: killed before every call that changes something on disk, and in the middle of every
// write, a command has done all or nothing to its session and nothing to another one; and it can be given again.
func TestKilledCommandsAreDoneWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	binary, err := buildFailPoints()
	if err != nil {
		t.Fatal(err)
	}
	instrumented := program{binary}
	args := func(n int, more ...string) []string {
		return append([]string{"run", "-m", model(t, "llama"), "--raw", "--temp", "0", "--logit-bias", noEnd, "-n", fmt.Sprint(n)}, more...)
	}
	good := t.TempDir()
	kvasir.in(t, good, args(70, "--session", "S", prompt)...).must(t, 0)
	kvasir.in(t, good, args(30, "--session", "S", "and then")...).must(t, 0)
	kvasir.in(t, good, args(80, "--session", "T", "another story")...).must(t, 0)
	archive := filepath.Join(t.TempDir(), "S.kva")
	kvasir.in(t, good, "sessions", "export", "S", archive).must(t, 0)
	before := map[string]session{"S": kvasir.show(t, good, "S"), "T": kvasir.show(t, good, "T")}
	goesOn := kvasir.in(t, copyOf(t, good), args(10, "--session", "T", "--continue")...).must(t, 0).out

	// turns returns what a session says, or nothing where there is none.
	turns := func(home, name string) (says []turn) {
		r := kvasir.in(t, home, "sessions", "show", name, "-o", "json")
		if r.code == 1 && strings.Contains(r.err, "no such session") {
			return nil
		}
		s := decode[session](t, r.must(t, 0).out)
		if s.Damaged {
			t.Errorf("%s is damaged: %+v", name, s)
		}
		return s.Turns
	}
	whole := before["S"].Turns
	died := map[string]int{}
	for name, c := range map[string]struct {
		args []string
		of   string   // the session that changes
		may  [][]turn // what it may say after a kill, first that of a command that did nothing, last of one that did all
		code int      // of the command given again when all was done
	}{
		"fork":   {[]string{"sessions", "fork", "S", "F"}, "F", [][]turn{nil, whole}, 1},
		"rewind": {[]string{"sessions", "rewind", "S", "--to", "2"}, "S", [][]turn{whole, whole[:2]}, 0},
		"rm":     {[]string{"sessions", "rm", "S"}, "S", [][]turn{whole, nil}, 1},
		"import": {[]string{"sessions", "import", "--as", "I", archive}, "I", [][]turn{nil, whole}, 1},
	} {
		trace := filepath.Join(t.TempDir(), "trace")
		r := instrumented.call(t, []string{"KVASIR_HOME=" + copyOf(t, good), "KVASIR_FAILPOINT_TRACE=" + trace}, "", c.args...).must(t, 0)
		if r.err != "" && strings.Contains(r.err, "warning") {
			t.Errorf("%s: %v", name, r)
		}
		passed := map[string]int{}
		for line := range readTrace(t, trace) {
			passed[strings.TrimPrefix(line, "point ")]++
		}
		for _, point := range slices.Sorted(maps.Keys(passed)) {
			for n := 1; n <= passed[point]; n++ {
				k := kill{point: point, nth: n}
				home := copyOf(t, good)
				if r := instrumented.call(t, append(k.env(), "KVASIR_HOME="+home), "", c.args...); r.code != -1 {
					t.Errorf("%s, %v: the command was not killed: %v", name, k, r)
				}
				died[point]++
				after := turns(home, c.of)
				if !slices.ContainsFunc(c.may, func(m []turn) bool { return slices.Equal(m, after) }) {
					t.Errorf("%s, %v: %s holds %+v", name, k, c.of, after)
				}
				for other, s := range before {
					if other != c.of && !slices.Equal(turns(home, other), s.Turns) {
						t.Errorf("%s, %v: %s has changed", name, k, other)
					}
				}
				done := slices.Equal(after, c.may[len(c.may)-1])
				r := kvasir.in(t, home, c.args...)
				if r.code != 0 && !(done && r.code == c.code) {
					t.Errorf("%s, %v: given again: %v", name, k, r)
				}
				if again := turns(home, c.of); !slices.Equal(again, c.may[len(c.may)-1]) {
					t.Errorf("%s, %v: given again: %s holds %+v", name, k, c.of, again)
				}
				if left, err := filepath.Glob(filepath.Join(home, "sessions", "*.tmp")); err != nil || len(left) > 0 {
					t.Errorf("%s, %v: given again: %q is left, %v", name, k, left, err)
				}
				if n == passed[point] { // once a point: it is the longest step
					if r := kvasir.in(t, home, args(10, "--session", "T", "--continue")...).must(t, 0); r.out != goesOn || r.err != "" {
						t.Errorf("%s, %v: T goes on with %q, expected %q\n%s", name, k, r.out, goesOn, r.err)
					}
				}
			}
		}
		if len(passed) < 3 {
			t.Errorf("%s passes the points %v only", name, passed)
		}
	}
	t.Logf("died %d times at %d points: %v", total(died), len(died), died)
	for _, p := range failPoints(t) {
		if strings.HasPrefix(p, "vfs: ") && died[p] == 0 && !slices.Contains([]string{"vfs: an allocation"}, p) {
			t.Errorf("no command here comes to the fail point %q", p)
		}
	}
	if b, err := os.ReadFile(archive); err != nil || len(b) == 0 {
		t.Errorf("the archive: %d bytes, %v", len(b), err)
	}
}

func total(counts map[string]int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}
