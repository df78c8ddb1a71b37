package testmodel

import (
	"fmt"

	"kvasir/gguf"
)

// Config is a tiny model of one of the dense families llama, qwen2, qwen3 and gemma3.
type Config struct {
	Arch      string
	Layers    int
	Embd      int
	Heads     int
	KVHeads   int
	HeadDim   int
	FFN       int
	Vocab     int
	Context   int
	RopeBase  float32
	Window    int  // gemma3: keys that a local layer sees
	Tied      bool // no output matrix: the embedding is used
	RopeFreqs bool // llama: a tensor of factors on the rotation frequencies, as Llama 3.1 and later have
	Text      bool // a vocabulary that can hold text, of byteVocab tokens at least; else empty tokens
}

// configs are the models that tests ask for by name. Their rows divide by 256 except where a name says otherwise, so
// that every tensor type fits.
var configs = []struct {
	name string
	c    Config
}{
	{"llama-dense", Config{Arch: "llama", Layers: 2, Heads: 2, KVHeads: 2, HeadDim: 128}},
	{"llama-gqa", Config{Arch: "llama", Layers: 2, Heads: 8, KVHeads: 2, HeadDim: 32}},
	{"llama-hd80", Config{Arch: "llama", Layers: 2, Heads: 6, KVHeads: 3, HeadDim: 80}}, // rows of 480
	{"llama-ropefreqs", Config{Arch: "llama", Layers: 2, Heads: 8, KVHeads: 2, HeadDim: 32, RopeFreqs: true}},
	{"llama-tied", Config{Arch: "llama", Layers: 2, Heads: 8, KVHeads: 2, HeadDim: 32, Tied: true}},
	{"llama-text", Config{Arch: "llama", Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 64, Vocab: byteVocab, Context: 2048, Text: true}},
	{"qwen2-gqa", Config{Arch: "qwen2", Layers: 2, Heads: 8, KVHeads: 2, HeadDim: 32}},
	{"qwen3-gqa", Config{Arch: "qwen3", Layers: 2, Heads: 8, KVHeads: 2, HeadDim: 64}}, // 512 values of q from 256
	{"gemma3-window", Config{Arch: "gemma3", Layers: 7, Heads: 4, KVHeads: 1, HeadDim: 64, Window: 16, RopeBase: 1e6, Tied: true}},
}

// Names lists the models that Named knows.
func Names() []string {
	var names []string
	for _, c := range configs {
		names = append(names, c.name)
	}
	return names
}

// Named returns the configuration of that name: embedding 256, feed-forward 512, vocabulary 128, context 128 unless
// its table entry says otherwise. It panics for an unknown name: a test's own mistake.
func Named(name string) Config {
	for _, e := range configs {
		if e.name == name {
			c := e.c
			fill := func(p *int, v int) {
				if *p == 0 {
					*p = v
				}
			}
			fill(&c.Embd, 256)
			fill(&c.FFN, 512)
			fill(&c.Vocab, 128)
			fill(&c.Context, 128)
			if c.RopeBase == 0 {
				c.RopeBase = 10000
			}
			return c
		}
	}
	panic("testmodel: no model " + name)
}

// Build returns the F32 model of that name as a GGUF file. It panics where Named does.
func Build(name string) ([]byte, error) { return Named(name).Spec().Bytes() }

