package quant

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"kvasir/quant/half"
)

func TestKVFormat(t *testing.T) {
	for _, c := range []struct {
		f          KVFormat
		id         uint8
		name       string
		row, scale int
	}{{KVInt8, 1, "int8", 64, 2}, {KVF16, 2, "f16", 128, 0}, {KVF32, 3, "f32", 256, 0}} {
		f, err := ParseKVFormat(c.name)
		if err != nil || f != c.f || uint8(f) != c.id || f.String() != c.name || !f.Valid() {
			t.Errorf("%s: parsed as %v (%d), %v", c.name, f, uint8(f), err)
		}
		if f.RowBytes(64) != c.row || f.ScaleBytes() != c.scale {
			t.Errorf("%s: %d row bytes, %d scale bytes", c.name, f.RowBytes(64), f.ScaleBytes())
		}
	}
	for _, name := range []string{"", "q8_0", "INT8", strings.Repeat("x", 1000)} {
		if _, err := ParseKVFormat(name); !errors.Is(err, ErrKVFormat) || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	for _, f := range []KVFormat{0, 4, 255} {
		if f.Valid() || f.RowBytes(64) != 0 || f.ScaleBytes() != 0 || f.String() == "" {
			t.Errorf("format %d: valid %v, %d row bytes", uint8(f), f.Valid(), f.RowBytes(64))
		}
	}
}

// Rotate equals the matrix product with the Hadamard matrix, whose entry (i, j) is -1 to the number of common bits of
// i and j, and is its own inverse.
func TestRotate(t *testing.T) {
	for _, c := range [][2]int{{1, 1}, {2, 2}, {8, 8}, {63, 1}, {64, 64}, {80, 16}, {96, 32}, {112, 16}, {128, 128}, {192, 64}, {256, 256}, {576, 64}} {
		n, size := c[0], c[1]
		if HadamardSize(n) != size {
			t.Fatalf("sub-block of %d: %d, want %d", n, HadamardSize(n), size)
		}
		s := stream(n)
		x := s.bell(n)
		y := append([]float32(nil), x...)
		Rotate(y)
		for i := range y {
			want, base := 0.0, i/size*size
			for j := range size {
				sign := 1.0
				for m := (i - base) & j; m != 0; m &= m - 1 {
					sign = -sign
				}
				want += float64(sign * float64(x[base+j]))
			}
			want /= math.Sqrt(float64(size))
			if math.Abs(float64(y[i])-want) > 2e-6 {
				t.Fatalf("%d values: rotated %d is %v, want %v", n, i, y[i], want)
			}
		}
		Rotate(y)
		for i := range y {
			if math.Abs(float64(y[i])-float64(x[i])) > 2e-6 {
				t.Fatalf("%d values: %d comes back as %v, was %v", n, i, y[i], x[i])
			}
		}
	}
	if HadamardSize(0) != 0 || HadamardSize(-8) != 0 {
		t.Error("sub-block of nothing")
	}
	Rotate(nil)
}

// rms is the root of the mean square.
func rms(x []float32) float64 {
	s := 0.0
	for _, v := range x {
		s += float64(float64(v) * float64(v))
	}
	return math.Sqrt(s / float64(len(x)))
}

// The quality contract of the int8 codec on 1,000 Gaussian rows: each element of the rotated row within half a step,
// the mean relative RMS error of the row itself, rotated back, within its bound.
func TestKVInt8Quality(t *testing.T) {
	for _, c := range []struct {
		headDim int
		bound   float64
	}{{64, 0.0070}, {128, 0.0075}, {256, 0.0080}} {
		rng := rand.New(rand.NewPCG(7, uint64(c.headDim)))
		n := c.headDim
		x, r, y := make([]float32, n), make([]float32, n), make([]float32, n)
		q := make([]int8, n)
		mean := 0.0
		for range 1000 {
			for i := range x {
				x[i] = float32(rng.NormFloat64())
			}
			copy(r, x)
			Rotate(r)
			scale := EncodeKVInt8(q, r)
			DecodeKVInt8(y, q, scale)
			checkHalfStep(t, r, y, scale)
			Rotate(y)
			for i := range y {
				y[i] -= x[i]
			}
			mean += rms(y) / rms(x) / 1000
		}
		t.Logf("head of %d: mean relative RMS error %.5f", n, mean)
		if !(mean <= c.bound) {
			t.Errorf("head of %d: mean relative RMS error %v over %v", n, mean, c.bound)
		}
	}
}

func checkHalfStep(t *testing.T, x, y []float32, scale uint16) {
	t.Helper()
	// The float32 roundings of x*inv and of q*scale move a value by at most 127 * 2^-24 steps each; 127*2^-25 is for
	// subnormal scales.
	bound := float64(half.ToFloat32(scale))/2*(1+0x1p-10) + 127*0x1p-25
	for i := range x {
		if e := math.Abs(float64(x[i]) - float64(y[i])); !(e <= bound) {
			t.Fatalf("value %d: %v decoded as %v with scale %v: error %v over %v", i, x[i], y[i], half.ToFloat32(scale), e, bound)
		}
	}
}

// The half-step bound holds for rows of every magnitude up to fp16's largest scale, outliers or not.
func TestKVInt8Magnitudes(t *testing.T) {
	s := stream(3)
	q, y := make([]int8, 64), make([]float32, 64)
	for e := -60; e <= 20; e++ {
		for range 20 {
			x := s.bell(64)
			x[s.next()%64] *= 3
			for i := range x {
				x[i] = float32(math.Ldexp(float64(x[i]), e))
			}
			if amax, _ := absMax(x); amax > 127*65504 {
				t.Fatalf("the test's rows are too large: %v", amax)
			}
			scale := EncodeKVInt8(q, x)
			DecodeKVInt8(y, q, scale)
			checkHalfStep(t, x, y, scale)
		}
	}
}

func TestKVInt8Edges(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		name  string
		x     []float32
		scale uint16
		q     []int8
	}{
		{"zeros", []float32{0, float32(math.Copysign(0, -1))}, 0, []int8{0, 0}},
		{"scale rounds to zero", []float32{127 * 0x1p-25, -1e-7}, 0, []int8{0, 0}},
		{"smallest scale", []float32{127 * 0x1p-24, -0x1p-24}, 1, []int8{127, -1}},
		{"clamped after the scale was rounded down", []float32{127 * 1.49 * 0x1p-24, 0}, 1, []int8{127, 0}},
		{"ties to even", []float32{127, 0.5, 1.5, -2.5}, 0x3c00, []int8{127, 0, 2, -2}},
		{"largest scale", []float32{127 * 65504, -65504}, half.Max, []int8{127, -1}},
		{"over the largest scale", []float32{math.MaxFloat32, -65504, -math.MaxFloat32}, half.Max, []int8{127, -1, -127}},
		{"infinity", []float32{1, inf}, half.NaN, []int8{0, 0}},
		{"nan", []float32{nan, -1}, half.NaN, []int8{0, 0}},
		{"empty", nil, 0, nil},
	} {
		q := make([]int8, len(c.x))
		row := make([]byte, len(c.x))
		scale := EncodeKVInt8(q, c.x)
		if again := EncodeKVRow(KVInt8, row, c.x); again != scale {
			t.Errorf("%s: EncodeKVRow has scale %#04x, EncodeKVInt8 %#04x", c.name, again, scale)
		}
		if scale != c.scale {
			t.Errorf("%s: scale %#04x, want %#04x", c.name, scale, c.scale)
		}
		for i, want := range c.q {
			if q[i] != want || int8(row[i]) != want {
				t.Errorf("%s: code %d is %d and %d, want %d", c.name, i, q[i], int8(row[i]), want)
			}
		}
	}
	y := make([]float32, 2)
	if DecodeKVInt8(y, []int8{0, 0}, half.NaN); y[0] == y[0] || y[1] == y[1] {
		t.Errorf("a damaged row decodes to %v", y)
	}
}

