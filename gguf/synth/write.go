// Package synth makes models of real shapes with random weights: what a model's speed depends on, without the model.
// A benchmark on such a file says what the machine would do with the real one, and the file is made in seconds.
// Weights have the spread of trained ones, so that values stay finite through all layers, and follow from the tensors'
// names, so that a file is the same wherever it is made.
package synth

import (
	"io"

	"kvasir/gguf"
	"kvasir/quant"
)

// chunkBytes is about how much of a tensor is made at a time.
const chunkBytes = 1 << 20

// Write writes a GGUF file of a shape to w as it is made, about a mebibyte at a time, and returns its size.
func Write(w io.Writer, s Shape, m Mix) (int64, error) {
	kv, tensors := plan(s, m)
	return gguf.Write(w, kv, tensors)
}

// Bytes returns how many bytes Write writes.
func Bytes(s Shape, m Mix) (int64, error) {
	return gguf.WrittenBytes(plan(s, m))
}

func plan(s Shape, m Mix) ([]gguf.KV, []gguf.TensorData) {
	kv := s.Metadata(m.fileType)
	var tensors []gguf.TensorData
	for _, t := range s.Tensors() {
		typ := m.Type(t)
		tensors = append(tensors, gguf.TensorData{Name: t.Name, Type: typ, Dims: t.Dims, Fill: func(w io.Writer) error {
			return fill(w, t, typ)
		}})
	}
	return kv, tensors
}

// fill writes the data of a tensor.
func fill(w io.Writer, t Tensor, typ quant.Type) error {
	r := NewRand(t.Name)
	if t.Kind != Weight {
		return fillVector(w, t, r)
	}
	g := typ.Geometry()
	blocks := t.Dims[0] / uint64(g.BlockSize) * t.Dims[1]
	buf := make([]byte, chunkBytes/g.BlockBytes*g.BlockBytes)
	for left := blocks * uint64(g.BlockBytes); left > 0; {
		b := buf[:min(left, uint64(len(buf)))]
		if err := FillBlocks(b, typ, int(t.Dims[0]), r); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		left -= uint64(len(b))
	}
	return nil
}

// fillVector writes factors of 0.9 to 1.1, or biases of -0.1 to 0.1.
func fillVector(w io.Writer, t Tensor, r *Rand) error {
	values := make([]float32, t.Dims[0])
	for i := range values {
		values[i] = float32(0.1 * r.Float32())
		if t.Kind == Norm {
			values[i]++
		}
	}
	b := make([]byte, 4*len(values))
	if err := quant.EncodeRow(quant.F32, b, values); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}
