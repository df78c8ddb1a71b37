package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// journals returns the contents of the session files of a home.
func journals(t testing.TB, home string) map[string][]byte {
	t.Helper()
	return files(t, filepath.Join(home, "sessions"))
}

// P5, I8 through the program: a fork inside a conversation, whose KV is not copied. Both branches go on from their rows, and neither
// changes a byte of the other.
func TestForkedConversationsGoOnApart(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	run := func(name string, args ...string) result {
		t.Helper()
		return kvasir.in(t, home, append([]string{"run", "--session", name, "--temp", "0", "--stats", "-"}, args...)...).must(t, 0)
	}
	system := strings.Repeat("You are asked for a name. You remember the name that you were told. ", 4)
	run("A", "--system", system, "My name is Ada.")
	run("A", "My favourite colour is blue.")
	run("A", "What is my name?")
	parent := journals(t, home)
	rows := files(t, filepath.Join(home, "kv"))
	if r := kvasir.in(t, home, "sessions", "fork", "A", "B", "--at", "3").must(t, 0); r.out+r.err != "" {
		t.Errorf("fork says %v", r)
	}
	kvasir.in(t, home, "sessions", "fork", "A", "C").must(t, 0)
	for path, b := range files(t, filepath.Join(home, "kv")) {
		if !bytes.Equal(b, rows[path]) {
			t.Errorf("a fork wrote to %s", path)
		}
	}
	a, b, c := kvasir.show(t, home, "A"), kvasir.show(t, home, "B"), kvasir.show(t, home, "C")
	if len(a.Turns) != 7 || len(b.Turns) != 3 || b.ForkedFrom.Name != "A" || b.ForkedFrom.Turn != 3 || c.ForkedFrom.Turn != 7 || a.ForkedFrom.Name != "" {
		t.Fatalf("A %+v\nB %+v\nC %+v", a, b, c)
	}
	for i, turn := range b.Turns {
		if turn != a.Turns[i] {
			t.Errorf("turn %d of the fork is %+v, of the parent %+v", i+1, turn, a.Turns[i])
		}
	}
	if blocks := b.Tokens / 64 * 64; blocks < 64 || len(a.SharedWith) != 2 || b.SharedWith[0].Tokens != blocks || b.KVTokens != b.Tokens {
		t.Errorf("shared: %+v by A, %+v by B of %d tokens, %d of them stored", a.SharedWith, b.SharedWith, b.Tokens, b.KVTokens)
	}
	said := run("B", "My favourite colour is red.")
	if st := said.stats(t); st.ReusedTokens < b.Tokens-1 {
		t.Errorf("the fork of %d tokens goes on with %+v", b.Tokens, st)
	}
	if r := run("B", "What is my favourite colour?"); !strings.Contains(r.out, "red") {
		t.Errorf("the fork says %q", r.out)
	}
	if r := run("C", "What is my favourite colour?"); !strings.Contains(r.out, "blue") {
		t.Errorf("the other fork says %q", r.out)
	}
	for path, b := range parent {
		if got := journals(t, home)[path]; !bytes.Equal(got, b) {
			t.Errorf("the branches changed %s", path)
		}
	}
	kvasir.in(t, home, "sessions", "rm", "A").must(t, 0)
	for _, name := range []string{"B", "C"} {
		r := run(name, "What is my name?")
		if st := r.stats(t); !strings.Contains(r.out, "Ada") || st.ComputedTokens > 64 {
			t.Errorf("without its parent %s says %q, %+v", name, r.out, st)
		}
	}
}

