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

// imageDisk makes a file system of some MiB in a file and mounts it, or skips.
func imageDisk(t testing.TB, mkfs string, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath(mkfs); err != nil {
		t.Skipf("no %s: %v", mkfs, err)
	}
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, make([]byte, 24<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs, append(flags, image)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", mkfs, err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("no right to mount what %s made, or the kernel does not know it: %v: %s", mkfs, err, bytes.TrimSpace(out))
	}
	unmountLater(t, dir)
	return dir
}

func unmountLater(t testing.TB, dir string) {
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// answerArgs are the arguments of a run of the llama model that answers with n tokens.
func answerArgs(t testing.TB, n int, more ...string) []string {
	return append([]string{"run", "-m", model(t, "llama"), "--raw", "--temp", "0.8", "--seed", "4", "--logit-bias", noEnd, "-n", strconv.Itoa(n)}, more...)
}

// File systems without some of what the store uses (reserving space, holes, modes): conversations are stored and taken up all the same.
func TestSmallFileSystems(t *testing.T) {
	t.Parallel()
	want := kvasir.in(t, t.TempDir(), answerArgs(t, 150, "--session", "S", prompt)...).must(t, 0).out
	for name, disk := range map[string]func(t *testing.T) string{
		"tmpfs":                func(t *testing.T) string { return smallDisk(t, "16m") },
		"ext2, no reservation": func(t *testing.T) string { return imageDisk(t, "mkfs.ext2", "-q", "-F") },
		"vfat, no modes":       func(t *testing.T) string { return imageDisk(t, "mkfs.vfat") },
	} {
		t.Run(name, func(t *testing.T) {
			home := disk(t)
			env := []string{"KVASIR_HOME=" + home, "KVASIR_CACHE_MIN_FREE=1M"}
			first := kvasir.call(t, env, "", answerArgs(t, 100, "--session", "S", prompt)...).must(t, 0)
			x := kvasir.startWith(t, env, answerArgs(t, 40, "--session", "S", "--continue")...)
			x.read(10)
			x.signal(syscall.SIGKILL)
			x.end()
			if s := kvasir.show(t, home, "S"); s.KVTokens < s.Tokens-64 || s.Damaged {
				t.Errorf("after a kill %d of %d tokens have rows", s.KVTokens, s.Tokens)
			}
			left := 150 - kvasir.show(t, home, "S").last().Tokens
			r := kvasir.call(t, env, "", answerArgs(t, left, "--session", "S", "--continue", "--stats", "-")...).must(t, 0)
			if s := kvasir.show(t, home, "S"); s.last().Text != want || first.err != "" || r.stats(t).ComputedTokens > 65 {
				t.Errorf("expected %.100q without a word on stderr\nfirst: %v\nthen: %v", want, first, r)
			}
			kvasir.call(t, env, "", "cache", "check").must(t, 0)
			if r := kvasir.call(t, env, "", "cache", "gc", "--max", "0").must(t, 0); len(segments(t, home)) != 0 {
				t.Errorf("%v\nleft: %v", r, segments(t, home))
			}
		})
	}
}

// A home on a read-only medium: what is stored is found, new rows live in memory with one warning, sessions are refused, and nothing
// that changes the cache pretends to have done so.
func TestReadOnlyMedium(t *testing.T) {
	t.Parallel()
	home := smallDisk(t, "16m")
	env := []string{"KVASIR_HOME=" + home, "KVASIR_CACHE_MIN_FREE=1M"}
	whole := kvasir.call(t, env, "", answerArgs(t, 100, "--session", "S", prompt)...).must(t, 0).out
	kept := kvasir.show(t, home, "S")
	if out, err := exec.Command("mount", "-o", "remount,ro", home).CombinedOutput(); err != nil {
		t.Skipf("no right to make a mount read-only: %v: %s", err, out)
	}
	r := kvasir.call(t, env, "", answerArgs(t, 100, "--stats", "-", prompt)...).must(t, 0)
	warnings := strings.Count(r.err, "kvasir:")
	if r.out != whole || r.stats(t).ReusedTokens == 0 || warnings != 1 || !strings.Contains(r.err, "read-only") {
		t.Errorf("expected %.100q from stored rows, with one warning\n%v", whole, r)
	}
	if r := kvasir.call(t, env, "", answerArgs(t, 5, "--session", "S", "--continue")...); r.code == 0 || r.out != "" {
		t.Errorf("a session that cannot be kept: %v", r)
	}
	if s := kvasir.show(t, home, "S"); s.last() != kept.last() || s.KVTokens != kept.KVTokens {
		t.Errorf("the session changed: %+v", s)
	}
	kvasir.call(t, env, "", "cache", "check").must(t, 0)
	kvasir.call(t, env, "", "cache", "stats").must(t, 0)
	kvasir.call(t, env, "", "cache", "gc", "--dry-run").must(t, 0)
	for _, args := range [][]string{{"cache", "gc"}, {"sessions", "pin", "S"}} {
		if r := kvasir.call(t, env, "", args...); r.code != 1 || !strings.Contains(r.err, "read-only") {
			t.Errorf("%v on a read-only medium: %v", args, r)
		}
	}
}

// On a full disk the reserve lets the answer that is under way come to its end; the next turn is refused, and nothing is lost.
func TestReserveFinishesTheAnswer(t *testing.T) {
	t.Parallel()
	const n = 1900 // more records than a journal has preallocated
	want := kvasir.in(t, t.TempDir(), answerArgs(t, n, prompt)...).must(t, 0).out
	home := smallDisk(t, "3m")
	x := kvasir.start(t, home, answerArgs(t, n, "--session", "S", prompt)...)
	seen := x.read(40)
	if _, err := os.Stat(filepath.Join(home, "ballast")); err != nil {
		t.Fatal(err)
	}
	fill(t, filepath.Join(home, "filler"))
	rest, code := x.end()
	s := kvasir.show(t, home, "S")
	if seen+rest != want || code != 0 || s.last().Text != want || s.Damaged {
		t.Fatalf("exit code %d, %d bytes of %d\nstderr: %s", code, len(seen+rest), len(want), x.stderr.String())
	}
	if _, err := os.Stat(filepath.Join(home, "ballast")); err == nil {
		t.Error("the reserve was not used")
	}
	fill(t, filepath.Join(home, "filler2"))
	long := strings.Repeat("and this and that ", 5000)
	r := kvasir.say(t, home, long, "run", "-m", model(t, "llama"), "--raw", "-c", "200000", "-n", "1", "--session", "S").must(t, 4)
	if r.out != "" || !strings.Contains(r.err, "refused") {
		t.Errorf("a turn that cannot be kept: %v", r)
	}
	if again := kvasir.show(t, home, "S"); again.last() != s.last() || again.Damaged {
		t.Errorf("after a refused turn: %+v", again)
	}
}

// Two models under a cap for one: the one that is used gets the room, and both go on as if nothing had been evicted.
func TestModelsShareASmallCap(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	env := []string{"KVASIR_HOME=" + home, "KVASIR_CACHE_BYTES=9M"}
	args := func(name string, n int, more ...string) []string {
		return append([]string{"run", "-m", model(t, name), "--raw", "--temp", "0.8", "--seed", "4", "--logit-bias", noEnd, "-n", strconv.Itoa(n), "--session", name}, more...)
	}
	want := map[string]string{}
	for _, name := range []string{"llama", "gemma3"} {
		want[name] = kvasir.in(t, t.TempDir(), args(name, 300, prompt)...).must(t, 0).out
	}
	for _, name := range []string{"llama", "gemma3"} {
		kvasir.call(t, env, "", args(name, 100, prompt)...).must(t, 0)
	}
	for range 2 {
		for _, name := range []string{"llama", "gemma3"} {
			r := kvasir.call(t, env, "", args(name, 100, "--continue", "--stats", "-")...).must(t, 0)
			if strings.Contains(r.err, "kvasir:") {
				t.Errorf("%s: a warning though others could give way: %v", name, r)
			}
			if s := kvasir.show(t, home, name); s.KVTokens < s.Tokens-1 {
				t.Errorf("%s: %d of %d tokens have rows", name, s.KVTokens, s.Tokens)
			}
			var used int64
			for _, path := range segments(t, home) {
				if info, err := os.Stat(path); err == nil {
					used += info.Size()
				}
			}
			if used > 9<<20 {
				t.Errorf("%d bytes of segments", used)
			}
		}
	}
	for name, text := range want {
		if got := kvasir.show(t, home, name).last().Text; got != text {
			t.Errorf("%s: %.100q, want %.100q", name, got, text)
		}
	}
	kvasir.call(t, env, "", "cache", "check").must(t, 0)
}

// Beside a process that uses the cache: looking works, changing is refused with the name of the holder.
func TestCacheVerbsBesideAProcess(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	x := kvasir.start(t, home, "chat", "-m", model(t, "llama"), "--raw", "--logit-bias", noEnd, "-n", "1500", "--session", "S")
	x.write(prompt + "\n")
	x.read(150) // it goes on, and waits for a line when it has ended
	holder := "process " + strconv.Itoa(x.cmd.Process.Pid)
	for _, args := range [][]string{{"cache", "stats"}, {"cache", "check"}, {"cache", "gc", "--dry-run"}, {"doctor"}} {
		r := kvasir.in(t, home, args...).must(t, 0)
		if args[0] != "cache" || args[1] == "stats" {
			if !strings.Contains(r.out, holder) {
				t.Errorf("%v does not name %s: %v", args, holder, r)
			}
		}
	}
	for _, args := range [][]string{{"cache", "gc"}, {"sessions", "pin", "S"}, {"cache", "unpin", "x"}} {
		if r := kvasir.in(t, home, args...).must(t, 1); !strings.Contains(r.err, holder) {
			t.Errorf("%v does not name %s: %v", args, holder, r)
		}
	}
	x.signal(syscall.SIGTERM)
	x.end()
	kvasir.in(t, home, "cache", "gc").must(t, 0)
}
