package engine

import (
	"sync/atomic"
	"time"

	"kvasir/engine/par"
	"kvasir/quant/kernel"
)

// ReadRate returns the bytes per second that the workers reach when they do nothing but read the model where it lies,
// each its share of the file, all at once: what a decoded token's reading can come up to at best. It reads the file
// once, and again until the time given is over; the fastest pass counts. No Context of the model may compute meanwhile.
func (m *Model) ReadRate(least time.Duration) (float64, error) {
	data := m.file.Contents()
	var words atomic.Uint64 // keeps the reading from being left out
	share := func(w int) {
		lo, hi := par.Split(len(data), 64, w, m.pool.Workers())
		sum := uint64(0)
		for lo < hi {
			end := min(lo+callBytes, hi)
			sum ^= kernel.Read(data[lo:end])
			lo = end
		}
		words.Add(sum)
	}
	best := 0.0
	for start := time.Now(); ; {
		began := time.Now()
		if err := m.pool.Run(share); err != nil {
			return 0, err
		}
		best = max(best, float64(len(data))/max(time.Since(began).Seconds(), 1e-9))
		if time.Since(start) >= least {
			return best, nil
		}
	}
}