// Spec returns the description of the model.
func (c Config) Spec() *Spec {
	a := c.Arch + "."
	s := &Spec{KV: []gguf.KV{
		{Key: "general.architecture", Value: c.Arch}, {Key: "general.name", Value: "test " + c.Arch},
		{Key: a + "vocab_size", Value: uint32(c.Vocab)}, {Key: a + "context_length", Value: uint32(c.Context)},
		{Key: a + "embedding_length", Value: uint32(c.Embd)}, {Key: a + "block_count", Value: uint32(c.Layers)},
		{Key: a + "feed_forward_length", Value: uint32(c.FFN)},
		{Key: a + "attention.head_count", Value: uint32(c.Heads)}, {Key: a + "attention.head_count_kv", Value: uint32(c.KVHeads)},
		{Key: a + "attention.key_length", Value: uint32(c.HeadDim)}, {Key: a + "attention.value_length", Value: uint32(c.HeadDim)},
		{Key: a + "attention.layer_norm_rms_epsilon", Value: float32(1e-5)},
		{Key: a + "rope.dimension_count", Value: uint32(c.HeadDim)}, {Key: a + "rope.freq_base", Value: c.RopeBase},
	}}
	if c.Window > 0 {
		s.KV = append(s.KV, gguf.KV{Key: a + "attention.sliding_window", Value: uint32(c.Window)})
	}
	if c.Text {
		s.KV = append(s.KV, textVocab(c.Vocab)...)
	} else {
		s.KV = append(s.KV, gguf.KV{Key: "tokenizer.ggml.model", Value: "no_vocab"},
			gguf.KV{Key: "tokenizer.ggml.tokens", Value: make([]string, c.Vocab)})
	}
	add := func(name string, shape ...int) { s.Tensors = append(s.Tensors, Tensor{Name: name, Shape: shape}) }
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	add("token_embd.weight", c.Vocab, c.Embd)
	add("output_norm.weight", c.Embd)
	if !c.Tied {
		add("output.weight", c.Vocab, c.Embd)
	}
	if c.RopeFreqs {
		add("rope_freqs.weight", c.HeadDim/2)
	}
	for i := range c.Layers {
		blk := fmt.Sprintf("blk.%d.", i)
		add(blk+"attn_norm.weight", c.Embd)
		add(blk+"attn_q.weight", q, c.Embd)
		add(blk+"attn_k.weight", kv, c.Embd)
		add(blk+"attn_v.weight", kv, c.Embd)
		add(blk+"attn_output.weight", c.Embd, q)
		switch c.Arch {
		case "qwen2":
			add(blk+"attn_q.bias", q)
			add(blk+"attn_k.bias", kv)
			add(blk+"attn_v.bias", kv)
		case "gemma3":
			add(blk+"post_attention_norm.weight", c.Embd)
			add(blk+"post_ffw_norm.weight", c.Embd)
			fallthrough
		case "qwen3":
			add(blk+"attn_q_norm.weight", c.HeadDim)
			add(blk+"attn_k_norm.weight", c.HeadDim)
		}
		add(blk+"ffn_norm.weight", c.Embd)
		add(blk+"ffn_gate.weight", c.FFN, c.Embd)
		add(blk+"ffn_up.weight", c.FFN, c.Embd)
		add(blk+"ffn_down.weight", c.Embd, c.FFN)
	}
	return s
}

// byteVocab is the least vocabulary for text: <unk>, <s>, </s>, 256 bytes, a space, 26 letters, and two words.
const byteVocab = 288

// textVocab is a SentencePiece vocabulary that can spell any text with bytes, and a little better than that: scores
// fall with the id, so of two merges the one to the lower id wins.
func textVocab(n int) []gguf.KV {
	const unknown, control, normal, byteToken = 2, 3, 1, 6
	tokens, types := []string{"<unk>", "<s>", "</s>"}, []int32{unknown, control, control}
	for i := range 256 {
		tokens, types = append(tokens, fmt.Sprintf("<0x%02X>", i)), append(types, byteToken)
	}
	words := []string{"▁"}
	for c := 'a'; c <= 'z'; c++ {
		words = append(words, string(c))
	}
	words = append(words, "th", "the")
	for i := len(tokens) + len(words); i < n; i++ {
		words = append(words, fmt.Sprintf("<extra%d>", i))
	}
	for _, w := range words {
		tokens, types = append(tokens, w), append(types, normal)
	}
	scores := make([]float32, len(tokens))
	for i := range scores {
		scores[i] = float32(-i)
	}
	return []gguf.KV{{Key: "tokenizer.ggml.model", Value: "llama"}, {Key: "tokenizer.ggml.tokens", Value: tokens},
		{Key: "tokenizer.ggml.scores", Value: scores}, {Key: "tokenizer.ggml.token_type", Value: types},
		{Key: "tokenizer.ggml.bos_token_id", Value: uint32(1)}, {Key: "tokenizer.ggml.eos_token_id", Value: uint32(2)},
		{Key: "tokenizer.ggml.unknown_token_id", Value: uint32(0)}}
}