// goldenKVInt8 is the hash of 256 rotated and encoded rows, rows first, then scales: the same on every machine.
var goldenKVInt8 = map[int]string{
	64:  "d9b394a7e19f90bb04fca6908287c259bd204154bfea2711a96489d56a0fe8a4",
	80:  "3ae99f26e9adb1fbfa77afc7599954d5d493540a14cb54f9c3383517238dffa4",
	128: "aab03191ca0eff7e4af3fc1da8965b3b1d1cbd3f05bfab919b18c24130874b0f",
	256: "5a10503ecd31ee2b67418975979337f79739ee3cfbbf96fabdf838d383f38b42",
}

func TestKVInt8Golden(t *testing.T) {
	for _, n := range []int{64, 80, 128, 256} {
		s := stream(n)
		var rows, scales []byte
		for i := range 256 {
			x := s.bell(n)
			if i%4 == 0 {
				x[i%n] *= 20
			}
			Rotate(x)
			row := make([]byte, KVInt8.RowBytes(n))
			scales = binary.LittleEndian.AppendUint16(scales, EncodeKVRow(KVInt8, row, x))
			rows = append(rows, row...)
		}
		if h := hashBytes(append(rows, scales...)); h != goldenKVInt8[n] {
			t.Errorf("head of %d: hash %q, want %q", n, h, goldenKVInt8[n])
		}
	}
}

