package kernel

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"testing"

	"kvasir/quant"
)

// benchTypes are the types that most models have.
var benchTypes = []quant.Type{
	quant.Q8_0, quant.Q4_0, quant.Q4_K, quant.Q6_K, quant.F16,
	quant.F32, quant.BF16, quant.Q5_K, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.IQ4_NL, quant.IQ4_XS, quant.MXFP4, quant.Q2_K, quant.Q3_K, quant.TQ1_0, quant.TQ2_0,
}

// readAll is the floor of every product that is bound by memory: it only reads.
func readAll(w []byte) (s uint64) {
	for len(w) >= 64 {
		s += binary.LittleEndian.Uint64(w)
		w = w[64:]
	}
	return s
}

var readSink uint64

// cpuTime is the processor time of this process in nanoseconds: what others run beside it counts less than in the
// time of the clock.
func cpuTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkMatVec: bytes of weights per second, from memory (200 MB) and from the second cache (256 KB), in calls of
// 64 rows; beside them a loop that reads one word of each cache line.
func BenchmarkMatVec(b *testing.B) {
	const k = 4096
	for _, place := range []struct {
		name  string
		bytes int
	}{{"memory", 200 << 20}, {"L2", 256 << 10}} {
		for _, typ := range benchTypes {
			rowBytes, _ := typ.RowBytes(k)
			rows := max(place.bytes/rowBytes/64*64, 64)
			g := newGen(1)
			part := g.weights(typ, "plain", 64*k/typ.Geometry().BlockSize)
			w := make([]byte, 0, rows*rowBytes)
			for len(w) < cap(w) {
				w = append(w, part...)
			}
			x, dst := g.acts("plain", k, 1), make([]float32, rows)
			b.Run(fmt.Sprintf("%s/%v/read", place.name, typ), func(b *testing.B) {
				start := cpuTime()
				for b.Loop() {
					readSink += readAll(w)
				}
				b.ReportMetric(float64(len(w))*float64(b.N)/float64(cpuTime()-start), "GB/s")
			})
			for _, v := range tested() {
				if v.Name == "reference" || v.Name == "portable" && place.name == "memory" {
					continue
				}
				b.Run(fmt.Sprintf("%s/%v/%s", place.name, typ, v.Name), func(b *testing.B) {
					start := cpuTime()
					for b.Loop() {
						for r := 0; r < rows; r += 64 {
							v.MatVec[typ](dst[r:r+64], w[r*rowBytes:(r+64)*rowBytes], x, 0, w[(r+64)%rows*rowBytes:])
						}
					}
					b.ReportMetric(float64(len(w))*float64(b.N)/float64(cpuTime()-start), "GB/s")
				})
			}
		}
	}
}

// BenchmarkMatMul: operations (2 per weight and column) per second of a 512 x 4096 matrix, in calls of 64 rows.
func BenchmarkMatMul(b *testing.B) {
	const k, rows = 4096, 512
	for _, n := range []int{4, 32, 256} {
		for _, typ := range benchTypes {
			rowBytes, _ := typ.RowBytes(k)
			g := newGen(1)
			w, x := g.weights(typ, "plain", rows*k/typ.Geometry().BlockSize), g.acts("plain", k, n)
			dst, s := make([]float32, n*rows), NewScratch()
			for _, v := range tested() {
				if v.Name == "reference" || v.Name == "portable" && n != 32 {
					continue
				}
				b.Run(fmt.Sprintf("%d/%v/%s", n, typ, v.Name), func(b *testing.B) {
					start := cpuTime()
					for b.Loop() {
						for r := 0; r < rows; r += 64 {
							v.MatMul[typ](dst[r:], rows, w[r*rowBytes:(r+64)*rowBytes], 64, x, 0, n, s)
						}
					}
					b.ReportMetric(2*float64(rows)*k*float64(n)*float64(b.N)/float64(cpuTime()-start), "GOPS")
				})
			}
		}
	}
}

