package engine

import (
	"context"
	"errors"
	"fmt"

	"kvasir/engine/par"
	"kvasir/gguf"
	"kvasir/kvcache"
)

// maxRegain bounds how often one pass is tried again because the disk has lost rows in the meantime.
const maxRegain = 8

// compute runs one pass over ids. Rows that it needs and that the disk has lost (a failed sync, a segment that another program cut
// short or overwrote, a medium that fails) are computed again first: nothing of it shows but the time.
func (c *Context) compute(ctx context.Context, ids []int32, out func(logits []float32) error) error {
	err := c.pass.forward(ids, out)
	for losses := 0; err != nil && c.pass.handed == 0; {
		lost := c.lost(err)
		if losses++; lost == nil || losses > maxRegain {
			return c.m.blame(err)
		}
		err = nil
		for todo := lost.IDs; len(todo) > 0; {
			n := min(len(todo), c.pass.batch)
			if err = ctx.Err(); err == nil {
				err = c.pass.forward(todo[:n], nil)
			}
			if err != nil {
				again := c.lost(err)
				if losses++; again == nil || losses > maxRegain {
					return c.m.blame(err)
				}
				todo, n = append(again.IDs, todo...), 0 // they stood before what is left to do
			}
			todo = todo[n:]
		}
		err = c.pass.forward(ids, out)
	}
	return c.m.blame(err)
}

// lost returns what the sequence has lost if that is why a pass failed, or nil. A fault may also come from the weights.
func (c *Context) lost(err error) *kvcache.LostError {
	var fault *par.Fault
	if errors.As(err, &fault) {
		err = c.seq.Recheck()
	}
	var lost *kvcache.LostError
	if errors.As(err, &lost) {
		return lost
	}
	return nil
}

// blame says of a fault on the mapped model file that it is one.
func (m *Model) blame(err error) error {
	var fault *par.Fault
	if !errors.As(err, &fault) {
		return err
	}
	if at, ok := fault.Cause.(interface{ Addr() uintptr }); ok && m.file.Covers(at.Addr()) {
		return fmt.Errorf("%q: %w", m.Name(), gguf.ErrFault)
	}
	return err
}
