package arch

import (
	"errors"
	"math"
	"strings"
	"testing"

	"kvasir/gguf"
	"kvasir/internal/testmodel"
)

func load(t *testing.T, s *testmodel.Spec) (*Config, *Weights, error) {
	b, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return Load(f)
}

func TestEveryFamilyIsReadAsItsTableSays(t *testing.T) {
	for _, c := range []struct {
		name           string
		halves         bool
		act            Activation
		scale          float32
		norms, post    bool
		windows, ropes int
	}{
		{"llama-dense", false, SwiGLU, 1, false, false, 0, 1},
		{"qwen2-gqa", true, SwiGLU, 1, false, false, 0, 1},
		{"qwen3-gqa", true, SwiGLU, 1, true, false, 0, 1},
		{"gemma3-window", true, GeGLU, 16, true, true, 6, 2},
	} {
		cfg, w, err := load(t, testmodel.Named(c.name).Spec())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		windows := 0
		for _, l := range cfg.Layers {
			if l.Window > 0 {
				windows++
				if l.Rope != 1 {
					t.Errorf("%s: a windowed layer uses rope %d", c.name, l.Rope)
				}
			}
		}
		l := w.Layers[0]
		if cfg.RopeHalves != c.halves || cfg.Act != c.act || cfg.EmbdScale != c.scale || (l.QNorm != nil) != c.norms ||
			(l.AttnPostNorm != nil) != c.post || windows != c.windows || len(cfg.Ropes) != c.ropes {
			t.Errorf("%s: %+v, %d windowed layers", c.name, cfg, windows)
		}
		if want := float32(1 / math.Sqrt(float64(cfg.HeadDim))); cfg.AttnScale != want {
			t.Errorf("%s: attention scale %v, want %v", c.name, cfg.AttnScale, want)
		}
		if cfg.NVocab != w.Output.Rows || cfg.NHeads%cfg.NKVHeads != 0 {
			t.Errorf("%s: %+v", c.name, cfg)
		}
	}
}

func TestATiedModelUsesItsEmbeddingTwice(t *testing.T) {
	_, w, err := load(t, testmodel.Named("llama-tied").Spec())
	if err != nil {
		t.Fatal(err)
	}
	if &w.Output.Data[0] != &w.TokenEmbd.Data[0] {
		t.Error("output is not the embedding")
	}
}

