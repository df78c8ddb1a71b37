package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"kvasir/internal/testmodel"
)

const (
	maxBadRSS  = 100 << 20
	maxBadTime = 5 * time.Second
)

// tiny is a small model with a vocabulary, from which broken ones are made.
func tiny() testmodel.Config {
	c := testmodel.Named("llama-text")
	c.Embd, c.FFN, c.Heads, c.KVHeads, c.HeadDim = 64, 64, 2, 1, 32
	return c
}

func bytesOf(t testing.TB, s *testmodel.Spec) []byte {
	t.Helper()
	b, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// refused calls run and inspect's neighbours with a model that cannot be used, and checks that the program says so in
// one line that names the file and matches every pattern, in bounded time and memory.
func refused(t *testing.T, path string, patterns ...string) {
	t.Helper()
	home := t.TempDir()
	for _, args := range [][]string{{"run", "-n", "2", "-m", path, "hello"}, {"chat", "-n", "2", "-m", path}} {
		r, peak := kvasir.peak(t, home, "hello\n", args...)
		if r.code != 3 || r.out != "" && strings.TrimSpace(r.out) != "" {
			t.Errorf("%s: expected exit code 3 and nothing on stdout\n%v", args[0], r)
		}
		if len(r.lines()) != 1 || !strings.Contains(r.err, filepath.Base(path)) {
			t.Errorf("%s: expected one line on stderr that names the file\n%v", args[0], r)
		}
		if args[0] == "run" {
			t.Logf("%.300s", strings.ReplaceAll(r.err, path, filepath.Base(path)))
		}
		for _, p := range patterns {
			if !regexp.MustCompile(p).MatchString(r.err) {
				t.Errorf("%s: stderr does not match %q\n%v", args[0], p, r)
			}
		}
		if peak > maxBadRSS || r.took > maxBadTime {
			t.Errorf("%s: %d MiB, %v; expected at most %d MiB and %v", args[0], peak>>20, r.took, maxBadRSS>>20, maxBadTime)
		}
	}
}

func TestBrokenModelFiles(t *testing.T) {
	t.Parallel()
	spec := tiny().Spec()
	good := bytesOf(t, spec)
	le := binary.LittleEndian
	// patch returns the good file with bytes written over it.
	patch := func(off int, b ...byte) []byte {
		out := bytes.Clone(good)
		copy(out[off:], b)
		return out
	}
	u32 := func(v uint32) []byte { return le.AppendUint32(nil, v) }
	u64 := func(v uint64) []byte { return le.AppendUint64(nil, v) }
	// after returns the offset behind the first appearance of s.
	after := func(s string) int {
		i := bytes.Index(good, []byte(s))
		if i < 0 {
			t.Fatalf("no %q in the file", s)
		}
		return i + len(s)
	}
	shape := func(name string, shape ...int) []byte {
		s := *spec
		s.Tensors = append([]testmodel.Tensor(nil), spec.Tensors...)
		for i := range s.Tensors {
			if s.Tensors[i].Name == name {
				s.Tensors[i].Shape = shape
				return bytesOf(t, &s)
			}
		}
		t.Fatalf("no tensor %s", name)
		return nil
	}
	norm := after("output_norm.weight") // then: u32 dimensions, u64 each, u32 type, u64 offset
	for _, c := range []struct {
		name     string
		data     []byte
		patterns []string
	}{
		{"empty", nil, []string{"empty"}},
		{"one-byte", []byte("G"), []string{"truncated"}},
		{"html", []byte("<!DOCTYPE html><html><body>404 Not Found</body></html>"), []string{"magic", "GGUF"}},
		{"zip", append([]byte("PK\x03\x04"), make([]byte, 1000)...), []string{"magic", "GGUF"}},
		{"big-endian", append([]byte("GGUF"), binary.BigEndian.AppendUint32(nil, 3)...), []string{"truncated|big-endian"}},
		{"big-endian-whole", patch(4, 0, 0, 0, 3), []string{"version", "big-endian"}},
		{"version-1", patch(4, u32(1)...), []string{"version", "1", "3"}},
		{"version-4", patch(4, u32(4)...), []string{"version", "4", "3"}},
		{"version-0", patch(4, u32(0)...), []string{"version", "0"}},
		{"huge-tensor-count", patch(8, u64(1<<40)...), []string{"tensor", "1099511627776"}},
		{"most-tensor-count", patch(8, u64(math.MaxUint64)...), []string{"tensor", "18446744073709551615"}},
		{"huge-key-count", patch(16, u64(1<<50)...), []string{"1125899906842624"}},
		{"huge-string", patch(after("general.name")+4, u64(1<<60)...), []string{"general.name", "1152921504606846976"}},
		{"huge-array", patch(after("tokenizer.ggml.scores")+8, u64(1<<58)...), []string{"tokenizer.ggml.scores", "288230376151711744"}},
		{"unknown-value-type", patch(after("general.name"), u32(77)...), []string{"general.name", "77"}},
		{"many-dimensions", patch(norm, u32(1000)...), []string{"output_norm.weight", "1000"}},
		{"huge-dimension", patch(norm+4, u64(1<<62)...), []string{"output_norm.weight"}},
		{"unknown-tensor-type", patch(norm+12, u32(99)...), []string{"output_norm.weight", "99"}},
		{"tensor-behind-end", patch(norm+16, u64(1<<40)...), []string{"output_norm.weight"}},
		{"unaligned-tensor", patch(norm+16, u64(1)...), []string{"output_norm.weight"}},
		{"no-architecture", bytesOf(t, spec.Without("general.architecture")), []string{"general.architecture"}},
		{"unknown-architecture", bytesOf(t, spec.With("general.architecture", "mamba9")), []string{"general.architecture", `"mamba9"`, "llama"}},
		{"architecture-number", bytesOf(t, spec.With("general.architecture", uint32(7))), []string{"general.architecture", "string"}},
		{"no-layers", bytesOf(t, spec.With("llama.block_count", uint32(0))), []string{"llama.block_count", "0"}},
		{"huge-layers", bytesOf(t, spec.With("llama.block_count", uint32(1<<30))), []string{"llama.block_count", "1073741824"}},
		{"more-layers", bytesOf(t, spec.With("llama.block_count", uint32(3))), []string{`blk\.2\.`}},
		{"huge-context", bytesOf(t, spec.With("llama.context_length", uint32(1<<31))), []string{"llama.context_length", "2147483648"}},
		{"huge-embedding", bytesOf(t, spec.With("llama.embedding_length", uint32(1<<30))), []string{"llama.embedding_length|token_embd"}},
		{"odd-heads", bytesOf(t, spec.With("llama.attention.head_count", uint32(3))), []string{"head_count|attn_q"}},
		{"no-heads", bytesOf(t, spec.With("llama.attention.head_count", uint32(0))), []string{"head_count"}},
		{"epsilon-nan", bytesOf(t, spec.With("llama.attention.layer_norm_rms_epsilon", float32(math.NaN()))), []string{"layer_norm_rms_epsilon", "NaN"}},
		{"rope-base-inf", bytesOf(t, spec.With("llama.rope.freq_base", float32(math.Inf(1)))), []string{"rope.freq_base", "Inf"}},
		{"no-output-norm", bytesOf(t, spec.Without("output_norm.weight")), []string{"output_norm.weight"}},
		{"no-attention-tensor", bytesOf(t, spec.Without("blk.1.attn_k.weight")), []string{`blk\.1\.attn_k\.weight`}},
		{"wrong-shape", shape("blk.0.ffn_up.weight", 64, 32), []string{`blk\.0\.ffn_up\.weight`, "32", "64"}},
		{"wrong-rank", shape("output_norm.weight", 32, 2), []string{`output_norm\.weight`}},
		{"long-name", bytesOf(t, spec.With("general.architecture", strings.Repeat("x\x1b[31m", 20000))), []string{"general.architecture"}},
		{"no-vocabulary", bytesOf(t, noVocabulary(spec)), []string{"vocabulary"}},
		{"few-scores", bytesOf(t, spec.With("tokenizer.ggml.scores", []float32{1, 2})), []string{"tokenizer.ggml.scores|scores", "2"}},
		{"unknown-tokenizer", bytesOf(t, spec.With("tokenizer.ggml.model", "morse")), []string{`"morse"`}},
		{"nan-weight", nan(t, spec, "blk.0.ffn_up.weight"), []string{"not finite"}},
		{"nan-norm", nan(t, spec, "output_norm.weight"), []string{"not finite|NaN"}},
		{"nan-embedding", nan(t, spec, "token_embd.weight"), []string{"not finite"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.name+".gguf")
			if err := os.WriteFile(path, c.data, 0o644); err != nil {
				t.Fatal(err)
			}
			refused(t, path, c.patterns...)
		})
	}
}

