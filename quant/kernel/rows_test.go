package kernel

import (
	"fmt"
	"testing"
)

// lengths are those of rows of any length: around every vector width, and longer ones.
func lengths() []int {
	var ns []int
	for n := range 70 {
		ns = append(ns, n)
	}
	return append(ns, 80, 96, 127, 128, 129, 255, 256, 257, 896, 1000, 2048, 4864)
}

// headDims are those of attention rows; most models have 64 or 128.
var headDims = []int{8, 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192, 256, 512}

// eachRow runs f for every variant, place, kind of floats and length.
func eachRow(t *testing.T, ns []int, f func(b *bench, g gen, v *Table, kind string, n int)) {
	eachVariant(t, func(t *testing.T, v *Table) {
		b, g := newBench(t), newGen(testSeed(t))
		for _, where := range places {
			for _, kind := range floatKinds {
				for _, n := range ns {
					b.reset(where)
					f(b, g, v, kind, n)
				}
			}
		}
	})
}

func multiples(of, upTo int) (ns []int) {
	for n := of; n <= upTo; n += of {
		ns = append(ns, n)
	}
	return ns
}

func TestQuantize32(t *testing.T) {
	ref := referenceTable()
	eachRow(t, append(multiples(32, 320), 896), func(b *bench, g gen, v *Table, kind string, n int) {
		x := g.floats(kind, n)
		q, d, s := make([]int8, n), make([]float32, n/32), make([]int32, n/32)
		ref.Quantize32(q, d, s, x)
		gq, gd, gs, gx := room[int8](b, n), room[float32](b, n/32), room[int32](b, n/32), put(b, x)
		what := fmt.Sprintf("%s, %d values", kind, n)
		b.run(what, func() { v.Quantize32(gq, gd, gs, gx) })
		wantInts(b.t, what+": codes", gq, q)
		wantFloats(b.t, what+": scales", gd, d)
		wantInts(b.t, what+": sums", gs, s)
	})
}

func TestQuantize256(t *testing.T) {
	ref := referenceTable()
	eachRow(t, multiples(256, 1280), func(b *bench, g gen, v *Table, kind string, n int) {
		x := g.floats(kind, n)
		q, d, s := make([]int8, n), make([]float32, n/256), make([]int16, n/16)
		ref.Quantize256(q, d, s, x)
		gq, gd, gs, gx := room[int8](b, n), room[float32](b, n/256), room[int16](b, n/16), put(b, x)
		what := fmt.Sprintf("%s, %d values", kind, n)
		b.run(what, func() { v.Quantize256(gq, gd, gs, gx) })
		wantInts(b.t, what+": codes", gq, q)
		wantFloats(b.t, what+": scales", gd, d)
		wantInts(b.t, what+": sums", gs, s)
	})
}

// A group with a NaN or an infinity becomes a NaN scale and zeros, and its neighbours do not notice.
func TestQuantizeDamage(t *testing.T) {
	eachVariant(t, func(t *testing.T, v *Table) {
		for _, bad := range []float32{nan32(), inf32(1), inf32(-1)} {
			for at := range 256 {
				x := newGen(1).floats("plain", 768)
				x[256+at] = bad
				q, d, s := make([]int8, 768), make([]float32, 24), make([]int32, 24)
				v.Quantize32(q, d, s, x)
				for i := range d {
					if damaged := i == 8+at/32; damaged != (d[i] != d[i]) || damaged && (sumCodes(q[i*32:i*32+32]) != 0 || s[i] != 0) {
						t.Fatalf("%g at %d: group %d has scale %g, sum %d", bad, at, i, d[i], s[i])
					}
				}
				s16 := make([]int16, 48)
				v.Quantize256(q, d[:3], s16, x)
				for i := range 3 {
					if damaged := i == 1; damaged != (d[i] != d[i]) || damaged && s16[16*i+at/16] != 0 {
						t.Fatalf("%g at %d: group %d of 256 has scale %g", bad, at, i, d[i])
					}
				}
			}
		}
	})
}