// A plane gives back what was encoded into it: exactly for f32, to fp16's nearest for f16, to the codes for int8.
func TestKVPlane(t *testing.T) {
	const n, rows = 80, 5
	for _, f := range []KVFormat{KVInt8, KVF16, KVF32} {
		s := stream(f)
		p := KVPlane{Format: f, HeadDim: n}
		var want [][]float32
		for range rows {
			x := s.bell(n)
			row := make([]byte, f.RowBytes(n))
			scale := EncodeKVRow(f, row, x)
			p.Rows = append(p.Rows, row...)
			if f.ScaleBytes() > 0 {
				p.Scales = binary.LittleEndian.AppendUint16(p.Scales, scale)
			}
			switch f {
			case KVInt8:
				q := make([]int8, n)
				DecodeKVInt8(x, q, EncodeKVInt8(q, x))
			case KVF16:
				for i := range x {
					x[i] = half.ToFloat32(half.FromFloat32(x[i]))
				}
			}
			want = append(want, x)
		}
		if err := p.Check(); err != nil || p.N() != rows {
			t.Fatalf("%v: %d rows, %v", f, p.N(), err)
		}
		got := make([]float32, n)
		for i := range rows {
			p.DecodeRow(got, i)
			for j := range got {
				if got[j] != want[i][j] {
					t.Fatalf("%v: row %d, value %d: %v, want %v", f, i, j, got[j], want[i][j])
				}
			}
		}
	}
}

func TestKVPlaneCheck(t *testing.T) {
	b := make([]byte, 1024)
	for _, c := range []struct {
		p    KVPlane
		want error
	}{
		{KVPlane{KVInt8, 64, b[:128], b[:4]}, nil},
		{KVPlane{KVF16, 64, nil, nil}, nil},
		{KVPlane{KVInt8, 64, b[:128], b[:3]}, ErrLength},
		{KVPlane{KVInt8, 64, b[:128], nil}, ErrLength},
		{KVPlane{KVF16, 64, b[:128], b[:2]}, ErrLength},
		{KVPlane{KVF32, 64, b[:128], nil}, ErrLength},
		{KVPlane{KVF32, 0, nil, nil}, ErrLength},
		{KVPlane{KVF32, -64, b[:256], nil}, ErrLength},
		{KVPlane{0, 64, b[:128], nil}, ErrKVFormat},
		{KVPlane{4, 64, b[:128], nil}, ErrKVFormat},
	} {
		if err := c.p.Check(); !errors.Is(err, c.want) {
			t.Errorf("%v rows of %d, %d and %d bytes: %v, want %v", c.p.Format, c.p.HeadDim, len(c.p.Rows), len(c.p.Scales), err, c.want)
		}
		c.p.N() // does not panic
	}
}

func TestF16RowsSaturate(t *testing.T) {
	x := []float32{65504, 65505, 1e30, -1e30, float32(math.Inf(1)), float32(math.Inf(-1))}
	row := make([]byte, 2*len(x))
	EncodeKVRow(KVF16, row, x)
	got := make([]float32, len(x))
	KVPlane{Format: KVF16, HeadDim: len(x), Rows: row}.DecodeRow(got, 0)
	for i, want := range []float32{65504, 65504, 65504, -65504, 65504, -65504} {
		if got[i] != want {
			t.Errorf("%v became %v, want %v", x[i], got[i], want)
		}
	}
}
