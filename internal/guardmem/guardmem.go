//go:build unix

// Package guardmem gives tests memory with an unreadable page on either side, so that a kernel that reads or writes one
// byte too far faults instead of passing. It is the stand-in for an address sanitiser, which cannot see assembly.
// Only tests import it.
package guardmem

import (
	"runtime/debug"
	"syscall"
	"testing"
)

// Area is a run of readable and writable pages between two unreadable ones:
//
//	+-----------+---------------------+-----------+
//	| PROT_NONE | size bytes, rounded | PROT_NONE |
//	|           | up to whole pages   |           |
//	+-----------+---------------------+-----------+
//
// It is not safe for concurrent use.
type Area struct {
	mapped []byte // with the guard pages
	data   []byte // without them
}

// New maps an area of at least size bytes. It is unmapped when the test ends; slices into it die with it. The test
// fails at once if the system refuses the memory.
func New(tb testing.TB, size int) *Area {
	tb.Helper()
	page := syscall.Getpagesize()
	size = (max(size, 1) + page - 1) / page * page
	all, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		tb.Fatalf("map %d bytes: %v", size+2*page, err)
	}
	tb.Cleanup(func() {
		if err := syscall.Munmap(all); err != nil {
			tb.Errorf("unmap: %v", err)
		}
	})
	for _, guard := range [][]byte{all[:page], all[page+size:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			tb.Fatalf("protect a guard page: %v", err)
		}
	}
	return &Area{mapped: all, data: all[page : page+size : page+size]}
}

// Len returns the usable bytes.
func (a *Area) Len() int { return len(a.data) }

// All returns the whole area.
func (a *Area) All() []byte { return a.data }

// End returns the last n bytes: reading the byte after them faults.
func (a *Area) End(n int) []byte { return a.data[len(a.data)-n:] }

// Start returns the first n bytes: reading the byte before them faults.
func (a *Area) Start(n int) []byte { return a.data[:n:n] }

// Faults runs f and reports whether it touched unreadable memory. A panic of another kind is passed on.
func Faults(f func()) (faulted bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // a memory fault; see debug.SetPanicOnFault
			faulted = true
		default:
			panic(r)
		}
	}()
	f()
	return false
}
