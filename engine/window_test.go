package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"kvasir/engine"
	"kvasir/internal/testmodel"
	"kvasir/kvcache"
	"kvasir/quant"
)

// windowModel opens a model whose layers but one see a window of so many tokens.
func windowModel(t testing.TB, window, threads int) *engine.Model {
	t.Helper()
	c := testmodel.Named("gemma3-window")
	c.Context, c.FFN, c.Window = 1024, 256, window
	b, err := c.Spec().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	m, err := engine.OpenBytes("gemma3-window", b, engine.Options{Threads: threads})
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

// P2 and P3 for layers with a window, whose rows are given back when no path seems to need them any more: below, at and far beyond
// the window, in the next process, after going back into what was given back, and after leaving a path inside of it, logits are those of
// a run that was never interrupted.
func TestWindowsGivenBackAreNeverMissed(t *testing.T) {
	const size = 700
	for _, window := range []int{16, 100} {
		for _, kv := range []quant.KVFormat{quant.KVInt8, quant.KVF16} {
			if testing.Short() && (window != 100 || kv != quant.KVInt8) {
				continue // under emulation
			}
			t.Run(fmt.Sprintf("window %d %v", window, kv), func(t *testing.T) {
				m := windowModel(t, window, 2)
				ids := randomIDs(m, size, 1)
				want := uninterrupted(t, m, ids, kv)
				home := t.TempDir()
				var punched uint64
				process := func(fn func(w *engine.Memory, c *engine.Context)) {
					t.Helper()
					w := openMemory(t, m, home, kv)
					c := w.NewContext(m, 0, 37)
					fn(w, c)
					stats := w.Stats // counted until the end: closing gives back as well
					if err := errors.Join(c.Flush(), c.Close(), w.Close()); err != nil {
						t.Fatal(err)
					}
					punched += stats().PunchedBytes
				}
				have := 0
				for _, n := range []int{10, window, window + 1, window + 64, 300, 301, 449, size} {
					process(func(_ *engine.Memory, c *engine.Context) {
						if reused := takeUp(t, c, ids[:n], want[n-1]); reused != min(have, n-1) {
							t.Errorf("%d tokens, %d reused, of %d that were computed", n, reused, have)
						}
					})
					have = n
				}
				if punched == 0 {
					t.Fatal("nothing was given back: this tests nothing")
				}
				for _, n := range []int{650, 500, 350, 64, 5} { // another process begins earlier on the same path
					process(func(_ *engine.Memory, c *engine.Context) { takeUp(t, c, ids[:n], want[n-1]) })
				}
				process(func(_ *engine.Memory, c *engine.Context) { // the whole path, then back inside of it
					takeUp(t, c, ids, want[size-1])
					for _, n := range []int{600, 333, 200, 20} {
						if err := c.Truncate(n - 1); err != nil && !errors.Is(err, kvcache.ErrLost) {
							t.Fatal(err)
						}
						if err := c.Extend(context.Background(), ids[c.Len():n], nil); err != nil {
							t.Fatal(err)
						}
						if !sameBits(c.Logits(), want[n-1]) {
							t.Fatalf("back to %d: the logits are not those of an uninterrupted run", n)
						}
					}
				})
				for i, at := range []int{680, 420, 128, 40} { // another path leaves this one
					other := append(slices.Clone(ids[:at]), randomIDs(m, 150, uint64(100+i))...)
					last := uninterrupted(t, m, other, kv)[len(other)-1]
					for range 2 {
						process(func(_ *engine.Memory, c *engine.Context) { takeUp(t, c, other, last) })
					}
				}
				process(func(_ *engine.Memory, c *engine.Context) {
					if reused := takeUp(t, c, ids, want[size-1]); reused != size-1 {
						t.Errorf("%d of %d reused at the end", reused, size)
					}
				})
			})
		}
	}
}

// A fork goes on from where another session ends, and far. The other one is taken up in a later process: what its windowed layers
// need there was kept, and its answer is what it would have been.
func TestForkKeepsTheWindowOfTheOther(t *testing.T) {
	m := windowTextModel(t)
	home := t.TempDir()
	open := func() *engine.Memory { return openMemory(t, m, home, quant.KVInt8) }
	w := open()
	a, _ := openBranch(t, m, w, "A")
	a.answer("who are you?", 40)
	a.close()
	fork(t, w, "A", "B", 0)
	b, _ := openBranch(t, m, w, "B")
	for b.Tokens() < 600 {
		b.answer("and then? tell me more about it, at length", 60)
	}
	b.close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open()
	a, r := openBranch(t, m, w, "A")
	if r.Computed > 1 {
		t.Errorf("%d of %d tokens computed again", r.Computed, r.Tokens)
	}
	got := a.answer("and then?", 20)
	a.close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	home = t.TempDir() // the same without a fork
	w = open()
	a, _ = openBranch(t, m, w, "A")
	a.answer("who are you?", 40)
	a.close()
	a, _ = openBranch(t, m, w, "A")
	if want := a.answer("and then?", 20); got != want {
		t.Errorf("the answer beside a fork is %q, without %q", got, want)
	}
	a.close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// P4 for windows: a second conversation with the same system message finds it, though the first went far beyond.
func TestSystemMessageKeepsItsWindow(t *testing.T) {
	m := windowTextModel(t)
	home := t.TempDir()
	w := openMemory(t, m, home, quant.KVInt8)
	a, _ := openBranch(t, m, w, "A")
	for a.Tokens() < 600 {
		a.answer("tell me more about it, at length", 60)
	}
	a.close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = openMemory(t, m, home, quant.KVInt8)
	b, _ := openBranch(t, m, w, "B")
	answer, err := b.Say(context.Background(), "something else", 1, nil, func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.PromptPrefix("be brief", nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.ReusedTokens < len(p.IDs) {
		t.Errorf("%d tokens reused, the system message has %d", answer.ReusedTokens, len(p.IDs))
	}
	b.close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// windowTextModel is textModel with layers that see a window of 100 tokens.
func windowTextModel(t testing.TB) *engine.Model {
	t.Helper()
	c, text := testmodel.Named("gemma3-window"), testmodel.Named("llama-text")
	c.Context, c.FFN, c.Window, c.Vocab, c.Text = text.Context, 256, 100, text.Vocab, true
	b, err := c.Spec().With("tokenizer.chat_template", textTemplate).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	m, err := engine.OpenBytes("window text", b, engine.Options{Threads: 1})
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
