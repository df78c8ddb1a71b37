package quant

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// oracleRows is what GGML made of one matrix: the source, its quantised bytes and what they decode to.
type oracleRows struct {
	cols, rowBytes  int
	source, decoded []float32
	quantised       []byte
}

// readOracle reads quants/TYPE.bin of the shared oracles, or skips.
func readOracle(t *testing.T, typ Type) oracleRows {
	t.Helper()
	shared := os.Getenv("KVASIR_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "shared")
	}
	dir := filepath.Join(shared, "oracle", "quants")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no shared oracles: ", err)
	}
	name := strings.NewReplacer("Q", "q", "IQ", "iq", "NL", "nl", "XS", "xs", "TQ", "tq", "MXFP", "mxfp",
		"BF", "bf", "F", "f").Replace(typ.String())
	data, err := os.ReadFile(filepath.Join(dir, name+".bin"))
	if err != nil {
		t.Fatal(err)
	}
	var head [5]int32
	if _, err := binary.Decode(data, binary.LittleEndian, &head); err != nil {
		t.Fatal(err)
	}
	if Type(head[0]) != typ || int(head[4]) != typ.Geometry().BlockSize {
		t.Fatalf("%s: type %d with blocks of %d, want %d with %d", name, head[0], head[4], typ, typ.Geometry().BlockSize)
	}
	n, nBytes := int(head[1]*head[2]), int(head[1]*head[3])
	if len(data) != 20+8*n+nBytes {
		t.Fatalf("%s: %d bytes, want %d", name, len(data), 20+8*n+nBytes)
	}
	return oracleRows{
		cols: int(head[2]), rowBytes: int(head[3]),
		source:    floats(data[20 : 20+4*n]),
		quantised: data[20+4*n : 20+4*n+nBytes],
		decoded:   floats(data[20+4*n+nBytes:]),
	}
}

func floats(b []byte) []float32 {
	f := make([]float32, len(b)/4)
	for i := range f {
		f[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return f
}

// Decode equals GGML's decoders to the last bit.
func TestDecodeOracle(t *testing.T) {
	for _, typ := range Types() {
		if typ == F32 {
			continue // no file: its values are its bytes
		}
		t.Run(typ.String(), func(t *testing.T) {
			o := readOracle(t, typ)
			got := make([]float32, len(o.decoded))
			if err := typ.Decode(got, o.quantised); err != nil {
				t.Fatal(err)
			}
			bad := 0
			for i := range got {
				if math.Float32bits(got[i]) != math.Float32bits(o.decoded[i]) {
					if bad++; bad < 5 {
						t.Errorf("value %d: %v, GGML %v", i, got[i], o.decoded[i])
					}
				}
			}
			if bad > 0 {
				t.Errorf("%d of %d values differ", bad, len(got))
			}
		})
	}
}
