package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// smallDisk mounts a file system of so many bytes, or skips.
func smallDisk(t testing.TB, size string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no right to mount a small disk: %v: %s", err, bytes.TrimSpace(out))
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes to a file until the disk has no room.
func fill(t testing.TB, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, n := range []int{1 << 16, 4096, 1} {
		for {
			if _, err := f.Write(make([]byte, n)); err != nil {
				break
			}
		}
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	home := smallDisk(t, "3m")
	want := kvasir.in(t, t.TempDir(), "run", "--temp", "0", "My name is Ada.").must(t, 0).out

	// No room for a segment: rows stay in memory, with one warning; the conversation is kept.
	r := kvasir.in(t, home, "run", "--temp", "0", "--session", "S", "My name is Ada.").must(t, 0)
	if r.out != want || len(r.lines()) > 1 {
		t.Errorf("on a disk without room for rows: expected %q and at most one warning\n%v", want, r)
	}
	args := append([]string{"run", "-m", model(t, "llama"), "--raw", "-n", "100", "--temp", "0", "--logit-bias", noEnd}, prompt)
	whole := kvasir.in(t, t.TempDir(), args...).must(t, 0).out
	r = kvasir.in(t, home, append(args, "--session", "T")...).must(t, 0)
	if r.out != whole || len(r.lines()) != 1 || !strings.Contains(r.err, "memory") {
		t.Errorf("on a disk without room for rows: expected the same answer and one warning\n%v", r)
	}
	if s := kvasir.show(t, home, "T"); s.last().Text != whole || s.KVTokens != 0 {
		t.Errorf("the session holds %+v", s)
	}

	// No room at all: an open session has its reserve (the ballast); what cannot be kept is refused.
	fill(t, filepath.Join(home, "filler"))
	before := kvasir.show(t, home, "S")
	kvasir.in(t, home, "run", "--temp", "0", "--session", "S", "What is my name?").must(t, 0)
	if s := kvasir.show(t, home, "S"); len(s.Turns) != len(before.Turns)+2 {
		t.Errorf("with the reserve: %+v", s)
	}
	if err := os.Remove(filepath.Join(home, "ballast")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	fill(t, filepath.Join(home, "filler2"))
	r = kvasir.in(t, home, "run", "--temp", "0", "--session", "U", "hello").must(t, 4)
	if r.out != "" || !strings.Contains(r.err, "no space") {
		t.Errorf("a new session on a full disk: %v", r)
	}
	if r := kvasir.in(t, home, "sessions", "show", "U").must(t, 1); !strings.Contains(r.err, "no such session") {
		t.Errorf("a refused session left something: %v", r)
	}
	before = kvasir.show(t, home, "S")
	long := strings.Repeat("and this and that ", 2000) // more than what the journal has preallocated
	r = kvasir.say(t, home, long, "run", "-m", model(t, "llama"), "--raw", "-c", "100000", "-n", "1", "--session", "T").must(t, 4)
	if r.out != "" || !strings.Contains(r.err, "no space") || !strings.Contains(r.err, "refused") {
		t.Errorf("a turn that cannot be kept: %v", r)
	}
	if s := kvasir.show(t, home, "T"); len(s.Turns) != 2 || s.Damaged {
		t.Errorf("after a refused turn: %+v", s)
	}
	kvasir.in(t, home, "run", "--temp", "0", "hello").must(t, 0)

	// Room again: everything goes on.
	for _, name := range []string{"filler", "filler2"} {
		if err := os.Remove(filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	kvasir.in(t, home, "run", "--temp", "0", "--session", "S", "What is my name?").must(t, 0)
	if s := kvasir.show(t, home, "S"); len(s.Turns) != len(before.Turns)+2 || s.Damaged {
		t.Errorf("with room again: %+v", s)
	}
}

// A disk that fills up in the middle of an answer: the program stops there, and what it has printed is kept.
func TestDiskFillsDuringAnAnswer(t *testing.T) {
	t.Parallel()
	const n = 1900 // more records than a journal has preallocated
	args := func(n int, more ...string) []string {
		return append([]string{"run", "-m", model(t, "llama"), "--raw", "--temp", "0.8", "--seed", "4", "--logit-bias", noEnd,
			"-n", strconv.Itoa(n)}, more...)
	}
	want := kvasir.in(t, t.TempDir(), args(n, prompt)...).must(t, 0).out
	home := smallDisk(t, "3m")
	first := kvasir.in(t, home, args(1, "--session", "S", prompt)...).must(t, 0).out
	if err := os.Remove(filepath.Join(home, "ballast")); err != nil {
		t.Fatal(err)
	}
	fill(t, filepath.Join(home, "filler"))
	r := kvasir.in(t, home, args(n-1, "--session", "S", "--continue")...).must(t, 4)
	a := kvasir.show(t, home, "S").last()
	if a.Text != first+r.out || !strings.HasPrefix(want, a.Text) || a.Complete || a.Tokens < 500 || !strings.Contains(r.err, "no space") {
		t.Fatalf("%d tokens held: %.200q\n%v", a.Tokens, a.Text, r)
	}
	if err := os.Remove(filepath.Join(home, "filler")); err != nil {
		t.Fatal(err)
	}
	r = kvasir.in(t, home, args(n-a.Tokens, "--session", "S", "--continue")...).must(t, 0)
	if a.Text+r.out != want {
		t.Errorf("with room again the answer went on in other words behind %d tokens: %.200q", a.Tokens, r.out)
	}
}
