package engine

import (
	"kvasir/engine/arch"
	"kvasir/engine/token"
	"kvasir/gguf"
	"kvasir/kvcache"
	"kvasir/quant"
	"kvasir/quant/kernel"
)

// Kernels lists the names of the kernel variants that run on this processor, best first.
func Kernels() []string {
	var names []string
	for _, t := range kernel.Variants() {
		names = append(names, t.Name)
	}
	return names
}

// TokenizerOf makes the tokenizer of a GGUF file, which need not hold a model. Errors are *gguf.Error or those of
// token.New.
func TokenizerOf(f *gguf.File) (*token.Tokenizer, error) {
	v, err := arch.Vocab(f)
	if err != nil {
		return nil, err
	}
	return token.New(v)
}

// DecodeBytes returns the bytes of weights that one decoded token reads: every matrix and vector once, and of the
// embeddings one row, unless they are the output matrix too.
func (m *Model) DecodeBytes() int64 {
	w := m.Weights
	n := int64(w.TokenEmbd.RowBytes) + int64(len(w.Output.Data)) + vectorBytes(w.OutputNorm, w.OutputBias)
	for i := range w.Layers {
		l := &w.Layers[i]
		for _, x := range l.Matrices() {
			n += int64(len(x.Data))
		}
		n += vectorBytes(l.AttnNorm, l.QB, l.KB, l.VB, l.OB, l.QNorm, l.KNorm, l.AttnPostNorm, l.FFNNorm, l.GateB, l.UpB, l.DownB, l.FFNPostNorm)
	}
	return n
}

func vectorBytes(vs ...[]float32) int64 {
	n := int64(0)
	for _, v := range vs {
		n += 4 * int64(len(v))
	}
	return n
}

// AttentionBytes returns the bytes of K and V rows of a geometry that one token reads which sees depth positions: in
// layers with a window, only that.
func AttentionBytes(g kvcache.Geometry, depth int) int64 {
	n := int64(0)
	for _, l := range g.Layers {
		seen := depth
		if l.Window > 0 {
			seen = min(seen, l.Window)
		}
		for _, f := range []quant.KVFormat{l.K, l.V} {
			n += int64(seen) * int64(l.NKVHeads) * int64(f.RowBytes(l.HeadDim)+f.ScaleBytes())
		}
	}
	return n
}

// CacheBytes returns the memory that nTokens positions take in a cache of a geometry: whole blocks.
func CacheBytes(g kvcache.Geometry, nTokens int) (int64, error) {
	ns, err := kvcache.NewRAM(g)
	if err != nil {
		return 0, err
	}
	blocks := (int64(nTokens) + kvcache.BlockTokens - 1) / kvcache.BlockTokens
	return blocks * int64(ns.BlockBytes()), ns.Close()
}

// PassBytes returns the memory of a Context apart from its cache: the activations of a pass of batch tokens (0:
// MaxBatch) and the logits.
func (m *Model) PassBytes(batch int) int64 {
	if batch <= 0 || batch > MaxBatch {
		batch = MaxBatch
	}
	c := m.Config
	perToken := 3*c.NEmbd + 2*c.NHeads*c.HeadDim + 2*c.NKVHeads*c.HeadDim + 2*c.FFNDim
	for _, r := range m.ropes {
		perToken += 2 * r.Pairs()
	}
	// The quantised operand of the products is at most one more byte and a quarter per value of the widest.
	perToken += max(c.NEmbd, c.FFNDim, c.NHeads*c.HeadDim) / 2
	return 4 * (int64(batch)*int64(perToken) + int64(c.NVocab))
}