// Turns that are taken back, by the command or in a chat, are as if they had never been; what is left is not computed again.
func TestRewoundConversationGoesOn(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	chat := func(lines string) string {
		t.Helper()
		return kvasir.say(t, home, lines, "chat", "--session", "S", "--temp", "0").must(t, 0).out
	}
	chat("My name is Ada.\nMy favourite colour is blue.\n/undo\nMy favourite colour is red.\n")
	if out := chat("/undo\n/undo\nWhat is my name?\n"); strings.Contains(out, "Ada") {
		t.Errorf("after it was told to forget it says %q", out)
	}
	if out := chat("My name is Bob.\nMy favourite colour is red.\nWhat is my name?\n"); !strings.Contains(out, "Bob") {
		t.Errorf("it says %q", out)
	}
	r := kvasir.in(t, home, "sessions", "rewind", "S", "--to", "5").must(t, 0)
	if r.err != "" || strings.Count(r.out, "forgotten: ") != 3 || !strings.Contains(r.out, "forgotten: 7 user: What is my name?\n") {
		t.Errorf("rewind says %v", r)
	}
	before := kvasir.show(t, home, "S")
	r = kvasir.in(t, home, "run", "--session", "S", "--continue", "--temp", "0", "--stats", "-").must(t, 0)
	if st := r.stats(t); !strings.Contains(r.out, "red") || st.ReusedTokens < before.Tokens-1 {
		t.Errorf("it goes on with %q, %+v of %d tokens", r.out, st, before.Tokens)
	}
	if r := kvasir.in(t, home, "sessions", "rewind", "S", "--last", "6").must(t, 0); strings.Count(r.out, "forgotten: ") != 6 {
		t.Errorf("rewind says %v", r)
	}
	if s := kvasir.show(t, home, "S"); len(s.Turns) != 0 || s.Tokens != 0 || s.Damaged {
		t.Errorf("nothing should be left: %+v", s)
	}
}

// A conversation whose end is lost is not gone on with until its user says that it is given up, by a rewind to all that is left.
func TestRewindGivesUpWhatIsLost(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	run := func(text string) result {
		return kvasir.in(t, home, "run", "--session", "S", "--temp", "0", text)
	}
	run("My name is Ada.").must(t, 0)
	const last = "My favourite colour is blue."
	run(last).must(t, 0)
	for path, b := range journals(t, home) { // what follows the last question is the first record of its answer
		at := bytes.LastIndex(b, []byte(last)) + len(last)
		b[(at+7)&^7+20] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if r := run("What is my name?").must(t, 1); !strings.Contains(r.err, "damaged behind turn 3 (1 gaps)") || !strings.Contains(r.err, "sessions rewind --to") {
			t.Errorf("a damaged session is gone on with: %v", r)
		}
	}
	if r := kvasir.in(t, home, "sessions", "ls").must(t, 0); !strings.Contains(r.out, ", damaged") {
		t.Errorf("the list does not show it: %v", r)
	}
	if r := kvasir.in(t, home, "cache", "check").must(t, 3); !strings.Contains(r.err, "1 findings of damage; 1 in conversations: what is named is lost") {
		t.Errorf("the check says %v", r)
	}
	before := kvasir.show(t, home, "S")
	if !before.Damaged || len(before.Turns) != 3 {
		t.Fatalf("the damaged session: %+v", before)
	}
	r := kvasir.in(t, home, "sessions", "rewind", "S", "--to", "3").must(t, 0)
	if r.err != "" || r.out != "forgotten: damage behind turn 3: 1 gaps in the journal\n" {
		t.Errorf("rewind says %v", r)
	}
	if r := kvasir.in(t, home, "sessions", "rewind", "S", "--to", "3").must(t, 0); r.out != "" || r.err != "nothing to forget\n" {
		t.Errorf("rewind once more says %v", r)
	}
	if s := kvasir.show(t, home, "S"); s.Damaged || len(s.Turns) != 3 {
		t.Errorf("the session afterwards: %+v", s)
	}
	kvasir.in(t, home, "run", "--session", "S", "--continue", "--temp", "0").must(t, 0)
}

