package par

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestEveryWorkerRunsEveryPhaseOnce(t *testing.T) {
	for n := 1; n <= 5; n++ {
		p := New(n)
		counts := make([]atomic.Int32, n)
		const phases = 2000
		for i := range phases {
			if err := p.Run(func(w int) { counts[w].Add(1) }); err != nil {
				t.Fatal(err)
			}
			for w := range counts {
				if got := counts[w].Load(); got != int32(i+1) {
					t.Fatalf("%d workers, phase %d: worker %d ran %d times", n, i, w, got)
				}
			}
			if i%500 == 0 {
				time.Sleep(2 * spinTime) // the workers fall asleep and must be woken
			}
		}
		p.Close()
	}
}

func TestPanicInAPhaseIsAnErrorAndThePoolGoesOn(t *testing.T) {
	p := New(3)
	defer p.Close()
	for bad := range 3 {
		err := p.Run(func(w int) {
			if w == bad {
				panic("boom")
			}
		})
		var f *Fault
		if !errors.As(err, &f) || f.Cause != "boom" {
			t.Fatalf("worker %d: got %v, want a Fault of boom", bad, err)
		}
		if err := p.Run(func(int) {}); err != nil {
			t.Fatalf("after the fault: %v", err)
		}
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	p := New(2)
	defer p.Close()
	var sum atomic.Int64
	fn := func(w int) { sum.Add(int64(w)) }
	if a := testing.AllocsPerRun(1000, func() { _ = p.Run(fn) }); a != 0 {
		t.Fatalf("%v allocations per phase", a)
	}
}

func TestSplitCoversEveryItemOnce(t *testing.T) {
	for n := range 200 {
		for _, unit := range []int{1, 4, 32} {
			for workers := 1; workers <= 5; workers++ {
				next := 0
				for i := range workers {
					lo, hi := Split(n, unit, i, workers)
					if lo != next || hi < lo || (hi != n && hi%unit != 0) {
						t.Fatalf("Split(%d,%d,%d,%d) = %d,%d after %d", n, unit, i, workers, lo, hi, next)
					}
					next = hi
				}
				if next != n {
					t.Fatalf("Split(%d,%d) with %d workers ends at %d", n, unit, workers, next)
				}
			}
		}
	}
}

func BenchmarkBarrier(b *testing.B) {
	p := New(2)
	defer p.Close()
	fn := func(int) {}
	for b.Loop() {
		_ = p.Run(fn)
	}
}
