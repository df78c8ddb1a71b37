package kernel

import (
	"math"
	"testing"

	"kvasir/quant"
	"kvasir/quant/half"
)

// These tests hold the reference variant against mathematics in float64; all other tests hold variants against it.

// near fails unless |got-want| <= tol*size.
func near(t *testing.T, what string, got float32, want, size, tol float64) {
	t.Helper()
	if d := math.Abs(float64(got) - want); !(d <= tol*size) {
		t.Fatalf("%s is %g, want %g: off by %g of %g", what, got, want, d, size)
	}
}

// A product is that of the decoded weights with the activations, and with those that the codes stand for where they
// are quantised.
func TestReferenceProducts(t *testing.T) {
	ref := referenceTable()
	for _, typ := range quant.Types() {
		t.Run(typ.String(), func(t *testing.T) {
			g := newGen(uint64(typ) + 77)
			k := max(blocks(typ, 4), 256)
			w, x := g.weights(typ, "plain", k/typ.Geometry().BlockSize), g.acts("plain", k, 2)
			values, got := make([]float32, k), make([]float32, 1)
			if err := typ.Decode(values, w); err != nil {
				t.Fatal(err)
			}
			ref.MatVec[typ](got, w, x, 1, nil)
			var want, size float64
			for i, v := range values {
				a := float64(x.F[k+i])
				switch typ.Geometry().Partner {
				case quant.Partner32:
					a = float64(x.Q32[k+i]) * float64(x.D32[(k+i)/32])
				case quant.Partner256:
					a = float64(x.Q256[k+i]) * float64(x.D256[(k+i)/256])
				}
				want += float64(v) * a
				size += math.Abs(float64(v) * a)
			}
			near(t, "product", got[0], want, size, 1e-5)
		})
	}
}

// The quantised activations are within half a step of the values.
func TestReferenceActivations(t *testing.T) {
	x := newGen(5).acts("spread", 1024, 1)
	for i, v := range x.F {
		near(t, "value of 32", float32(x.Q32[i])*x.D32[i/32], float64(v), float64(x.D32[i/32]), 0.501)
		near(t, "value of 256", float32(x.Q256[i])*x.D256[i/256], float64(v), float64(x.D256[i/256]), 0.501)
	}
}

func TestReferenceExp(t *testing.T) {
	for x := float32(-87); x <= 88; x += 0.0131 {
		want := math.Exp(float64(x))
		near(t, "exp", exp32(x), want, want, 1.5e-7)
	}
	for _, c := range []struct{ x, want float32 }{{0, 1}, {negZero, 1}, {-87.01, 0}, {-1e30, 0}, {inf32(-1), 0}, {1000, exp32(88)}} {
		if got := exp32(c.x); got != c.want {
			t.Errorf("exp(%g) is %g, want %g", c.x, got, c.want)
		}
	}
}

func TestReferenceGates(t *testing.T) {
	for x := -20.0; x <= 20; x += 0.037 {
		near(t, "SiLU", silu(float32(x)), x/(1+math.Exp(-x)), math.Max(math.Abs(x), 1), 1e-6)
		want := 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		near(t, "GELU", gelu(float32(x)), want, math.Max(math.Abs(x), 1), 1e-6)
	}
}

func TestReferenceRMSNorm(t *testing.T) {
	g := newGen(6)
	x, w, got := g.floats("plain", 100), g.floats("plain", 100), make([]float32, 100)
	referenceTable().RMSNorm(got, x, w, 1e-5)
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	for i, v := range x {
		near(t, "norm", got[i], float64(v)/math.Sqrt(s/100+1e-5)*float64(w[i]), 10, 1e-6)
	}
}

