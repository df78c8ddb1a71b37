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
	caller  sleeper
	workers []*sleeper // 1..n-1
	spin    time.Duration
}

// sleeper is where one side of the barrier waits. The side that changes what it waits for wakes it.
type sleeper struct {
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
	p := &Pool{caller: sleeper{wake: make(chan struct{}, 1)}}
	if n <= runtime.GOMAXPROCS(0) {
		p.spin = spinTime // otherwise a spinning worker takes the processor from one that has work
	}
	for i := 1; i < n; i++ {
		w := &sleeper{wake: make(chan struct{}, 1)}
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
			w.rouse()
		}
	}
	old := debug.SetPanicOnFault(true)
	p.guard(fn, 0)
	debug.SetPanicOnFault(old)
	p.caller.await(p.spin, p.finished)
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
		w.rouse()
	}
}

func (p *Pool) finished() bool { return p.pending.Load() == 0 }

func (p *Pool) work(w *sleeper, i int) {
	debug.SetPanicOnFault(true)
	seen := uint32(0)
	moved := func() bool { return p.phase.Load() != seen }
	for {
		w.await(p.spin, moved)
		seen++
		if p.closed.Load() {
			return
		}
		p.guard(p.fn, i)
		if p.pending.Add(-1) == 0 {
			p.caller.rouse()
		}
	}
}

// await returns when ready reports true: it polls for the time given, then sleeps until rouse. Whoever makes ready true
// must call rouse afterwards.
func (s *sleeper) await(spin time.Duration, ready func() bool) {
	for end := time.Now().Add(spin); ; {
		for range 100 {
			if ready() {
				return
			}
		}
		runtime.Gosched() // other goroutines, the collector's among them, may be waiting for this processor
		if time.Now().Before(end) {
			continue
		}
		// A read-modify-write, not a store: emulators of arm64 on amd64 let a later load pass an atomic store, and then
		// this side could miss what it waits for while the other misses that it sleeps.
		s.asleep.Swap(true)
		if ready() && s.asleep.CompareAndSwap(true, false) {
			return
		}
		// Either nothing has happened yet, or rouse has taken the flag and is about to send. It may be a late one, of
		// the phase before: look again.
		<-s.wake
	}
}

// rouse wakes the sleeper if it sleeps.
func (s *sleeper) rouse() {
	if s.asleep.CompareAndSwap(true, false) {
		s.wake <- struct{}{}
	}
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
