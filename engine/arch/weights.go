package arch

import (
	"fmt"
	"strconv"
	"strings"

	"kvasir/gguf"
	"kvasir/quant"
)

// Matrix is a weight matrix in the layout of the file: Rows packed rows of K values. Data points into the mapping and is
// valid until the model is closed.
type Matrix struct {
	Type     quant.Type
	Rows, K  int
	RowBytes int
	Data     []byte
}

// Row returns the packed bytes of row i.
func (m *Matrix) Row(i int) []byte { return m.Data[i*m.RowBytes : (i+1)*m.RowBytes] }

// Present reports whether the tensor is in the file.
func (m *Matrix) Present() bool { return m.Rows > 0 }

// LayerWeights holds the tensors of one layer. Vectors are float32 copies on the heap; a nil vector is absent.
type LayerWeights struct {
	AttnNorm          []float32 // NEmbd
	Q, K, V, O        Matrix    // NHeads*HeadDim x NEmbd, NKVHeads*HeadDim x NEmbd twice, NEmbd x NHeads*HeadDim
	QB, KB, VB, OB    []float32 // biases
	QNorm, KNorm      []float32 // HeadDim
	AttnPostNorm      []float32 // NEmbd
	FFNNorm           []float32 // NEmbd
	Gate, Up, Down    Matrix    // FFNDim x NEmbd twice, NEmbd x FFNDim
	GateB, UpB, DownB []float32
	FFNPostNorm       []float32 // NEmbd
}

// Matrices lists the layer's matrices in the order of their use.
func (l *LayerWeights) Matrices() []*Matrix {
	return []*Matrix{&l.Q, &l.K, &l.V, &l.O, &l.Gate, &l.Up, &l.Down}
}

// Weights holds the tensors of a model.
type Weights struct {
	TokenEmbd  Matrix // NVocab x NEmbd
	Layers     []LayerWeights
	OutputNorm []float32 // NEmbd
	Output     Matrix    // NVocab x NEmbd; TokenEmbd again where the file has none
	OutputBias []float32 // NVocab
}

// Load checks the metadata and binds every tensor by name and exact shape. Errors are *gguf.Error.
func Load(f *gguf.File) (*Config, *Weights, error) {
	fam, err := familyOf(f)
	if err != nil {
		return nil, nil, err
	}
	c, err := readConfig(f, fam)
	if err != nil {
		return nil, nil, err
	}
	if err := checkBlocks(f, c.NLayers); err != nil {
		return nil, nil, err
	}
	b := &binder{f: f, bound: make(map[string]bool)}
	w := &Weights{Layers: make([]LayerWeights, c.NLayers)}
	embd, ok := f.Tensor("token_embd.weight")
	if !ok {
		return nil, nil, modelError(`tensor "token_embd.weight"`, "absent, expected %d values per token", c.NEmbd)
	}
	if len(embd.Dims) != 2 || embd.Dims[1] > maxVocab {
		return nil, nil, modelError(`tensor "token_embd.weight"`, "shape %v, expected [%d, up to %d tokens]", embd.Dims, c.NEmbd, maxVocab)
	}
	c.NVocab = int(embd.Dims[1])
	b.matrix(&w.TokenEmbd, "token_embd.weight", c.NVocab, c.NEmbd, true)
	b.vector(&w.OutputNorm, "output_norm.weight", c.NEmbd, true)
	b.matrix(&w.Output, "output.weight", c.NVocab, c.NEmbd, false)
	if !w.Output.Present() {
		w.Output = w.TokenEmbd
	}
	b.vector(&w.OutputBias, "output.bias", c.NVocab, false)
	b.vector(&c.Ropes[0].Factors, "rope_freqs.weight", c.Ropes[0].Dims/2, false)
	for i, x := range c.Ropes[0].Factors {
		if !(x > 0 && x < 1e9) && b.err == nil {
			b.err = modelError(`tensor "rope_freqs.weight"`, "value %d is %v, expected a positive factor", i, x)
		}
	}
	for i := range w.Layers {
		b.layer(&w.Layers[i], i, c, fam)
	}
	b.leftovers()
	if b.err != nil {
		return nil, nil, b.err
	}
	return c, w, nil
}

// binder looks tensors up and checks their shapes; the first fault stays.
type binder struct {
	f     *gguf.File
	bound map[string]bool
	err   error
}

// leftovers refuses tensors of a layer that the graph does not use: the model would answer, and wrongly.
func (b *binder) leftovers() {
	for _, t := range b.f.Tensors() {
		if b.err == nil && strings.HasPrefix(t.Name, "blk.") && !b.bound[t.Name] && !strings.HasSuffix(t.Name, ".attn_rot_embd.weight") {
			b.err = &gguf.Error{Class: gguf.ErrUnsupported, Offset: -1, Field: fmt.Sprintf("tensor %q", t.Name),
				Msg: "this architecture is not known to have it"}
		}
	}
}

