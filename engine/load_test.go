package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kvasir/internal/testmodel"
	"kvasir/quant"
)

// A model gives the same logits however it came into memory, and can be closed at any moment of being read ahead.
func TestLogitsDoNotDependOnHowTheModelWasLoaded(t *testing.T) {
	b, err := testmodel.Build("llama-gqa")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var want [][]float32
	for _, opt := range []Options{{}, {Prefetch: true}, {Lock: true}, {NoMap: true}, {NoMap: true, Lock: true, Prefetch: true}} {
		reached, size := int64(0), int64(len(b))
		opt.Warn = func(err error) { t.Log(err) }
		opt.Progress = func(done, total int64) error {
			if done <= reached && reached != size || total != size { // read, then locked
				t.Errorf("progress %d of %d after %d", done, total, reached)
			}
			reached = done
			return nil
		}
		m, err := Open(path, opt)
		if err != nil {
			t.Fatal(err)
		}
		if (m.ahead != nil) != (opt.Prefetch && !opt.NoMap) {
			t.Errorf("%+v: read ahead: %v", opt, m.ahead != nil)
		}
		got := allLogits(t, m, bitTokens(5, m.Config.NVocab), m.Geometry(quant.KVInt8), 0)
		if want == nil {
			want = got
		}
		for i := range want {
			if !slices.Equal(got[i], want[i]) {
				t.Fatalf("%+v: token %d has other logits", opt, i)
			}
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	for range 20 {
		m, err := Open(path, Options{Prefetch: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, opt := range []Options{{NoMap: true}, {Lock: true}} {
		opt.Progress = func(int64, int64) error { return context.Canceled }
		if m, err := Open(path, opt); !errors.Is(err, context.Canceled) {
			if err == nil {
				err = m.Close()
			}
			t.Logf("%+v: not stopped: %v", opt, err)
			if opt.NoMap { // locking may be refused, and then nothing is told
				t.Fail()
			}
		}
	}
}
