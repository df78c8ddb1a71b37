// Package kernel holds the hot loops of a token: row and matrix products over quantised weights, the conversion of
// activations, norms, activations functions, rotary embedding, and attention over int8 and f16 rows of the KV store.
//
// A variant is a Table: a set of function values for one instruction set. Every function of every Table gives the same
// bits, those of docs/NUMERICS.md; the reference Table is that document in Go. Functions start no goroutines, keep no
// state, allocate nothing, and may be called concurrently on different outputs. Slices must not overlap unless a
// comment allows it; lengths are the caller's duty and are checked where an error would write out of bounds. One call
// should stay near 100 microseconds of work, because assembly cannot be preempted: callers split rows and columns.
package kernel

import (
	"kvasir/platform/cpu"
	"kvasir/quant"
)

// TileLen is the number of positions of one attention tile (docs/NUMERICS.md §6): four blocks of the store.
const TileLen = 256

// MatVecFunc computes dst[r] = row r of w times column col of x, for r < len(dst). w holds len(dst) packed rows of x.K
// values. It reads exactly those rows: the last may end at the end of a mapping. next, which may be empty, is the
// weight data that this worker will read afterwards: a variant may prefetch it and nothing else.
type MatVecFunc func(dst []float32, w []byte, x *Acts, col int, next []byte)

// MatMulFunc computes dst[c*stride+r] = row r of w times column col+c of x, for r < rows and c < nCols.
type MatMulFunc func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, s *Scratch)

// Table is one variant of every hot loop. All fields are set in every Table: what an instruction set does not
// accelerate comes from the portable one.
type Table struct {
	Name  string
	Needs []cpu.Feature // all must be present to call any function

	MatVec [quant.NTypes]MatVecFunc // by weight type; nil for unknown types
	MatMul [quant.NTypes]MatMulFunc

	// Quantize32 fills q (len(x)), d and s (len(x)/32) from x, whose length is a multiple of 32; Quantize256 likewise
	// with d of len(x)/256 and s of len(x)/16. NUMERICS §2.
	Quantize32  func(q []int8, d []float32, s []int32, x []float32)
	Quantize256 func(q []int8, d []float32, s []int16, x []float32)

	// RMSNorm: dst = norm(x)*w, len(dst) = len(x); w may be nil for a norm without weights; dst may be x.
	RMSNorm func(dst, x, w []float32, eps float32)
	// Add: dst[i] += a[i]. Scale: dst[i] *= f.
	Add   func(dst, a []float32)
	Scale func(dst []float32, f float32)
	// SwiGLU and GeGLU: dst[i] = act(gate[i]) * up[i]; dst may be gate or up.
	SwiGLU func(dst, gate, up []float32)
	GeGLU  func(dst, gate, up []float32)
	// RopePairs and RopeHalves rotate, in every head of headDim values in x, the first 2*len(cos) values, paired as
	// (2i, 2i+1) or as (i, i+len(cos)). len(x) is a multiple of headDim.
	RopePairs  func(x []float32, headDim int, cos, sin []float32)
	RopeHalves func(x []float32, headDim int, cos, sin []float32)

	// Rotate applies the Walsh-Hadamard rotation of NUMERICS §5 to one head row, in place.
	Rotate func(x []float32)
	// EncodeInt8 writes the int8 row of an already rotated x: len(dst) = len(x), scale is 2 bytes of little-endian fp16.
	EncodeInt8 func(dst, scale []byte, x []float32)
	// EncodeF16 writes the f16 row of x: len(dst) = 2*len(x).
	EncodeF16 func(dst []byte, x []float32)
	// QuantizeQuery fills q from an already rotated query row and returns qs (NUMERICS §6).
	QuantizeQuery func(q []int16, x []float32, scale float32) float32

	// ScoresInt8: dst[i*TileLen+t] = s_t of query row i against key row t, for i < nq, t < n. q holds nq rows of headDim
	// int16, qs nq scales, k n rows of headDim int8, ks n fp16 scales. dst may start inside a tile (a block's columns).
	ScoresInt8 func(dst []float32, q []int16, qs []float32, nq int, k, ks []byte, n, headDim int)
	// WeightsInt8 turns scores s (one query row, the visible positions [lo, hi) of a tile) into weights: w[t] for t in
	// [lo, hi), 0 for the other t < len(w). vs holds the fp16 V scales of the tile from position 0.
	WeightsInt8 func(w []int16, s []float32, vs []byte, lo, hi int) (m, l, ws float32)
	// MixInt8: acc[i*headDim+d] += sum over t < n of w[i*TileLen+t]*v[t*headDim+d]. w may start inside a tile.
	MixInt8 func(acc []int32, w []int16, nq int, v []byte, n, headDim int)

	// ScoresF16, WeightsFloat and MixF16 are the same for f16 rows; q is already scaled. WeightsFloat overwrites the
	// scores with p_t, and with 0 outside [lo, hi).
	ScoresF16    func(dst []float32, q []float32, nq int, k []byte, n, headDim int)
	WeightsFloat func(s []float32, lo, hi int) (m, l float32)
	MixF16       func(acc []float32, p []float32, nq int, v []byte, n, headDim int)
	// ScoresF32 and MixF32: rows of little-endian float32, for comparison only (never a file's format).
	ScoresF32 func(dst []float32, q []float32, nq int, k []byte, n, headDim int)
	MixF32    func(acc []float32, p []float32, nq int, v []byte, n, headDim int)

	// Merge folds the tile (mj, lj, y) into the running (m, l, o) and returns the new m and l: len(o) = len(y).
	Merge func(o []float32, m, l float32, y []float32, mj, lj float32) (float32, float32)
	// IntToFloat: dst[i] = float32(src[i]) * f.
	IntToFloat func(dst []float32, src []int32, f float32)
}

// The variants of this build, best first; the last two are always there.
var variants = runnable(append(archTables(), portableTable(), referenceTable()))

// runnable keeps the tables that this processor can run.
func runnable(all []*Table) []*Table {
	var ok []*Table
	for _, t := range all {
		if cpu.Has(t.Needs...) {
			ok = append(ok, t)
		}
	}
	return ok
}

// Variants lists the Tables that this processor can run, best first. The reference Table is the last.
func Variants() []*Table { return variants }

// Best returns the Table to use on this processor.
func Best() *Table { return variants[0] }

// Named returns the variant of that name, or nil if it does not exist or cannot run here.
func Named(name string) *Table {
	for _, t := range variants {
		if t.Name == name {
			return t
		}
	}
	return nil
}
