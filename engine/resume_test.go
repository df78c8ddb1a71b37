package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kvasir/engine"
	"kvasir/engine/sample"
	"kvasir/internal/testmodel"
	"kvasir/kvcache"
	"kvasir/quant"
)

// Around the ends of blocks (64) and of the tiles of attention (256), and between.
var resumeLengths = []int{1, 2, 17, 63, 64, 65, 127, 128, 129, 191, 200, 255, 256, 257, 319, 320, 321}

const resumeTokens = 330

// resumeModel opens a tiny model with room for resumeTokens. Models of one name are the same.
func resumeModel(t testing.TB, name string, threads int) *engine.Model {
	t.Helper()
	c := testmodel.Named(name)
	c.Context, c.FFN = 1024, 256
	b, err := c.Spec().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	m, err := engine.OpenBytes(name, b, engine.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func randomIDs(m *engine.Model, n int, seed uint64) []int32 {
	r := rand.New(rand.NewPCG(seed, 0))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.IntN(m.Config.NVocab))
	}
	return ids
}

func openMemory(t testing.TB, m *engine.Model, home string, kv quant.KVFormat) *engine.Memory {
	t.Helper()
	w, err := engine.OpenMemory(context.Background(), m, engine.MemoryOptions{Home: home, Format: kv,
		Warn: func(err error) { t.Errorf("home %q: %v", home, err) }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// uninterrupted returns the logits behind every token, of one run in memory.
func uninterrupted(t testing.TB, m *engine.Model, ids []int32, kv quant.KVFormat) [][]float32 {
	t.Helper()
	w := openMemory(t, m, "", kv)
	c := w.NewContext(m, 0, 0)
	var all [][]float32
	err := c.Each(context.Background(), ids, func(_ int, l []float32) error {
		all = append(all, slices.Clone(l))
		return nil
	})
	if err = errors.Join(err, c.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return all
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// takeUp matches what is stored of ids and computes the rest; it returns how many were stored.
func takeUp(t testing.TB, c *engine.Context, ids []int32, want []float32) int {
	t.Helper()
	reused, err := c.Match(ids)
	if err == nil {
		err = c.Extend(context.Background(), ids[reused:], nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !sameBits(c.Logits(), want) {
		t.Fatalf("%d tokens, %d of them from the store: the logits are not those of an uninterrupted run", len(ids), reused)
	}
	return reused
}

// P2, in order and after a simulated kill -9: the logits behind a resumed conversation equal those of an uninterrupted
// run bit for bit, and at most 64 tokens are computed again (1 after an orderly end).
func TestResumedLogitsAreTheSameBits(t *testing.T) {
	for _, name := range []string{"llama-gqa", "qwen2-gqa", "qwen3-gqa", "gemma3-window", "llama-hd80"} {
		for _, kv := range []quant.KVFormat{quant.KVInt8, quant.KVF16} {
			m := resumeModel(t, name, 1)
			ids := randomIDs(m, resumeTokens, 1)
			want := uninterrupted(t, m, ids, kv)
			for _, run := range []struct{ batch, threads int }{{7, 1}, {1, 2}, {512, 2}} {
				if testing.Short() && (run.batch != 7 || kv != quant.KVInt8) {
					continue // under emulation
				}
				t.Run(fmt.Sprintf("%s %v batch %d threads %d", name, kv, run.batch, run.threads), func(t *testing.T) {
					m := resumeModel(t, name, run.threads)
					resumeAtEveryLength(t, m, ids, want, t.TempDir(), kv, run.batch)
				})
			}
		}
	}
}

func resumeAtEveryLength(t *testing.T, m *engine.Model, ids []int32, want [][]float32, home string, kv quant.KVFormat, batch int) {
	have, flushed := 0, true
	for i, n := range resumeLengths {
		w := openMemory(t, m, home, kv)
		c := w.NewContext(m, 0, batch)
		reused := takeUp(t, c, ids[:n], want[n-1])
		// What the process before had computed is there: all of it (but the last token of the path always is left to
		// compute), or after a kill all but the unfinished block.
		least := min(have, n-1)
		if !flushed {
			least = min(have/64*64, n-1)
		}
		if reused < least || reused > min(have, n-1) {
			t.Errorf("at %d: %d tokens reused, %d were computed before, expected at least %d", n, reused, have, least)
		}
		have = n
		// Every other process is killed: what it leaves is what its files hold at that moment.
		if flushed = i%2 == 0; flushed {
			if err := errors.Join(c.Flush(), c.Close(), w.Close()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		next := t.TempDir()
		copyTree(t, next, home)
		if err := errors.Join(c.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
		home = next
	}
}

// copyTree copies files one by one, as they are while it looks at them. Names that begin with a dot are temporary.
func copyTree(t testing.TB, to, from string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(d.Name(), ".") && rel != ".":
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // renamed meanwhile
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, rel), b, 0o600)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// P3: a copy that is taken at any moment while blocks are written, file after file, is worse than what any crash
// leaves. It may lack blocks; it never gives other numbers.
func TestCopyOfABusyHomeIsNeverWrong(t *testing.T) {
	m := resumeModel(t, "llama-gqa", 1)
	ids := randomIDs(m, resumeTokens, 2)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, kv := range []quant.KVFormat{quant.KVInt8, quant.KVF16} {
		start := time.Now()
		want := uninterrupted(t, m, ids, kv)
		took := time.Since(start)
		for range 5 {
			home := t.TempDir()
			w := openMemory(t, m, home, kv)
			c := w.NewContext(m, 0, 7)
			var wg sync.WaitGroup
			var err error
			wg.Go(func() {
				if err = c.Extend(context.Background(), ids, nil); err == nil {
					err = c.Flush()
				}
			})
			time.Sleep(time.Duration(rnd.Int64N(int64(took) * 3 / 2)))
			copied := t.TempDir()
			copyTree(t, copied, home)
			wg.Wait()
			if err = errors.Join(err, c.Close(), w.Close()); err != nil {
				t.Fatal(err)
			}
			// The copy, then the original.
			for _, dir := range []string{copied, home} {
				w := openMemory(t, m, dir, kv)
				c := w.NewContext(m, 0, 0)
				reused := takeUp(t, c, ids, want[len(ids)-1])
				if dir == home && reused != len(ids)-1 {
					t.Errorf("%d tokens reused from the original, expected all but one", reused)
				}
				if err := errors.Join(c.Close(), w.Close()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// P4: what one conversation has computed, another one finds, to the token, while the first goes on and after a restart.
func TestConversationsSharePrefixes(t *testing.T) {
	for _, kv := range []quant.KVFormat{quant.KVInt8, quant.KVF16} {
		m := resumeModel(t, "qwen3-gqa", 2)
		home := t.TempDir()
		first := randomIDs(m, 300, 3)
		w := openMemory(t, m, home, kv)
		a := w.NewContext(m, 0, 0)
		takeUp(t, a, first, uninterrupted(t, m, first, kv)[299])
		if err := a.Flush(); err != nil {
			t.Fatal(err)
		}
		check := func(w *engine.Memory, when string, other int32) {
			lengths := []int{0, 1, 37, 63, 64, 65, 100, 128, 200, 255, 256, 257, 290, 299}
			if testing.Short() { // under emulation
				lengths = []int{0, 37, 64, 65, 255, 299}
			}
			for _, shared := range lengths {
				ids := append(slices.Clone(first[:shared]), (first[shared]+other)%int32(m.Config.NVocab))
				ids = append(ids, randomIDs(m, 20, uint64(shared))...) // and another token, so that no more is shared
				b := w.NewContext(m, 0, 0)
				reused := takeUp(t, b, ids, uninterrupted(t, m, ids, kv)[len(ids)-1])
				if reused != shared {
					t.Errorf("%v, %s: %d tokens are shared, %d were reused", kv, when, shared, reused)
				}
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		check(w, "beside the first", 1)
		before := w.Stats()
		same := w.NewContext(m, 0, 0)
		takeUp(t, same, first, a.Logits())
		if after := w.Stats(); after.UsedBytes != before.UsedBytes {
			t.Errorf("the same conversation twice took %d more bytes", after.UsedBytes-before.UsedBytes)
		}
		if err := errors.Join(same.Close(), a.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
		w = openMemory(t, m, home, kv)
		check(w, "after a restart", 2)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// textModel opens a model that can hold text, with a chat template.
func textModel(t testing.TB) *engine.Model {
	t.Helper()
	return templated(t, testmodel.Named("llama-text").Context, textTemplate)
}

const textTemplate = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% if m.role == 'assistant' %}</s>{% endif %}{% endfor %}" +
	"{% if add_generation_prompt %}<assistant>{% endif %}"

// templated opens a model that can hold text, for a context of that many tokens, with this chat template.
func templated(t testing.TB, nCtx int, template string) *engine.Model {
	t.Helper()
	c := testmodel.Named("llama-text")
	c.Context = nCtx
	b, err := c.Spec().With("tokenizer.chat_template", template).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	m, err := engine.OpenBytes("text", b, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func sampling() sample.Params {
	p := sample.Defaults()
	p.Temp, p.Seed, p.RepeatPenalty, p.PenaltyLastN = 1, 3, 1.2, 40
	p.LogitBias = map[int32]float32{2: 1} // the end of an answer comes, in time
	return p
}

// A copy of the home at every token of an answer is what a kill there leaves. From each of them the conversation goes on
// with the same words, ends where it would have ended, and answers the next message alike.
func TestEveryTokenIsAPlaceToDie(t *testing.T) {
	t.Run("text", func(t *testing.T) { dieAtEveryToken(t, sampling()) })
	// Nothing but a byte that opens a character, and the end: the last one is never finished.
	p := sampling()
	p.Temp, p.TopP, p.MinP, p.RepeatPenalty, p.LogitBias = 20, 1, 0, 1, map[int32]float32{2: 950, 3 + 0xe2: 1000}
	t.Run("torn character", func(t *testing.T) { dieAtEveryToken(t, p) })
}

func dieAtEveryToken(t *testing.T, p sample.Params) {
	m := textModel(t)
	opt := engine.ConversationOptions{Sample: p, System: "be brief"}
	ctx := context.Background()
	next := func(c *engine.Conversation) string {
		var s strings.Builder
		if _, err := c.Say(ctx, "and then?", 10, nil, func(p string) error { s.WriteString(p); return nil }); err != nil {
			t.Fatal(err)
		}
		return s.String()
	}
	home := t.TempDir()
	w := openMemory(t, m, home, quant.KVInt8)
	c, _, err := m.OpenSession(ctx, w, "S", opt, nil)
	if err != nil {
		t.Fatal(err)
	}
	type moment struct {
		home, seen string
		at         int
	}
	var moments []moment
	var said strings.Builder
	a, err := c.Say(ctx, "who are you?", 120, nil, func(p string) error {
		said.WriteString(p)
		// The first ones, some of those between, and always the last one: its text may have come without a token.
		if n := len(moments); n > 12 && (n > 24 || moments[n-1].at%8 != 0) {
			if err := os.RemoveAll(moments[n-1].home); err != nil {
				return err
			}
			moments = moments[:n-1]
		}
		dir := t.TempDir()
		copyTree(t, dir, home)
		moments = append(moments, moment{dir, said.String(), said.Len()})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	whole, tokens := said.String(), c.Tokens()
	if a.Finish != engine.FinishStop || len(moments) < 8 {
		t.Fatalf("an answer of %d tokens that ends with %q is no test: %q", a.GeneratedTokens, a.Finish, whole)
	}
	if err := errors.Join(c.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	moments = append(moments, moment{home, whole, len(whole)})
	var after string
	for i, at := range slices.Backward(moments) { // the last one tells what comes after an orderly end
		w := openMemory(t, m, at.home, quant.KVInt8)
		c, r, err := m.OpenSession(ctx, w, "S", opt, nil)
		if err != nil {
			t.Fatal(err)
		}
		turns := c.Turns()
		if len(turns) != 3 || turns[0].Role != "system" || turns[2].Text != at.seen || r.Computed > 64 {
			t.Fatalf("moment %d: read %q, the session holds %+v; %d tokens computed", i, at.seen, turns, r.Computed)
		}
		if at.home != home {
			got := at.seen
			a, err := c.Continue(ctx, 0, nil, func(p string) error { got += p; return nil })
			if err != nil || got != whole || a.Finish != engine.FinishStop || c.Tokens() != tokens {
				t.Fatalf("moment %d: %v, finish %q, %d tokens\n%q, uninterrupted %d tokens\n%q", i, err, a.Finish, c.Tokens(), got, tokens, whole)
			}
			if err := errors.Join(c.Close(), w.Close()); err != nil {
				t.Fatal(err)
			}
			w = openMemory(t, m, at.home, quant.KVInt8)
			if c, _, err = m.OpenSession(ctx, w, "S", opt, nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Continue(ctx, 0, nil, nil); !errors.Is(err, engine.ErrNothingToContinue) {
			t.Errorf("moment %d: continuing a finished answer: %v", i, err)
		}
		switch s := next(c); {
		case at.home == home:
			after = s
		case s != after:
			t.Errorf("moment %d: the next answer is %q, after an orderly end %q", i, s, after)
		}
		if err := errors.Join(c.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// A process that dies behind the system message, before the user's, leaves a session that starts as any other.
func TestSystemMessageAloneIsNoConversation(t *testing.T) {
	m := textModel(t)
	ctx := context.Background()
	opt := engine.ConversationOptions{Sample: sampling(), System: "be brief"}
	say := func(c *engine.Conversation) (text string) {
		if _, err := c.Say(ctx, "who are you?", 5, nil, func(p string) error { text += p; return nil }); err != nil {
			t.Fatal(err)
		}
		return text
	}
	var want string
	var tokens int
	for _, torn := range []bool{false, true} {
		home := t.TempDir()
		w := openMemory(t, m, home, quant.KVInt8)
		if torn {
			j, err := w.Sessions.Create("S")
			if err == nil {
				err = errors.Join(j.Model(kvcache.ModelRecord{Fingerprint: w.Fingerprint(), Name: "text"}), j.Turn("system", opt.System, nil), j.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		c, _, err := m.OpenSession(ctx, w, "S", opt, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.CutOff() {
			t.Error("there is nothing to continue")
		}
		got := say(c)
		if !torn {
			want, tokens = got, c.Tokens()
		} else if got != want || c.Tokens() != tokens {
			t.Errorf("%q with %d tokens, expected %q with %d", got, c.Tokens(), want, tokens)
		}
		if turns := c.Turns(); len(turns) != 3 || turns[0].Role != "system" {
			t.Errorf("turns: %+v", turns)
		}
		if err := errors.Join(c.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// The errors that callers branch on.
func TestSessionErrors(t *testing.T) {
	m := textModel(t)
	ctx := context.Background()
	w := openMemory(t, m, t.TempDir(), quant.KVInt8)
	c, _, err := m.OpenSession(ctx, w, "S", engine.ConversationOptions{Sample: sampling()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = m.OpenSession(ctx, w, "S", engine.ConversationOptions{Sample: sampling()}, nil)
	if !errors.Is(err, engine.ErrInUse) || err.Error() != `session "S": in use by another process` {
		t.Errorf("opened twice: %v", err)
	}
	if _, err := c.Say(ctx, strings.Repeat("x", 3000), 1, nil, nil); !errors.Is(err, engine.ErrContextFull) {
		t.Errorf("a message larger than the context: %v", err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Say(stopped, "hello", 1, nil, nil); !errors.Is(err, context.Canceled) || !c.CutOff() {
		t.Errorf("cancelled before the answer: %v", err)
	}
	if a, err := c.Continue(ctx, 2, nil, func(string) error { return nil }); err != nil || a.GeneratedTokens+len(a.Finish) == 0 {
		t.Errorf("the answer to it later: %+v, %v", a, err)
	}
	if err := errors.Join(c.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	ram := openMemory(t, m, "", quant.KVInt8)
	if _, _, err := m.OpenSession(ctx, ram, "S", engine.ConversationOptions{Sample: sampling()}, nil); err == nil {
		t.Error("a session without a home was opened")
	}
	if err := ram.Close(); err != nil {
		t.Fatal(err)
	}
}
