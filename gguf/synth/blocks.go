package synth

import (
	"encoding/binary"
	"fmt"
	"math"

	"kvasir/quant"
)

// filler says how random bytes become blocks of a type. All bytes of a block are random bits that any decoder takes;
// what must stay finite and small is then put in its place. Offsets are bytes in the block, 0 in a pair of no bytes
// means that there is none; layouts as in package quant.
type filler struct {
	scale      int     // offset of d, a half
	spread     float64 // standard deviation of the block's values in units of d
	eitherSign bool    // encoders store negative d as well
	min        int     // offset of the half that is subtracted or added, m = minPerD * d
	minPerD    float64
	small      int // offset of int8 values that are to lie in -64..63
	nSmall     int
	ternary    int // bytes from the block's front that hold pairs of bits of which 3 has no meaning
}

const none = -1

// The spreads follow from uniform codes: for the K-quants with minima, var(d*s*q - dmin*m) with independent codes s, m.
var fillers = map[quant.Type]filler{
	quant.Q4_0:   {scale: 0, spread: 4.6, eitherSign: true, min: none},
	quant.Q4_1:   {scale: 0, spread: 4.6, min: 2, minPerD: -7.5},
	quant.Q5_0:   {scale: 0, spread: 9.2, eitherSign: true, min: none},
	quant.Q5_1:   {scale: 0, spread: 9.2, min: 2, minPerD: -15.5},
	quant.Q8_0:   {scale: 0, spread: 37, min: none, small: 2, nSmall: 32},
	quant.IQ4_NL: {scale: 0, spread: 71, eitherSign: true, min: none},
	quant.Q2_K:   {scale: 80, spread: 13.9, min: 82, minPerD: 1.5},
	quant.Q3_K:   {scale: 108, spread: 43, eitherSign: true, min: none},
	quant.Q4_K:   {scale: 0, spread: 258, min: 2, minPerD: 7.5},
	quant.Q5_K:   {scale: 0, spread: 527, min: 2, minPerD: 15.5},
	quant.Q6_K:   {scale: 208, spread: 683, eitherSign: true, min: none, small: 192, nSmall: 16},
	quant.IQ4_XS: {scale: 0, spread: 1310, eitherSign: true, min: none},
	quant.TQ1_0:  {scale: 52, spread: 0.82, min: none},
	quant.TQ2_0:  {scale: 64, spread: 0.71, min: none, ternary: 64},
}

// nScales is how many different scales the blocks of a tensor have.
const nScales = 16

// FillBlocks fills dst, whole blocks of type t, with random valid values of mean about 0 and standard deviation about
// 1/sqrt(fan), as the weights of a layer with fan inputs have. Scales differ from block to block. It knows every type
// of package quant.
func FillBlocks(dst []byte, t quant.Type, fan int, r *Rand) error {
	g := t.Geometry()
	if !t.Known() || fan < 1 || len(dst)%g.BlockBytes != 0 {
		return fmt.Errorf("fill %d bytes of %v for %d inputs: no whole blocks", len(dst), t, fan)
	}
	sigma := 1 / math.Sqrt(float64(fan))
	switch t {
	case quant.F32, quant.F16, quant.BF16:
		return fillFloats(dst, t, sigma, r)
	case quant.MXFP4:
		fillMXFP4(dst, g.BlockBytes, sigma, r)
		return nil
	}
	f, ok := fillers[t]
	if !ok {
		return fmt.Errorf("fill %v: no rule for this type", t)
	}
	scales, mins, err := f.tables(sigma)
	if err != nil {
		return err
	}
	r.Read(dst)
	var picks uint64
	for i := 0; len(dst) > 0; i++ {
		if i%16 == 0 {
			picks = r.Uint64()
		}
		b := dst[:g.BlockBytes]
		dst = dst[g.BlockBytes:]
		k := picks % nScales
		picks /= nScales
		copy(b[f.scale:], scales[k][:])
		if f.min != none {
			copy(b[f.min:], mins[k][:])
		}
		for o := f.small; o < f.small+f.nSmall; o += 8 {
			binary.LittleEndian.PutUint64(b[o:], smaller(binary.LittleEndian.Uint64(b[o:])))
		}
		for o := 0; o < f.ternary; o += 8 {
			x := binary.LittleEndian.Uint64(b[o:])
			binary.LittleEndian.PutUint64(b[o:], x&^(x<<1&0xAAAAAAAAAAAAAAAA)) // 3 becomes 1
		}
	}
	return nil
}

// smaller takes each of eight random int8 to one from -64 to 63: no -128, which encoders do not write.
func smaller(x uint64) uint64 {
	const low, bit6 = 0x7F7F7F7F7F7F7F7F, 0x4040404040404040
	x = x&low ^ bit6
	return x | x&bit6<<1
}

// tables returns the halves for d, 0.75 to 1.25 times what gives sigma, and the minima that go with them.
func (f *filler) tables(sigma float64) (scales, mins [nScales][2]byte, err error) {
	for k := range nScales {
		d := sigma / f.spread * (0.75 + 0.5*float64(k)/(nScales-1))
		if f.eitherSign && k%2 == 1 {
			d = -d
		}
		for _, x := range []struct {
			dst []byte
			v   float64
		}{{scales[k][:], d}, {mins[k][:], d * f.minPerD}} {
			if err := quant.EncodeRow(quant.F16, x.dst, []float32{float32(x.v)}); err != nil {
				return scales, mins, err
			}
		}
	}
	return scales, mins, nil
}

// fillMXFP4 takes codes as they come: 0, 0.5, 1, 1.5, 2, 3, 4 and 6 units of a power of two with either sign, root mean
// square 2.93. Half the blocks have the next lower power, hence 2.32. Powers of two meet sigma to a factor of sqrt(2).
func fillMXFP4(dst []byte, blockBytes int, sigma float64, r *Rand) {
	r.Read(dst)
	exp := int(math.Round(127 + math.Log2(sigma/2.32)))
	for i := 0; i < len(dst); i += blockBytes {
		dst[i] = byte(max(exp-int(dst[i+1]&1), 1))
	}
}

// fillFloats draws uniform values from 4096 ones that span -sqrt(3)*sigma to sqrt(3)*sigma.
func fillFloats(dst []byte, t quant.Type, sigma float64, r *Rand) error {
	const n = 4096
	var values [n]float32
	for i := range values {
		values[i] = float32(math.Sqrt(3) * sigma * (float64(2*i+1)/n - 1))
	}
	size := t.Geometry().BlockBytes
	table := make([]byte, n*size)
	if err := quant.EncodeRow(t, table, values[:]); err != nil {
		return err
	}
	const perWord = 5 // table indices in 64 bits
	for len(dst) > 0 {
		x := r.Uint64()
		for range min(perWord, len(dst)/size) {
			if k := int(x % n); size == 2 {
				binary.LittleEndian.PutUint16(dst, binary.LittleEndian.Uint16(table[2*k:]))
			} else {
				binary.LittleEndian.PutUint32(dst, binary.LittleEndian.Uint32(table[4*k:]))
			}
			dst, x = dst[size:], x/n
		}
	}
	return nil
}
