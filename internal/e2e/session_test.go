package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// files returns the contents of all files under dir, by path.
func files(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// lines returns the lines of stderr.
func (r result) lines() []string {
	return strings.FieldsFunc(r.err, func(c rune) bool { return c == '\n' })
}

func TestSessionKeepsItsModel(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	kvasir.in(t, home, "run", "--session", "S", "--temp", "0", "My name is Ada.").must(t, 0)
	before := files(t, filepath.Join(home, "sessions"))
	for _, args := range [][]string{{"run", "-n", "3", "hello"}, {"run", "--continue"}, {"chat"}} {
		args = append(args, "-m", model(t, "llama"), "--session", "S")
		r := kvasir.say(t, home, "hello\n", args...).must(t, 1)
		if r.out != "" || len(r.lines()) != 1 || !strings.Contains(r.err, `session "S"`) ||
			!strings.Contains(r.err, "belongs to another model") || !strings.Contains(r.err, `"demo"`) {
			t.Errorf("%q: %v", args, r)
		}
	}
	for path, b := range files(t, filepath.Join(home, "sessions")) {
		if !bytes.Equal(b, before[path]) {
			t.Errorf("%s was changed", path)
		}
	}
	if s := kvasir.show(t, home, "S"); s.Model != "demo" || len(s.Turns) != 2 {
		t.Errorf("the session holds %+v", s)
	}
}

// A model file that has the same name and other weights is another model; the same weights under another name are not.
func TestModelIsKnownByItsContents(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	b, err := os.ReadFile(model(t, "llama"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := func(m string) []string {
		return []string{"run", "-m", m, "--raw", "-n", "5", "--session", "S", "--temp", "0", "--logit-bias", noEnd, "--stats", "-", "hello"}
	}
	first := write("a.gguf", b)
	kvasir.in(t, home, args(first)...).must(t, 0)
	again := kvasir.in(t, home, args(write("b.gguf", b))...).must(t, 0)
	if st := again.stats(t); st.ReusedTokens < 8 {
		t.Errorf("the same weights under another name: %+v", st)
	}
	b[len(b)-2] ^= 1 // the last weight
	r := kvasir.in(t, home, args(write("a.gguf", b))...).must(t, 1)
	if !strings.Contains(r.err, "belongs to another model") {
		t.Errorf("other weights under the same name: %v", r)
	}
}

func TestTwoProcessesShareAHome(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	common := []string{"-m", model(t, "llama"), "--raw", "-n", "4", "--temp", "0", "--logit-bias", noEnd}
	first := kvasir.start(t, home, append([]string{"chat", "--session", "A"}, common...)...)
	first.write("one two three\n")
	first.readLine()

	other := kvasir.in(t, home, append([]string{"run", "--session", "B"}, append(common, "four five six")...)...).must(t, 0)
	if other.out == "" || len(other.lines()) != 1 || !strings.Contains(other.err, "memory") {
		t.Errorf("beside a process that has the store: expected an answer and one warning\n%v", other)
	}
	if s := kvasir.show(t, home, "B"); len(s.Turns) != 2 || s.last().Text != other.out || s.KVTokens > 5 {
		t.Errorf("the second process's session holds %+v, answered %q", s, other.out)
	}
	for _, args := range [][]string{{"run", "hello"}, {"run", "--continue"}, {"chat"}} {
		r := kvasir.in(t, home, append(append(args, "--session", "A"), common...)...).must(t, 1)
		if r.out != "" || !strings.Contains(r.err, `session "A"`) || !strings.Contains(r.err, "in use") || len(r.lines()) > 2 {
			t.Errorf("%q on a session that is open: %v", args, r)
		}
	}
	if r := kvasir.in(t, home, "sessions", "rm", "A"); r.code != 1 || !strings.Contains(r.err, "in use") {
		t.Errorf("removing a session that is open: %v", r)
	}
	first.write("seven\n")
	first.readLine()
	if err := first.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if _, code := first.end(); code != 0 {
		t.Errorf("exit code %d, stderr %s", code, first.stderr.String())
	}
	if s := kvasir.show(t, home, "A"); len(s.Turns) != 4 || s.Damaged {
		t.Errorf("the first process's session holds %+v", s)
	}
	// Alone again: B's rows were in the memory of a process that is gone (those that A has too were not), its words in
	// the journal.
	r := kvasir.in(t, home, append([]string{"run", "--session", "B", "--stats", "-"}, append(common, "seven")...)...).must(t, 0)
	if st := r.stats(t); len(r.lines()) != 1 || st.ReusedTokens > 5 {
		t.Errorf("alone again: %v", r)
	}
	r = kvasir.in(t, home, append([]string{"run", "--session", "B", "--stats", "-"}, append(common, "eight")...)...).must(t, 0)
	if st := r.stats(t); st.ReusedTokens < st.PromptTokens-10 {
		t.Errorf("rows of a session that was closed in order: %+v", st)
	}
}

// Tests run as root, whom no mode stops: a path below a regular file cannot be made by anyone.
func TestUnusableHome(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := kvasir.in(t, t.TempDir(), "run", "--temp", "0", "My name is Ada.").must(t, 0).out
	for home, culprit := range map[string]string{filepath.Join(file, "home"): file, file: file, "/proc/kvasir": "/proc/kvasir"} {
		r := kvasir.in(t, home, "run", "--temp", "0", "My name is Ada.").must(t, 0)
		if r.out != want || len(r.lines()) != 1 || !strings.Contains(r.err, culprit) {
			t.Errorf("home %s: expected the answer %q and one warning\n%v", home, want, r)
		}
		for _, args := range [][]string{{"run", "--session", "S", "hello"}, {"chat", "--session", "S"}} {
			r := kvasir.in(t, home, args...).must(t, 1)
			if r.out != "" || !strings.Contains(r.err, `"S"`) || !strings.Contains(r.err, culprit) {
				t.Errorf("home %s, %q: %v", home, args, r)
			}
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "x" {
		t.Errorf("the file in the way: %q, %v", b, err)
	}
}

func TestNoHome(t *testing.T) {
	t.Parallel()
	want := kvasir.in(t, t.TempDir(), "run", "--temp", "0", "My name is Ada.").must(t, 0).out
	if r := kvasir.call(t, nil, "", "run", "--temp", "0", "My name is Ada.").must(t, 0); r.out != want || r.err != "" {
		t.Errorf("without a home: %v, expected %q", r, want)
	}
	if r := kvasir.call(t, nil, "My name is Ada.\n", "chat", "--temp", "0").must(t, 0); strings.TrimSpace(r.out) != want {
		t.Errorf("chat without a home: %v", r)
	}
	for _, args := range [][]string{{"run", "--session", "S", "hello"}, {"chat", "--session", "S"}, {"chat", "--continue"}, {"sessions", "ls"}, {"sessions", "show", "S"}} {
		if r := kvasir.call(t, nil, "", args...).must(t, 1); !strings.Contains(r.err, "KVASIR_HOME") || r.out != "" {
			t.Errorf("%q without a home: %v", args, r)
		}
	}
}

func TestSessionsOfOneHome(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	names := []string{"plain", "../../etc/passwd", "name with spaces", "ünï", "-n"}
	for _, name := range names {
		kvasir.in(t, home, "run", "--temp", "0", "-n", "3", "--session", name, "hello").must(t, 0)
	}
	ls := kvasir.in(t, home, "sessions", "ls", "-o", "json").must(t, 0)
	for _, name := range names {
		if s := kvasir.in(t, home, "sessions", "show", "-o", "json", "--", name).must(t, 0); !strings.Contains(s.out, `"hello"`) {
			t.Errorf("%q: %v", name, s)
		}
		if !strings.Contains(ls.out, `"name":"`+name+`"`) {
			t.Errorf("%q is not in the list: %s", name, ls.out)
		}
	}
	for path := range files(t, home) {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; expected 0600", path, fi.Mode(), err)
		}
	}
	kvasir.in(t, home, "sessions", "rm", "plain", "ünï").must(t, 0)
	if r := kvasir.in(t, home, "sessions", "show", "plain").must(t, 1); !strings.Contains(r.err, `no such session: "plain"`) {
		t.Errorf("after rm: %v", r)
	}
	for _, name := range []string{"", "a\nb", strings.Repeat("x", 5000)} {
		if r := kvasir.in(t, home, "run", "--session="+name, "--continue"); r.code == 0 || r.code == -1 {
			t.Errorf("session name %.20q: %v", name, r)
		}
	}
}
