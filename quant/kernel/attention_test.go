package kernel

import (
	"fmt"
	"math"
	"testing"
)

func bits32(b uint32) float32 { return math.Float32frombits(b) }
func nan32() float32          { return float32(math.NaN()) }
func inf32(sign int) float32  { return float32(math.Inf(sign)) }

var negZero = float32(math.Copysign(0, -1))

// codes16 makes n codes up to limit: random ones or all at a limit.
func (g gen) codes16(kind string, n, limit int) []int16 {
	q := make([]int16, n)
	for i := range q {
		switch kind {
		case "largest":
			q[i] = int16(limit)
		case "smallest":
			q[i] = int16(-limit)
		default:
			q[i] = int16(g.IntN(2*limit+1) - limit)
		}
	}
	return q
}

// codes8 makes n int8 codes in [-127, 127].
func (g gen) codes8(kind string, n int) []byte {
	b := make([]byte, n)
	for i, v := range g.codes16(kind, n, 127) {
		b[i] = byte(int8(v))
	}
	return b
}

// halves makes n little-endian fp16 that are not negative.
func (g gen) halves(kind string, n int) []byte {
	b := make([]byte, 2*n)
	for i := range n {
		h := g.half(kind) &^ 0x8000
		b[2*i], b[2*i+1] = byte(h), byte(h>>8)
	}
	return b
}

// counts are numbers of rows in a call: a block of the store is 64, a tile 256.
var counts = []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64}

// eachAttention runs f for every variant with head dims, row counts and query counts.
func eachAttention(t *testing.T, f func(b *bench, g gen, v *Table, what string, headDim, n, nq int)) {
	eachVariant(t, func(t *testing.T, v *Table) {
		b, g := newBench(t), newGen(testSeed(t))
		for _, where := range places {
			for _, headDim := range headDims {
				for _, n := range counts {
					nq := 1 + g.IntN(9)
					if n == 64 {
						nq = 8
					}
					b.reset(where)
					f(b, g, v, fmt.Sprintf("%d queries, %d rows of %d", nq, n, headDim), headDim, n, nq)
				}
			}
		}
		for _, n := range []int{255, 256} {
			b.reset(atEnd)
			f(b, g, v, fmt.Sprintf("%d rows", n), 64, n, 7)
		}
	})
}

func TestScoresInt8(t *testing.T) {
	ref := referenceTable()
	eachAttention(t, func(b *bench, g gen, v *Table, what string, headDim, n, nq int) {
		for _, kind := range []string{"plain", "largest", "smallest"} {
			q, k := g.codes16(kind, nq*headDim, 16256), g.codes8("largest", n*headDim)
			if kind == "plain" {
				k = g.codes8(kind, n*headDim)
			}
			qs, ks := g.floats("plain", nq), g.halves("plain", n)
			gq, gk, gqs, gks := put(b, q), put(b, k), put(b, qs), put(b, ks)
			size := (nq-1)*TileLen + n
			got := room[float32](b, size)
			want := append([]float32(nil), got...)
			b.run(what, func() { v.ScoresInt8(got, gq, gqs, nq, gk, gks, n, headDim) })
			ref.ScoresInt8(want, q, qs, nq, k, ks, n, headDim)
			wantFloats(b.t, what, got, want)
		}
	})
}

func TestMixInt8(t *testing.T) {
	ref := referenceTable()
	eachAttention(t, func(b *bench, g gen, v *Table, what string, headDim, n, nq int) {
		for _, kind := range []string{"plain", "largest"} {
			w := g.codes16(kind, (nq-1)*TileLen+n, 32767)
			vals := g.codes8(kind, n*headDim)
			acc := make([]int32, nq*headDim)
			for i := range acc {
				acc[i] = int32(g.Uint32()) >> 12
			}
			gw, gv, got := put(b, w), put(b, vals), put(b, acc)
			b.run(what, func() { v.MixInt8(got, gw, nq, gv, n, headDim) })
			ref.MixInt8(acc, w, nq, vals, n, headDim)
			wantInts(b.t, what, got, acc)
		}
	})
}

