package kernel

import (
	"encoding/binary"
	"fmt"
	"testing"

	"kvasir/quant"
)

// benchTypes are the types that most models have.
var benchTypes = []quant.Type{
	quant.Q8_0, quant.Q4_0, quant.Q4_K, quant.Q6_K, quant.F16,
	quant.F32, quant.BF16, quant.Q5_K, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.IQ4_NL, quant.IQ4_XS, quant.MXFP4, quant.Q2_K, quant.Q3_K,
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
				b.SetBytes(int64(len(w)))
				for b.Loop() {
					readSink += readAll(w)
				}
			})
			for _, v := range Variants() {
				if v.Name == "reference" || v.Name == "portable" && place.name == "memory" {
					continue
				}
				b.Run(fmt.Sprintf("%s/%v/%s", place.name, typ, v.Name), func(b *testing.B) {
					b.SetBytes(int64(len(w)))
					for b.Loop() {
						for r := 0; r < rows; r += 64 {
							v.MatVec[typ](dst[r:r+64], w[r*rowBytes:(r+64)*rowBytes], x, 0, w[(r+64)%rows*rowBytes:])
						}
					}
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
			for _, v := range Variants() {
				if v.Name == "reference" || v.Name == "portable" && n != 32 {
					continue
				}
				b.Run(fmt.Sprintf("%d/%v/%s", n, typ, v.Name), func(b *testing.B) {
					for b.Loop() {
						for r := 0; r < rows; r += 64 {
							v.MatMul[typ](dst[r:], rows, w[r*rowBytes:(r+64)*rowBytes], 64, x, 0, n, s)
						}
					}
					b.ReportMetric(2*float64(rows)*k*float64(n)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GOPS")
				})
			}
		}
	}
}
