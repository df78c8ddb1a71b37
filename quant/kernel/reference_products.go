package kernel

import (
	"encoding/binary"
	"math"
	"sync"

	"kvasir/quant"
	"kvasir/quant/half"
)

func refMatVec(t quant.Type) MatVecFunc {
	dot := refDot(t)
	return func(dst []float32, w []byte, x *Acts, col int, _ []byte) {
		rowBytes, _ := t.RowBytes(uint64(x.K))
		for r := range dst {
			dst[r] = dot(w[r*rowBytes:(r+1)*rowBytes], x, col)
		}
	}
}

func refMatMul(t quant.Type) MatMulFunc {
	matVec := refMatVec(t)
	return func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, _ *Scratch) {
		for c := range nCols {
			matVec(dst[c*stride:c*stride+rows], w, x, col+c, nil)
		}
	}
}

// refDot returns the product of one row of t with column col of x (NUMERICS §3).
func refDot(t quant.Type) func(row []byte, x *Acts, col int) float32 {
	if shape, ok := t.IntShape(); ok {
		return func(row []byte, x *Acts, col int) float32 { return refIntDot(t, shape, row, x, col) }
	}
	size := t.Geometry().BlockBytes
	return func(row []byte, x *Acts, col int) float32 {
		var acc lanes
		for i, v := range x.F[col*x.K : (col+1)*x.K] {
			acc[i%16] += float32(float(t, row[i*size:]) * v)
		}
		return acc.sum()
	}
}

// float reads the first value of a row of a float type.
func float(t quant.Type, b []byte) float32 {
	switch t {
	case quant.F16:
		return half.ToFloat32(binary.LittleEndian.Uint16(b))
	case quant.BF16:
		return half.BFToFloat32(binary.LittleEndian.Uint16(b))
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(b))
}

// intsPool lends unpacked blocks: Type.Ints calls through a table, so that a local one would escape to the heap.
var intsPool = sync.Pool{New: func() any { return new(quant.Ints) }}

// refIntDot is the product of every quantised type.
func refIntDot(t quant.Type, shape quant.IntShape, row []byte, x *Acts, col int) float32 {
	q, d, _ := x.partner(t.Geometry().Partner, col)
	size := t.Geometry().BlockBytes
	b := intsPool.Get().(*quant.Ints)
	defer intsPool.Put(b)
	var acc float32
	for i, scale := range d {
		t.Ints(b, row[i*size:(i+1)*size])
		var s, m int32
		for j, v := range q[i*shape.BlockSize : (i+1)*shape.BlockSize] {
			g := j / shape.GroupSize
			s += int32(b.Scale[g]) * int32(b.Q[j]) * int32(v)
			m += int32(b.Min[g]) * int32(v)
		}
		acc += float32(float32(s) * float32(b.D*scale))
		if shape.HasMins {
			acc += float32(float32(m) * float32(b.DMin*scale))
		}
	}
	return acc
}

// partner returns the codes and scales of column c in the form p.
func (a *Acts) partner(p quant.Partner, c int) (q []int8, d []float32, block int) {
	if p == quant.Partner256 {
		q, d, _ = a.Col256(c)
		return q, d, 256
	}
	q, d, _ = a.Col32(c)
	return q, d, 32
}
