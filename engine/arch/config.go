// Package arch turns the metadata and tensors of a GGUF file into a validated description of a transformer. Model
// families are data: one graph serves them all, and what differs (norms, gates, biases, windows, rotary kinds) is a
// field of Config or an absent tensor. Nothing from a file reaches an allocation or a division before it has been
// checked here.
package arch

import (
	"fmt"

	"kvasir/gguf"
)

// Activation is the gate function of the feed-forward network.
type Activation uint8

const (
	SwiGLU Activation = iota // SiLU(gate) * up
	GeGLU                    // GELU(gate) * up
)

// Rope is one set of rotary parameters.
type Rope struct {
	Dims    int // rotated dimensions of a head, even
	Base    float32
	Scale   float32   // positions are divided by it (linear scaling)
	Factors []float32 // Dims/2 divisors of the frequencies, or nil
}

// Layer is what may differ from layer to layer.
type Layer struct {
	Window int // how many positions back attention sees, the token's own included; 0 for all
	Rope   int // index into Config.Ropes
}

// Config describes a model. All counts are at least 1 and consistent with each other and with the bound tensors.
type Config struct {
	Arch, Name string

	NLayers, NEmbd, NVocab int
	NHeads, NKVHeads       int // NHeads is a multiple of NKVHeads
	HeadDim, FFNDim        int
	NCtx                   int // positions the model was trained for

	NormEps    float32
	EmbdScale  float32 // of the token embeddings; 1 for most
	AttnScale  float32 // of the attention scores
	RopeHalves bool    // rotary pairs (i, i+n/2); otherwise (2i, 2i+1)
	Act        Activation
	Ropes      []Rope
	Layers     []Layer
}

// Group returns the query heads per KV head.
func (c *Config) Group() int { return c.NHeads / c.NKVHeads }

// family is a model architecture as data. Tensors that only some families have are bound when present where that is
// optional, required where it is not.
type family struct {
	name       string
	ropeHalves bool
	act        Activation
	qkNorm     bool // q and k are normalised per head before RoPE
	postNorms  bool // norms behind attention and feed-forward
	qkvBias    bool // biases required; otherwise optional
	scaleEmbd  bool // embeddings are multiplied by sqrt(NEmbd)
	windowEach int  // every windowEach-th layer is global, the others see a window; 0: all global
	localBase  float32
}

// families is the table of architectures. The facts are those of the models' reference code (Hugging Face
// transformers' modeling_llama, _qwen2, _qwen3, _gemma3) and of llama.cpp's naming of tensors and keys.
var families = []family{
	{name: "llama"},
	{name: "qwen2", ropeHalves: true, qkvBias: true},
	{name: "qwen3", ropeHalves: true, qkNorm: true},
	{name: "gemma3", ropeHalves: true, act: GeGLU, qkNorm: true, postNorms: true, scaleEmbd: true, windowEach: 6, localBase: 10000},
}

// Names lists the supported architectures.
func Names() []string {
	var ns []string
	for _, f := range families {
		ns = append(ns, f.name)
	}
	return ns
}

func familyOf(f *gguf.File) (*family, error) {
	name, err := f.Architecture()
	if err != nil {
		return nil, err
	}
	for i := range families {
		if families[i].name == name {
			return &families[i], nil
		}
	}
	return nil, &gguf.Error{Class: gguf.ErrUnsupported, Offset: -1, Field: `key "general.architecture"`,
		Msg: fmt.Sprintf("%q, expected one of %q", name, Names())}
}

// Limits of what Config may hold, far above any published model, so that products of a few of them fit an int and an
// int32 sum of a head's products is exact (docs/NUMERICS.md §7).
const (
	maxLayers  = 1024
	maxEmbd    = 1 << 17
	maxHeads   = 1 << 10
	maxHeadDim = 512
	maxFFN     = 1 << 20
	maxVocab   = 1 << 21
	maxCtx     = 1 << 21
)
