package gguf

import (
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
)

// CatchFault runs fn and turns a memory fault in it, a page of the mapping that the system cannot supply because the
// file was cut short or the medium failed, into an error that matches ErrFault. Every goroutine that reads a mapping
// outside CatchFault dies of such a fault together with the process. Other panics pass through.
func CatchFault(fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		switch r := recover().(type) {
		case nil:
		case interface {
			runtime.Error
			Addr() uintptr
		}:
			err = fmt.Errorf("%w: address %#x", ErrFault, r.Addr())
		default:
			panic(r)
		}
	}()
	return fn()
}

// Covers reports whether addr, that of a fault, lies in the mapping of the file.
func (m *Model) Covers(addr uintptr) bool {
	if m.mapped == nil || len(m.data) == 0 {
		return false
	}
	first := reflect.ValueOf(m.data).Pointer()
	return addr >= first && addr-first < uintptr(len(m.data))
}
