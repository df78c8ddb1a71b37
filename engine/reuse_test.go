package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvasir/engine"
	"kvasir/internal/testmodel"
	"kvasir/quant"
)

// dialogue is one conversation of a test over a home.
type dialogue struct {
	name, system, text string // name "": not kept
	format             quant.KVFormat
}

// hold opens the home, holds the conversation and closes it again.
func hold(t *testing.T, m *engine.Model, home string, d dialogue) (engine.Resumed, engine.Answer) {
	t.Helper()
	if d.format == 0 {
		d.format = quant.KVInt8
	}
	w, err := engine.OpenMemory(context.Background(), m, engine.MemoryOptions{Home: home, Format: d.format})
	if err != nil {
		t.Fatal(err)
	}
	r, a := holdIn(t, m, w, d)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return r, a
}

func holdIn(t *testing.T, m *engine.Model, w *engine.Memory, d dialogue) (r engine.Resumed, a engine.Answer) {
	t.Helper()
	ctx := context.Background()
	opt := engine.ConversationOptions{Sample: sampling(), System: d.system, Explain: true}
	var c *engine.Conversation
	var err error
	if d.name == "" {
		c, err = m.NewConversation(w, opt)
	} else {
		c, r, err = m.OpenSession(ctx, w, d.name, opt, nil)
	}
	if err == nil {
		a, err = c.Say(ctx, d.text, 4, nil, func(string) error { return nil })
	}
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return r, a
}