// A session whose first records are lost says that it is damaged, not that it belongs to a model without a name; it can be begun anew.
func TestSessionWithoutItsModel(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	kvasir.in(t, home, "run", "--session", "S", "--temp", "0", "My name is Ada.").must(t, 0)
	for path, b := range journals(t, home) {
		b[bytes.Index(b, []byte("demo"))] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := func() result { return kvasir.in(t, home, "run", "--session", "S", "--temp", "0", "My name is Eva.") }
	if r := again().must(t, 1); !strings.Contains(r.err, "damaged behind turn 0") {
		t.Errorf("run says %v", r)
	}
	if r := kvasir.in(t, home, "sessions", "ls").must(t, 0); !regexp.MustCompile(`(?m)^S +2 +\d+ +- +.*, damaged$`).MatchString(r.out) {
		t.Errorf("the list: %v", r)
	}
	kvasir.in(t, home, "sessions", "rewind", "S", "--to", "0").must(t, 0)
	again().must(t, 0)
	if s := kvasir.show(t, home, "S"); s.Damaged || len(s.Turns) != 2 || s.Model != "demo" {
		t.Errorf("begun anew: %+v", s)
	}
}

// Removal takes what only the removed session used; beside a process that has the cache it says that rows stay.
func TestRemovedSessionsRows(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	common := []string{"-m", model(t, "llama"), "--raw", "-n", "4", "--temp", "0", "--logit-bias", noEnd}
	run := func(name, text string) {
		t.Helper()
		kvasir.in(t, home, append([]string{"run", "--session", name, text}, common...)...).must(t, 0)
	}
	shared := strings.Repeat("the king and the queen ", 12)
	run("A", shared+"of the hill")
	run("B", shared+"by the sea")
	run("D", shared+"by the sea")
	b := kvasir.show(t, home, "B")
	if len(b.SharedWith) != 2 || b.SharedWith[0].Name != "D" || b.SharedWith[0].Tokens < b.SharedWith[1].Tokens || b.SharedWith[1].Tokens < 64 {
		t.Fatalf("B shares %+v", b.SharedWith)
	}
	open := kvasir.start(t, home, append([]string{"chat", "--session", "C"}, common...)...)
	open.write("one two three\n")
	open.readLine()
	r := kvasir.in(t, home, "sessions", "rm", "D").must(t, 0)
	if len(r.lines()) != 1 || !strings.Contains(r.err, `"D"`) || !strings.Contains(r.err, "rows stay") || !strings.Contains(r.err, "another process") {
		t.Errorf("beside another process: %v", r)
	}
	if r := kvasir.in(t, home, "sessions", "rewind", "C", "--last", "1").must(t, 1); !strings.Contains(r.err, `session "C": in use`) {
		t.Errorf("rewind of an open session: %v", r)
	}
	kvasir.in(t, home, "sessions", "fork", "C", "E").must(t, 0)
	if err := open.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if _, code := open.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if e := kvasir.show(t, home, "E"); len(e.Turns) != 2 {
		t.Errorf("a fork of an open session holds %+v", e)
	}
	before := kvasir.show(t, home, "B")
	if r := kvasir.in(t, home, "sessions", "rm", "A").must(t, 0); r.err+r.out != "" {
		t.Errorf("rm says %v", r)
	}
	if after := kvasir.show(t, home, "B"); after.KVTokens != before.KVTokens || after.KVTokens < after.Tokens-1 || len(after.SharedWith) != 0 {
		t.Errorf("after the removal of another session B is %+v, before %+v", after, before)
	}
	kvasir.in(t, home, "sessions", "rm", "B", "--keep-kv").must(t, 0)
	run("F", shared+"by the sea")
	if f := kvasir.show(t, home, "F"); f.KVTokens < before.KVTokens {
		t.Errorf("kept rows: %+v", f)
	}
	kvasir.in(t, home, "sessions", "rm", "F", "C", "E").must(t, 0)
	cache := kvasir.in(t, home, "cache", "stats", "-o", "json").must(t, 0)
	if !strings.Contains(cache.out, `"blocks":0,`) {
		t.Errorf("without a session the cache holds %s", cache.out)
	}
	if names := journals(t, home); len(names) != 0 {
		t.Errorf("%d files left", len(names))
	}
}

func TestBranchMistakes(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	kvasir.in(t, home, "run", "--session", "S", "-n", "3", "--temp", "0", "hello").must(t, 0)
	for _, c := range []struct {
		args string
		code int
		err  string
	}{
		{"fork S", 2, "takes the NAME"},
		{"fork S T --at 3", 2, "turns 1 to 2"},
		{"fork S T --at 0", 2, "turns 1 to 2"},
		{"fork X T", 1, `no such session: "X"`},
		{"fork S S", 1, `session exists: "S"`},
		{"rewind S", 2, "--to TURN or --last N"},
		{"rewind S --to 1 --last 1", 2, "--to TURN or --last N"},
		{"rewind S --to 3", 2, "has 2 turns"},
		{"rewind S --to -1", 2, "has 2 turns"},
		{"rewind S --last 0", 2, "has 2 turns"},
		{"rewind S --last 3", 2, "has 2 turns"},
		{"rewind X --last 1", 1, "no such session"},
		{"rm X", 1, "no such session"},
	} {
		r := kvasir.in(t, home, append([]string{"sessions"}, strings.Fields(c.args)...)...)
		if r.code != c.code || !strings.Contains(r.err, c.err) || len(r.lines()) != 1 || r.out != "" {
			t.Errorf("%s: %v", c.args, r)
		}
	}
	if s := kvasir.show(t, home, "S"); len(s.Turns) != 2 {
		t.Errorf("a mistake changed the session: %+v", s)
	}
}
