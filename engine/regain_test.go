package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"kvasir/engine/par"
	"kvasir/internal/guardmem"
	"kvasir/internal/testmodel"
	"kvasir/platform/vfs"
	"kvasir/quant"
)

// lossModel is a tiny model, an empty home, and the logits behind each of ids of a run that nothing disturbs.
func lossModel(t *testing.T, ids []int32) (m *Model, w *Memory, home string, want [][]float32) {
	t.Helper()
	if guardmem.Emulated() {
		t.Skip("user-mode emulation: it reports a bus error at address 0, which Go takes for a nil pointer")
	}
	c := testmodel.Named("llama-gqa")
	c.Context, c.FFN = 1024, 256
	b, err := c.Spec().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if m, err = OpenBytes("loss", b, Options{Threads: 2}); err != nil {
		t.Fatal(err)
	}
	ram, err := OpenMemory(context.Background(), m, MemoryOptions{Format: quant.KVInt8})
	if err != nil {
		t.Fatal(err)
	}
	calm := ram.NewContext(m, 0, 0)
	err = calm.Each(context.Background(), ids, func(_ int, l []float32) error {
		want = append(want, slices.Clone(l))
		return nil
	})
	home = t.TempDir()
	if err = errors.Join(err, calm.Close(), ram.Close()); err == nil {
		w, err = OpenMemory(context.Background(), m, MemoryOptions{Home: home, Format: quant.KVInt8, Warn: func(err error) { t.Error(err) }})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.Close(), m.Close()); err != nil {
			t.Error(err)
		}
	})
	return m, w, home, want
}

