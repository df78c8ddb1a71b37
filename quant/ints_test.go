package quant

import (
	"math"
	"testing"
)

func checkBounds(t *testing.T, typ Type, v *Ints) {
	t.Helper()
	bl := blocks[typ]
	for i, q := range v.Q[:bl.shape.BlockSize] {
		if q < bl.qMin || q > bl.qMax {
			t.Fatalf("%v: Q[%d] = %d, outside %d to %d", typ, i, q, bl.qMin, bl.qMax)
		}
	}
	for g := range bl.shape.Groups() {
		s, m := int(v.Scale[g]), int(v.Min[g])
		if max(s, -s) > bl.scaleMax || m < 0 || m > bl.minMax {
			t.Fatalf("%v: group %d has scale %d and minimum %d, bounds %d and %d", typ, g, s, m, bl.scaleMax, bl.minMax)
		}
		if !bl.shape.HasScales && s != 1 || !bl.shape.HasMins && (m != 0 || v.DMin != 0) {
			t.Fatalf("%v: group %d has scale %d, minimum %d, DMin %v", typ, g, s, m, v.DMin)
		}
	}
}

// The bounds of Q, Scale and Min hold for random blocks, and each is reached: they are tight.
func TestIntsBounds(t *testing.T) {
	for _, typ := range Types() {
		shape, ok := typ.IntShape()
		if !ok {
			continue
		}
		g := typ.Geometry()
		if shape.BlockSize != g.BlockSize || g.Partner == PartnerFloat || shape.Groups() > 16 || shape.BlockSize%shape.GroupSize != 0 {
			t.Fatalf("%v: shape %+v with geometry %+v", typ, shape, g)
		}
		var lo, hi int8
		var scale, minimum int
		data := randomBlocks(typ)
		for ; len(data) > 0; data = data[g.BlockBytes:] {
			v := Ints{DMin: 7} // stale values must not show
			for i := range v.Scale {
				v.Scale[i], v.Min[i] = 7, 7
			}
			typ.Ints(&v, data[:g.BlockBytes])
			checkBounds(t, typ, &v)
			for _, q := range v.Q[:shape.BlockSize] {
				lo, hi = min(lo, q), max(hi, q)
			}
			for i := range shape.Groups() {
				s := int(v.Scale[i])
				scale, minimum = max(scale, s, -s), max(minimum, int(v.Min[i]))
			}
		}
		if bl := blocks[typ]; lo != bl.qMin || hi != bl.qMax || scale != bl.scaleMax || minimum != bl.minMax {
			t.Errorf("%v: reached Q %d to %d, scale %d, minimum %d; bounds %d to %d, %d, %d",
				typ, lo, hi, scale, minimum, bl.qMin, bl.qMax, bl.scaleMax, bl.minMax)
		}
	}
}

// The sums that kernels form, of Scale*Q*x and of Min*x over a block with |x| <= 127, fit int32 whatever the bytes.
func TestIntsSumsFitInt32(t *testing.T) {
	for typ, bl := range blocks {
		if bl.unpack == nil {
			continue
		}
		q := max(-int64(bl.qMin), int64(bl.qMax))
		sum := int64(bl.shape.BlockSize) * q * int64(bl.scaleMax) * qMax
		mins := int64(bl.shape.BlockSize) * int64(bl.minMax) * qMax
		t.Logf("%-7v sum of scale*q*x <= %11d = 2^%.2f   sum of min*x <= %9d", Type(typ), sum, math.Log2(float64(sum)), mins)
		if sum > math.MaxInt32 || mins > math.MaxInt32 {
			t.Errorf("%v: sums of %d and %d do not fit int32", Type(typ), sum, mins)
		}
	}
}

// The formula of Ints in float64 gives Decode's values but for float32's roundings: two of the scaled product, one of
// the minimum, one of the sum.
func TestIntsFormula(t *testing.T) {
	for _, typ := range Types() {
		if _, ok := typ.IntShape(); !ok {
			continue
		}
		t.Run(typ.String(), func(t *testing.T) {
			checkFormula(t, typ, randomBlocks(typ))
		})
		t.Run(typ.String()+"/oracle", func(t *testing.T) {
			checkFormula(t, typ, readOracle(t, typ).quantised)
		})
	}
}

func checkFormula(t *testing.T, typ Type, data []byte) {
	shape, _ := typ.IntShape()
	size := typ.Geometry().BlockBytes
	decoded := make([]float32, shape.BlockSize)
	for n := 0; n < len(data); n += size {
		var v Ints
		typ.Ints(&v, data[n:n+size])
		if err := typ.Decode(decoded, data[n:n+size]); err != nil {
			t.Fatal(err)
		}
		for i, got := range decoded {
			g := i / shape.GroupSize
			a := float64(v.D) * float64(v.Scale[g]) * float64(v.Q[i])
			b := float64(v.DMin) * float64(v.Min[g])
			want := a + b
			if !(math.Abs(want) <= math.MaxFloat32) { // a scale that is not finite, or MXFP4's largest
				if !math.IsNaN(float64(got)) && !math.IsInf(float64(got), 0) {
					t.Fatalf("block at %d, value %d: %v, want %v", n, i, got, want)
				}
				continue
			}
			bound := 0x1p-24*(2*math.Abs(a)+math.Abs(b)+math.Abs(want)) + 0x1p-149
			if math.Abs(float64(got)-want) > bound {
				t.Fatalf("block at %d, value %d: %v, formula %v", n, i, got, want)
			}
		}
	}
}

func TestIntsPanics(t *testing.T) {
	panics := func(typ Type, n int) (p bool) {
		defer func() { p = recover() != nil }()
		var v Ints
		typ.Ints(&v, make([]byte, n))
		return false
	}
	for _, c := range []struct {
		typ  Type
		n    int
		want bool
	}{{Q4_0, 18, false}, {Q4_0, 17, true}, {Q4_0, 19, true}, {F16, 2, true}, {F32, 4, true}, {99, 0, true}} {
		if got := panics(c.typ, c.n); got != c.want {
			t.Errorf("%v from %d bytes: panics %v, want %v", c.typ, c.n, got, c.want)
		}
	}
	for _, typ := range []Type{F32, F16, BF16, 4, NTypes, 99} {
		if _, ok := typ.IntShape(); ok {
			t.Errorf("%v has an integer form", typ)
		}
	}
}