func TestRMSNorm(t *testing.T) {
	ref := referenceTable()
	eachRow(t, lengths()[1:], func(b *bench, g gen, v *Table, kind string, n int) {
		x, w := g.floats(kind, n), g.floats("plain", n)
		for _, weights := range [][]float32{w, nil} {
			for _, eps := range []float32{1e-5, 0} {
				want := make([]float32, n)
				ref.RMSNorm(want, x, weights, eps)
				what := fmt.Sprintf("%s, %d values, eps %g, weights %v", kind, n, eps, weights != nil)
				gx, got := put(b, x), room[float32](b, n)
				gw := weights
				if weights != nil {
					gw = put(b, weights)
				}
				b.run(what, func() { v.RMSNorm(got, gx, gw, eps) })
				wantFloats(b.t, what, got, want)
				v.RMSNorm(gx, gx, gw, eps)
				wantFloats(b.t, what+", in place", gx, want)
			}
		}
	})
}

func TestAddScale(t *testing.T) {
	ref := referenceTable()
	eachRow(t, lengths(), func(b *bench, g gen, v *Table, kind string, n int) {
		x, a := g.floats(kind, n), g.floats("spread", n)
		what := fmt.Sprintf("%s, %d values", kind, n)
		got, ga := put(b, x), put(b, a)
		b.run("Add "+what, func() { v.Add(got, ga) })
		ref.Add(x, a)
		wantFloats(b.t, "Add "+what, got, x)
		b.run("Scale "+what, func() { v.Scale(got, -0.37) })
		ref.Scale(x, -0.37)
		wantFloats(b.t, "Scale "+what, got, x)
	})
}

func TestIntToFloat(t *testing.T) {
	ref := referenceTable()
	eachRow(t, lengths(), func(b *bench, g gen, v *Table, _ string, n int) {
		src := make([]int32, n)
		for i := range src {
			src[i] = int32(g.Uint32())
		}
		want := make([]float32, n)
		f := g.unit()
		ref.IntToFloat(want, src, f)
		got, gs := room[float32](b, n), put(b, src)
		b.run("IntToFloat", func() { v.IntToFloat(got, gs, f) })
		wantFloats(b.t, "IntToFloat", got, want)
	})
}

func TestGates(t *testing.T) {
	ref := referenceTable()
	eachRow(t, lengths(), func(b *bench, g gen, v *Table, kind string, n int) {
		gate, up := g.floats(kind, n), g.floats("plain", n)
		for i := range gate {
			if i%3 == 0 && kind == "plain" {
				gate[i] *= 30 // into both limits of exp
			}
		}
		for _, act := range []struct {
			name   string
			f, ref func(dst, gate, up []float32)
		}{{"SwiGLU", v.SwiGLU, ref.SwiGLU}, {"GeGLU", v.GeGLU, ref.GeGLU}} {
			what := fmt.Sprintf("%s %s, %d values", act.name, kind, n)
			want := make([]float32, n)
			act.ref(want, gate, up)
			got, gg, gu := room[float32](b, n), put(b, gate), put(b, up)
			b.run(what, func() { act.f(got, gg, gu) })
			wantFloats(b.t, what, got, want)
			act.f(gg, gg, gu)
			wantFloats(b.t, what+", dst is gate", gg, want)
			gg = put(b, gate)
			act.f(gu, gg, gu)
			wantFloats(b.t, what+", dst is up", gu, want)
		}
	})
}

func TestRope(t *testing.T) {
	ref := referenceTable()
	eachRow(t, headDims, func(b *bench, g gen, v *Table, kind string, headDim int) {
		for _, rot := range []int{headDim, headDim / 2, 2, headDim - 2} {
			for _, heads := range []int{1, 3} {
				x := g.floats(kind, heads*headDim)
				cos, sin := g.floats("plain", rot/2), g.floats("plain", rot/2)
				gc, gs := put(b, cos), put(b, sin)
				for _, rope := range []struct {
					name   string
					f, ref func(x []float32, headDim int, cos, sin []float32)
				}{{"RopePairs", v.RopePairs, ref.RopePairs}, {"RopeHalves", v.RopeHalves, ref.RopeHalves}} {
					what := fmt.Sprintf("%s %s, %d heads of %d, %d rotated", rope.name, kind, heads, headDim, rot)
					want := append([]float32(nil), x...)
					rope.ref(want, headDim, cos, sin)
					got := put(b, x)
					b.run(what, func() { rope.f(got, headDim, gc, gs) })
					wantFloats(b.t, what, got, want)
				}
			}
		}
	})
}

