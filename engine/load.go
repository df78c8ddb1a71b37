package engine

import (
	"fmt"

	"kvasir/engine/arch"
	"kvasir/platform"
)

// pagesChunk is how much of a file is read or locked by one call to the system: what can be between a wish to end and
// the end.
const pagesChunk = 256 << 10

// prefetch reads the weights of a mapped model ahead of their use.
type prefetch struct {
	stop, done chan struct{}
}

// prefetch starts to read the weights in the background, in the order in which a pass uses them: what is read first is
// needed first, so that no token waits for something else. On a cold start the disk is kept busy from the beginning; on
// a warm one the page table is filled while the tokenizer is made. It returns nil where memory has no room for the
// model: pages would then push each other out.
func (m *Model) prefetch() *prefetch {
	if usable, known := platform.ReadMemory().Usable(); known && m.Size() > usable {
		return nil
	}
	// Where the file is not in the page cache yet, and its file system has large folios (ext4 since Linux 6.16, XFS), the
	// kernel then reads it into huge pages and maps those: fewer misses of the TLB for every token from then on.
	platform.HugePages(m.file.Contents())
	p := &prefetch{stop: make(chan struct{}), done: make(chan struct{})}
	var weights []*arch.Matrix
	for i := range m.Weights.Layers {
		weights = append(weights, m.Weights.Layers[i].Matrices()...)
	}
	weights = append(weights, &m.Weights.Output)
	go func() {
		defer close(p.done)
		for _, x := range weights {
			for w := x.Data; len(w) > 0; {
				select {
				case <-p.stop:
					return
				default:
				}
				n := min(len(w), pagesChunk)
				if platform.Populate(w[:n]) != nil {
					return // whoever needs the page gets the error
				}
				w = w[n:]
			}
		}
	}()
	return p
}

// end waits until the mapping is left alone. p may be nil, and ended before.
func (p *prefetch) end() {
	if p == nil {
		return
	}
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	<-p.done
}

// lock keeps the file in physical memory. What the system refuses is undone and told to Warn.
func (m *Model) lock(opt Options) error {
	data := m.file.Contents()
	for done := 0; done < len(data); {
		n := min(len(data)-done, pagesChunk)
		if err := platform.LockPages(data[done : done+n]); err != nil {
			if opt.Warn != nil {
				opt.Warn(notLocked(len(data), err))
			}
			if done > 0 {
				return platform.UnlockPages(data[:done])
			}
			return nil
		}
		done += n
		if opt.Progress != nil {
			if err := opt.Progress(int64(done), int64(len(data))); err != nil {
				return err
			}
		}
	}
	return nil
}

// notLocked names the limit that most often is the reason.
func notLocked(n int, err error) error {
	for _, l := range platform.Limits() {
		if l.Name == "RLIMIT_MEMLOCK" && l.Soft < uint64(n) {
			return fmt.Errorf("the model's %d bytes are not locked in memory, RLIMIT_MEMLOCK allows %s (ulimit -l, LimitMEMLOCK=): %w", n, l, err)
		}
	}
	return fmt.Errorf("the model's %d bytes are not locked in memory: %w", n, err)
}