func noVocabulary(s *testmodel.Spec) *testmodel.Spec {
	var keys []string
	for _, e := range s.KV {
		if strings.HasPrefix(e.Key, "tokenizer.") {
			keys = append(keys, e.Key)
		}
	}
	return s.Without(keys...)
}

// nan returns the model with the weights of one tensor not numbers.
func nan(t testing.TB, s *testmodel.Spec, tensor string) []byte {
	t.Helper()
	b := bytesOf(t, s)
	f := parse(t, b)
	x, ok := f.Tensor(tensor)
	if !ok {
		t.Fatalf("no tensor %s", tensor)
	}
	data := f.Data(x) // of b
	for i := 0; i < len(data); i += 4 {
		binary.LittleEndian.PutUint32(data[i:], math.Float32bits(float32(math.NaN())))
	}
	return b
}

func TestTruncatedModels(t *testing.T) {
	t.Parallel()
	good := bytesOf(t, tiny().Spec())
	f := parse(t, good)
	var lengths []int
	for n := 1; n < int(f.DataOffset); n += 1 + n/3 {
		lengths = append(lengths, n)
	}
	data := int(f.DataOffset)
	lengths = append(lengths, data-1, data, data+1, data+(len(good)-data)/2, len(good)-4, len(good)-1)
	for _, n := range lengths {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("cut-%d.gguf", n))
		if err := os.WriteFile(path, good[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		r, peak := kvasir.peak(t, t.TempDir(), "", "run", "-n", "2", "-m", path, "hello")
		if r.code != 3 || r.out != "" || len(r.lines()) != 1 || !strings.Contains(r.err, filepath.Base(path)) ||
			!strings.Contains(r.err, "truncated") && !strings.Contains(r.err, "limit exceeded") || peak > maxBadRSS || r.took > maxBadTime {
			t.Errorf("cut to %d of %d bytes: %d MiB, %v", n, len(good), peak>>20, r)
		}
	}
}

// Bytes behind the last tensor are no damage: some writers pad.
func TestTailBehindTheModel(t *testing.T) {
	t.Parallel()
	good := bytesOf(t, tiny().Spec())
	args := func(name string, b []byte) []string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return []string{"run", "-m", path, "-n", "20", "--temp", "0", "--logit-bias", noEnd, "hello"}
	}
	want := kvasir.in(t, t.TempDir(), args("good.gguf", good)...).must(t, 0)
	got := kvasir.in(t, t.TempDir(), args("tail.gguf", append(good, make([]byte, 1<<20)...))...).must(t, 0)
	if got.out != want.out || got.out == "" {
		t.Errorf("with a tail: %v, expected %q", got, want.out)
	}
}

func TestModelsThatAreNoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder, fifo, loop := filepath.Join(dir, "folder.gguf"), filepath.Join(dir, "fifo.gguf"), filepath.Join(dir, "loop.gguf")
	for _, err := range []error{os.Mkdir(folder, 0o755), syscall.Mkfifo(fifo, 0o644), os.Symlink(loop, loop)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	refused(t, folder, "directory", "regular file")
	refused(t, fifo, "pipe", "regular file")
	refused(t, filepath.Join(dir, "absent.gguf"), "no such file")
	for _, path := range []string{"/dev/null", "/dev/zero", loop, filepath.Join(folder, "x")} {
		r := kvasir.in(t, t.TempDir(), "run", "-m", path, "hello")
		if r.code != 3 && r.code != 1 || len(r.lines()) != 1 || !strings.Contains(r.err, path) {
			t.Errorf("%s: %v", path, r)
		}
	}
}

// A model without a vocabulary cannot talk, but everything about its numbers works.
func TestModelWithoutVocabulary(t *testing.T) {
	t.Parallel()
	m := modelFile(t, "no-vocabulary.gguf", noVocabulary(tiny().Spec()))
	dir := t.TempDir()
	ids, out := filepath.Join(dir, "ids.json"), filepath.Join(dir, "logits")
	if err := os.WriteFile(ids, []byte("[1,2,3]"), 0o644); err != nil {
		t.Fatal(err)
	}
	kvasir.in(t, dir, "eval", "logits", "-m", m, "--tokens", ids, "--out", out).must(t, 0)
	b, err := os.ReadFile(out)
	if n := tiny().Vocab; err != nil || len(b) != 8+3*4+3*n*4 || binary.LittleEndian.Uint32(b[4:]) != uint32(n) {
		t.Errorf("%d bytes of logits, %v", len(b), err)
	}
	if r := kvasir.in(t, dir, "inspect", "-m", m); r.code != 0 {
		if r = kvasir.in(t, dir, "inspect", m); r.code != 0 {
			t.Errorf("inspect: %v", r)
		}
	}
}