func TestRotate(t *testing.T) {
	ref := referenceTable()
	eachRow(t, append([]int{1, 2, 3, 4, 6, 12, 20, 100}, headDims...), func(b *bench, g gen, v *Table, kind string, n int) {
		x := g.floats(kind, n)
		got := put(b, x)
		what := fmt.Sprintf("%s, %d values", kind, n)
		b.run(what, func() { v.Rotate(got) })
		ref.Rotate(x)
		wantFloats(b.t, what, got, x)
	})
}

func TestEncode(t *testing.T) {
	ref := referenceTable()
	eachRow(t, append(lengths()[1:40], headDims...), func(b *bench, g gen, v *Table, kind string, n int) {
		x := g.floats(kind, n)
		what := fmt.Sprintf("%s, %d values", kind, n)
		row, scale := make([]byte, n), make([]byte, 2)
		ref.EncodeInt8(row, scale, x)
		grow, gscale, gx := room[byte](b, n), room[byte](b, 2), put(b, x)
		b.run("EncodeInt8 "+what, func() { v.EncodeInt8(grow, gscale, gx) })
		wantInts(b.t, "EncodeInt8 row "+what, grow, row)
		wantInts(b.t, "EncodeInt8 scale "+what, gscale, scale)

		row16 := make([]byte, 2*n)
		ref.EncodeF16(row16, x)
		grow16 := room[byte](b, 2*n)
		b.run("EncodeF16 "+what, func() { v.EncodeF16(grow16, gx) })
		wantInts(b.t, "EncodeF16 "+what, grow16, row16)

		q := make([]int16, n)
		qs := ref.QuantizeQuery(q, x, 0.125)
		gq := room[int16](b, n)
		var gqs float32
		b.run("QuantizeQuery "+what, func() { gqs = v.QuantizeQuery(gq, gx, 0.125) })
		wantInts(b.t, "QuantizeQuery "+what, gq, q)
		wantFloats(b.t, "QuantizeQuery scale "+what, []float32{gqs}, []float32{qs})
	})
}

// Every fp16 boundary: values that round up, down and to even, and what saturates.
func TestEncodeF16Rounding(t *testing.T) {
	ref := referenceTable()
	eachVariant(t, func(t *testing.T, v *Table) {
		g := newGen(3)
		x := make([]float32, 1<<16)
		for i := range x {
			x[i] = bits32(uint32(i)<<16 | g.Uint32()&0xffff)
			if g.IntN(4) == 0 {
				x[i] = bits32(uint32(i)<<16 | 0x1000) // a tie in normal numbers
			}
			if x[i] != x[i] {
				x[i] = 0
			}
		}
		got, want := make([]byte, 2*len(x)), make([]byte, 2*len(x))
		v.EncodeF16(got, x)
		ref.EncodeF16(want, x)
		wantInts(t, "EncodeF16", got, want)
	})
}

func TestMerge(t *testing.T) {
	ref := referenceTable()
	eachRow(t, headDims, func(b *bench, g gen, v *Table, kind string, n int) {
		o, y := g.floats(kind, n), g.floats("plain", n)
		for _, m := range [][2]float32{{1, 2}, {2, 1}, {3, 3}, {0, negZero}, {negZero, negZero}, {-200, 5}, {5, -200}, {1e30, -1e30}} {
			want := append([]float32(nil), o...)
			wm, wl := ref.Merge(want, m[0], 17, y, m[1], 3)
			got, gy := put(b, o), put(b, y)
			var gm, gl float32
			what := fmt.Sprintf("Merge %s, %d values, maxima %v", kind, n, m)
			b.run(what, func() { gm, gl = v.Merge(got, m[0], 17, gy, m[1], 3) })
			wantFloats(b.t, what, append(got, gm, gl), append(want, wm, wl))
		}
	})
}
