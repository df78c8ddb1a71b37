package quant

import (
	"math"
	"testing"
)

// quantizeBoth runs both forms over x, whose length is a multiple of 256.
func quantizeBoth(x []float32) (q32, q256 []int8, d32, d256 []float32, s32 []int32, s256 []int16) {
	n := len(x)
	q32, q256 = make([]int8, n), make([]int8, n)
	d32, d256 = make([]float32, n/32), make([]float32, n/256)
	s32, s256 = make([]int32, n/32), make([]int16, n/16)
	QuantizeActivation32(q32, d32, s32, x)
	QuantizeActivation256(q256, d256, s256, x)
	return
}

// Each group follows the rule, evaluated here in float64 with one conversion per float32 rounding, which gives the
// float32 result of a single division or product exactly; ties are seen by themselves.
func TestActivationRule(t *testing.T) {
	x := testRow(32 * 256)
	x[5], x[6], x[7] = 127, 62.5, -63.5
	q32, q256, d32, d256, s32, s256 := quantizeBoth(x)
	check := func(n int, q []int8, d []float32) {
		for g := range d {
			amax := 0.0
			for _, v := range x[n*g : n*g+n] {
				amax = max(amax, math.Abs(float64(v)))
			}
			if want := float32(amax / 127); d[g] != want {
				t.Fatalf("group %d of %d: scale %v, want %v", g, n, d[g], want)
			}
			inv := float64(float32(127 / amax))
			for i := n * g; i < n*g+n; i++ {
				y := float64(float32(float64(x[i]) * inv))
				e := math.Abs(float64(q[i]) - y)
				if q[i] < -127 || e > 0.5 && y < 127 && y > -127 || e == 0.5 && q[i]&1 != 0 {
					t.Fatalf("value %d of groups of %d: %v as %d", i, n, y, q[i])
				}
			}
		}
	}
	check(32, q32, d32)
	check(256, q256, d256)
	for g, s := range s32 {
		if want := sum(q32[32*g : 32*g+32]); int(s) != want {
			t.Errorf("sum %d of 32: %d, want %d", g, s, want)
		}
	}
	for g, s := range s256 {
		if want := sum(q256[16*g : 16*g+16]); int(s) != want {
			t.Errorf("sum %d of 16: %d, want %d", g, s, want)
		}
	}
}

func TestActivationEdges(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	tiny := math.Nextafter32(127/math.MaxFloat32, 0) // the largest amax whose inv is infinite, or close to it
	for float32(127)/tiny <= math.MaxFloat32 {
		tiny = math.Nextafter32(tiny, 0)
	}
	for _, c := range []struct {
		name  string
		first []float32
		q     []int8
		d     float32
	}{
		{"zeros", []float32{0, float32(math.Copysign(0, -1))}, []int8{0, 0}, 0},
		{"inv infinite", []float32{tiny, -tiny}, []int8{0, 0}, 0},
		{"smallest amax kept", []float32{math.Nextafter32(tiny, 1), -tiny}, []int8{127, -127}, math.Nextafter32(tiny, 1) / 127},
		{"ties to even", []float32{127, 0.5, 1.5, -2.5, -3.5}, []int8{127, 0, 2, -2, -4}, 1},
		{"largest", []float32{-math.MaxFloat32, math.MaxFloat32}, []int8{-127, 127}, math.MaxFloat32 / 127},
		{"infinity", []float32{1, -inf}, []int8{0, 0}, nan},
		{"nan", []float32{nan, 1}, []int8{0, 0}, nan},
	} {
		x := make([]float32, 512)
		copy(x[256:], c.first)
		copy(x, []float32{127, 1}) // the group before is not touched
		q32, q256, d32, d256, s32, s256 := quantizeBoth(x)
		for i, want := range c.q {
			if q32[256+i] != want || q256[256+i] != want {
				t.Errorf("%s: value %d is %d and %d, want %d", c.name, i, q32[256+i], q256[256+i], want)
			}
		}
		same := func(d float32) bool { return d == c.d || d != d && c.d != c.d }
		if !same(d32[8]) || !same(d256[1]) {
			t.Errorf("%s: scales %v and %v, want %v", c.name, d32[8], d256[1], c.d)
		}
		if want := sum(c.q); int(s32[8]) != want || int(s256[16]) != want {
			t.Errorf("%s: sums %d and %d, want %d", c.name, s32[8], s256[16], want)
		}
		if d32[0] != 1 || d256[0] != 1 || q32[1] != 1 || q256[1] != 1 || s32[0] != 128 || s256[0] != 128 {
			t.Errorf("%s: the group before changed", c.name)
		}
	}
}

// goldenActivation is the hash of both forms of testRow: q, d and s of 32, then of 256.
const goldenActivation = "17296f9f7d8275a673601de973c76bbebca230461fab2db2676575f678d7b311"

func TestActivationGolden(t *testing.T) {
	q32, q256, d32, d256, s32, s256 := quantizeBoth(testRow(32 * 256))
	var all []float32 // all of these are exact as float32
	add := func(q []int8, d []float32) {
		for _, v := range q {
			all = append(all, float32(v))
		}
		all = append(all, d...)
	}
	add(q32, d32)
	for _, v := range s32 {
		all = append(all, float32(v))
	}
	add(q256, d256)
	for _, v := range s256 {
		all = append(all, float32(v))
	}
	if h := hashFloats(all); h != goldenActivation {
		t.Errorf("hash %q, want %q", h, goldenActivation)
	}
}

func TestActivationPanics(t *testing.T) {
	for _, c := range [][4]int{{31, 31, 1, 1}, {32, 31, 1, 1}, {32, 32, 2, 1}, {32, 32, 1, 0}, {256, 256, 1, 8}} {
		panicked := func(f func()) (p bool) {
			defer func() { p = recover() != nil }()
			f()
			return
		}
		q, d, x := make([]int8, c[1]), make([]float32, c[2]), make([]float32, c[0])
		if !panicked(func() { QuantizeActivation32(q, d, make([]int32, c[3]), x) }) {
			t.Errorf("32: %v accepted", c)
		}
		if !panicked(func() { QuantizeActivation256(q, d, make([]int16, c[3]), x) }) {
			t.Errorf("256: %v accepted", c)
		}
	}
}
