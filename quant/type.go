// Package quant owns the block formats of GGML tensors: which types exist, how many values and bytes a block has,
// how its bytes are laid out, and what they mean. It is the one truth that the parser (bounds), the store (row
// strides) and the kernels (decoding) share. Nothing here is fast and nothing here is unsafe: the fast forms live in
// quant/kernel and are tested against this package.
package quant

import "fmt"

// Type is a GGML tensor type id, as a GGUF file stores it.
type Type uint32

// The types that kvasir knows. The numbers are GGML's (ggml.h, enum ggml_type) and part of the GGUF format; gaps are
// types that were withdrawn or that no supported model uses.
const (
	F32    Type = 0
	F16    Type = 1
	Q4_0   Type = 2
	Q4_1   Type = 3
	Q5_0   Type = 6
	Q5_1   Type = 7
	Q8_0   Type = 8
	Q2_K   Type = 10
	Q3_K   Type = 11
	Q4_K   Type = 12
	Q5_K   Type = 13
	Q6_K   Type = 14
	IQ4_NL Type = 20
	IQ4_XS Type = 23
	BF16   Type = 30
	TQ1_0  Type = 34
	TQ2_0  Type = 35
	MXFP4  Type = 39

	// NTypes bounds arrays indexed by Type.
	NTypes = 40
)

// Partner is the form in which a product reads its activations.
type Partner uint8

const (
	// PartnerFloat: float32 activations, products and sums in float32 lanes.
	PartnerFloat Partner = iota
	// Partner32: int8 activations with one float32 scale per 32 values.
	Partner32
	// Partner256: int8 activations with one float32 scale per 256 values.
	Partner256
)

// Geometry is what a program must know of a type to compute sizes and to choose a product.
type Geometry struct {
	Name       string
	BlockSize  int // values per block
	BlockBytes int // bytes per block
	Partner    Partner
}

var geometries = [NTypes]Geometry{
	F32:    {"F32", 1, 4, PartnerFloat},
	F16:    {"F16", 1, 2, PartnerFloat},
	BF16:   {"BF16", 1, 2, PartnerFloat},
	Q4_0:   {"Q4_0", 32, 18, Partner32},
	Q4_1:   {"Q4_1", 32, 20, Partner32},
	Q5_0:   {"Q5_0", 32, 22, Partner32},
	Q5_1:   {"Q5_1", 32, 24, Partner32},
	Q8_0:   {"Q8_0", 32, 34, Partner32},
	IQ4_NL: {"IQ4_NL", 32, 18, Partner32},
	MXFP4:  {"MXFP4", 32, 17, Partner32},
	Q2_K:   {"Q2_K", 256, 84, Partner256},
	Q3_K:   {"Q3_K", 256, 110, Partner256},
	Q4_K:   {"Q4_K", 256, 144, Partner256},
	Q5_K:   {"Q5_K", 256, 176, Partner256},
	Q6_K:   {"Q6_K", 256, 210, Partner256},
	IQ4_XS: {"IQ4_XS", 256, 136, Partner256},
	TQ1_0:  {"TQ1_0", 256, 54, Partner256},
	TQ2_0:  {"TQ2_0", 256, 66, Partner256},
}

// Known reports whether t is a type that kvasir can decode.
func (t Type) Known() bool { return t < NTypes && geometries[t].BlockSize != 0 }

// Geometry returns the sizes of t; the zero Geometry if t is not Known.
func (t Type) Geometry() Geometry {
	if t >= NTypes {
		return Geometry{}
	}
	return geometries[t]
}

// String returns GGML's name of the type, or its number.
func (t Type) String() string {
	if t.Known() {
		return geometries[t].Name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// RowBytes returns the bytes of a row of n values, and false if t is unknown, n is not a multiple of the block size,
// or the size does not fit an int.
func (t Type) RowBytes(n uint64) (int, bool) {
	g := t.Geometry()
	if g.BlockSize == 0 || n%uint64(g.BlockSize) != 0 {
		return 0, false
	}
	blocks := n / uint64(g.BlockSize)
	if blocks > (1<<62)/uint64(g.BlockBytes) {
		return 0, false
	}
	size := blocks * uint64(g.BlockBytes)
	if size > uint64(^uint(0)>>1) {
		return 0, false
	}
	return int(size), true
}

// Types lists every known type in the order of its id.
func Types() []Type {
	var ts []Type
	for t := Type(0); t < NTypes; t++ {
		if t.Known() {
			ts = append(ts, t)
		}
	}
	return ts
}
