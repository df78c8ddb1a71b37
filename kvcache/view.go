package kvcache

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// copyMapped copies the first n tokens of a slot that may be a mapping. A mapping that cannot be read (the file was cut short, the
// medium fails) gives an error that wraps errDamaged in place of the death of the process; dst is then undefined.
func (lay *layout) copyMapped(dst, src []byte, n int) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			fault, ok := r.(interface {
				runtime.Error
				Addr() uintptr
			})
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("%w: reading the mapping: %w", errDamaged, fault)
		}
	}()
	lay.copyRows(dst, src, n)
	return nil
}
