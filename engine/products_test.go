package engine

import (
	"testing"

	"kvasir/engine/arch"
)

// Every row of a matrix is some worker's own or in one shared part, and none is twice.
func TestRowsAreDealtOutOnce(t *testing.T) {
	for _, nWorkers := range []int{1, 2, 3, 4, 7} {
		for _, nRows := range []int{0, 1, 31, 32, 33, 511, 512, 513, 896, 4864, 8192, 151936} {
			for _, rowBytes := range []int{18, 504, 4608, 1 << 20} {
				for _, nColumns := range []int{1, 2} {
					p := &pass{n: nColumns, work: make([]*worker, nWorkers)}
					m := &arch.Matrix{Rows: nRows, RowBytes: rowBytes}
					dealt := make([]int, nRows)
					count := func(lo, hi int) {
						for r := lo; r < hi; r++ {
							dealt[r]++
						}
					}
					for w := range nWorkers {
						count(p.rowShare(m, w))
					}
					nShared := 0
					for i := 0; ; i++ {
						lo, hi := p.shared(m, i)
						if lo == hi {
							break
						}
						count(lo, hi)
						nShared += hi - lo
					}
					for r, n := range dealt {
						if n != 1 {
							t.Fatalf("%d workers, %d columns, %d rows of %d bytes: row %d is dealt out %d times", nWorkers, nColumns, nRows, rowBytes, r, n)
						}
					}
					if alone := nWorkers == 1 || nColumns > 1; alone && nShared > 0 || !alone && nRows >= 512 && nShared == 0 {
						t.Errorf("%d workers, %d columns, %d rows: %d of them shared", nWorkers, nColumns, nRows, nShared)
					}
				}
			}
		}
	}
}
