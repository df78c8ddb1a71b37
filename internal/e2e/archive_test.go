package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// told is the command line of one part of an answer of a model with text, in a session S.
func told(t testing.TB, kv string, n int, more ...string) []string {
	return append([]string{"run", "-m", model(t, "llama"), "--kv", kv, "--raw", "--temp", "0.8", "--seed", "7",
		"--logit-bias", noEnd, "--stats", "-", "-n", strconv.Itoa(n)}, more...)
}

// moves exports session S of a home that from has, imports it into a home that to has, and goes on there: the same conversation, the
// same words as without the move, and at most one token computed again where the rows went along.
func moves(t *testing.T, from, to program, kv string) {
	t.Helper()
	const n, half = 60, 45
	want := kvasir.in(t, t.TempDir(), told(t, kv, n, prompt)...).must(t, 0).out
	home, file := t.TempDir(), filepath.Join(t.TempDir(), "S.kva")
	first := from.in(t, home, told(t, kv, half, "--session", "S", prompt)...).must(t, 0)
	from.in(t, home, "sessions", "export", "S", file).must(t, 0)
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the archive: %v, %v; expected mode 0600", fi, err)
	}
	bare := from.in(t, home, "sessions", "export", "--no-kv", "S", "-").must(t, 0).out
	if len(bare) > 4000 {
		t.Errorf("the conversation alone takes %d bytes", len(bare))
	}
	before := from.show(t, home, "S")
	for name, c := range map[string]struct {
		stdin, file string
		computed    int
	}{"with rows": {"", file, 1}, "alone": {bare, "-", 1 << 20}} {
		there := t.TempDir()
		to.say(t, there, c.stdin, "sessions", "import", c.file).must(t, 0)
		after := to.show(t, there, "S")
		if name == "alone" {
			if after.KVTokens != 0 || after.KVBytes != 0 {
				t.Errorf("%s, %s: %d tokens have rows, of %d bytes", kv, name, after.KVTokens, after.KVBytes)
			}
			after.KVTokens, after.KVBytes = before.KVTokens, before.KVBytes
		}
		if after.Bytes = before.Bytes; !reflect.DeepEqual(before, after) {
			t.Errorf("%s, %s: the session is %+v, was %+v", kv, name, after, before)
		}
		second := to.in(t, there, told(t, kv, n-half, "--session", "S", "--continue")...).must(t, 0)
		if first.out+second.out != want {
			t.Errorf("%s, %s: %q and %q, expected %q", kv, name, first.out, second.out, want)
		}
		to.in(t, there, "cache", "check").must(t, 0)
		if st := second.stats(t); st.ComputedTokens > c.computed || name == "alone" && st.ReusedTokens > 0 {
			t.Errorf("%s, %s: %+v", kv, name, st)
		}
	}
}

func TestArchiveMovesAConversation(t *testing.T) {
	t.Parallel()
	for _, kv := range []string{"int8", "f16"} {
		moves(t, kvasir, kvasir, kv)
	}
}

func TestArchiveMovesBetweenArchitectures(t *testing.T) {
	t.Parallel()
	arm := onARM(t, "cortex-a76")
	moves(t, kvasir, arm, "int8")
	moves(t, arm, kvasir, "f16")
}

// archived returns the archive of a session with an answer of 90 tokens.
func archived(t *testing.T) []byte {
	t.Helper()
	home := t.TempDir()
	kvasir.in(t, home, told(t, "int8", 90, "--session", "S", prompt)...).must(t, 0)
	return []byte(kvasir.in(t, home, "sessions", "export", "S", "-").must(t, 0).out)
}

