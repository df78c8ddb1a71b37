package kernel

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"testing"

	"kvasir/quant"
)

var update = flag.Bool("update", false, "write testdata/golden.txt from the reference variant")

// digest hashes outputs in little-endian order.
func digest(outs ...any) string {
	h := sha256.New()
	for _, o := range outs {
		if err := binary.Write(h, binary.LittleEndian, o); err != nil {
			panic(err)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}

// goldenOutputs runs every function of v on fixed inputs and returns "name hash" lines.
func goldenOutputs(v *Table) []byte {
	var out bytes.Buffer
	put := func(name string, outs ...any) { fmt.Fprintf(&out, "%s %s\n", name, digest(outs...)) }
	g := newGen(2024)

	for _, t := range quant.Types() {
		const rows, n = 21, 11
		k := max(blocks(t, 7), 224)
		w, x := g.weights(t, "plain", rows*k/t.Geometry().BlockSize), g.acts("plain", k, n)
		vec, mat := make([]float32, rows), make([]float32, rows*n)
		v.MatVec[t](vec, w, x, 3, nil)
		v.MatMul[t](mat, rows, w, rows, x, 0, n, NewScratch())
		put("matvec-"+t.String(), vec)
		put("matmul-"+t.String(), mat)
	}

	x := g.floats("plain", 1024)
	q, d, s32, s16 := make([]int8, 1024), make([]float32, 32), make([]int32, 32), make([]int16, 64)
	v.Quantize32(q, d, s32, x)
	put("quantize32", q, d, s32)
	v.Quantize256(q, d[:4], s16, x)
	put("quantize256", q, d[:4], s16)

	y := make([]float32, 1000)
	v.RMSNorm(y, x[:1000], g.floats("plain", 1000), 1e-6)
	put("rmsnorm", y)
	v.Add(y, x[24:])
	put("add", y)
	v.Scale(y, 1.7)
	put("scale", y)
	gate := g.floats("plain", 1000)
	for i := range gate {
		gate[i] *= 30
	}
	v.SwiGLU(y, gate, x[:1000])
	put("swiglu", y)
	v.GeGLU(y, gate, x[:1000])
	put("geglu", y)
	cos, sin := g.floats("plain", 32), g.floats("plain", 32)
	v.RopePairs(x, 64, cos, sin)
	put("rope-pairs", x)
	v.RopeHalves(x, 128, cos, sin)
	put("rope-halves", x)
	for _, n := range []int{64, 80, 256} {
		v.Rotate(x[:n])
		put(fmt.Sprint("rotate-", n), x[:n])
	}

	row, scale := make([]byte, 512), make([]byte, 2)
	v.EncodeInt8(row[:96], scale, x[:96])
	put("encode-int8", row[:96], scale)
	v.EncodeF16(row, x[:256])
	put("encode-f16", row)

	const headDim, nq = 64, 7
	qi, qs := make([]int16, nq*headDim), make([]float32, nq)
	for i := range nq {
		qs[i] = v.QuantizeQuery(qi[i*headDim:(i+1)*headDim], x[i*headDim:(i+1)*headDim], 0.125)
	}
	put("quantize-query", qi, qs)
	keys, vals := g.codes8("plain", TileLen*headDim), g.codes8("plain", TileLen*headDim)
	ks, vs := g.halves("plain", TileLen), g.halves("plain", TileLen)
	scores := make([]float32, nq*TileLen)
	v.ScoresInt8(scores, qi, qs, nq, keys, ks, TileLen, headDim)
	put("scores-int8", scores)
	w := make([]int16, nq*TileLen)
	ml := make([]float32, 3*nq)
	for i := range nq {
		ml[3*i], ml[3*i+1], ml[3*i+2] = v.WeightsInt8(w[i*TileLen:(i+1)*TileLen], scores[i*TileLen:], vs, 5*i, 256-i)
	}
	put("weights-int8", w, ml)
	acc := make([]int32, nq*headDim)
	v.MixInt8(acc, w, nq, vals, TileLen, headDim)
	put("mix-int8", acc)
	v.IntToFloat(y[:nq*headDim], acc, 0x1.23p-20)
	put("int-to-float", y[:nq*headDim])

	for _, f := range []struct {
		name        string
		scores, mix func(dst, a []float32, nq int, rows []byte, n, headDim int)
		typ         quant.Type
	}{{"f16", v.ScoresF16, v.MixF16, quant.F16}, {"f32", v.ScoresF32, v.MixF32, quant.F32}} {
		f.scores(scores, x, nq, g.weights(f.typ, "plain", TileLen*headDim), TileLen, headDim)
		put("scores-"+f.name, scores)
		for i := range nq {
			ml[2*i], ml[2*i+1] = v.WeightsFloat(scores[i*TileLen:(i+1)*TileLen], 3*i, 250+i)
		}
		put("weights-"+f.name, scores, ml[:2*nq])
		o := make([]float32, nq*headDim)
		f.mix(o, scores, nq, g.weights(f.typ, "plain", TileLen*headDim), TileLen, headDim)
		put("mix-"+f.name, o)
		m, l := v.Merge(o, 1.5, 30, y[:len(o)], 1.25, 20)
		put("merge-"+f.name, o, m, l)
	}
	return out.Bytes()
}

// One table of hashes for all variants of all architectures: a run elsewhere compares with this one.
// go test ./quant/kernel -run Golden -update makes it again.
func TestGolden(t *testing.T) {
	const file = "testdata/golden.txt"
	if *update {
		if err := os.WriteFile(file, goldenOutputs(referenceTable()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range tested() {
		t.Run(v.Name, func(t *testing.T) {
			want := bytes.Split(golden, []byte("\n"))
			for i, got := range bytes.Split(goldenOutputs(v), []byte("\n")) {
				if i >= len(want) || !bytes.Equal(got, want[i]) {
					t.Errorf("got %s, want %s", got, want[min(i, len(want)-1)])
				}
			}
		})
	}
}
