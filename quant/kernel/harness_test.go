package kernel

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"kvasir/internal/guardmem"
)

// TestMain fails if a variant that KVASIR_REQUIRE_KERNELS names (separated by commas) cannot run here, so that a
// runner which lost a feature cannot pass by testing less, and says which variants ran.
func TestMain(m *testing.M) {
	code := m.Run()
	var names []string
	for _, v := range tested() {
		names = append(names, v.Name)
	}
	for _, want := range strings.Split(os.Getenv("KVASIR_REQUIRE_KERNELS"), ",") {
		if want != "" && Named(want) == nil {
			fmt.Printf("FAIL: kernel variant %q is required and cannot run here\n", want)
			code = 1
		}
	}
	fmt.Printf("kernel variants: %s\n", strings.Join(names, " "))
	os.Exit(code)
}

// eachVariant runs f for every variant but the reference, or for those that KVASIR_TEST_KERNELS names (separated by
// commas): where emulation is slow, one processor tests what another has not.
func eachVariant(t *testing.T, f func(t *testing.T, v *Table)) {
	only := os.Getenv("KVASIR_TEST_KERNELS")
	for _, v := range tested() {
		if v.Name == "reference" || only != "" && !slices.Contains(strings.Split(only, ","), v.Name) {
			continue
		}
		t.Run(v.Name, func(t *testing.T) { f(t, v) })
	}
}

// testSeed returns the seed of a random test: KVASIR_TEST_SEED or a new one. It is printed, to run it again.
func testSeed(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("KVASIR_TEST_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("KVASIR_TEST_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("KVASIR_TEST_SEED=%d", seed)
	return seed
}

// place says where the buffers of a case lie in their guarded areas.
type place int

const (
	atEnd   place = iota // the byte after each buffer is unreadable
	atStart              // the byte before each buffer is unreadable
)

var places = []place{atEnd, atStart}

func (p place) String() string { return [...]string{"at the end", "at the start"}[p] }

// bench hands out guarded buffers for one case after another. On the side without a guard page, each buffer has a
// margin of a fixed pattern that check compares.
type bench struct {
	t     testing.TB
	where place
	areas []*guardmem.Area
	used  int
	lens  []int
}

const (
	margin  = 512
	pattern = 0xa5
)

func newBench(t testing.TB) *bench { return &bench{t: t} }

// reset takes all buffers back and says where the next ones lie.
func (b *bench) reset(where place) { b.where, b.used, b.lens = where, 0, b.lens[:0] }

// buffer returns n bytes with undefined content.
func (b *bench) buffer(n int) []byte {
	if b.used == len(b.areas) {
		b.areas = append(b.areas, nil)
	}
	if a := b.areas[b.used]; a == nil || a.Len() < n+margin {
		b.areas[b.used] = guardmem.New(b.t, max(2*n, 1<<14)+margin)
	}
	b.used++
	b.lens = append(b.lens, n)
	i := b.used - 1
	m := b.margin(i)
	for j := range m {
		m[j] = pattern
	}
	if b.where == atEnd {
		return b.areas[i].End(n)
	}
	return b.areas[i].Start(n)
}

// margin is the pattern beside buffer i.
func (b *bench) margin(i int) []byte {
	all, n := b.areas[i].All(), b.lens[i]
	if b.where == atEnd {
		return all[len(all)-n-margin : len(all)-n]
	}
	return all[n : n+margin]
}

// check fails if anything was written beside a buffer.
func (b *bench) check(what string) {
	b.t.Helper()
	for i := range b.used {
		for _, v := range b.margin(i) {
			if v != pattern {
				b.t.Fatalf("%s: wrote outside buffer %d of %d bytes %v", what, i, b.lens[i], b.where)
			}
		}
	}
}

// run calls f and fails if it touches memory outside its buffers.
func (b *bench) run(what string, f func()) {
	b.t.Helper()
	if guardmem.Faults(f) {
		b.t.Fatalf("%s: touched memory outside its buffers, which lie %v", what, b.where)
	}
	b.check(what)
}

// put returns a guarded copy of src.
func put[T any](b *bench, src []T) []T {
	dst := room[T](b, len(src))
	copy(dst, src)
	return dst
}

// room returns n guarded values filled with a pattern that no kernel writes by chance.
func room[T any](b *bench, n int) []T {
	var zero T
	raw := b.buffer(n * int(unsafe.Sizeof(zero)))
	for i := range raw {
		raw[i] = 0xc3
	}
	if n == 0 {
		return []T{}
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&raw[0])), n)
}

// same reports equal bits; NaNs are all the same, since the rules leave their payload open.
func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// wantFloats compares bits.
func wantFloats(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !same(got[i], want[i]) {
			t.Fatalf("%s: value %d of %d is %g (%#08x), want %g (%#08x)", what, i, len(got),
				got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// wantInts compares values.
func wantInts[T int8 | int16 | int32 | byte](t testing.TB, what string, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: value %d of %d is %d, want %d", what, i, len(got), got[i], want[i])
		}
	}
}

// tested is every variant that this processor can run, and twins of those whose instructions it has in another encoding.
func tested() []*Table { return append(twins(), Variants()...) }
