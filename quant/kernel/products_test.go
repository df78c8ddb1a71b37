package kernel

import (
	"fmt"
	"testing"

	"kvasir/quant"
)

// product is one case of a matrix product.
type product struct {
	typ                   quant.Type
	rows, k, col, n, over int // n columns from col; dst stride is rows+over
	weights, acts         string
	where                 place
}

func (p product) String() string {
	return fmt.Sprintf("%v %dx%d, columns %d+%d, stride +%d, weights %q, activations %q, buffers %v",
		p.typ, p.rows, p.k, p.col, p.n, p.over, p.weights, p.acts, p.where)
}

// blocks turns a count of blocks into a k for t; for float types it counts values, and not only whole lanes.
func blocks(t quant.Type, n int) int { return n * t.Geometry().BlockSize }

// check compares MatVec and MatMul of v with the reference, in guarded memory.
func (p product) check(b *bench, g gen, v, ref *Table) {
	b.t.Helper()
	x := g.acts(p.acts, p.k, p.col+p.n)
	w := g.weights(p.typ, p.weights, p.rows*p.k/p.typ.Geometry().BlockSize)
	stride := p.rows + p.over
	size := (p.n-1)*stride + p.rows
	want := make([]float32, size)
	for c := range p.n {
		ref.MatVec[p.typ](want[c*stride:c*stride+p.rows], w, x, p.col+c, nil)
	}

	b.reset(p.where)
	gx, gw, next := x.guarded(b), put(b, w), put(b, w[:min(len(w), 100)])
	s := &Scratch{Bytes: room[byte](b, ScratchBytes)}
	got := room[float32](b, size)
	untouched := got[0]
	if p.rows == size {
		untouched = 0
	}
	b.run("MatMul "+p.String(), func() { v.MatMul[p.typ](got, stride, gw, p.rows, gx, p.col, p.n, s) })
	for c := range p.n - 1 { // between the columns nothing may be written
		for r := p.rows; r < stride; r++ {
			if !same(got[c*stride+r], untouched) {
				b.t.Fatalf("MatMul %v: wrote %g between columns %d and %d", p, got[c*stride+r], c, c+1)
			}
			got[c*stride+r] = 0
		}
	}
	wantFloats(b.t, "MatMul "+p.String(), got, want)
	for c := range p.n {
		dst := room[float32](b, p.rows)
		b.run("MatVec "+p.String(), func() { v.MatVec[p.typ](dst, gw, gx, p.col+c, next) })
		wantFloats(b.t, fmt.Sprintf("MatVec of column %d: %v", c, p), dst, want[c*stride:c*stride+p.rows])
	}
}

// eachProduct runs f for every variant and weight type.
func eachProduct(t *testing.T, f func(b *bench, g gen, v *Table, typ quant.Type)) {
	eachVariant(t, func(t *testing.T, v *Table) {
		for _, typ := range quant.Types() {
			t.Run(typ.String(), func(t *testing.T) { f(newBench(t), newGen(uint64(typ)), v, typ) })
		}
	})
}

// Every row count up to two tiles and one, with every block count up to a few and some longer ones.
func TestProductShapes(t *testing.T) {
	ref := referenceTable()
	eachProduct(t, func(b *bench, g gen, v *Table, typ quant.Type) {
		for rows := 1; rows <= 17; rows++ {
			for _, where := range places {
				p := product{typ, rows, blocks(typ, 1+g.IntN(9)), 0, 1 + g.IntN(3), g.IntN(2), "plain", "plain", where}
				p.check(b, g, v, ref)
			}
		}
		long := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 31, 33, 64, 65}
		if typ.Geometry().BlockSize < 256 {
			long = append(long, 100, 129, 300)
		}
		for _, n := range long {
			for _, where := range places {
				product{typ, 1 + g.IntN(17), blocks(typ, n), 0, 1, 0, "plain", "plain", where}.check(b, g, v, ref)
			}
		}
	})
}

