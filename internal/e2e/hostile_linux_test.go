package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Somebody punches or cuts short the segments of the real program while it answers: it says the same, ends in order,
// and the next process takes the conversation up.
func TestSegmentsDamagedDuringAnAnswer(t *testing.T) {
	t.Parallel()
	const n, more = 900, 20
	args := func(n int, more ...string) []string {
		return append([]string{"run", "-m", model(t, "llama"), "--raw", "--temp", "0.8", "--seed", "4", "--logit-bias", noEnd,
			"-n", strconv.Itoa(n), "--session", "S"}, more...)
	}
	want := kvasir.in(t, t.TempDir(), args(n+more, prompt)...).must(t, 0).out
	for name, damage := range map[string]func(f *os.File, size int64) error{
		"cut short": func(f *os.File, size int64) error { return f.Truncate(1 << 16) },
		"punched": func(f *os.File, size int64) error {
			const keepSize, punchHole = 1, 2
			return syscall.Fallocate(int(f.Fd()), keepSize|punchHole, 1<<16, size-1<<16)
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			x := kvasir.start(t, home, args(n, prompt)...)
			seen, damaged := "", 0
			for range 6 {
				seen += x.read(200)
				paths := segments(t, home)
				if len(paths) == 0 {
					continue // the first block is not full
				}
				f, err := os.OpenFile(paths[len(paths)-1], os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				fi, err := f.Stat()
				if err == nil {
					err = damage(f, fi.Size())
				}
				if err == syscall.EOPNOTSUPP {
					t.Skip("this file system cannot do it: ", err)
				} else if err != nil {
					t.Fatal(err)
				}
				f.Close()
				damaged++
			}
			rest, code := x.end()
			if seen += rest; code != 0 || !strings.HasPrefix(want, seen) || damaged == 0 {
				t.Fatalf("exit code %d after %d damages, stderr %s\nsaid   %q\nwanted %q", code, damaged, x.stderr.String(), seen, want)
			}
			if s := kvasir.show(t, home, "S"); s.Damaged || s.last().Text != seen || s.last().Tokens != n {
				t.Fatalf("the session holds %+v", s)
			}
			r := kvasir.in(t, home, args(more, "--continue")...).must(t, 0)
			if seen+r.out != want || r.err != "" {
				t.Errorf("then %q, wanted %q\nstderr: %s", r.out, want[len(seen):], r.err)
			}
		})
	}
}

// Somebody overwrites what is stored while a chat waits for its user: it says what it would have said, and so does the next process.
func TestSegmentsOverwrittenBetweenTurns(t *testing.T) {
	t.Parallel()
	lines := []string{"one two three\n", "four five six\n", "seven\n", "eight nine\n"}
	args := []string{"chat", "-m", model(t, "llama"), "--raw", "-n", "90", "--temp", "0.8", "--seed", "4", "--logit-bias", noEnd, "--session", "S"}
	calm := t.TempDir()
	want := kvasir.say(t, calm, strings.Join(lines, ""), args...).must(t, 0).out
	var answers []string
	for _, turn := range kvasir.show(t, calm, "S").Turns {
		if turn.Role == "assistant" {
			answers = append(answers, turn.Text+"\n")
		}
	}
	if strings.Join(answers, "") != want || len(answers) != len(lines) {
		t.Fatalf("%d answers, %q; it said %q", len(answers), answers, want)
	}
	home, damaged := t.TempDir(), 0
	x := kvasir.start(t, home, args...)
	for i, line := range lines {
		x.write(line)
		if got := x.read(len(answers[i])); got != answers[i] {
			t.Fatalf("after %d damages it said %q, wanted %q\nstderr: %s", damaged, got, answers[i], x.stderr.String())
		}
		time.Sleep(50 * time.Millisecond) // the clock of a file system ticks that slowly, and the tail is written
		for _, path := range segments(t, home) {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(slices.Repeat([]byte{7}, 1<<19), 1<<19); err != nil {
				t.Fatal(err)
			}
			f.Close()
			damaged++
		}
	}
	if err := x.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, code := x.end(); code != 0 || rest != "" || x.stderr.Len() > 0 || damaged < len(lines) {
		t.Errorf("after %d damages: exit code %d, %q, stderr %s", damaged, code, rest, x.stderr.String())
	}
	if s := kvasir.show(t, home, "S"); len(s.Turns) != 2*len(lines) || s.Damaged {
		t.Errorf("the session holds %+v", s)
	}
}