// damage does something to the newest segment under home as another process would.
func damage(t *testing.T, home string, change func(f vfs.File, size int64) error) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(home, "kv/v1/m-*/kv-*.seg"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	f, err := vfs.OS().OpenFile(paths[len(paths)-1], vfs.Write)
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	if err == nil {
		err = change(f, size)
	}
	if err = errors.Join(err, f.Close()); errors.Is(err, vfs.ErrUnsupported) {
		t.Skip("this file system cannot do it: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
}

// What others do to a segment while it is read.
var damages = map[string]func(f vfs.File, size int64) error{
	"cut short": func(f vfs.File, size int64) error { return f.Truncate(1 << 16) },
	"emptied":   func(f vfs.File, size int64) error { return f.Truncate(0) },
	"punched":   func(f vfs.File, size int64) error { return f.Punch(1<<16, size-1<<16) },
	"overwritten": func(f vfs.File, size int64) error {
		_, err := f.WriteAt(slices.Repeat([]byte{7}, int(size-1<<19)), 1<<19)
		return err
	},
}

func expectLogits(t *testing.T, c *Context, want [][]float32) {
	t.Helper()
	for i, v := range c.Logits() {
		if math.Float32bits(v) != math.Float32bits(want[c.Len()-1][i]) {
			t.Fatalf("logit %d behind %d tokens is %v, undisturbed %v", i, c.Len(), v, want[c.Len()-1][i])
		}
	}
	if c.Logits() == nil {
		t.Fatalf("no logits behind %d tokens", c.Len())
	}
}

// Segments that another program cuts short, punches or overwrites between two tokens: what is lost is computed again, and no
// logit differs.
func TestDecodingOutlivesDamageBetweenTokens(t *testing.T) {
	ids := bitTokens(330, 128)
	for name, change := range damages {
		t.Run(name, func(t *testing.T) {
			m, w, home, want := lossModel(t, ids)
			c := w.NewContext(m, 0, 0)
			defer c.Close()
			for i := range ids {
				if i == 130 || i == 200 || i == 201 || i == 320 {
					time.Sleep(20 * time.Millisecond) // the clock of a file system ticks that slowly
					damage(t, home, change)
				}
				if err := c.Extend(context.Background(), ids[i:i+1], nil); err != nil {
					t.Fatalf("token %d: %v", i, err)
				}
				expectLogits(t, c, want)
			}
			if d := w.store.Stats().Damaged; d == 0 {
				t.Error("no damage was noticed")
			}
		})
	}
}

// The same in the middle of a pass. Of a file cut short the workers' assembly reads pages that are gone: a fault. What reads as
// zeros is found before the logits are used. The pass is done again over rows that are computed again, in a prefill and in decoding.
func TestPassOverRowsThatGoAwayIsDoneAgain(t *testing.T) {
	ids := bitTokens(330, 128)
	for name, change := range damages {
		for _, at := range []int{70, 200, 300} {
			for _, n := range []int{1, 25} {
				t.Run(fmt.Sprintf("%s, %d tokens at %d", name, n, at), func(t *testing.T) {
					m, w, home, want := lossModel(t, ids)
					c := w.NewContext(m, 0, 0)
					defer c.Close()
					if err := c.Extend(context.Background(), ids[:at], nil); err != nil {
						t.Fatal(err)
					}
					embed, passes := c.pass.embedFn, 0
					c.pass.embedFn = func(worker int) { // comes after the look at the segments
						if worker == 0 {
							if passes++; passes == 1 {
								time.Sleep(20 * time.Millisecond)
								damage(t, home, change)
							}
						}
						embed(worker)
					}
					if err := c.Extend(context.Background(), ids[at:at+n], nil); err != nil {
						t.Fatal(err)
					}
					if passes < 3 {
						t.Errorf("%d passes: expected one that fails, one for what is lost, one more for the tokens", passes)
					}
					expectLogits(t, c, want)
				})
			}
		}
	}
}

// A fault that the store is not to blame for is an error of the call, and the context goes on afterwards.
func TestFaultElsewhereIsAnError(t *testing.T) {
	ids := bitTokens(200, 128)
	m, w, _, want := lossModel(t, ids)
	c := w.NewContext(m, 0, 0)
	defer c.Close()
	if err := c.Extend(context.Background(), ids[:150], nil); err != nil {
		t.Fatal(err)
	}
	embed := c.pass.embedFn
	c.pass.embedFn = func(int) { panic("weights") }
	err := c.Extend(context.Background(), ids[150:], nil)
	var fault *par.Fault
	if !errors.As(err, &fault) || c.Len() != 150 {
		t.Errorf("%v, %d tokens held", err, c.Len())
	}
	c.pass.embedFn = embed
	if err := c.Extend(context.Background(), ids[150:], nil); err != nil {
		t.Fatal(err)
	}
	expectLogits(t, c, want)
}

// Somebody cuts the segments short all the time while tokens are computed.
func TestDecodingOutlivesASegmentThatIsCutShortAgainAndAgain(t *testing.T) {
	ids := bitTokens(330, 128)
	m, w, home, want := lossModel(t, ids)
	c := w.NewContext(m, 0, 0)
	defer c.Close()
	stop, done := make(chan struct{}), make(chan int)
	var token atomic.Int64 // a slow machine has at most one cut a token: a pass is tried again so many times only
	go func() {
		cuts, last := 0, int64(-1)
		defer func() { done <- cuts }()
		for {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
			at := token.Load()
			if at == last {
				continue
			}
			paths, _ := filepath.Glob(filepath.Join(home, "kv/v1/m-*/kv-*.seg"))
			if n := len(paths); n > 0 && n < 20 && os.Truncate(paths[n-1], 1<<16) == nil {
				cuts++
				last = at
			}
		}
	}()
	for i := range ids {
		token.Store(int64(i))
		if err := c.Extend(context.Background(), ids[i:i+1], nil); err != nil {
			t.Fatalf("token %d: %v", i, err)
		}
		expectLogits(t, c, want)
	}
	close(stop)
	t.Logf("%d cuts, %d blocks lost", <-done, w.store.Stats().Damaged)
}
