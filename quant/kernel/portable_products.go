package kernel

import (
	"unsafe"

	"kvasir/quant"
)

// A blockDot forms the exact sums S and M of one block (NUMERICS §3) with the codes q and the sums of activations,
// which are x's sums of 32 or, for Partner256, of 16 values. It does not set the scales of block.
type blockDot func(b []byte, q []int8, x columnSums, i int) (s, m int32)

// columnSums are the sums of one column's codes in the form that its partner has.
type columnSums struct {
	s32 []int32
	s16 []int16
}

// blockScales reads D and DMin of one block.
type blockScales func(b []byte) (d, dMin float32)

// fusedDots are the formats whose products read the stored bytes without an unpacked copy.
var fusedDots = [quant.NTypes]struct {
	dot    blockDot
	scales blockScales
}{
	quant.Q4_0:   {dotQ4_0, scaleAt0},
	quant.Q8_0:   {dotQ8_0, scaleAt0},
	quant.Q4_K:   {dotQ4K, scalesQ4K},
	quant.Q6_K:   {dotQ6K, scaleQ6K},
	quant.Q5_K:   {dotQ5K, scalesQ4K},
	quant.Q4_1:   {dotQ4_1, scaleMinAt0},
	quant.Q5_0:   {dotQ5_0, scaleAt0},
	quant.Q5_1:   {dotQ5_1, scaleMinAt0},
	quant.IQ4_NL: {dotIQ4NL, scaleAt0},
}

// intMatVec returns the product of one column with rows of a quantised type.
func intMatVec(t quant.Type, shape quant.IntShape) MatVecFunc {
	geo, fused := t.Geometry(), fusedDots[t]
	return func(dst []float32, w []byte, x *Acts, col int, _ []byte) {
		q, d, block := x.partner(geo.Partner, col)
		sums := x.sums(geo.Partner, col)
		b := intsPool.Get().(*quant.Ints)
		defer intsPool.Put(b)
		for r := range dst {
			var acc float32
			for i, scale := range d {
				codes, bytes := q[i*block:(i+1)*block], w[:geo.BlockBytes]
				w = w[geo.BlockBytes:]
				if fused.dot != nil {
					s, m := fused.dot(bytes, codes, sums, i)
					d, dMin := fused.scales(bytes)
					acc = addBlock(acc, s, m, d, dMin, scale, shape.HasMins)
					continue
				}
				t.Ints(b, bytes)
				s, m := dotInts(b, shape, codes)
				acc = addBlock(acc, s, m, b.D, b.DMin, scale, shape.HasMins)
			}
			dst[r] = acc
		}
	}
}

// sums returns the sums of column c in the form p.
func (a *Acts) sums(p quant.Partner, c int) (x columnSums) {
	if p == quant.Partner256 {
		_, _, x.s16 = a.Col256(c)
	} else {
		_, _, x.s32 = a.Col32(c)
	}
	return x
}

// addBlock adds the sums of one block to an output.
func addBlock(acc float32, s, m int32, d, dMin, scale float32, hasMins bool) float32 {
	acc += float32(float32(s) * float32(d*scale))
	if hasMins {
		acc += float32(float32(m) * float32(dMin*scale))
	}
	return acc
}

// dotInts forms S and M of an unpacked block.
func dotInts(b *quant.Ints, shape quant.IntShape, x []int8) (s, m int32) {
	size := shape.GroupSize
	q := b.Q[:len(x)]
	for g := 0; len(q) >= size && len(x) >= size; g++ {
		sum := dot8(q[:size], x[:size])
		s += int32(b.Scale[g&15]) * sum
		if shape.HasMins {
			m += int32(b.Min[g&15]) * sumOf(x[:size])
		}
		q, x = q[size:], x[size:]
	}
	return s, m
}

// dot8 is the exact product of two rows of codes, whose length is a multiple of 4.
func dot8(a, b []int8) int32 {
	var s0, s1 int32
	b = b[:len(a)]
	for len(a) >= 4 && len(b) >= 4 {
		s0 += int32(a[0])*int32(b[0]) + int32(a[1])*int32(b[1])
		s1 += int32(a[2])*int32(b[2]) + int32(a[3])*int32(b[3])
		a, b = a[4:], b[4:]
	}
	return s0 + s1
}

// panelLen bounds the values of a row that MatMul unpacks at a time: whole blocks of every type.
const panelLen = 1 << 15

// row is a panel of one row in integers: the parts of quant.Ints, block after block.
type row struct {
	q          []int8
	scale, min []int16
	d, dMin    []float32
}

// carve cuts a row for n values out of the scratch memory; blocks and groups are those of shape.
func (s *Scratch) carve(n int, shape quant.IntShape) (r row) {
	mem := s.Bytes
	nBlocks, nGroups := n/shape.BlockSize, n/shape.GroupSize
	r.d, mem = cut[float32](mem, nBlocks)
	r.dMin, mem = cut[float32](mem, nBlocks)
	r.scale, mem = cut[int16](mem, nGroups)
	r.min, mem = cut[int16](mem, nGroups)
	r.q, _ = cut[int8](mem, n)
	return r
}

