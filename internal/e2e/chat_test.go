package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What the built-in model must be able to do: take a name in, talk of something else, and say the name again.
var nameTurns = []string{"My name is Ada.", "What is 2 plus 3?", "What is my name?"}

func TestChatThroughAPipe(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	r := kvasir.say(t, home, strings.Join(nameTurns, "\n")+"\n", "chat", "--temp", "0").must(t, 0)
	answers := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
	if len(answers) != len(nameTurns) || !strings.Contains(answers[2], "Ada") {
		t.Fatalf("expected %d answers, the last with the name\n%v", len(nameTurns), r)
	}

	// Another process goes on with the latest conversation, from what the store holds.
	again := kvasir.say(t, home, "Say my name.\nWhat is my name?\n", "chat", "--continue", "--temp", "0").must(t, 0)
	if !strings.Contains(again.out, "Ada") {
		t.Errorf("after a restart the name is gone: %v", again)
	}
	status := regexp.MustCompile(`resumed chat-\S+: 6 turns, (\d+) tokens; (\d+) reused, (\d+) computed, `).FindStringSubmatch(again.err)
	if status == nil {
		t.Fatalf("no status line on stderr: %v", again)
	}
	var n [3]int
	for i := range n {
		n[i], _ = strconv.Atoi(status[1+i])
	}
	if n[0] != n[1]+n[2] || n[2] > 1 || n[0] < 20 {
		t.Errorf("%d tokens, %d reused, %d computed; expected at most 1 computed", n[0], n[1], n[2])
	}

	// run and chat speak of the same sessions, and one process says what three say in turn.
	whole := kvasir.say(t, t.TempDir(), strings.Join(nameTurns, "\n")+"\n", "chat", "--session", "S", "--temp", "0").must(t, 0)
	single := t.TempDir()
	var got strings.Builder
	for i, text := range nameTurns {
		r := kvasir.in(t, single, "run", "--session", "S", "--temp", "0", "--stats", "-", text).must(t, 0)
		if st := r.stats(t); i > 0 && st.ReusedTokens == 0 {
			t.Errorf("turn %d reuses nothing: %+v", i, st)
		}
		fmt.Fprintln(&got, r.out)
	}
	if got.String() != whole.out || whole.out != r.out {
		t.Errorf("in one process %q, in three %q", whole.out, got.String())
	}
}

// A conversation that is killed between two turns, or has no answer yet, goes on in its words.
func TestKilledChatGoesOn(t *testing.T) {
	t.Parallel()
	want := kvasir.say(t, t.TempDir(), strings.Join(nameTurns, "\n")+"\n", "chat", "--session", "S", "--temp", "0").must(t, 0).out
	home := t.TempDir()
	var got strings.Builder
	for _, text := range nameTurns {
		x := kvasir.start(t, home, "chat", "--session", "S", "--temp", "0")
		x.write(text + "\n")
		got.WriteString(x.readLine())
		kill{}.strike(x)
	}
	if got.String() != want {
		t.Errorf("killed behind every turn: %q, expected %q", got.String(), want)
	}
	if s := kvasir.show(t, home, "S"); len(s.Turns) != 6 || s.Damaged {
		t.Errorf("the session holds %+v", s)
	}
}

func TestChatCommands(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	r := kvasir.say(t, home, "/help\n\n/nonsense\n/continue\n/exit\nnever said\n", "chat", "--session", "S", "--temp", "0").must(t, 0)
	for _, want := range []string{"/continue", "no command /nonsense", "nothing to continue"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("expected %q on stderr\n%v", want, r)
		}
	}
	if s := kvasir.show(t, home, "S"); len(s.Turns) != 0 {
		t.Errorf("nothing was said, the session holds %+v", s)
	}
	// Chats without a name and without a word leave nothing behind.
	kvasir.say(t, home, "", "chat").must(t, 0)
	if r := kvasir.in(t, home, "sessions", "ls", "-o", "json").must(t, 0); strings.Count(r.out, `"name"`) != 1 {
		t.Errorf("sessions: %s", r.out)
	}
	// An answer cut by -n goes on with an empty line.
	args := []string{"-m", model(t, "llama"), "--raw", "--temp", "0", "--logit-bias", noEnd}
	whole := kvasir.in(t, home, append([]string{"run", "-n", "8", "hello"}, args...)...).must(t, 0).out
	halves := kvasir.say(t, home, "hello\n\n", append([]string{"chat", "-n", "4", "--session", "T"}, args...)...).must(t, 0).out
	if strings.ReplaceAll(strings.TrimSuffix(halves, "\n"), "\n", "") != strings.ReplaceAll(whole, "\n", "") {
		t.Errorf("in two pieces %q, in one %q", halves, whole)
	}
}
