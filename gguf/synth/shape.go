package synth

import (
	"fmt"
	"strings"

	"kvasir/gguf"
	"kvasir/quant"
)

// Shape is what the speed of a dense transformer depends on.
type Shape struct {
	Name     string
	Arch     string // llama, qwen2, qwen3 or gemma3
	Layers   int
	Embd     int
	Heads    int
	KVHeads  int
	HeadDim  int
	FFN      int
	Vocab    int
	RopeBase float32
	Tied     bool // the output matrix is the embedding
	Window   int  // of gemma3's local layers, 0: none
}

// Shapes of published models, from their configuration files; the last one is for quick tests.
var shapes = []Shape{
	{"smollm2-135m", "llama", 30, 576, 9, 3, 64, 1536, 49152, 1e5, true, 0},
	{"qwen2.5-0.5b", "qwen2", 24, 896, 14, 2, 64, 4864, 151936, 1e6, true, 0},
	{"qwen3-0.6b", "qwen3", 28, 1024, 16, 8, 128, 3072, 151936, 1e6, true, 0},
	{"gemma3-1b", "gemma3", 26, 1152, 4, 1, 256, 6912, 262144, 1e6, true, 512},
	{"llama3.2-1b", "llama", 16, 2048, 32, 8, 64, 8192, 128256, 5e5, true, 0},
	{"llama3.2-3b", "llama", 28, 3072, 24, 8, 128, 8192, 128256, 5e5, true, 0},
	{"tiny", "llama", 2, 256, 4, 2, 64, 512, 512, 1e4, false, 0},
}

// Shapes returns the table of shapes.
func Shapes() []Shape { return append([]Shape(nil), shapes...) }