// A rotation by an angle keeps lengths and turns (1, 0) into (cos, sin); the two pairings differ only in where pairs
// lie, and what is beyond them stays.
func TestReferenceRope(t *testing.T) {
	ref := referenceTable()
	cos, sin := []float32{0.6, 0}, []float32{0.8, 1}
	x := []float32{1, 0, 1, 0, 7}
	ref.RopePairs(x, 5, cos, sin)
	wantFloats(t, "pairs", x, []float32{0.6, 0.8, 0, 1, 7})
	x = []float32{1, 1, 0, 0, 7}
	ref.RopeHalves(x, 5, cos, sin)
	wantFloats(t, "halves", x, []float32{0.6, 0, 0.8, 1, 7})
}

// The whole of int8 attention over one tile is close to attention in float64, and so is that over f16 rows.
func TestReferenceAttention(t *testing.T) {
	const headDim, n, scale = 64, 200, 0.125
	ref, g := referenceTable(), newGen(9)
	q, k, v := g.floats("plain", headDim), g.floats("plain", n*headDim), g.floats("plain", n*headDim)

	s, total := make([]float64, n), 0.0
	for i := range s {
		for d := range headDim {
			s[i] += float64(q[d]) * float64(k[i*headDim+d])
		}
		s[i] = math.Exp(s[i]*scale - 20)
		total += s[i]
	}
	want := make([]float64, headDim)
	for i, p := range s {
		for d := range want {
			want[d] += p / total * float64(v[i*headDim+d])
		}
	}

	encode := func(x []float32) (rows, scales []byte) {
		rows, scales = make([]byte, len(x)), make([]byte, 2*len(x)/headDim)
		for i := 0; i < len(x)/headDim; i++ {
			row := append([]float32(nil), x[i*headDim:(i+1)*headDim]...)
			ref.Rotate(row)
			ref.EncodeInt8(rows[i*headDim:(i+1)*headDim], scales[2*i:2*i+2], row)
		}
		return rows, scales
	}
	keys, ks := encode(k)
	vals, vs := encode(v)
	rotated, qi, qs := append([]float32(nil), q...), make([]int16, headDim), make([]float32, 1)
	ref.Rotate(rotated)
	qs[0] = ref.QuantizeQuery(qi, rotated, scale)
	scores, w, acc, out := make([]float32, TileLen), make([]int16, TileLen), make([]int32, headDim), make([]float32, headDim)
	ref.ScoresInt8(scores, qi, qs, 1, keys, ks, n, headDim)
	_, l, ws := ref.WeightsInt8(w, scores, vs, 0, n)
	ref.MixInt8(acc, w, 1, vals, n, headDim)
	ref.IntToFloat(out, acc, ws/l)
	ref.Rotate(out)
	for d := range out {
		near(t, "int8 attention", out[d], want[d], 4, 0.02)
	}

	rows16 := func(x []float32) []byte {
		b := make([]byte, 2*len(x))
		ref.EncodeF16(b, x)
		return b
	}
	scaled := append([]float32(nil), q...)
	ref.Scale(scaled, scale)
	ref.ScoresF16(scores, scaled, 1, rows16(k), n, headDim)
	_, l = ref.WeightsFloat(scores, 0, n)
	clear(out)
	ref.MixF16(out, scores, 1, rows16(v), n, headDim)
	for d := range out {
		near(t, "f16 attention", out[d]/l, want[d], 4, 0.002)
	}
}

// Two tiles merged are one softmax.
func TestReferenceMerge(t *testing.T) {
	o := []float32{3}
	m, l := referenceTable().Merge(o, 1, 2, []float32{5}, 3, 4)
	a := math.Exp(-2)
	near(t, "m", m, 3, 1, 0)
	near(t, "l", l, 2*a+4, 1, 1e-6)
	near(t, "o", o[0], 3*a+5, 1, 1e-6)
}

func TestFromHalf(t *testing.T) {
	for h := range 1 << 16 {
		if got, want := fromHalf(uint16(h)), half.ToFloat32(uint16(h)); !same(got, want) {
			t.Fatalf("fp16 %#04x is %g, want %g", h, got, want)
		}
	}
}
