package main

import (
	"math"
	"slices"
	"testing"

	"kvasir/quant/kernel"
)

// Products in a free order are the kernels' up to rounding: what is compared computes the same thing.
func TestFreeOrdersComputeTheProduct(t *testing.T) {
	if kernel.Named("avx2") == nil {
		t.Skip("needs AVX2")
	}
	m := newMatrix(callRows, 16)
	compare := func(name string, cs []contestant, n int) {
		clear(m.dst)
		cs[0].run(0, m.rows)
		want := slices.Clone(m.dst[:n])
		for _, c := range cs[1:] {
			clear(m.dst)
			c.run(0, m.rows)
			differ := 0
			for i, w := range want {
				if math.Abs(float64(m.dst[i]-w)) > 1e-5*(1+math.Abs(float64(w))) {
					t.Fatalf("%s, %s: output %d is %g, the kernel's %g", name, c.name, i, m.dst[i], w)
				}
				if m.dst[i] != w {
					differ++
				}
			}
			if differ == 0 {
				t.Errorf("%s, %s: every output has the kernel's bits, so the order is not another one", name, c.name)
			}
		}
	}
	for _, s := range sets(m) {
		compare(s.name+" rows", s.rows, m.rows)
		compare(s.name+" matrix", s.matrix, len(m.dst))
	}
}