// A damaged archive is refused with exit code 3 and an error that says where, and leaves nothing behind; from a pipe, which cannot be
// read twice, at most sound blocks.
func TestDamagedArchiveIsRefused(t *testing.T) {
	t.Parallel()
	archive, dir := archived(t), t.TempDir()
	path := filepath.Join(dir, "bad.kva")
	for i := range 12 {
		bad := bytes.Clone(archive)
		at := i * len(bad) / 12
		switch i % 3 {
		case 2:
			bad = bad[:at]
		default:
			bad[at] ^= 0x20
		}
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		home := t.TempDir()
		r := kvasir.in(t, home, "sessions", "import", path).must(t, 3)
		if len(r.lines()) != 1 || !strings.Contains(r.err, "section ") && !strings.Contains(r.err, "head") || !strings.Contains(r.err, path) {
			t.Errorf("byte %d: %v", at, r)
		}
		if left := files(t, home); len(left) != 0 {
			t.Errorf("byte %d: left %d files", at, len(left))
		}
		r = kvasir.say(t, home, string(bad), "sessions", "import", "-").must(t, 3)
		if !strings.Contains(r.err, "section ") && !strings.Contains(r.err, "head") {
			t.Errorf("byte %d from a pipe: %v", at, r)
		}
		for left := range files(t, home) {
			if strings.Contains(left, "sessions") {
				t.Errorf("byte %d from a pipe: left %s", at, left)
			}
		}
		if ls := kvasir.in(t, home, "sessions", "ls", "-o", "json").must(t, 0); strings.TrimSpace(ls.out) != "[]" {
			t.Errorf("byte %d: sessions %s", at, ls.out)
		}
	}
	for path, code := range map[string]int{filepath.Join(dir, "none"): 3, dir: 3, model(t, "llama"): 3} {
		kvasir.in(t, t.TempDir(), "sessions", "import", path).must(t, code)
		kvasir.in(t, t.TempDir(), "cache", "add", path).must(t, code)
	}
}

// Exporting works beside the process that has the session open, importing beside the one that has the store: its rows then stay out, and
// that is said.
func TestArchiveBesideAnotherProcess(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	other := kvasir.start(t, home, "chat", "--session", "S", "--temp", "0")
	other.write("My name is Ada.\n")
	said := other.readLine()
	file := filepath.Join(t.TempDir(), "S.kva")
	kvasir.in(t, home, "sessions", "export", "S", file).must(t, 0)
	if r := kvasir.in(t, home, "sessions", "import", file).must(t, 1); !strings.Contains(r.err, "exists") {
		t.Errorf("a name that is taken: %v", r)
	}
	full := filepath.Join(t.TempDir(), "full.kva")
	if err := os.WriteFile(full, archived(t), 0o600); err != nil {
		t.Fatal(err)
	}
	r := kvasir.in(t, home, "sessions", "import", "--as", "T", full).must(t, 0)
	if !strings.Contains(r.err, "in use by another process") || len(r.lines()) != 2 {
		t.Errorf("beside the process that has the store: %v", r)
	}
	if s := kvasir.show(t, home, "T"); len(s.Turns) != 2 || s.KVTokens != 0 {
		t.Errorf("imported beside another process: %+v", s)
	}
	if r := kvasir.in(t, home, "cache", "add", full).must(t, 1); !strings.Contains(r.err, "in use by another process") {
		t.Errorf("adding to a store in use: %v", r)
	}
	if err := other.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	other.end()
	there := t.TempDir()
	kvasir.in(t, there, "sessions", "import", file).must(t, 0)
	if s := kvasir.show(t, there, "S"); s.last().Text+"\n" != said {
		t.Errorf("the other process said %q, exported is %+v", said, s)
	}
}