// A home directory with anything in any of its files: what is not the conversation's own journal costs time at most, and never an
// answer, a crash or a hang. $KVASIR_HOSTILE_SEED goes through the same damage again.
func TestDamagedHome(t *testing.T) {
	t.Parallel()
	const n, more = 90, 10
	args := func(n int, more ...string) []string {
		return append([]string{"run", "-m", model(t, "llama"), "--raw", "--temp", "0.8", "--seed", "4", "--logit-bias", noEnd, "-n", strconv.Itoa(n)}, more...)
	}
	good := t.TempDir()
	first := kvasir.in(t, good, args(n, "--session", "S", prompt)...).must(t, 0).out
	second := kvasir.in(t, copyOf(t, good), args(more, "--session", "S", "--continue")...).must(t, 0).out
	var names []string
	for path := range files(t, good) {
		name, err := filepath.Rel(good, path)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	rnd := seedOf(t, "KVASIR_HOSTILE_SEED")
	for i := range 5 * len(names) {
		name := names[i%len(names)]
		home := copyOf(t, good)
		path := filepath.Join(home, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kind, b := damageBytes(rnd, b, filepath.Join(good, names[rnd.IntN(len(names))]))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprintf("%s %s", name, kind), func(t *testing.T) {
			r := kvasir.in(t, home, args(more, "--session", "S", "--continue")...)
			if own := strings.HasSuffix(name, ".kvj"); !own && (r.code != 0 || r.out != second) {
				t.Errorf("%q, wanted %q\n%v", r.out, second, r)
			} else if own && r.code != 0 && (r.code == -1 || r.err == "") {
				t.Errorf("with a damaged journal: %v", r)
			}
			r = kvasir.in(t, home, args(n, "--session", "T", prompt)...).must(t, 0)
			if r.out != first {
				t.Errorf("a new session says %q, wanted %q", r.out, first)
			}
			for _, args := range [][]string{{"sessions", "ls"}, {"sessions", "show", "S"}} {
				if r := kvasir.in(t, home, args...); r.code != 0 && r.code != 1 && r.code != 3 {
					t.Errorf("%q: %v", args, r)
				}
			}
		})
	}
}

// damageBytes returns a changed copy of b and says what was done.
func damageBytes(rnd *rand.Rand, b []byte, other string) (string, []byte) {
	b = slices.Clone(b)
	if len(b) == 0 {
		return "filled", slices.Repeat([]byte{0xff}, 100)
	}
	at := rnd.IntN(len(b))
	if rnd.IntN(2) == 0 { // where something is
		if i := slices.IndexFunc(b[at:], func(c byte) bool { return c != 0 }); i >= 0 {
			at += i
		}
	}
	switch rnd.IntN(6) {
	case 0:
		b[at] ^= 1 << rnd.IntN(8)
		return fmt.Sprintf("bit at %d", at), b
	case 1:
		return fmt.Sprintf("cut at %d", at), b[:at]
	case 2:
		end := min(len(b), at+1+rnd.IntN(8192))
		clear(b[at:end])
		return fmt.Sprintf("zeros from %d to %d", at, end), b
	case 3:
		for i := at; i < min(len(b), at+1000); i++ {
			b[i] = byte(rnd.Uint32())
		}
		return fmt.Sprintf("noise at %d", at), b
	case 4:
		return "longer", append(b, make([]byte, 1+rnd.IntN(9000))...)
	}
	o, err := os.ReadFile(other)
	if err != nil {
		o = nil
	}
	return "another file in its place", o
}

// The model file is cut short while a chat is open: the answer fails, says of which file, and what was said is kept.
func TestModelCutShortDuringAChat(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(model(t, "llama"))
	if err != nil {
		t.Fatal(err)
	}
	path, home := filepath.Join(t.TempDir(), "live.gguf"), t.TempDir()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	x := kvasir.start(t, home, "chat", "-m", path, "--raw", "-n", "20", "--seed", "4", "--logit-bias", noEnd, "--session", "S")
	x.write("one two\n")
	first := x.readLine()
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	x.write("three four\n")
	_, code := x.end()
	if text := x.stderr.String(); code != 3 || !strings.Contains(text, "live.gguf") || !strings.Contains(text, "became unreadable") || strings.Contains(text, "nil pointer") {
		t.Errorf("exit code %d, stderr %s", code, text)
	}
	if s := kvasir.show(t, home, "S"); len(s.Turns) < 2 || !strings.HasPrefix(s.Turns[1].Text+"\n", first) {
		t.Errorf("the session holds %+v, it said %q", s, first)
	}
}
