package engine

import (
	"kvasir/engine/arch"
	"kvasir/engine/par"
	"kvasir/quant/kernel"
)

// job is one weight matrix whose product is due: out is one column of Rows values per token.
type job struct {
	w    *arch.Matrix
	bias []float32
	out  []float32
}

// maxJobs is the number of products that a phase has at most: query, key and value.
const maxJobs = 3

// setJobs sets what the next phase multiplies.
func (p *pass) setJobs(jobs ...job) {
	p.jobs = append(p.jobs[:0], jobs...)
	for i := range p.taken {
		p.taken[i].Store(0)
	}
}

// rowUnit is the number of rows at whose multiples matrices are cut for the workers: whole tiles of every kernel.
const rowUnit = 32

// callBytes bounds the weights of one kernel call, since assembly cannot be preempted.
const callBytes = 512 << 10

// sharedPart is the part of a matrix's rows, its last ones, that belongs to no worker: whoever is done first takes from
// it, so that a core that is slow for a while (another process, a lower clock) does not keep the others waiting.
const sharedPart = 16

// sharedBytes is about what a worker takes of it at a time: a few microseconds.
const sharedBytes = 64 << 10

// ownRows is the number of rows of a matrix that belong to a worker.
func (p *pass) ownRows(m *arch.Matrix) int {
	if p.n > 1 || len(p.work) == 1 {
		return m.Rows
	}
	return m.Rows - m.Rows/sharedPart/rowUnit*rowUnit
}

// rowShare returns worker w's rows of a matrix.
func (p *pass) rowShare(m *arch.Matrix, w int) (lo, hi int) {
	return par.Split(p.ownRows(m), rowUnit, w, len(p.work))
}

// shared returns part i of the shared rows of a matrix; lo = hi when there is none.
func (p *pass) shared(m *arch.Matrix, i int) (lo, hi int) {
	own, step := p.ownRows(m), max(rowUnit, sharedBytes/m.RowBytes/rowUnit*rowUnit)
	lo = min(own+i*step, m.Rows)
	return lo, min(lo+step, m.Rows)
}

// take takes the next part of the shared rows of job i.
func (p *pass) take(i int) (lo, hi int) {
	return p.shared(p.jobs[i].w, int(p.taken[i].Add(1)-1))
}

// weightShare returns the weights of worker w's rows.
func (p *pass) weightShare(m *arch.Matrix, w int) []byte {
	lo, hi := p.rowShare(m, w)
	return m.Data[lo*m.RowBytes : hi*m.RowBytes]
}

// rows computes rows [lo, hi) of a job for all columns; next is what the worker will read afterwards.
func (p *pass) rows(j *job, lo, hi int, s *kernel.Scratch, next []byte) {
	if lo == hi {
		return
	}
	t, w := p.m.table, j.w
	if p.n == 1 {
		step := max(rowUnit, callBytes/w.RowBytes/rowUnit*rowUnit)
		for r := lo; r < hi; r += step {
			end, behind := min(r+step, hi), next
			if end < hi {
				behind = w.Data[end*w.RowBytes : hi*w.RowBytes]
			}
			t.MatVec[w.Type](j.out[r:end], w.Data[r*w.RowBytes:end*w.RowBytes], &p.in, 0, behind)
		}
	} else {
		t.MatMul[w.Type](j.out[lo:], w.Rows, w.Data[lo*w.RowBytes:hi*w.RowBytes], hi-lo, &p.in, 0, p.n, s)
	}
	if j.bias != nil {
		for col := range p.n {
			t.Add(j.out[col*w.Rows+lo:col*w.Rows+hi], j.bias[lo:hi])
		}
	}
}

// product computes worker w's rows of every job, then, for a single token, parts of what all workers share.
func (p *pass) product(w int) {
	s := p.work[w].scratch
	for i := range p.jobs {
		j, next := &p.jobs[i], p.firstShared(p.jobs[0].w, w)
		if i+1 < len(p.jobs) {
			next = p.weightShare(p.jobs[i+1].w, w)
		}
		lo, hi := p.rowShare(j.w, w)
		p.rows(j, lo, hi, s, next)
	}
	for i := range p.jobs {
		for lo, hi := p.take(i); lo < hi; lo, hi = p.take(i) {
			p.rows(&p.jobs[i], lo, hi, s, p.weightShare(p.then, w))
		}
	}
}

// gated computes the gate and up products and their activation: the rows of a worker need no barrier in between.
func (p *pass) gated(w int) {
	gate, up := &p.jobs[0], &p.jobs[1]
	s := p.work[w].scratch
	lo, hi := p.rowShare(gate.w, w)
	p.rows(gate, lo, hi, s, p.weightShare(up.w, w))
	p.rows(up, lo, hi, s, p.firstShared(gate.w, w))
	p.activate(lo, hi)
	for lo, hi := p.take(0); lo < hi; lo, hi = p.take(0) { // the same rows of both
		p.rows(gate, lo, hi, s, up.w.Data[lo*up.w.RowBytes:hi*up.w.RowBytes])
		p.rows(up, lo, hi, s, p.weightShare(p.then, w))
		p.activate(lo, hi)
	}
}

// firstShared returns the weights that worker w reads after its own rows, if all workers are about as fast.
func (p *pass) firstShared(m *arch.Matrix, w int) []byte {
	lo, hi := p.shared(m, w)
	if lo == hi {
		return p.weightShare(p.then, w)
	}
	return m.Data[lo*m.RowBytes : hi*m.RowBytes]
}

// activate applies the activation function to rows [lo, hi) of the gate and up products of every column.
func (p *pass) activate(lo, hi int) {
	c, act := p.m.Config, p.m.table.SwiGLU
	if c.Act == arch.GeGLU {
		act = p.m.table.GeGLU
	}
	for col := range p.n {
		g := p.gate[col*c.FFNDim+lo : col*c.FFNDim+hi]
		act(g, g, p.up[col*c.FFNDim+lo:col*c.FFNDim+hi])
	}
}