// Whatever a file says, Load answers with an error that names the field, what was found and what was expected.
func TestUnusableModelsAreRefusedByName(t *testing.T) {
	spec := func() *testmodel.Spec { return testmodel.Named("llama-gqa").Spec() }
	for _, c := range []struct {
		name  string
		spec  *testmodel.Spec
		class gguf.Class
		want  []string
	}{
		{"unknown architecture", spec().With("general.architecture", "mamba9"), gguf.ErrUnsupported, []string{"general.architecture", "mamba9", "llama"}},
		{"no block count", spec().Without("llama.block_count"), gguf.ErrModel, []string{"llama.block_count", "absent"}},
		{"no layers", spec().With("llama.block_count", uint32(0)), gguf.ErrModel, []string{"llama.block_count", "0", "1 to"}},
		{"too many layers", spec().With("llama.block_count", uint32(1<<20)), gguf.ErrModel, []string{"llama.block_count", "1048576"}},
		{"layers beyond the count", spec().With("llama.block_count", uint32(1)), gguf.ErrModel, []string{"blk.1.", "0 to 0"}},
		{"a layer missing", spec().With("llama.block_count", uint32(3)), gguf.ErrModel, []string{"blk.2.", "absent"}},
		{"heads as text", spec().With("llama.attention.head_count", "eight"), gguf.ErrModel, []string{"llama.attention.head_count", "string"}},
		{"heads as a float", spec().With("llama.attention.head_count", float32(8)), gguf.ErrModel, []string{"llama.attention.head_count", "float32"}},
		{"no heads", spec().With("llama.attention.head_count", uint32(0)), gguf.ErrModel, []string{"llama.attention.head_count"}},
		{"negative heads", spec().With("llama.attention.head_count", int32(-8)), gguf.ErrModel, []string{"llama.attention.head_count", "-8"}},
		{"KV heads that do not divide", spec().With("llama.attention.head_count_kv", uint32(3)), gguf.ErrModel, []string{"head_count_kv", "3", "8"}},
		{"KV heads per layer", spec().With("llama.attention.head_count_kv", []uint32{2, 1}), gguf.ErrModel, []string{"head_count_kv", "layer to layer"}},
		{"odd head dimension", spec().With("llama.attention.key_length", uint32(33)), gguf.ErrModel, []string{"value_length"}},
		{"huge head dimension", spec().With("llama.attention.key_length", uint32(1<<31)), gguf.ErrModel, []string{"key_length", "2147483648"}},
		{"epsilon zero", spec().With("llama.attention.layer_norm_rms_epsilon", float32(0)), gguf.ErrModel, []string{"layer_norm_rms_epsilon"}},
		{"epsilon NaN", spec().With("llama.attention.layer_norm_rms_epsilon", float32(math.NaN())), gguf.ErrModel, []string{"layer_norm_rms_epsilon", "NaN"}},
		{"rope base infinite", spec().With("llama.rope.freq_base", float32(math.Inf(1))), gguf.ErrModel, []string{"rope.freq_base"}},
		{"rope beyond the head", spec().With("llama.rope.dimension_count", uint32(64)), gguf.ErrModel, []string{"rope.dimension_count", "64", "32"}},
		{"unknown rope scaling", spec().With("llama.rope.scaling.type", "yarn"), gguf.ErrUnsupported, []string{"rope.scaling.type", "yarn", "linear"}},
		{"context zero", spec().With("llama.context_length", uint32(0)), gguf.ErrModel, []string{"context_length"}},
		{"a part of a model", spec().With("split.count", uint16(3)).With("split.no", uint16(0)), gguf.ErrUnsupported, []string{"split.count", "3"}},
		{"no embedding", spec().Without("token_embd.weight"), gguf.ErrModel, []string{"token_embd.weight", "absent"}},
		{"no query weights", spec().Without("blk.1.attn_q.weight"), gguf.ErrModel, []string{"blk.1.attn_q.weight", "absent", "256"}},
		{"no norm", spec().Without("output_norm.weight"), gguf.ErrModel, []string{"output_norm.weight", "absent"}},
		{"another embedding length", spec().With("llama.embedding_length", uint32(512)), gguf.ErrModel, []string{"token_embd.weight", "512"}},
		{"another feed-forward length", spec().With("llama.feed_forward_length", uint32(100)), gguf.ErrModel, []string{"ffn_gate.weight", "100"}},
		{"Qwen2 without biases", testmodel.Named("qwen2-gqa").Spec().Without("blk.0.attn_q.bias"), gguf.ErrModel, []string{"blk.0.attn_q.bias", "absent"}},
		{"Gemma without a window", testmodel.Named("gemma3-window").Spec().Without("gemma3.attention.sliding_window"), gguf.ErrModel, []string{"sliding_window", "absent"}},
		{"tensors of another family", testmodel.Named("qwen3-gqa").Spec().With("general.architecture", "llama"), gguf.ErrModel, []string{"llama.block_count"}},
	} {
		_, _, err := load(t, c.spec)
		if !errors.Is(err, c.class) {
			t.Errorf("%s: %v, want class %v", c.name, err, c.class)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not name %q", c.name, err, w)
			}
		}
		if strings.Contains(err.Error(), "\n") || len(err.Error()) > 512 {
			t.Errorf("%s: message of %d bytes: %q", c.name, len(err.Error()), err)
		}
	}
}

// A tensor that the graph would ignore is an error: the model would answer, and wrongly.
func TestTensorsThatTheGraphDoesNotUseAreRefused(t *testing.T) {
	s := testmodel.Named("llama-gqa").Spec()
	s.Tensors = append(s.Tensors, testmodel.Tensor{Name: "blk.0.attn_q_norm.weight", Shape: []int{32}})
	_, _, err := load(t, s)
	if !errors.Is(err, gguf.ErrUnsupported) || !strings.Contains(err.Error(), "attn_q_norm") {
		t.Errorf("%v", err)
	}
}