// Every column count up to one and a half tiles, and 64; rows around the tiles; columns that do not start at 0.
func TestProductColumns(t *testing.T) {
	ref := referenceTable()
	eachProduct(t, func(b *bench, g gen, v *Table, typ quant.Type) {
		for n := 1; n <= 13; n++ {
			for _, where := range places {
				product{typ, 1 + g.IntN(20), blocks(typ, 1+g.IntN(5)), g.IntN(3), n, g.IntN(5), "plain", "plain", where}.check(b, g, v, ref)
			}
		}
		for _, rows := range []int{7, 8, 9, 15, 16, 17, 24, 33} {
			product{typ, rows, blocks(typ, 2+g.IntN(3)), 1, 16 + g.IntN(3), 3, "plain", "plain", atEnd}.check(b, g, v, ref)
		}
		product{typ, 37, blocks(typ, 3), 0, 64, 0, "plain", "plain", atEnd}.check(b, g, v, ref)
	})
}

// Extreme codes and scales on both sides: weights of -128, activations of 127 and -127, subnormal and huge scales.
func TestProductValues(t *testing.T) {
	ref := referenceTable()
	eachProduct(t, func(b *bench, g gen, v *Table, typ quant.Type) {
		for i, weights := range weightKinds {
			for j, acts := range actKinds {
				if testing.Short() && (i+j)%3 != 0 {
					continue
				}
				product{typ, 17, blocks(typ, 3), 0, 5, 0, weights, acts, atEnd}.check(b, g, v, ref)
			}
		}
	})
}

// The bytes of a tensor may start anywhere, rows of 34 or 210 bytes make them odd too.
func TestProductAlignment(t *testing.T) {
	ref := referenceTable()
	eachProduct(t, func(b *bench, g gen, v *Table, typ quant.Type) {
		const rows, n = 9, 5
		k := blocks(typ, 5)
		x := g.acts("plain", k, n)
		w := g.weights(typ, "plain", rows*k/typ.Geometry().BlockSize)
		want, got := make([]float32, rows*n), make([]float32, rows*n)
		ref.MatMul[typ](want, rows, w, rows, x, 0, n, nil)
		s := NewScratch()
		buf := Aligned[byte](len(w) + 64)
		for off := range 64 {
			gw := buf[off : off+len(w)]
			copy(gw, w)
			v.MatMul[typ](got, rows, gw, rows, x, 0, n, s)
			wantFloats(b.t, fmt.Sprintf("MatMul, weights at byte %d", off), got, want)
			v.MatVec[typ](got[:rows], gw, x, 1, nil)
			wantFloats(b.t, fmt.Sprintf("MatVec, weights at byte %d", off), got[:rows], want[rows:2*rows])
		}
	})
}

// No split of the rows or the columns, and no leftover in the scratch memory, changes a bit.
func TestProductRandom(t *testing.T) {
	seed := testSeed(t)
	ref := referenceTable()
	eachProduct(t, func(b *bench, _ gen, v *Table, typ quant.Type) {
		g := newGen(seed + uint64(typ))
		n := 20
		if testing.Short() {
			n = 4
		}
		for range n {
			product{
				typ: typ, rows: 1 + g.IntN(40), k: blocks(typ, 1+g.IntN(12)), col: g.IntN(4), n: 1 + g.IntN(20), over: g.IntN(9),
				weights: weightKinds[g.IntN(len(weightKinds))], acts: actKinds[g.IntN(len(actKinds))], where: place(g.IntN(2)),
			}.check(b, g, v, ref)
		}
	})
}

// Rows longer than what a panel of decoded weights holds.
func TestProductLongRows(t *testing.T) {
	ref := referenceTable()
	eachProduct(t, func(b *bench, g gen, v *Table, typ quant.Type) {
		product{typ, 18, 256 * 73, 0, 6, 0, "plain", "plain", atEnd}.check(b, g, v, ref)
		product{typ, 3, 256 * 150, 0, 5, 0, "high bits", "-127", atEnd}.check(b, g, v, ref)
	})
}