// Every reason why a prompt is not reused is told, with the text on both sides where what is stored goes on differently.
func TestReuseIsExplained(t *testing.T) {
	m, home := textModel(t), t.TempDir()
	const monday, tuesday = "be brief; today is monday", "be brief; today is tuesday"
	check := func(what string, r *engine.Reuse, why engine.Why, reused int) {
		t.Helper()
		if r == nil || r.Why != why || r.Position != reused {
			t.Errorf("%s: %+v, want %q at %d", what, r, why, reused)
		}
	}
	_, a := hold(t, m, home, dialogue{"", monday, "who are you?", 0})
	check("a new model", a.Reuse, engine.WhyNothing, 0)
	if !strings.HasPrefix(a.Reuse.Prompt, "<s><system>be b") && !strings.HasPrefix(a.Reuse.Prompt, "<s> <system>be b") {
		t.Errorf("%+v", a.Reuse)
	}
	first := a

	_, a = hold(t, m, home, dialogue{"", monday, "who are you?", 0})
	check("the same again", a.Reuse, engine.WhyLastToken, a.PromptTokens-1)

	_, a = hold(t, m, home, dialogue{"", tuesday, "who are you?", 0})
	check("another date", a.Reuse, engine.WhyDiffers, a.ReusedTokens)
	if r := a.Reuse; !strings.HasSuffix(r.Before, "today is ") || !strings.HasPrefix(r.Prompt, "tuesday<user>") || !strings.HasPrefix(r.Stored, "monday<user>") {
		t.Errorf("another date: %+v", r)
	}

	_, a = hold(t, m, home, dialogue{"", monday, "how are you?", 0})
	check("another message", a.Reuse, engine.WhyDiffers, a.ReusedTokens)
	if r := a.Reuse; !strings.HasSuffix(r.Before, "monday<user>") || !strings.HasPrefix(r.Prompt, "how are") || !strings.HasPrefix(r.Stored, "who are") {
		t.Errorf("another message: %+v", r)
	}

	_, a = hold(t, m, home, dialogue{"", monday, "who are you?", quant.KVF16})
	check("another format", a.Reuse, engine.WhyOtherFormat, 0)

	// A conversation that goes on: its past is reused, what was said is new.
	r, a := hold(t, m, home, dialogue{"S", monday, "who are you?", 0})
	if r.Reuse != nil {
		check("no past", r.Reuse, engine.WhyLastToken, 0)
	}
	r, a = hold(t, m, home, dialogue{"S", "", "and then?", 0})
	check("taken up", r.Reuse, engine.WhyLastToken, r.Tokens-1)
	check("taken up, the new message", a.Reuse, engine.WhyNew, r.Tokens)
	if !strings.Contains(a.Reuse.Prompt, "and then?") {
		t.Errorf("%+v", a.Reuse)
	}

	// A process that is killed leaves a block that is not finished.
	w, err := engine.OpenMemory(context.Background(), m, engine.MemoryOptions{Home: home, Format: quant.KVInt8})
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := m.OpenSession(context.Background(), w, "killed", engine.ConversationOptions{Sample: sampling(), System: strings.Repeat("abc ", 30)}, nil)
	if err == nil {
		_, err = c.Say(context.Background(), "hello", 8, nil, func(string) error { return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	killed := t.TempDir()
	copyTree(t, killed, home)

	// Meanwhile another process finds the store taken.
	_, a = hold(t, m, home, dialogue{"", monday, "who are you?", 0})
	check("beside another process", a.Reuse, engine.WhyInMemory, 0)
	if !strings.Contains(a.Reuse.Detail, "lock") {
		t.Errorf("beside another process: %+v", a.Reuse)
	}
	if err := errors.Join(c.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	r, _ = hold(t, m, killed, dialogue{"killed", "", "go on", 0})
	check("killed", r.Reuse, engine.WhyUnfinished, r.Reused)
	if r.Reused%64 != 0 || r.Reused == 0 {
		t.Errorf("killed: %+v", r)
	}

	// Blocks that are gone, all of them: the session is computed again.
	gone := t.TempDir()
	copyTree(t, gone, home)
	if err := os.RemoveAll(filepath.Join(gone, "kv")); err != nil {
		t.Fatal(err)
	}
	r, _ = hold(t, m, gone, dialogue{"killed", "", "go on", 0})
	check("without blocks", r.Reuse, engine.WhyGone, 0)

	// A damaged payload, found when it is used.
	damaged := t.TempDir()
	copyTree(t, damaged, home)
	flipPayloads(t, damaged)
	_, a = hold(t, m, damaged, dialogue{"", monday, "who are you?", 0})
	check("damaged", a.Reuse, engine.WhyDamaged, 0)

	_, a = hold(t, m, "", dialogue{"", monday, "who are you?", 0})
	check("no home", a.Reuse, engine.WhyNotKept, 0)
	if a.PromptTokens != first.PromptTokens {
		t.Errorf("%d tokens, before %d", a.PromptTokens, first.PromptTokens)
	}
}

// flipPayloads changes a bit in every 256 bytes of what segments hold behind their headers.
func flipPayloads(t *testing.T, home string) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(home, "kv", "v1", "m-*", "kv-*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("%q, %v", segments, err)
	}
	for _, path := range segments {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := binary.LittleEndian.Uint64(b[120:]); i < uint64(len(b)); i += 256 { // from data_off on
			b[i] ^= 4
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing is explained that was not asked for.
func TestReuseIsNotExplainedUnasked(t *testing.T) {
	m := textModel(t)
	w := openMemory(t, m, t.TempDir(), quant.KVInt8)
	c, r, err := m.OpenSession(context.Background(), w, "S", engine.ConversationOptions{Sample: sampling()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Say(context.Background(), "hello", 2, nil, func(string) error { return nil })
	if err != nil || r.Reuse != nil || a.Reuse != nil {
		t.Errorf("%+v, %+v, %v", r.Reuse, a.Reuse, err)
	}
	if err := errors.Join(c.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
}

// Invariant I7 through the engine: sessions whose first S tokens are the same hold floor(S/64) blocks for these together, and
// each new one computes none of them: beside the others, after a restart, when the others are removed. Another model finds
// nothing and has blocks of its own.
func TestSessionsShareTheirSystemMessage(t *testing.T) {
	m, home := textModel(t), t.TempDir()
	system := strings.Repeat("you are a patient gardener ", 12)
	var sessions [][]int32 // ids of each
	stored := uint64(0)    // FULL blocks
	// process opens the home, holds n more sessions, which stay open beside each other, and ends.
	process := func(n int) {
		w := openMemory(t, m, home, quant.KVInt8)
		var open []*engine.Conversation
		for range n {
			i := len(sessions)
			name := fmt.Sprint("S", i)
			c, _, err := m.OpenSession(context.Background(), w, name, engine.ConversationOptions{Sample: sampling(), System: system}, nil)
			if err != nil {
				t.Fatal(err)
			}
			a, err := c.Say(context.Background(), fmt.Sprintf("%c is what i say first, and more", 'a'+i), 4, nil, func(string) error { return nil })
			if err == nil {
				err = c.Flush()
			}
			if err != nil {
				t.Fatal(err)
			}
			past, err := w.Sessions.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			ids := past.IDs()
			if i > 0 {
				if shared := commonPrefix(ids, sessions[0]); shared < 200 || a.ReusedTokens != shared {
					t.Errorf("session %d: %d tokens reused, %d are those of other sessions", i, a.ReusedTokens, shared)
				}
			}
			sessions, open = append(sessions, ids), append(open, c)
		}
		stored += w.Stats().StoredBlocks
		for _, c := range open {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	process(3)
	process(2)
	w := openMemory(t, m, home, quant.KVInt8)
	for i := range sessions {
		if err := w.Sessions.Remove(fmt.Sprint("S", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	process(1)

	common := commonPrefix(sessions[0], sessions[1])
	want := common / 64
	for _, ids := range sessions {
		want += len(ids)/64 - common/64
	}
	if stored != uint64(want) {
		t.Errorf("%d blocks were stored for %d sessions with %d tokens in common, want %d", stored, len(sessions), common, want)
	}

	b, err := testmodel.Named("llama-text").Spec().With("general.name", "another").Bytes()
	if err != nil {
		t.Fatal(err)
	}
	other, err := engine.OpenBytes("another", b, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w := openMemory(t, other, home, quant.KVInt8)
		c := w.NewContext(other, 0, 0)
		n, err := c.Match(sessions[0])
		if err == nil {
			err = c.Extend(context.Background(), sessions[0][n:], nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if blocks := w.Stats().StoredBlocks; n == 0 && blocks != uint64(len(sessions[0])/64) || n > 0 && blocks != 0 {
			t.Errorf("another model: %d tokens reused, %d blocks stored", n, blocks)
		}
		if err := errors.Join(c.Flush(), c.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
}

func commonPrefix(a, b []int32) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
