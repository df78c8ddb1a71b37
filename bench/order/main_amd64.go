// Command order measures what the order of arithmetic that all kernels share (docs/NUMERICS.md) costs: products of Q4_0 by the
// kernels beside products in orders that are free, with fused products and sums, and as many sums of a row as suit the
// instructions. They take turns on one thread; the medians are printed as bench/README.md has them.
//
//	go run ./bench/order [-rounds 31]
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kvasir/platform/cpu"
	"kvasir/quant"
	"kvasir/quant/kernel"
)

func main() {
	rounds := flag.Int("rounds", 31, "how often each product is timed")
	flag.Parse()
	if *rounds < 1 {
		fmt.Fprintf(os.Stderr, "order: -rounds is %d, must be at least 1\n", *rounds)
		os.Exit(2)
	}
	if kernel.Named("avx2") == nil {
		fmt.Fprintln(os.Stderr, "order: the processor has no AVX2")
		os.Exit(1)
	}
	fmt.Printf("%s, %s, %d rounds\n\n", cpu.Detect().Model, runtime.Version(), *rounds)
	fmt.Println("| product | threads | instructions | in the fixed order | free orders | fixed / best free |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, place := range []struct {
		name                string
		rows, reps, threads int
	}{
		{"rows, 200 MB", 392 * callRows, 1, runtime.NumCPU()},
		{"rows, 200 MB", 392 * callRows, 1, 1},
		{"rows, 504 KB", callRows, 200, 1},
	} {
		m := newMatrix(place.rows, 1)
		floor := contestant{"a plain read", m.read}
		for _, set := range sets(m) {
			t := timing{place.name, "GB/s", float64(len(m.w)), m.rows, place.threads, place.reps, *rounds}
			t.compare(os.Stdout, set.name, append(set.rows, floor))
		}
	}
	m := newMatrix(2*callRows, 256)
	for _, set := range sets(m) {
		t := timing{"448 rows x 256", "GOPS", 2 * float64(m.rows) * k * float64(m.nCols), m.rows, 1, 1, *rounds}
		t.compare(os.Stdout, set.name, set.matrix)
	}
}

// contestant is one way to compute a product: run computes rows [lo, hi).
type contestant struct {
	name string
	run  func(lo, hi int)
}

// set is what one instruction set has: the kernel first, then the free orders.
type set struct {
	name         string
	rows, matrix []contestant
}

// sets returns the sets that this processor can run, bound to m.
func sets(m *matrix) (all []set) {
	if t := kernel.Named("avx512-vnni"); t != nil {
		all = append(all, set{"AVX-512 VNNI",
			[]contestant{m.kernelRows(t), m.laneRows("lanes of blocks, a tree", treeLanes, &m.tree), m.laneRows("lanes of blocks, no tree", wideLanes, &m.wide)},
			[]contestant{m.kernelMatrix(t), m.fusedMatrix(16, 8, panel16UnpackQ4_0, fusedMul16Q4_0_8)},
		})
	}
	t := kernel.Named("avx2")
	return append(all, set{"AVX2",
		[]contestant{m.kernelRows(t), m.fusedRows(), m.laneRows("lanes of blocks", lanesAVX2, &m.eight)},
		[]contestant{m.kernelMatrix(t), m.fusedMatrix(8, 4, panel8UnpackQ4_0, fusedMul8Q4_0)},
	})
}

// timing is how contestants are timed.
type timing struct {
	product, unit string
	amount        float64 // of work, in units of 1e-9
	rows          int     // split among threads
	threads       int
	reps, rounds  int
}

// compare times the contestants in turn and prints a row of the table.
func (t timing) compare(w io.Writer, instructions string, cs []contestant) {
	times := make([][]float64, len(cs))
	for round := range t.rounds + 1 {
		for i, c := range cs {
			if s := t.seconds(c); round > 0 { // the first one warms up
				times[i] = append(times[i], s)
			}
		}
	}
	rates := make([]float64, len(cs))
	for i, ts := range times {
		slices.Sort(ts)
		rates[i] = t.amount / ts[len(ts)/2] / 1e9
	}
	best := 0.0
	var others []string
	for i, c := range cs[1:] {
		others = append(others, fmt.Sprintf("%s %.1f", c.name, rates[1+i]))
		if c.name != "a plain read" {
			best = max(best, rates[1+i])
		}
	}
	fmt.Fprintf(w, "| %s | %d | %s | %.1f %s | %s | %.2f |\n", t.product, t.threads, instructions, rates[0], t.unit, strings.Join(others, "; "), rates[0]/best)
}