// Named returns the shape of that name.
func Named(name string) (Shape, error) {
	var names []string
	for _, s := range shapes {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Shape{}, fmt.Errorf("unknown shape %q, expected one of %s", name, strings.Join(names, ", "))
}

// Tensor is a tensor that a shape asks for.
type Tensor struct {
	Name string
	Dims []uint64 // innermost first
	Kind Kind
}

// Kind is the part a tensor plays.
type Kind uint8

const (
	// Weight is a matrix: quantised as the mix says.
	Weight Kind = iota
	// Norm is a vector of factors about 1, in F32.
	Norm
	// Bias is a vector about 0, in F32.
	Bias
)

// Tensors lists the shape's tensors in the order in which they are written.
func (s Shape) Tensors() []Tensor {
	var ts []Tensor
	add := func(kind Kind, name string, dims ...int) {
		t := Tensor{Name: name + ".weight", Kind: kind}
		if kind == Bias {
			t.Name = name + ".bias"
		}
		for _, d := range dims {
			t.Dims = append(t.Dims, uint64(d))
		}
		ts = append(ts, t)
	}
	q, kv := s.Heads*s.HeadDim, s.KVHeads*s.HeadDim
	add(Weight, "token_embd", s.Embd, s.Vocab)
	add(Norm, "output_norm", s.Embd)
	if !s.Tied {
		add(Weight, "output", s.Embd, s.Vocab)
	}
	for i := range s.Layers {
		blk := fmt.Sprintf("blk.%d.", i)
		add(Norm, blk+"attn_norm", s.Embd)
		add(Weight, blk+"attn_q", s.Embd, q)
		add(Weight, blk+"attn_k", s.Embd, kv)
		add(Weight, blk+"attn_v", s.Embd, kv)
		if s.Arch == "qwen2" {
			add(Bias, blk+"attn_q", q)
			add(Bias, blk+"attn_k", kv)
			add(Bias, blk+"attn_v", kv)
		}
		if s.Arch == "qwen3" || s.Arch == "gemma3" {
			add(Norm, blk+"attn_q_norm", s.HeadDim)
			add(Norm, blk+"attn_k_norm", s.HeadDim)
		}
		add(Weight, blk+"attn_output", q, s.Embd)
		if s.Arch == "gemma3" {
			add(Norm, blk+"post_attention_norm", s.Embd)
		}
		add(Norm, blk+"ffn_norm", s.Embd)
		add(Weight, blk+"ffn_gate", s.Embd, s.FFN)
		add(Weight, blk+"ffn_up", s.Embd, s.FFN)
		add(Weight, blk+"ffn_down", s.FFN, s.Embd)
		if s.Arch == "gemma3" {
			add(Norm, blk+"post_ffw_norm", s.Embd)
		}
	}
	return ts
}

// Metadata returns the shape's keys and a made-up SentencePiece vocabulary: <unk>, <s>, </s>, 256 byte tokens, then
// names that no text holds. A shape of fewer than 259 tokens has as many of these as fit.
func (s Shape) Metadata(fileType uint32) []gguf.KV {
	a := s.Arch + "."
	kv := []gguf.KV{
		{Key: "general.architecture", Value: s.Arch}, {Key: "general.name", Value: s.Name + " random"},
		{Key: "general.file_type", Value: fileType},
		{Key: a + "context_length", Value: uint32(32768)}, {Key: a + "embedding_length", Value: uint32(s.Embd)},
		{Key: a + "block_count", Value: uint32(s.Layers)}, {Key: a + "feed_forward_length", Value: uint32(s.FFN)},
		{Key: a + "attention.head_count", Value: uint32(s.Heads)}, {Key: a + "attention.head_count_kv", Value: uint32(s.KVHeads)},
		{Key: a + "attention.key_length", Value: uint32(s.HeadDim)}, {Key: a + "attention.value_length", Value: uint32(s.HeadDim)},
		{Key: a + "rope.dimension_count", Value: uint32(s.HeadDim)}, {Key: a + "rope.freq_base", Value: s.RopeBase},
		{Key: a + "attention.layer_norm_rms_epsilon", Value: float32(1e-5)}, {Key: a + "vocab_size", Value: uint32(s.Vocab)},
	}
	if s.Window > 0 {
		kv = append(kv, gguf.KV{Key: a + "attention.sliding_window", Value: uint32(s.Window)})
	}
	tokens, scores, types := make([]string, s.Vocab), make([]float32, s.Vocab), make([]int32, s.Vocab)
	const unknown, control, normal, byteToken = 2, 3, 1, 6
	for i := range tokens {
		scores[i] = float32(-i)
		switch {
		case i < 3:
			tokens[i], types[i] = []string{"<unk>", "<s>", "</s>"}[i], []int32{unknown, control, control}[i]
		case i < 3+256:
			tokens[i], types[i] = fmt.Sprintf("<0x%02X>", i-3), byteToken
		default:
			tokens[i], types[i] = fmt.Sprintf("<tok%d>", i), normal
		}
	}
	return append(kv, gguf.KV{Key: "tokenizer.ggml.model", Value: "llama"}, gguf.KV{Key: "tokenizer.ggml.tokens", Value: tokens},
		gguf.KV{Key: "tokenizer.ggml.scores", Value: scores}, gguf.KV{Key: "tokenizer.ggml.token_type", Value: types},
		gguf.KV{Key: "tokenizer.ggml.bos_token_id", Value: uint32(1)}, gguf.KV{Key: "tokenizer.ggml.eos_token_id", Value: uint32(2)},
		gguf.KV{Key: "tokenizer.ggml.unknown_token_id", Value: uint32(0)})
}

// Mix decides the type of each matrix of a model.
type Mix struct {
	name     string
	fileType uint32 // general.file_type
	single   quant.Type
	kM       bool // Q4_K_M: Q6_K where it matters most
}

// ParseMix takes the name of a type that package quant knows, in any case, or q4_k_m: Q6_K for the embedding, the
// output head and half of attn_v and ffn_down, Q4_K elsewhere.
func ParseMix(name string) (Mix, error) {
	if strings.EqualFold(name, "q4_k_m") {
		return Mix{name: "q4_k_m", fileType: 15, kM: true}, nil
	}
	for _, t := range quant.Types() {
		if strings.EqualFold(name, t.String()) {
			return Mix{name: strings.ToLower(name), fileType: fileTypes[t], single: t}, nil
		}
	}
	return Mix{}, fmt.Errorf("unknown tensor type %q, expected q4_k_m or a type such as f16, q8_0, q4_0", name)
}

// fileTypes are the values of general.file_type for models of one type (the format's list, enum llama_ftype); a type
// without one of its own has the nearest mix's.
var fileTypes = map[quant.Type]uint32{
	quant.F32: 0, quant.F16: 1, quant.Q4_0: 2, quant.Q4_1: 3, quant.Q8_0: 7, quant.Q5_0: 8, quant.Q5_1: 9, quant.Q2_K: 10,
	quant.Q3_K: 12, quant.Q4_K: 15, quant.Q5_K: 17, quant.Q6_K: 18, quant.IQ4_NL: 25, quant.IQ4_XS: 30, quant.BF16: 32,
	quant.TQ1_0: 36, quant.TQ2_0: 37, quant.MXFP4: 38,
}

// Type returns the type of a tensor: F32 for vectors, and for a matrix whose rows the mix's block does not divide
// Q8_0, or F16 if that does not fit either.
func (m Mix) Type(t Tensor) quant.Type {
	if t.Kind != Weight {
		return quant.F32
	}
	want := m.single
	if m.kM {
		want = quant.Q4_K
		var layer int
		matters := strings.Contains(t.Name, "attn_v") || strings.Contains(t.Name, "ffn_down")
		if _, err := fmt.Sscanf(t.Name, "blk.%d.", &layer); err != nil || matters && layer%2 == 0 {
			want = quant.Q6_K
		}
	}
	for _, x := range []quant.Type{want, quant.Q8_0} {
		if t.Dims[0]%uint64(x.Geometry().BlockSize) == 0 {
			return x
		}
	}
	return quant.F16
}
