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

// copyVerified copies the first length tokens of an entry's block to dst, as they were when they were verified: it looks at the segment when
// it has copied, and what somebody else has changed it reads and compares again. windows says whether planes of windowed layers are
// there. The entry must be held. The error wraps errDamaged or ErrNoMemory; dst is then undefined.
func (n *Namespace) copyVerified(dst []byte, e *entry, length int) (windows bool, err error) {
	b := e.block
	if b == nil {
		n.lay.copyRows(dst, e.data, length)
		return !e.windowless, nil
	}
	if err := n.lay.copyMapped(dst, e.data, length); err != nil {
		return false, err
	}
	n.mu.Lock()
	inMemory := b.seg == nil || b.ram != nil
	unsynced := !inMemory && b.dropped && b.seg.failed
	n.mu.Unlock()
	if !inMemory {
		n.inspectNow(b.seg)
		if b.seg.spoiled.Load() {
			return false, fmt.Errorf("%s: %w: %w", b.seg.name, errDamaged, errSpoiled)
		}
		if unsynced || !b.trusted() {
			buf, err := n.getBuffer()
			if err != nil {
				return false, err
			}
			defer n.putBuffer(buf)
			if err := n.readChecked(b, buf); err != nil {
				return false, err
			}
			n.lay.copyRows(dst, buf, length)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return !e.windowless && !b.windowless, nil
}
