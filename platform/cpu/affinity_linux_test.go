package cpu

import (
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Every thread of the process, the ones that begin later too, keeps to the processors it was confined to.
func TestConfine(t *testing.T) {
	all := allowed()
	if len(all) < 2 {
		t.Skip("one processor")
	}
	t.Cleanup(func() {
		if err := Confine(all); err != nil {
			t.Error(err)
		}
	})
	one := all[len(all)-1:]
	if err := Confine(one); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 { // as many threads, for a moment
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if got := allowed(); !slices.Equal(got, one) {
				t.Errorf("thread %d may run on %v, want %v", unix.Gettid(), got, one)
			}
		})
	}
	wg.Wait()
}
