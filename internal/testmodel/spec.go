// Package testmodel builds tiny models whose every byte follows from a short description, for tests: the same model on
// every machine, with no file to keep. Weights follow from the names of their tensors, so that another program (the
// reference that golden logits come from) can make the same model from the same description.
//
// The rule for weight i of a tensor, in memory order: z is splitmix64 of state fnv1a64(name) + i*golden after its
// increment, and u = (z>>40)/2^23 - 1, from -1 to below 1. With a tensor's shape outermost dimension first:
//
//	the name holds "ssm_a"                                      -(1 + 0.5u)
//	the name holds "rope_freqs" or "rope_factors"               1.5 + 0.5u
//	a norm: ends in "norm.weight", "_norm" or ".ssm_d", or
//	  holds "norm" and ends in ".weight"                        1 + 0.1u
//	ends in ".bias", or has one dimension above 1 at most       0.1u
//	else                                                        u * sqrt(3 / innermost dimension)
package testmodel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"kvasir/gguf"
	"kvasir/gguf/synth"
	"kvasir/quant"
)

// Spec describes a model: its metadata and the names, shapes and types of its tensors.
type Spec struct {
	KV      []gguf.KV
	Tensors []Tensor
}

// Tensor is a tensor of a Spec.
type Tensor struct {
	Name  string
	Shape []int // outermost first
	Type  quant.Type
	Edit  func([]float32) // changes the rule's weights; nil: not. Only with types that package quant can encode.
}

// WithType returns the spec with every matrix in type t; vectors stay F32. A matrix whose rows t's block does not
// divide becomes Q8_0, or F16 if that does not fit either. Types that package quant can encode hold the rule's weights;
// the others hold random blocks of the same spread.
func (s *Spec) WithType(t quant.Type) *Spec {
	out := &Spec{KV: s.KV, Tensors: append([]Tensor(nil), s.Tensors...)}
	for i := range out.Tensors {
		x := &out.Tensors[i]
		if isVector(x.Shape) {
			continue
		}
		x.Type = quant.F16
		for _, c := range []quant.Type{t, quant.Q8_0} {
			if _, ok := c.RowBytes(uint64(x.Shape[len(x.Shape)-1])); ok {
				x.Type = c
				break
			}
		}
	}
	return out
}

// With returns the spec with a metadata entry set to another value, or added.
func (s *Spec) With(key string, value any) *Spec {
	out := &Spec{KV: append([]gguf.KV(nil), s.KV...), Tensors: s.Tensors}
	for i := range out.KV {
		if out.KV[i].Key == key {
			out.KV[i].Value = value
			return out
		}
	}
	out.KV = append(out.KV, gguf.KV{Key: key, Value: value})
	return out
}

// Edited returns the spec with the weights of a tensor changed by edit. It panics for a tensor that is not there: a test's
// own mistake.
func (s *Spec) Edited(name string, edit func([]float32)) *Spec {
	out := &Spec{KV: s.KV, Tensors: append([]Tensor(nil), s.Tensors...)}
	for i := range out.Tensors {
		if out.Tensors[i].Name == name {
			out.Tensors[i].Edit = edit
			return out
		}
	}
	panic("testmodel: no tensor " + name)
}

// Without returns the spec without the metadata entries and tensors of these names.
func (s *Spec) Without(names ...string) *Spec {
	drop := map[string]bool{}
	for _, n := range names {
		drop[n] = true
	}
	out := &Spec{}
	for _, e := range s.KV {
		if !drop[e.Key] {
			out.KV = append(out.KV, e)
		}
	}
	for _, t := range s.Tensors {
		if !drop[t.Name] {
			out.Tensors = append(out.Tensors, t)
		}
	}
	return out
}

// Bytes returns the model as a GGUF file.
func (s *Spec) Bytes() ([]byte, error) {
	var tensors []gguf.TensorData
	for _, t := range s.Tensors {
		data, err := t.data()
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		dims := make([]uint64, len(t.Shape))
		for i, d := range t.Shape {
			dims[len(dims)-1-i] = uint64(d)
		}
		tensors = append(tensors, gguf.TensorData{Name: t.Name, Type: t.Type, Dims: dims, Data: data})
	}
	var out bytes.Buffer
	_, err := gguf.Write(&out, s.KV, tensors)
	return out.Bytes(), err
}

func (t Tensor) data() ([]byte, error) {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	size, ok := t.Type.RowBytes(uint64(n))
	if !ok || len(t.Shape) == 0 {
		return nil, fmt.Errorf("%d values do not make whole blocks of %v", n, t.Type)
	}
	b := make([]byte, size)
	if t.Type.CanEncode() {
		w := Weights(t.Name, t.Shape)
		if t.Edit != nil {
			t.Edit(w)
		}
		return b, quant.EncodeRow(t.Type, b, w)
	}
	return b, synth.FillBlocks(b, t.Type, t.Shape[len(t.Shape)-1], synth.NewRand(t.Name))
}

func isVector(shape []int) bool {
	n := 0
	for _, d := range shape {
		if d > 1 {
			n++
		}
	}
	return n <= 1
}