// cut takes n values off the front of mem, which is and stays aligned to 64 bytes.
func cut[T any](mem []byte, n int) ([]T, []byte) {
	var zero T
	size := (n*int(unsafe.Sizeof(zero)) + 63) &^ 63
	if n == 0 {
		return nil, mem
	}
	head := mem[:size]
	return unsafe.Slice((*T)(unsafe.Pointer(&head[0])), n), mem[size:]
}

// unpack fills r from len(r.d) blocks of t.
func (r *row) unpack(t quant.Type, shape quant.IntShape, w []byte) {
	size, groups := t.Geometry().BlockBytes, shape.Groups()
	b := intsPool.Get().(*quant.Ints)
	defer intsPool.Put(b)
	for i := range r.d {
		t.Ints(b, w[i*size:(i+1)*size])
		copy(r.q[i*shape.BlockSize:], b.Q[:shape.BlockSize])
		copy(r.scale[i*groups:], b.Scale[:groups])
		copy(r.min[i*groups:], b.Min[:groups])
		r.d[i], r.dMin[i] = b.D, b.DMin
	}
}

// intMatMul unpacks each row once for all columns, of which it computes four at a time.
func intMatMul(t quant.Type, shape quant.IntShape, matVec MatVecFunc) MatMulFunc {
	geo := t.Geometry()
	return func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, s *Scratch) {
		if nCols < 3 {
			for c := range nCols {
				matVec(dst[c*stride:c*stride+rows], w, x, col+c, nil)
			}
			return
		}
		rowBytes := x.K / geo.BlockSize * geo.BlockBytes
		for r := range rows {
			for k := 0; k < x.K; k += panelLen {
				n := min(panelLen, x.K-k)
				panel := s.carve(n, shape)
				panel.unpack(t, shape, w[r*rowBytes+k/geo.BlockSize*geo.BlockBytes:])
				for c := 0; c < nCols; c += 4 {
					var acc [4]float32
					for j := range min(4, nCols-c) {
						if k > 0 {
							acc[j] = dst[(c+j)*stride+r]
						}
					}
					panel.dot4(&acc, shape, geo.Partner, x, k, col+c, min(4, nCols-c))
					for j := range min(4, nCols-c) {
						dst[(c+j)*stride+r] = acc[j]
					}
				}
			}
		}
	}
}

// dot4 adds to acc the products of r, whose first value has index k of the row, with n <= 4 columns from c.
func (r *row) dot4(acc *[4]float32, shape quant.IntShape, p quant.Partner, x *Acts, k, c, n int) {
	var q [4][]int8
	var d [4][]float32
	var sums [4]columnSums
	for j := range q {
		cj := c + min(j, n-1) // a missing column repeats the last one
		qj, dj, block := x.partner(p, cj)
		q[j], d[j] = qj[k:k+len(r.q)], dj[k/block:]
		sums[j] = x.sums(p, cj)
	}
	q0, q1, q2, q3 := q[0], q[1], q[2], q[3]
	groups, size := shape.Groups(), shape.GroupSize
	for i := range r.d {
		var s, m [4]int32
		for g := range groups {
			off := (i*groups + g) * size
			w := r.q[off : off+size]
			s0, s1, s2, s3 := dot8x4(w, q0[off:off+size], q1[off:off+size], q2[off:off+size], q3[off:off+size])
			scale := int32(r.scale[i*groups+g])
			s[0] += scale * s0
			s[1] += scale * s1
			s[2] += scale * s2
			s[3] += scale * s3
			if shape.HasMins {
				min := int32(r.min[i*groups+g])
				for j := range sums {
					m[j] += min * sums[j].group((k+off)/size, size)
				}
			}
		}
		for j := range acc {
			acc[j] = addBlock(acc[j], s[j], m[j], r.d[i], r.dMin[i], d[j][i], shape.HasMins)
		}
	}
}

// group returns the sum of group g of size 16 or 32 codes.
func (x *columnSums) group(g, size int) int32 {
	switch {
	case x.s32 != nil:
		return x.s32[g]
	case size == 16:
		return int32(x.s16[g])
	}
	return int32(x.s16[2*g]) + int32(x.s16[2*g+1])
}

// dot8x4 is dot8 of one row with four.
func dot8x4(w, a, b, c, d []int8) (s0, s1, s2, s3 int32) {
	a, b, c, d = a[:len(w)], b[:len(w)], c[:len(w)], d[:len(w)]
	for i, v := range w {
		s0 += int32(v) * int32(a[i])
		s1 += int32(v) * int32(b[i])
		s2 += int32(v) * int32(c[i])
		s3 += int32(v) * int32(d[i])
	}
	return s0, s1, s2, s3
}
