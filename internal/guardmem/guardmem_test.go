//go:build unix

package guardmem

import "testing"

var sink byte

// One byte past either end must fault, and nothing inside may.
func TestGuardPages(t *testing.T) {
	for _, size := range []int{1, 100, 4096, 4097, 1 << 20} {
		a := New(t, size)
		if a.Len() < size {
			t.Fatalf("size %d: area of %d bytes", size, a.Len())
		}
		end, start := a.End(size), a.Start(size)
		page := (len(a.mapped) - a.Len()) / 2
		cases := []struct {
			name string
			f    func()
			want bool
		}{
			{"write all", func() { clear(a.All()) }, false},
			{"last of End", func() { sink = end[size-1] }, false},
			{"after End", func() { sink = a.mapped[page+a.Len()] }, true},
			{"first of Start", func() { sink = start[0] }, false},
			{"before Start", func() { sink = a.mapped[page-1] }, true},
		}
		for _, c := range cases {
			if got := Faults(c.f); got != c.want {
				t.Errorf("size %d: %s: faulted %v, want %v", size, c.name, got, c.want)
			}
		}
	}
}

func TestFaultsPassesOtherPanics(t *testing.T) {
	defer func() {
		if r := recover(); r != "other" {
			t.Errorf("recovered %v, want the panic of f", r)
		}
	}()
	Faults(func() { panic("other") })
}