// Weights returns the values of a tensor by the rule in the package comment; shape is outermost first.
func Weights(name string, shape []int) []float32 {
	n := 1
	for _, d := range shape {
		n *= d
	}
	base, factor := float32(0), float32(0.1)
	switch {
	case strings.Contains(name, "ssm_a"):
		base, factor = -1, -0.5
	case strings.Contains(name, "rope_freqs"), strings.Contains(name, "rope_factors"):
		base, factor = 1.5, 0.5
	case strings.HasSuffix(name, "norm.weight"), strings.HasSuffix(name, "_norm"), name == "ssm_d", strings.HasSuffix(name, ".ssm_d"),
		strings.Contains(name, "norm") && strings.HasSuffix(name, ".weight"):
		base = 1
	case strings.HasSuffix(name, ".bias"), isVector(shape):
	default:
		factor = float32(math.Sqrt(3 / float64(shape[len(shape)-1])))
	}
	r, out := synth.NewRand(name), make([]float32, n)
	for i := range out {
		out[i] = base + float32(factor*r.Float32())
	}
	return out
}

// Big writes a model of a real shape with random weights: see package synth for the names of shapes and types.
func Big(shape, typ string, w io.Writer) (int64, error) {
	s, err := synth.Named(shape)
	if err != nil {
		return 0, err
	}
	m, err := synth.ParseMix(typ)
	if err != nil {
		return 0, err
	}
	return synth.Write(w, s, m)
}

// FromSpec builds the model of a description in JSON, all F32:
//
//	{"kv": [[key, value type, value], ...], "tensors": [[name, [dimensions, outermost first]], ...]}
//
// with the value types' numbers of the GGUF format; the value of an array is [element type, [values]].
func FromSpec(specJSON []byte) ([]byte, error) {
	s, err := ParseSpec(specJSON)
	if err != nil {
		return nil, err
	}
	return s.Bytes()
}

// ParseSpec reads the form that FromSpec builds from.
func ParseSpec(specJSON []byte) (*Spec, error) {
	var raw struct {
		KV      [][3]json.RawMessage `json:"kv"`
		Tensors [][2]json.RawMessage `json:"tensors"`
	}
	if err := json.Unmarshal(specJSON, &raw); err != nil {
		return nil, fmt.Errorf("spec: %w", err)
	}
	s := &Spec{}
	for _, e := range raw.KV {
		var kv gguf.KV
		var t gguf.ValueType
		if err := json.Unmarshal(e[0], &kv.Key); err != nil {
			return nil, fmt.Errorf("spec: key %s: %w", e[0], err)
		}
		if err := json.Unmarshal(e[1], &t); err != nil {
			return nil, fmt.Errorf("spec: type of %s: %w", kv.Key, err)
		}
		var err error
		if kv.Value, err = jsonValue(t, e[2]); err != nil {
			return nil, fmt.Errorf("spec: value of %s: %w", kv.Key, err)
		}
		s.KV = append(s.KV, kv)
	}
	for _, e := range raw.Tensors {
		var t Tensor
		if err := json.Unmarshal(e[0], &t.Name); err != nil {
			return nil, fmt.Errorf("spec: tensor %s: %w", e[0], err)
		}
		if err := json.Unmarshal(e[1], &t.Shape); err != nil {
			return nil, fmt.Errorf("spec: shape of %s: %w", t.Name, err)
		}
		s.Tensors = append(s.Tensors, t)
	}
	return s, nil
}

func jsonValue(t gguf.ValueType, raw json.RawMessage) (any, error) {
	if t != gguf.Array {
		r, ok := readers[t]
		if !ok {
			return nil, fmt.Errorf("unknown type %d", uint32(t))
		}
		return r.one(raw)
	}
	var parts [2]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, err
	}
	var elem gguf.ValueType
	if err := json.Unmarshal(parts[0], &elem); err != nil {
		return nil, err
	}
	r, ok := readers[elem]
	if !ok {
		return nil, fmt.Errorf("unknown element type %d", uint32(elem))
	}
	return r.many(parts[1])
}

// readers read JSON as the Go type that stands for each value type in gguf.KV.
var readers = map[gguf.ValueType]reader{
	gguf.Uint8: as[uint8](), gguf.Int8: as[int8](), gguf.Uint16: as[uint16](), gguf.Int16: as[int16](),
	gguf.Uint32: as[uint32](), gguf.Int32: as[int32](), gguf.Uint64: as[uint64](), gguf.Int64: as[int64](),
	gguf.Float32: as[float32](), gguf.Float64: as[float64](), gguf.Bool: as[bool](), gguf.String: as[string](),
}

type reader struct {
	one, many func(json.RawMessage) (any, error)
}

func as[T any]() reader {
	return reader{
		one: func(raw json.RawMessage) (any, error) {
			var x T
			err := json.Unmarshal(raw, &x)
			return x, err
		},
		many: func(raw json.RawMessage) (any, error) {
			// One by one: encoding/json takes a []uint8 for base64.
			var parts []json.RawMessage
			if err := json.Unmarshal(raw, &parts); err != nil {
				return nil, err
			}
			xs := make([]T, len(parts))
			for i, p := range parts {
				if err := json.Unmarshal(p, &xs[i]); err != nil {
					return nil, err
				}
			}
			return xs, nil
		},
	}
}