// seconds runs a contestant on all threads.
func (t timing) seconds(c contestant) float64 {
	start := time.Now()
	var wg sync.WaitGroup
	for i := range t.threads {
		part := t.rows / callRows / t.threads * callRows
		lo, hi := i*part, (i+1)*part
		if i+1 == t.threads {
			hi = t.rows
		}
		wg.Go(func() {
			for range t.reps {
				c.run(lo, hi)
			}
		})
	}
	wg.Wait()
	return time.Since(start).Seconds() / float64(t.reps)
}

// Rows of Q4_0.
const (
	k          = 4096 // values
	nBlocks    = k / 32
	blockBytes = 18
	rowBytes   = nBlocks * blockBytes
	callRows   = 224 // of a call: half a MiB, as the engine makes them
)

// matrix is a product's operands and memory for its results.
type matrix struct {
	rows, nCols       int
	w                 []byte
	x                 *kernel.Acts
	scratch           *kernel.Scratch
	tree, wide, eight column
	dst               []float32
}

func newMatrix(rows, nCols int) *matrix {
	m := &matrix{rows: rows, nCols: nCols, w: kernel.Aligned[byte](rows * rowBytes), x: &kernel.Acts{}, scratch: kernel.NewScratch(),
		dst: kernel.Aligned[float32](rows * nCols)}
	r := uint64(1)
	for b := 0; b < len(m.w); b += blockBytes {
		for i := range blockBytes {
			r = r*6364136223846793005 + 1442695040888963407
			m.w[b+i] = byte(r >> 56)
		}
		m.w[b+1] = 0x28 | m.w[b+1]&0x81 // fp16 scales of either sign, 0.03 to 0.06
	}
	f := kernel.Aligned[float32](k * nCols)
	for i := range f {
		r = r*6364136223846793005 + 1442695040888963407
		f[i] = float32(int32(r>>32)) / (1 << 31)
	}
	m.x.Set(f, k, nCols, kernel.FormsFor(quant.Q4_0))
	m.x.Quantize(kernel.Best(), 0, nCols)
	m.tree.set(m.x, 16, func(lane int) int { return lane%4*4 + lane/4 }, 1, 8)
	m.wide.set(m.x, 16, func(lane int) int { return lane }, 4, -2)
	m.eight.set(m.x, 8, func(lane int) int { return lane }, 1, 8)
	m.eight.pairHalves()
	return m
}

var sink atomic.Uint64

// read reads a word of each cache line, like a product that does nothing.
func (m *matrix) read(lo, hi int) {
	s := uint64(0)
	for w := m.w[lo*rowBytes : hi*rowBytes]; len(w) >= 64; w = w[64:] {
		s += binary.LittleEndian.Uint64(w)
	}
	sink.Add(s)
}

// kernelRows is the kernel of a variant.
func (m *matrix) kernelRows(t *kernel.Table) contestant {
	return contestant{"", func(lo, hi int) {
		for r := lo; r < hi; r += callRows {
			t.MatVec[quant.Q4_0](m.dst[r:r+callRows], m.w[r*rowBytes:(r+callRows)*rowBytes], m.x, 0, m.w[(r+callRows)%m.rows*rowBytes:])
		}
	}}
}

func (m *matrix) kernelMatrix(t *kernel.Table) contestant {
	return contestant{"", func(lo, hi int) {
		for r := lo; r < hi; r += callRows {
			t.MatMul[quant.Q4_0](m.dst[r:], m.rows, m.w[r*rowBytes:(r+callRows)*rowBytes], callRows, m.x, 0, m.nCols, m.scratch)
		}
	}}
}
