package kernel

import (
	"encoding/binary"
	"math"

	"kvasir/quant"
	"kvasir/quant/half"
)

// add adds the products of w and x to the lanes; len(x) is at least len(w), and the first element belongs to lane 0.
func (l *lanes) add(w, x []float32) {
	x = x[:len(w)]
	a0, a1, a2, a3, a4, a5, a6, a7 := l[0], l[1], l[2], l[3], l[4], l[5], l[6], l[7]
	b0, b1, b2, b3, b4, b5, b6, b7 := l[8], l[9], l[10], l[11], l[12], l[13], l[14], l[15]
	for len(w) >= 16 && len(x) >= 16 {
		u, v := (*[16]float32)(w), (*[16]float32)(x)
		a0 += float32(u[0] * v[0])
		a1 += float32(u[1] * v[1])
		a2 += float32(u[2] * v[2])
		a3 += float32(u[3] * v[3])
		a4 += float32(u[4] * v[4])
		a5 += float32(u[5] * v[5])
		a6 += float32(u[6] * v[6])
		a7 += float32(u[7] * v[7])
		b0 += float32(u[8] * v[8])
		b1 += float32(u[9] * v[9])
		b2 += float32(u[10] * v[10])
		b3 += float32(u[11] * v[11])
		b4 += float32(u[12] * v[12])
		b5 += float32(u[13] * v[13])
		b6 += float32(u[14] * v[14])
		b7 += float32(u[15] * v[15])
		w, x = w[16:], x[16:]
	}
	*l = lanes{a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7}
	for i, v := range w {
		l[i&15] += float32(v * x[i])
	}
}

// decodeFloats writes len(dst) values of a float type.
func decodeFloats(t quant.Type, dst []float32, src []byte) {
	switch t {
	case quant.F32:
		src = src[:4*len(dst)]
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case quant.F16:
		src = src[:2*len(dst)]
		for i := range dst {
			dst[i] = fromHalf(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case quant.BF16:
		src = src[:2*len(dst)]
		for i := range dst {
			dst[i] = half.BFToFloat32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	}
}

// fromHalf is half.ToFloat32 with one branch: read with float32's exponent bias, an fp16 is 2^-112 times its value.
func fromHalf(h uint16) float32 {
	if h&half.Inf == half.Inf {
		return half.ToFloat32(h)
	}
	v := math.Float32frombits(uint32(h&^half.Sign)<<13) * 0x1p112
	return math.Float32frombits(math.Float32bits(v) | uint32(h&half.Sign)<<16)
}

// chunk is how many values of a row are decoded on the stack at a time: a multiple of the lanes.
const chunk = 256

func floatMatVec(t quant.Type) MatVecFunc {
	size := t.Geometry().BlockBytes
	return func(dst []float32, w []byte, x *Acts, col int, _ []byte) {
		v := x.F[col*x.K : (col+1)*x.K]
		var buf [chunk]float32
		for r := range dst {
			row := w[r*len(v)*size : (r+1)*len(v)*size]
			var acc lanes
			for i := 0; i < len(v); i += chunk {
				part := buf[:min(chunk, len(v)-i)]
				decodeFloats(t, part, row[i*size:])
				acc.add(part, v[i:])
			}
			dst[r] = acc.sum()
		}
	}
}

// floatMatMul decodes each row once for up to 16 columns.
func floatMatMul(t quant.Type) MatMulFunc {
	size := t.Geometry().BlockBytes
	return func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, s *Scratch) {
		part, _ := cut[float32](s.Bytes, panelLen)
		for r := range rows {
			row := w[r*x.K*size : (r+1)*x.K*size]
			for c0 := 0; c0 < nCols; c0 += 16 {
				n := min(16, nCols-c0)
				var acc [16]lanes
				for k := 0; k < x.K; k += panelLen {
					part = part[:min(panelLen, x.K-k)]
					if x.K > panelLen || c0 == 0 {
						decodeFloats(t, part, row[k*size:])
					}
					for c := range n {
						acc[c].add(part, x.F[(col+c0+c)*x.K+k:])
					}
					part = part[:cap(part)]
				}
				part = part[:min(panelLen, x.K)]
				for c := range n {
					dst[(c0+c)*stride+r] = acc[c].sum()
				}
			}
			part = part[:cap(part)]
		}
	}
}
