package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"kvasir/engine"
	"kvasir/quant"
)

// branch is a session that a test talks in.
type branch struct {
	*engine.Conversation
	t testing.TB
}

func openBranch(t testing.TB, m *engine.Model, w *engine.Memory, name string) (branch, engine.Resumed) {
	t.Helper()
	c, r, err := m.OpenSession(context.Background(), w, name, engine.ConversationOptions{Sample: sampling(), System: "be brief"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return branch{c, t}, r
}

// answer says text, or goes on with what was cut off if it is empty, for at most max tokens.
func (b branch) answer(text string, max int) (said string) {
	b.t.Helper()
	var err error
	out := func(s string) error { said += s; return nil }
	if text == "" {
		_, err = b.Continue(context.Background(), max, nil, out)
	} else {
		_, err = b.Say(context.Background(), text, max, nil, out)
	}
	if err != nil {
		b.t.Fatalf("%q: %v; the conversation holds %+v", text, err, b.Turns())
	}
	return said
}

func (b branch) close() {
	b.t.Helper()
	if err := b.Conversation.Close(); err != nil {
		b.t.Fatal(err)
	}
}

func fork(t testing.TB, w *engine.Memory, name, child string, at int) {
	t.Helper()
	past, err := w.Sessions.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	turns := past.Turns
	if at > 0 {
		turns = turns[:engine.JoinTurns(turns)[at-1].Stored]
	}
	if err := w.Sessions.Fork(past, child, len(turns)); err != nil {
		t.Fatal(err)
	}
}

// P5, I8: a fork, made at every place of a conversation while it goes on or later, continues with the words that the parent has or
// would have said there; it computes at most the tokens of one block again, and its parent goes on as if nothing had been.
func TestForkGoesOnAsItsParentWould(t *testing.T) {
	m := textModel(t)
	// What one process says: an answer that is cut off and taken up twice, another one that is left unfinished for a new question.
	talk := func(b branch, pause func(turns int)) (said []string) {
		for _, step := range []struct {
			text string
			max  int
		}{{"who are you?", 9}, {"", 7}, {"", 0}, {"and then?", 3}, {"no, tell me more of the kings, the queens and their castles", 4}, {"", 0}} {
			said = append(said, b.answer(step.text, step.max))
			pause(len(b.Turns()))
		}
		return said
	}
	w := openMemory(t, m, t.TempDir(), quant.KVInt8)
	alone, _ := openBranch(t, m, w, "alone")
	want := talk(alone, func(int) {})
	rest := alone.answer("and after that?", 20)
	alone.close()
	// What follows the first unfinished answer if it is taken up.
	other, _ := openBranch(t, m, w, "other")
	other.answer("who are you?", 0)
	other.answer("and then?", 3)
	unfinished := other.answer("", 15)
	other.close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	home := t.TempDir()
	w = openMemory(t, m, home, quant.KVInt8)
	parent, _ := openBranch(t, m, w, "parent")
	made := 0
	got := talk(parent, func(int) {
		made++
		if err := parent.Flush(); err != nil {
			t.Fatal(err)
		}
		fork(t, w, "parent", fmt.Sprint("fork", made), 0)
	})
	if end := parent.answer("and after that?", 20); fmt.Sprint(got, end) != fmt.Sprint(want, rest) {
		t.Errorf("with forks beside it the parent says\n%q %q, alone\n%q %q", got, end, want, rest)
	}
	parent.close()
	stats := w.Stats()
	fork(t, w, "parent", "unfinished", 5) // of: system, user, assistant, user, assistant
	if w.Stats() != stats {
		t.Errorf("a fork shows in the store: %+v, before %+v", w.Stats(), stats)
	}
	before, err := w.Sessions.Read("parent")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = openMemory(t, m, home, quant.KVInt8)
	for i := range want {
		b, r := openBranch(t, m, w, fmt.Sprint("fork", i+1))
		if r.Computed > 64 || r.Reused+r.Computed != r.Tokens {
			t.Errorf("fork %d: %+v", i+1, r)
		}
		if b.CutOff() {
			wanted := want[min(i+1, len(want)-1)]
			if i == 3 {
				wanted = unfinished
			}
			if said := b.answer("", []int{7, 0, 0, 15, 0, 0}[i]); said != wanted {
				t.Errorf("fork %d goes on with %q, want %q", i+1, said, wanted)
			}
		}
		b.close()
	}
	b, r := openBranch(t, m, w, "unfinished")
	if said := b.answer("", 15); said != unfinished || r.Computed > 64 {
		t.Errorf("the fork inside goes on with %q, want %q; %+v", said, unfinished, r)
	}
	b.close()
	if after, err := w.Sessions.Read("parent"); err != nil || fmt.Sprint(after.Turns) != fmt.Sprint(before.Turns) {
		t.Errorf("forks that went on changed their parent: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// Undo and a rewind by another process leave the same conversation: it goes on as if what was forgotten had never been, an
// answer that was cut off before included.
func TestUndoneExchangeLeavesNoTrace(t *testing.T) {
	m := textModel(t)
	w := openMemory(t, m, t.TempDir(), quant.KVInt8)
	defer w.Close()
	a, _ := openBranch(t, m, w, "A")
	a.answer("who are you?", 9)
	rest := a.answer("", 30)
	a.close()

	b, _ := openBranch(t, m, w, "B")
	b.answer("who are you?", 9)
	b.answer("forget this, please, it is long enough for more than a block of rows in the store", 70)
	b.answer("and this", 5)
	for i, want := range []string{"and this", "forget this, please, it is long enough for more than a block of rows in the store"} {
		gone, err := b.Undo()
		if err != nil || len(gone) != 2 || gone[0].Text != want || len(b.Turns()) != 5-2*i {
			t.Fatalf("undo: %+v, %v; left %+v", gone, err, b.Turns())
		}
	}
	fork(t, w, "B", "C", 0)
	if said := b.answer("", 30); said != rest {
		t.Errorf("after undo the answer goes on with %q, want %q", said, rest)
	}
	b.close()
	c, r := openBranch(t, m, w, "C")
	if said := c.answer("", 30); said != rest || r.Computed > 64 {
		t.Errorf("in a process that came later it goes on with %q, want %q; %+v", said, rest, r)
	}
	for range 2 {
		if _, err := c.Undo(); err != nil && !errors.Is(err, engine.ErrNothingToUndo) {
			t.Fatal(err)
		}
	}
	if _, err := c.Undo(); !errors.Is(err, engine.ErrNothingToUndo) || c.Tokens() != 0 || c.CutOff() {
		t.Errorf("nothing is left: %v, %d tokens", err, c.Tokens())
	}
	if said := c.answer("who are you?", 0); said == "" {
		t.Error("no answer in an emptied conversation")
	}
	c.close()
}
