package kernel

import (
	"encoding/binary"
	"testing"
)

// Every whole word counts: Read cannot have left out memory.
func TestReadTakesEveryWord(t *testing.T) {
	b := make([]byte, 200)
	for n := range b {
		var want uint64
		for i := range n {
			b[i] = byte(i*i + 3*n)
		}
		for i := 0; i+8 <= n; i += 8 {
			want ^= binary.LittleEndian.Uint64(b[i:])
		}
		if got := Read(b[:n]); got != want {
			t.Errorf("%d bytes: %#x, want %#x", n, got, want)
		}
	}
}