func (b *binder) layer(l *LayerWeights, i int, c *Config, fam *family) {
	p := fmt.Sprintf("blk.%d.", i)
	q, kv := c.NHeads*c.HeadDim, c.NKVHeads*c.HeadDim
	b.vector(&l.AttnNorm, p+"attn_norm.weight", c.NEmbd, true)
	b.matrix(&l.Q, p+"attn_q.weight", q, c.NEmbd, true)
	b.matrix(&l.K, p+"attn_k.weight", kv, c.NEmbd, true)
	b.matrix(&l.V, p+"attn_v.weight", kv, c.NEmbd, true)
	b.matrix(&l.O, p+"attn_output.weight", c.NEmbd, q, true)
	b.vector(&l.QB, p+"attn_q.bias", q, fam.qkvBias)
	b.vector(&l.KB, p+"attn_k.bias", kv, fam.qkvBias)
	b.vector(&l.VB, p+"attn_v.bias", kv, fam.qkvBias)
	b.vector(&l.OB, p+"attn_output.bias", c.NEmbd, false)
	if fam.qkNorm {
		b.vector(&l.QNorm, p+"attn_q_norm.weight", c.HeadDim, true)
		b.vector(&l.KNorm, p+"attn_k_norm.weight", c.HeadDim, true)
	}
	if fam.postNorms {
		b.vector(&l.AttnPostNorm, p+"post_attention_norm.weight", c.NEmbd, true)
		b.vector(&l.FFNPostNorm, p+"post_ffw_norm.weight", c.NEmbd, true)
	}
	b.vector(&l.FFNNorm, p+"ffn_norm.weight", c.NEmbd, true)
	b.matrix(&l.Gate, p+"ffn_gate.weight", c.FFNDim, c.NEmbd, true)
	b.matrix(&l.Up, p+"ffn_up.weight", c.FFNDim, c.NEmbd, true)
	b.matrix(&l.Down, p+"ffn_down.weight", c.NEmbd, c.FFNDim, true)
	b.vector(&l.GateB, p+"ffn_gate.bias", c.FFNDim, false)
	b.vector(&l.UpB, p+"ffn_up.bias", c.FFNDim, false)
	b.vector(&l.DownB, p+"ffn_down.bias", c.NEmbd, false)
}

// find returns the tensor if it has the shape rows x k (k innermost; rows 0 for a vector).
func (b *binder) find(name string, rows, k int, required bool) *gguf.Tensor {
	if b.err != nil {
		return nil
	}
	want := []uint64{uint64(k)}
	if rows > 0 {
		want = append(want, uint64(rows))
	}
	t, ok := b.f.Tensor(name)
	if !ok {
		if required {
			b.err = modelError(fmt.Sprintf("tensor %q", name), "absent, expected shape %v", want)
		}
		return nil
	}
	b.bound[name] = true
	dims := t.Dims
	for len(dims) > len(want) && dims[len(dims)-1] == 1 {
		dims = dims[:len(dims)-1]
	}
	same := len(dims) == len(want)
	for i := 0; same && i < len(dims); i++ {
		same = dims[i] == want[i]
	}
	if !same {
		b.err = modelError(fmt.Sprintf("tensor %q", name), "shape %v, expected %v", t.Dims, want)
		return nil
	}
	return t
}

func (b *binder) matrix(m *Matrix, name string, rows, k int, required bool) {
	t := b.find(name, rows, k, required)
	if t == nil {
		return
	}
	rowBytes, ok := t.Type.RowBytes(uint64(k))
	data := b.f.Data(t)
	if !ok || len(data) != rows*rowBytes {
		b.err = modelError(fmt.Sprintf("tensor %q", name), "%d bytes of %s, expected %d rows of %d values", len(data), t.Type, rows, k)
		return
	}
	*m = Matrix{Type: t.Type, Rows: rows, K: k, RowBytes: rowBytes, Data: data}
}

func (b *binder) vector(v *[]float32, name string, n int, required bool) {
	t := b.find(name, 0, n, required)
	if t == nil {
		return
	}
	if t.Type != quant.F32 && t.Type != quant.F16 && t.Type != quant.BF16 {
		b.err = modelError(fmt.Sprintf("tensor %q", name), "type %s, expected F32, F16 or BF16", t.Type)
		return
	}
	*v = make([]float32, n)
	if err := t.Type.Decode(*v, b.f.Data(t)); err != nil {
		b.err = modelError(fmt.Sprintf("tensor %q", name), "%v", err)
	}
}

// checkBlocks refuses a file that has tensors of layers beyond block_count: the metadata and the tensors are not of one
// model.
func checkBlocks(f *gguf.File, nLayers int) error {
	for _, t := range f.Tensors() {
		rest, ok := strings.CutPrefix(t.Name, "blk.")
		if !ok {
			continue
		}
		num, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(num); err != nil || n < 0 || n >= nLayers {
			return modelError(fmt.Sprintf("tensor %q", t.Name), "layer %.20q, expected 0 to %d (block_count is %d)", num, nLayers-1, nLayers)
		}
	}
	return nil
}
