package kernel

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"kvasir/quant"
	"kvasir/quant/half"
)

// gen makes inputs from a seed, the same on every architecture: no expression here can be fused.
type gen struct{ *rand.Rand }

func newGen(seed uint64) gen { return gen{rand.New(rand.NewPCG(seed, 0x6b7661736972))} }

// unit returns a value in [-1, 1), a multiple of 2^-23.
func (g gen) unit() float32 { return float32(int32(g.Uint32())>>8) * 0x1p-23 }

// floatKinds are what float inputs may look like.
var floatKinds = []string{"plain", "spread", "zero", "negative zero", "subnormal", "large", "spike", "constant", "halves"}

// floats makes n values of a kind.
func (g gen) floats(kind string, n int) []float32 {
	x := make([]float32, n)
	spike := 0
	if n > 0 {
		spike = g.IntN(n)
	}
	for i := range x {
		u := g.unit()
		switch kind {
		case "plain":
			x[i] = 4 * u
		case "spread": // magnitudes over many powers of two
			x[i] = u * float32(math.Ldexp(1, g.IntN(40)-30))
		case "zero":
		case "negative zero":
			x[i] = float32(math.Copysign(0, -1))
		case "subnormal":
			x[i] = u * 0x1p-128
		case "large":
			x[i] = u * 0x1p60
		case "spike":
			x[i] = u * 0x1p-20
			if i == spike {
				x[i] = 1000
			}
		case "constant":
			x[i] = -0.7
		case "halves": // ties of the rounding to integers when the largest is 127
			x[i] = float32(g.IntN(255)-127) * 0.5
			if i%32 == 0 {
				x[i] = 127
			}
		default:
			panic(kind)
		}
	}
	return x
}

// weightKinds are what weights may look like.
var weightKinds = []string{"plain", "zero", "all bits", "high bits", "max scales", "subnormal scales", "negative scales"}

// scaleOffs are the byte positions of the fp16 fields in a block.
var scaleOffs = [quant.NTypes][]int{
	quant.Q4_0: {0}, quant.Q4_1: {0, 2}, quant.Q5_0: {0}, quant.Q5_1: {0, 2}, quant.Q8_0: {0}, quant.IQ4_NL: {0},
	quant.Q2_K: {80, 82}, quant.Q3_K: {108}, quant.Q4_K: {0, 2}, quant.Q5_K: {0, 2}, quant.Q6_K: {208},
	quant.IQ4_XS: {0}, quant.TQ1_0: {52}, quant.TQ2_0: {64}, quant.MXFP4: {},
}

// weights makes n blocks (n values of a float type) of t.
func (g gen) weights(t quant.Type, kind string, n int) []byte {
	size := t.Geometry().BlockBytes
	w := make([]byte, n*size)
	for i := range w {
		switch kind {
		case "zero":
		case "all bits":
			w[i] = 0xff
		case "high bits": // Q8_0: -128
			w[i] = 0x80
		default:
			w[i] = byte(g.Uint32())
		}
	}
	for i := range n {
		g.fixScales(t, kind, w[i*size:(i+1)*size])
	}
	return w
}

// fixScales makes the float fields of one block finite and what kind says.
func (g gen) fixScales(t quant.Type, kind string, b []byte) {
	switch t {
	case quant.F32:
		binary.LittleEndian.PutUint32(b, math.Float32bits(g.floats(floatKindOf(kind), 1)[0]))
		return
	case quant.F16:
		binary.LittleEndian.PutUint16(b, g.half(kind))
		return
	case quant.BF16:
		binary.LittleEndian.PutUint16(b, half.BFFromFloat32(g.floats(floatKindOf(kind), 1)[0]))
		return
	case quant.MXFP4:
		switch kind {
		case "max scales":
			b[0] = 255
		case "subnormal scales":
			b[0] = byte(g.IntN(3))
		default:
			b[0] = byte(110 + g.IntN(20))
		}
		return
	}
	for _, off := range scaleOffs[t] {
		binary.LittleEndian.PutUint16(b[off:], g.half(kind))
	}
}

func floatKindOf(kind string) string {
	switch kind {
	case "zero":
		return "zero"
	case "high bits":
		return "negative zero"
	case "max scales":
		return "large"
	case "subnormal scales":
		return "subnormal"
	}
	return "spread"
}

// half makes a finite fp16.
func (g gen) half(kind string) uint16 {
	switch kind {
	case "zero":
		return 0
	case "high bits":
		return 0x8000
	case "max scales":
		return half.Max | uint16(g.IntN(2))<<15
	case "subnormal scales":
		return uint16(g.IntN(0x400)) | uint16(g.IntN(2))<<15
	case "negative scales":
		return half.FromFloat32(g.unit()) | half.Sign
	}
	return half.FromFloat32(g.unit())
}

// actKinds are what activations may look like: a kind of floats, or codes that no quantiser need ever produce together.
var actKinds = []string{"plain", "spread", "zero", "negative zero", "subnormal", "spike", "+127", "-127", "alternating 127"}

// acts makes n columns of k values with every form that k allows. Sums match the codes.
func (g gen) acts(kind string, k, n int) *Acts {
	var codes func(i int) int8
	floats := kind
	switch kind {
	case "+127":
		codes, floats = func(int) int8 { return 127 }, "plain"
	case "-127":
		codes, floats = func(int) int8 { return -127 }, "plain"
	case "alternating 127":
		codes, floats = func(i int) int8 { return int8(127 - 254*(i%2)) }, "plain"
	}
	var forms Forms
	if k%32 == 0 {
		forms |= 1 << quant.Partner32
	}
	if k%256 == 0 {
		forms |= 1 << quant.Partner256
	}
	x := &Acts{}
	x.Set(g.floats(floats, k*n), k, n, forms)
	x.Quantize(referenceTable(), 0, n)
	if codes != nil {
		for i := range x.Q32 {
			x.Q32[i] = codes(i)
		}
		for i := range x.S32 {
			x.S32[i] = sumCodes(x.Q32[i*32 : (i+1)*32])
		}
		for i := range x.Q256 {
			x.Q256[i] = codes(i)
		}
		for i := range x.S256 {
			x.S256[i] = int16(sumCodes(x.Q256[i*16 : (i+1)*16]))
		}
	}
	return x
}

func sumCodes(q []int8) (s int32) {
	for _, v := range q {
		s += int32(v)
	}
	return s
}

// guarded returns x with every slice in its own guarded buffer.
func (x *Acts) guarded(b *bench) *Acts {
	return &Acts{
		K: x.K, N: x.N, F: put(b, x.F),
		Q32: put(b, x.Q32), D32: put(b, x.D32), S32: put(b, x.S32),
		Q256: put(b, x.Q256), D256: put(b, x.D256), S256: put(b, x.S256),
	}
}