func TestScoresFloat(t *testing.T) {
	ref := referenceTable()
	eachAttention(t, func(b *bench, g gen, v *Table, what string, headDim, n, nq int) {
		q := g.floats("plain", nq*headDim)
		for _, f := range []struct {
			name   string
			f, ref func(dst, q []float32, nq int, k []byte, n, headDim int)
			k      []byte
		}{
			{"f16", v.ScoresF16, ref.ScoresF16, g.weights(1, "plain", n*headDim)},
			{"f32", v.ScoresF32, ref.ScoresF32, g.weights(0, "plain", n*headDim)},
		} {
			gq, gk := put(b, q), put(b, f.k)
			got := room[float32](b, (nq-1)*TileLen+n)
			want := append([]float32(nil), got...)
			b.run(f.name+": "+what, func() { f.f(got, gq, nq, gk, n, headDim) })
			f.ref(want, q, nq, f.k, n, headDim)
			wantFloats(b.t, f.name+": "+what, got, want)
		}
	})
}

func TestMixFloat(t *testing.T) {
	ref := referenceTable()
	eachAttention(t, func(b *bench, g gen, v *Table, what string, headDim, n, nq int) {
		p := g.floats("plain", (nq-1)*TileLen+n)
		for i := range p {
			if i%5 == 0 {
				p[i] = 0 // positions that the query does not see
			}
		}
		for _, f := range []struct {
			name   string
			f, ref func(acc, p []float32, nq int, v []byte, n, headDim int)
			v      []byte
		}{
			{"f16", v.MixF16, ref.MixF16, g.weights(1, "plain", n*headDim)},
			{"f32", v.MixF32, ref.MixF32, g.weights(0, "plain", n*headDim)},
		} {
			acc := g.floats("spread", nq*headDim)
			gp, gv, got := put(b, p), put(b, f.v), put(b, acc)
			b.run(f.name+": "+what, func() { f.f(got, gp, nq, gv, n, headDim) })
			f.ref(acc, p, nq, f.v, n, headDim)
			wantFloats(b.t, f.name+": "+what, got, acc)
		}
	})
}

// windows are visible ranges of a tile: all, the causal edge, the edge of a window, one position.
func (g gen) windows() [][2]int {
	ws := [][2]int{{0, 256}, {0, 1}, {255, 256}, {17, 18}, {0, 64}, {3, 200}, {100, 256}, {7, 9}, {8, 16}, {16, 33}}
	for range 40 {
		lo := g.IntN(256)
		ws = append(ws, [2]int{lo, lo + 1 + g.IntN(256-lo)})
	}
	return ws
}

func TestWeightsInt8(t *testing.T) {
	ref := referenceTable()
	scaleKinds := []string{"plain", "zero", "subnormal scales", "max scales"}
	eachRow(t, []int{256}, func(b *bench, g gen, v *Table, kind string, n int) {
		for i, win := range g.windows() {
			lo, hi := win[0], win[1]
			size := min(n, hi+g.IntN(3)*(n-hi)) // what lies beyond the visible positions need not exist
			s, vs := g.floats(kind, hi), g.halves(scaleKinds[i%4], hi)
			want := make([]int16, size)
			wm, wl, wws := ref.WeightsInt8(want, s, vs, lo, hi)
			got, gs, gvs := room[int16](b, size), put(b, s), put(b, vs)
			var gm, gl, gws float32
			what := fmt.Sprintf("%s, positions %d to %d of %d, scales %s", kind, lo, hi, size, scaleKinds[i%4])
			b.run(what, func() { gm, gl, gws = v.WeightsInt8(got, gs, gvs, lo, hi) })
			wantInts(b.t, what, got, want)
			wantFloats(b.t, what+": m, l, ws", []float32{gm, gl, gws}, []float32{wm, wl, wws})
			b.used, b.lens = 0, b.lens[:0]
		}
	})
}

func TestWeightsFloat(t *testing.T) {
	ref := referenceTable()
	eachRow(t, []int{256}, func(b *bench, g gen, v *Table, kind string, n int) {
		for _, win := range g.windows() {
			lo, hi := win[0], win[1]
			s := g.floats(kind, min(n, hi+g.IntN(3)*(n-hi)))
			if kind == "plain" {
				for i := range s {
					s[i] *= 40
				}
			}
			got := put(b, s)
			wm, wl := ref.WeightsFloat(s, lo, hi)
			var gm, gl float32
			what := fmt.Sprintf("%s, positions %d to %d of %d", kind, lo, hi, len(s))
			b.run(what, func() { gm, gl = v.WeightsFloat(got, lo, hi) })
			wantFloats(b.t, what, append(got, gm, gl), append(s, wm, wl))
			b.used, b.lens = 0, b.lens[:0]
		}
	})
}
