package arch

import (
	"errors"
	"fmt"
	"math"

	"kvasir/gguf"
)

// reader collects the keys of one architecture; the first fault stays.
type reader struct {
	f      *gguf.File
	prefix string
	err    error
}

func (r *reader) fail(key, format string, args ...any) {
	if r.err == nil {
		r.err = modelError(fmt.Sprintf("key %q", key), format, args...)
	}
}

func modelError(field, format string, args ...any) error {
	return &gguf.Error{Class: gguf.ErrModel, Offset: -1, Field: field, Msg: fmt.Sprintf(format, args...)}
}

// count reads an integer in [1, limit]; def stands for an absent key, 0 means that the key is required. Some files
// store one value per layer: they must all be the same.
func (r *reader) count(key string, def, limit int) int {
	key = r.prefix + key
	if def > 0 && !r.f.Has(key) {
		return def
	}
	v, err := r.f.Uint(key)
	if err != nil {
		if vs, arrErr := r.f.Uints(key); arrErr == nil && len(vs) > 0 {
			for _, x := range vs {
				if x != vs[0] {
					r.fail(key, "differs from layer to layer (%d, %d), expected one value", vs[0], x)
				}
			}
			v, err = vs[0], nil
		}
	}
	switch {
	case r.err != nil:
	case err != nil:
		r.err = err
	case v < 1 || v > uint64(limit):
		r.fail(key, "is %d, expected 1 to %d", v, limit)
	}
	if r.err != nil {
		return 1 // harmless: the caller sees the error before it uses the value
	}
	return int(v)
}

// float reads a finite float32 in (0, limit]; def stands for an absent key, 0 means that the key is required.
func (r *reader) float(key string, def, limit float32) float32 {
	key = r.prefix + key
	v, err := r.f.Float32(key)
	switch {
	case errors.Is(err, gguf.ErrAbsent) && def > 0:
		return def
	case r.err != nil:
	case err != nil:
		r.err = err
	case !(v > 0 && v <= limit): // also NaN
		r.fail(key, "is %v, expected above 0 and at most %v", v, limit)
	}
	if r.err != nil {
		return 1
	}
	return v
}

// readConfig reads and checks the hyper-parameters. nVocab and the rope factors come with the tensors.
func readConfig(f *gguf.File, fam *family) (*Config, error) {
	if _, n, err := f.Split(); err != nil {
		return nil, err
	} else if n > 1 {
		return nil, &gguf.Error{Class: gguf.ErrUnsupported, Offset: -1, Field: `key "split.count"`,
			Msg: fmt.Sprintf("%d, expected a model in one file (merge the parts first)", n)}
	}
	r := &reader{f: f, prefix: fam.name + "."}
	c := &Config{Arch: fam.name, RopeHalves: fam.ropeHalves, Act: fam.act, EmbdScale: 1}
	c.Name, _ = f.String("general.name")
	c.NLayers = r.count("block_count", 0, maxLayers)
	c.NEmbd = r.count("embedding_length", 0, maxEmbd)
	c.FFNDim = r.count("feed_forward_length", 0, maxFFN)
	c.NHeads = r.count("attention.head_count", 0, maxHeads)
	c.NKVHeads = r.count("attention.head_count_kv", c.NHeads, maxHeads)
	c.NCtx = r.count("context_length", 0, maxCtx)
	c.NormEps = r.float("attention.layer_norm_rms_epsilon", 0, 1)
	if r.err != nil {
		return nil, r.err
	}
	if c.NHeads%c.NKVHeads != 0 {
		r.fail(r.prefix+"attention.head_count_kv", "%d does not divide the %d heads", c.NKVHeads, c.NHeads)
	}
	def := 0
	if c.NEmbd%c.NHeads == 0 {
		def = c.NEmbd / c.NHeads
	}
	c.HeadDim = r.count("attention.key_length", def, maxHeadDim)
	if v := r.count("attention.value_length", c.HeadDim, maxHeadDim); v != c.HeadDim {
		r.fail(r.prefix+"attention.value_length", "is %d, expected the key length %d", v, c.HeadDim)
	}
	if c.HeadDim%2 != 0 || c.HeadDim > maxHeadDim {
		r.fail(r.prefix+"attention.key_length", "head dimension %d, expected an even number up to %d", c.HeadDim, maxHeadDim)
	}
	if fam.scaleEmbd {
		c.EmbdScale = float32(math.Sqrt(float64(c.NEmbd)))
	}
	c.AttnScale = float32(1 / math.Sqrt(float64(c.HeadDim)))
	if fam.name == "gemma3" && c.NLayers == 62 { // the 27B model scales by its embedding's share, not by the head's
		c.AttnScale = float32(1 / math.Sqrt(float64(c.NEmbd)/float64(c.NHeads)))
	}
	readRopes(r, fam, c)
	readLayers(r, fam, c)
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

func readRopes(r *reader, fam *family, c *Config) {
	dims := r.count("rope.dimension_count", c.HeadDim, maxHeadDim)
	if dims > c.HeadDim || dims%2 != 0 {
		r.fail(r.prefix+"rope.dimension_count", "is %d, expected an even number up to the head dimension %d", dims, c.HeadDim)
	}
	scale := float32(1)
	key := r.prefix + "rope.scaling.type"
	kind, err := r.f.String(key)
	switch {
	case errors.Is(err, gguf.ErrAbsent):
		if r.f.Has(r.prefix + "rope.scaling.factor") {
			scale = r.float("rope.scaling.factor", 1, 1e6)
		} else {
			scale = r.float("rope.scale_linear", 1, 1e6)
		}
	case err != nil:
		if r.err == nil {
			r.err = err
		}
	case kind == "none" || kind == "":
	case kind == "linear":
		scale = r.float("rope.scaling.factor", 0, 1e6)
	default:
		if r.err == nil {
			r.err = &gguf.Error{Class: gguf.ErrUnsupported, Offset: -1, Field: fmt.Sprintf("key %q", key),
				Msg: fmt.Sprintf("%.40q, expected none or linear", kind)}
		}
	}
	base := r.float("rope.freq_base", 10000, 1e12)
	c.Ropes = []Rope{{Dims: dims, Base: base, Scale: scale}}
	if fam.windowEach > 0 {
		local := r.float("rope.freq_base_swa", fam.localBase, 1e12)
		c.Ropes = append(c.Ropes, Rope{Dims: dims, Base: local, Scale: 1})
	}
}

func readLayers(r *reader, fam *family, c *Config) {
	c.Layers = make([]Layer, c.NLayers)
	if fam.windowEach == 0 {
		return
	}
	window := r.count("attention.sliding_window", 0, maxCtx)
	for i := range c.Layers {
		if (i+1)%fam.windowEach != 0 {
			c.Layers[i] = Layer{Window: window, Rope: 1}
		}
	}
}
