package kernel

import (
	"unsafe"

	"kvasir/quant"
)

// Acts is a matrix of activations: N columns (tokens) of K values, with the quantised forms that products read. The
// float form is the caller's memory; the quantised forms belong to the Acts and are kept for the next use. One Acts may
// be read concurrently; Quantize may run concurrently on different columns.
type Acts struct {
	K, N int
	F    []float32 // N*K, column after column

	Q32 []int8    // N*K
	D32 []float32 // N*K/32
	S32 []int32   // N*K/32

	Q256 []int8    // N*K
	D256 []float32 // N*K/256
	S256 []int16   // N*K/16
}

// Set points the matrix at n columns of k values in f and makes room for the forms that the weight types read. It
// allocates only when the matrix grows beyond what it has held before.
func (a *Acts) Set(f []float32, k, n int, forms Forms) {
	a.K, a.N, a.F = k, n, f[:k*n]
	a.Q32, a.D32, a.S32 = a.Q32[:0], a.D32[:0], a.S32[:0]
	a.Q256, a.D256, a.S256 = a.Q256[:0], a.D256[:0], a.S256[:0]
	if forms.Has(quant.Partner32) {
		a.Q32, a.D32, a.S32 = grow(a.Q32, k*n), grow(a.D32, k*n/32), grow(a.S32, k*n/32)
	}
	if forms.Has(quant.Partner256) {
		a.Q256, a.D256, a.S256 = grow(a.Q256, k*n), grow(a.D256, k*n/256), grow(a.S256, k*n/16)
	}
}

// Quantize fills the quantised forms of columns [c0, c1) that Set made room for.
func (a *Acts) Quantize(t *Table, c0, c1 int) {
	for c := c0; c < c1; c++ {
		x := a.F[c*a.K : (c+1)*a.K]
		if len(a.Q32) > 0 {
			q, d, s := a.Col32(c)
			t.Quantize32(q, d, s, x)
		}
		if len(a.Q256) > 0 {
			q, d, s := a.Col256(c)
			t.Quantize256(q, d, s, x)
		}
	}
}

// Col32 returns column c in the Partner32 form.
func (a *Acts) Col32(c int) (q []int8, d []float32, s []int32) {
	b := a.K / 32
	return a.Q32[c*a.K : (c+1)*a.K], a.D32[c*b : (c+1)*b], a.S32[c*b : (c+1)*b]
}

// Col256 returns column c in the Partner256 form.
func (a *Acts) Col256(c int) (q []int8, d []float32, s []int16) {
	b := a.K / 256
	return a.Q256[c*a.K : (c+1)*a.K], a.D256[c*b : (c+1)*b], a.S256[c*b*16 : (c+1)*b*16]
}

// Forms is a set of quant.Partner.
type Forms uint8

// FormsFor returns the forms that products with weights of the given types read.
func FormsFor(types ...quant.Type) Forms {
	var f Forms
	for _, t := range types {
		f |= 1 << t.Geometry().Partner
	}
	return f
}

// Has reports whether p is in the set.
func (f Forms) Has(p quant.Partner) bool { return f&(1<<p) != 0 }

// Scratch is a worker's memory for decoded panels of weights. It is the caller's, one per worker.
type Scratch struct {
	Bytes []byte // 64-byte aligned
}

// ScratchBytes is what every MatMul of every variant can live with.
const ScratchBytes = 512 << 10

// NewScratch allocates a worker's scratch memory.
func NewScratch() *Scratch { return &Scratch{Bytes: Aligned[byte](ScratchBytes)} }

// Aligned allocates n zeroed values whose first one lies on a 64-byte boundary.
func Aligned[T any](n int) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	raw := make([]T, n+63/size+1)
	off := 0
	for uintptr(unsafe.Pointer(&raw[off]))%64 != 0 {
		off++
	}
	return raw[off : off+n : off+n]
}

// grow returns s with length n, reallocating only beyond its capacity. What it held is lost.
func grow[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	return Aligned[T](n)
}
