// Package par runs the phases of a forward pass on a fixed set of workers. A phase is short (microseconds) and the next
// one follows at once, so workers spin for a while before they sleep; a sleeping worker costs nothing.
package par

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// spinTime is how long a worker polls for the next phase before it sleeps. Phases of one token follow each other within
// microseconds; between tokens the sampler and the terminal take longer, and there sleeping is right.
const spinTime = 50 * time.Microsecond

// Pool is a set of workers. Run may be called by one goroutine at a time, which becomes worker 0 for the call.
type Pool struct {
	phase   atomic.Uint32 // counts Run calls; a change releases the workers
	pending atomic.Int32  // workers that have not finished the current phase
	closed  atomic.Bool
	fn      func(worker int)
	fault   atomic.Pointer[Fault]
	workers []*worker // 1..n-1
}

type worker struct {
	asleep atomic.Bool
	wake   chan struct{}
	_      [64]byte // no false sharing between the flags of two workers
}

// Fault is a memory fault or a panic inside a phase. After one, the outputs of the phase are undefined; the pool stays
// usable.
type Fault struct {
	Cause any // the recovered value; a runtime.Error with Addr() for a fault on mapped memory
}

func (f *Fault) Error() string { return fmt.Sprintf("memory fault during computation: %v", f.Cause) }

// New starts a pool of n workers (at least 1), of which n-1 are goroutines. Close ends them.
func New(n int) *Pool {
	p := &Pool{}
	for i := 1; i < n; i++ {
		w := &worker{wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		go p.work(w, i)
	}
	return p
}

// Workers returns the number of workers, the caller of Run included.
func (p *Pool) Workers() int { return len(p.workers) + 1 }

// Run calls fn once on every worker and returns when all have finished. A fault on mapped memory (a truncated model
// file, a failing disk) or a panic in fn is returned as a *Fault instead of ending the process.
func (p *Pool) Run(fn func(worker int)) error {
	if len(p.workers) > 0 {
		p.fn = fn
		p.pending.Store(int32(len(p.workers)))
		p.phase.Add(1)
		for _, w := range p.workers {
			if w.asleep.CompareAndSwap(true, false) {
				w.wake <- struct{}{}
			}
		}
	}
	old := debug.SetPanicOnFault(true)
	p.guard(fn, 0)
	debug.SetPanicOnFault(old)
	for spins := 0; p.pending.Load() != 0; spins++ {
		if spins > 1000 {
			runtime.Gosched()
		}
	}
	if p.fault.Load() != nil {
		return p.fault.Swap(nil)
	}
	return nil
}

// Close ends the workers. Run must not be called afterwards.
func (p *Pool) Close() {
	p.closed.Store(true)
	p.fn = nil
	p.pending.Store(int32(len(p.workers)))
	p.phase.Add(1)
	for _, w := range p.workers {
		if w.asleep.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

func (p *Pool) work(w *worker, i int) {
	debug.SetPanicOnFault(true)
	seen := uint32(0)
	for {
		p.await(w, seen)
		seen++
		if p.closed.Load() {
			return
		}
		p.guard(p.fn, i)
		p.pending.Add(-1)
	}
}

// await returns when the phase counter has moved past seen.
func (p *Pool) await(w *worker, seen uint32) {
	for spins := 0; ; spins++ {
		if p.phase.Load() != seen {
			return
		}
		if spins&0xff == 0xff {
			runtime.Gosched()
			if spins == 0xff {
				w.idle(p, seen)
			}
		}
	}
}

// idle polls until spinTime is over, then sleeps until Run wakes the worker or the phase has moved on.
func (w *worker) idle(p *Pool, seen uint32) {
	for end := time.Now().Add(spinTime); time.Now().Before(end); {
		for range 200 {
			if p.phase.Load() != seen {
				return
			}
		}
	}
	w.asleep.Store(true)
	if p.phase.Load() != seen && w.asleep.CompareAndSwap(true, false) {
		return
	}
	// Either nothing has happened yet, or Run has taken the flag and is about to send.
	<-w.wake
}

func (p *Pool) guard(fn func(int), i int) {
	defer func() {
		if r := recover(); r != nil {
			p.fault.CompareAndSwap(nil, &Fault{Cause: r})
		}
	}()
	fn(i)
}

// Split returns the part [lo, hi) of n items that worker i of workers gets, cut at multiples of unit.
func Split(n, unit, i, workers int) (lo, hi int) {
	units := (n + unit - 1) / unit
	lo = units * i / workers * unit
	hi = units * (i + 1) / workers * unit
	return min(lo, n), min(hi, n)
}