// BenchmarkAttention: one tile of 256 positions for seven query heads of 64, in blocks of 64 rows; multiplications and
// additions per second where there are rows, else values per second.
func BenchmarkAttention(b *testing.B) {
	const headDim, nq = 64, 7
	g := newGen(1)
	q16, q, qs := g.codes16("plain", nq*headDim, 16256), g.floats("plain", nq*headDim), g.floats("plain", nq)
	rows8, rows16 := g.codes8("plain", TileLen*headDim), g.weights(quant.F16, "plain", TileLen*headDim)
	ks := g.halves("plain", TileLen)
	scores, w := g.floats("plain", nq*TileLen), g.codes16("plain", nq*TileLen, 32767)
	acc, out := make([]int32, nq*headDim), make([]float32, nq*headDim)
	for _, f := range []struct {
		name string
		ops  int
		run  func(v *Table)
	}{
		{"ScoresInt8", 2 * nq * TileLen * headDim, func(v *Table) {
			for t := 0; t < TileLen; t += 64 {
				v.ScoresInt8(scores[t:], q16, qs, nq, rows8[t*headDim:], ks[2*t:], 64, headDim)
			}
		}},
		{"MixInt8", 2 * nq * TileLen * headDim, func(v *Table) {
			for t := 0; t < TileLen; t += 64 {
				v.MixInt8(acc, w[t:], nq, rows8[t*headDim:], 64, headDim)
			}
		}},
		{"ScoresF16", 2 * nq * TileLen * headDim, func(v *Table) { v.ScoresF16(scores, q, nq, rows16, TileLen, headDim) }},
		{"MixF16", 2 * nq * TileLen * headDim, func(v *Table) { v.MixF16(out, scores, nq, rows16, TileLen, headDim) }},
		{"WeightsInt8", TileLen, func(v *Table) { v.WeightsInt8(w[:TileLen], scores[:TileLen], ks, 0, TileLen) }},
		{"WeightsFloat", TileLen, func(v *Table) { v.WeightsFloat(scores[:TileLen], 0, TileLen) }},
		{"Rotate", nq * headDim, func(v *Table) {
			for i := range nq {
				v.Rotate(q[i*headDim : (i+1)*headDim])
			}
		}},
		{"EncodeInt8", headDim, func(v *Table) { v.EncodeInt8(rows8[:headDim], ks[:2], q[:headDim]) }},
		{"QuantizeQuery", headDim, func(v *Table) { v.QuantizeQuery(q16[:headDim], q[:headDim], 1) }},
		{"Merge", headDim, func(v *Table) { v.Merge(out[:headDim], 1, 2, q[:headDim], 1, 2) }},
	} {
		for _, v := range tested() {
			if v.Name == "reference" {
				continue
			}
			b.Run(f.name+"/"+v.Name, func(b *testing.B) {
				b.ReportAllocs()
				start := cpuTime()
				for b.Loop() {
					f.run(v)
				}
				b.ReportMetric(float64(f.ops)*float64(b.N)/float64(cpuTime()-start), "G/s")
			})
		}
	}
}

// BenchmarkRows: values per second of the functions over a row of 4096.
func BenchmarkRows(b *testing.B) {
	const n = 4096
	g := newGen(1)
	x, y, dst := g.floats("plain", n), g.floats("plain", n), make([]float32, n)
	cos, sin := g.floats("plain", 32), g.floats("plain", 32)
	q, d, s32, s16 := make([]int8, n), make([]float32, n/32), make([]int32, n/32), make([]int16, n/16)
	for _, f := range []struct {
		name string
		run  func(v *Table)
	}{
		{"Quantize32", func(v *Table) { v.Quantize32(q, d, s32, x) }},
		{"Quantize256", func(v *Table) { v.Quantize256(q, d[:n/256], s16, x) }},
		{"RMSNorm", func(v *Table) { v.RMSNorm(dst, x, y, 1e-5) }},
		{"SwiGLU", func(v *Table) { v.SwiGLU(dst, x, y) }},
		{"GeGLU", func(v *Table) { v.GeGLU(dst, x, y) }},
		{"Add", func(v *Table) { v.Add(dst, x) }},
		{"RopePairs", func(v *Table) { v.RopePairs(dst, 64, cos, sin) }},
		{"RopeHalves", func(v *Table) { v.RopeHalves(dst, 64, cos, sin) }},
	} {
		for _, v := range tested() {
			if v.Name == "reference" {
				continue
			}
			clear(dst)
			b.Run(f.name+"/"+v.Name, func(b *testing.B) {
				b.ReportAllocs()
				start := cpuTime()
				for b.Loop() {
					f.run(v)
				}
				b.ReportMetric(n*float64(b.N)/float64(cpuTime()-start), "G/s")
			})
		}
	}
}
