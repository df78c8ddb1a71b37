package kernel

import (
	"fmt"
	"testing"

	"kvasir/quant"
)

// NaN and infinite values, and weights of arbitrary bytes, give what they give, but nothing outside the buffers is
// touched and nothing traps.
func TestDamagedInputs(t *testing.T) {
	eachVariant(t, func(t *testing.T, v *Table) {
		b, g := newBench(t), newGen(testSeed(t))
		damaged := func(n int) []float32 {
			x := g.floats("plain", n)
			for i := range x {
				switch g.IntN(8) {
				case 0:
					x[i] = nan32()
				case 1:
					x[i] = inf32(1 - 2*g.IntN(2))
				case 2:
					x[i] = bits32(g.Uint32())
				}
			}
			return x
		}
		noise := func(n int) []byte {
			w := make([]byte, n)
			for i := range w {
				w[i] = byte(g.Uint32())
			}
			return w
		}
		for _, typ := range quant.Types() {
			for range 4 {
				b.reset(place(g.IntN(2)))
				rows, k, n := 1+g.IntN(20), max(blocks(typ, 3), 256), 1+g.IntN(9)
				size, _ := typ.RowBytes(uint64(k))
				var x Acts
				x.Set(damaged(n*k), k, n, FormsFor(typ))
				x.Quantize(v, 0, n)
				gx, w, dst, s := x.guarded(b), put(b, noise(rows*size)), room[float32](b, rows*n), &Scratch{room[byte](b, ScratchBytes)}
				what := fmt.Sprintf("%v %dx%d, %d columns", typ, rows, k, n)
				b.run(what, func() {
					v.MatVec[typ](dst[:rows], w, gx, 0, nil)
					v.MatMul[typ](dst, rows, w, rows, gx, 0, n, s)
				})
			}
		}
		const headDim, n = 64, 37
		for range 20 {
			b.reset(place(g.IntN(2)))
			x, y, out := put(b, damaged(headDim)), put(b, damaged(headDim)), room[float32](b, headDim)
			row, scale, q, qs := room[byte](b, headDim), room[byte](b, 2), room[int16](b, headDim), room[float32](b, 1)
			keys, scales := put(b, noise(n*headDim)), put(b, noise(2*n))
			scores, w, acc := room[float32](b, n), room[int16](b, n), room[int32](b, headDim)
			b.run("rows", func() {
				v.RMSNorm(out, x, y, 1e-5)
				v.SwiGLU(out, x, y)
				v.GeGLU(out, x, y)
				v.RopePairs(x, headDim, y[:headDim/2], y[:headDim/2])
				v.RopeHalves(x, headDim, y[:headDim/2], y[:headDim/2])
				v.Rotate(x)
				v.EncodeInt8(row, scale, x)
				qs[0] = v.QuantizeQuery(q, x, 1)
				v.ScoresInt8(scores, q, qs, 1, keys, scales, n, headDim)
				v.WeightsInt8(w, scores, scales, 3, n)
				v.MixInt8(acc, w, 1, keys, n, headDim)
				v.WeightsFloat(scores, 0, n-2)
				v.Merge(out, x[0], x[1], y, x[2], x[3])
				v.IntToFloat(out, acc, x[5])
			})
		}
	})
}
