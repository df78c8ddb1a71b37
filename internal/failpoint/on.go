//go:build failpoints

package failpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
)

var (
	mu     sync.Mutex
	passed = map[string]int{}
	target string
	nth    int
	trace  *os.File
)

func init() {
	if spec := os.Getenv("KVASIR_FAILPOINT"); spec != "" {
		at := strings.LastIndexByte(spec, ':')
		n, err := strconv.Atoi(spec[at+1:])
		if err != nil || n < 1 || at < 1 {
			panic(fmt.Sprintf("KVASIR_FAILPOINT=%q: want NAME:N, N from 1", spec))
		}
		target, nth = spec[:at], n
	}
	if path := os.Getenv("KVASIR_FAILPOINT_TRACE"); path != "" {
		var err error
		if trace, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
			panic(err)
		}
	}
}

// pass counts the point and reports whether it is the one to die at.
func pass(name string) bool {
	mu.Lock()
	defer mu.Unlock()
	if trace != nil {
		fmt.Fprintln(trace, "point", name)
	}
	passed[name]++
	return name == target && passed[name] == nth
}

func die() {
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {} // the signal is on its way
}

// Here is a place to die.
func Here(name string) {
	if pass(name) {
		die()
	}
}

// Torn is a place to die in the middle of writing p: with half of it written.
func Torn(name string, p []byte, write func([]byte)) {
	if pass(name) {
		write(p[:len(p)/2])
		die()
	}
}

// Logits notes the logits behind a number of tokens.
func Logits(nTokens int, logits []float32) {
	if trace == nil {
		return
	}
	h := sha256.New()
	var b [4]byte
	for _, v := range logits {
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
		h.Write(b[:])
	}
	fmt.Fprintf(trace, "logits %d %x\n", nTokens, h.Sum(nil))
}