// Files are not replaced unasked, and an import that is interrupted leaves nothing.
func TestArchiveFiles(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	kvasir.in(t, home, "run", "--session", "a/b", "--temp", "0", "hello").must(t, 0)
	file := filepath.Join(dir, "x.kva")
	if err := os.WriteFile(file, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	kvasir.in(t, home, "sessions", "export", "a/b", file).must(t, 1)
	if b, _ := os.ReadFile(file); string(b) != "mine" {
		t.Errorf("replaced by %d bytes", len(b))
	}
	kvasir.in(t, home, "sessions", "export", "-f", "a/b", file).must(t, 0)
	kvasir.in(t, home, "sessions", "export", "none", filepath.Join(dir, "y.kva")).must(t, 1)
	for _, args := range [][]string{{"export"}, {"export", "a", "b", "c"}, {"import"}, {"import", "a", "b"}, {"import", "--as", "", file}, {"export", "a/b", dir}} {
		kvasir.in(t, home, append([]string{"sessions"}, args...)...).must(t, 2)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v: expected one file", left, err)
	}

	archive, there := archived(t), t.TempDir()
	x := kvasir.start(t, there, "sessions", "import", "-")
	x.write(string(archive[:len(archive)*2/3]))
	for i := 0; len(files(t, there)) < 3 && i < 200; i++ {
		time.Sleep(10 * time.Millisecond)
	}
	x.signal(syscall.SIGTERM)
	time.Sleep(time.Second)                          // until it has surely been told
	_, _ = x.stdin.Write(archive[len(archive)*2/3:]) // it may be gone already
	_ = x.stdin.Close()
	if _, code := x.end(); code != 130 {
		t.Errorf("interrupted: exit code %d, %s", code, x.stderr.String())
	}
	if left := files(t, filepath.Join(there, "sessions")); len(left) != 0 {
		t.Errorf("interrupted: left %d journals", len(left))
	}
}

const systemText = "You are a helpful assistant. Be brief, answer in plain words that anybody can understand, and never say more than is asked for."

// A prompt that begins with a prefix that was baked on another machine needs no pass over it, and has the same answer.
func TestBakedPrefixIsNotComputedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	system, pack := filepath.Join(dir, "system.txt"), filepath.Join(dir, "system.kva")
	if err := os.WriteFile(system, []byte(systemText+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, kv := range []string{"auto", "f16"} {
		baked := kvasir.in(t, t.TempDir(), "cache", "bake", "--kv", kv, "--system", system, "-f", "-o", pack).must(t, 0)
		var n int
		if _, err := fmt.Sscanf(baked.err, "%d tokens", &n); err != nil || n < 40 {
			t.Fatalf("%v, %v", baked, err)
		}
		home := t.TempDir()
		kvasir.in(t, home, "cache", "add", pack).must(t, 0)
		kvasir.in(t, home, "cache", "add", pack).must(t, 0) // once more changes nothing
		if r := kvasir.in(t, home, "cache", "stats").must(t, 0); !strings.Contains(r.out, "pack ") {
			t.Errorf("the pack is not pinned: %v", r)
		}
		for _, text := range nameTurns {
			args := []string{"run", "--kv", kv, "--system", systemText, "--temp", "0", "--stats", "-", text}
			got, want := kvasir.in(t, home, args...).must(t, 0), kvasir.in(t, t.TempDir(), args...).must(t, 0)
			if st := got.stats(t); got.out != want.out || st.ReusedTokens < n || text == nameTurns[0] && st.ReusedTokens != n {
				t.Errorf("%s, %q: %q and %+v, expected %q and %d tokens reused", kv, text, got.out, st, want.out, n)
			}
		}
	}
	if stdout := kvasir.say(t, t.TempDir(), systemText, "cache", "bake", "--system", "-", "-o", "-").must(t, 0).out; !strings.HasPrefix(stdout, "KVARCH1\n") {
		t.Errorf("on standard output: %.20q", stdout)
	}
	for args, code := range map[string]int{
		"bake": 2, "bake --system " + system: 2, "bake -o x": 2, "add": 2, "bake --system none -o x": 3, "bake --kv f32 -o x --system " + system: 2,
		"bake -o x --system " + system + " --tools " + system: 3, "bake -o " + pack + " --system " + system: 1, "bake -o x --system - --tools -": 2,
	} {
		kvasir.in(t, t.TempDir(), append([]string{"cache"}, strings.Fields(args)...)...).must(t, code)
	}
}
