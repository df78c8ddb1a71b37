package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"

	"kvasir/internal/testmodel"
	"kvasir/quant"
)

var buildARM = sync.OnceValues(func() (string, error) { return build("arm64") })

// onARM returns the program for arm64 under an emulator of a processor, or skips.
func onARM(t testing.TB, processor string) program {
	t.Helper()
	if runtime.GOARCH == "arm64" {
		t.Skip("this machine is an arm64 itself")
	}
	qemu, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		t.Skip("no emulator of arm64: ", err)
	}
	binary, err := buildARM()
	if err != nil {
		t.Fatal(err)
	}
	return program{qemu, "-cpu", processor, binary}
}

// P8 and one layout for every processor: the same text, and a home moves between boards with its rows.
func TestOtherArchitectureSaysTheSame(t *testing.T) {
	t.Parallel()
	quantised := modelFile(t, "tiny-q4_k.gguf", func() testmodel.Config {
		c := tiny()
		c.Embd, c.FFN = 256, 256
		return c
	}().Spec().WithType(quant.Q4_K))
	for _, processor := range []string{"cortex-a53", "cortex-a76"} { // without and with dot products
		arm := onARM(t, processor)
		for name, args := range map[string][]string{
			"demo": {"--temp", "0", "My name is Ada."},
			"q4_k": {"-m", quantised, "--raw", "--temp", "0.9", "--seed", "5", "-n", "40", "--logit-bias", noEnd, prompt},
		} {
			args = append([]string{"run"}, args...)
			want, got := kvasir.in(t, t.TempDir(), args...).must(t, 0), arm.in(t, t.TempDir(), args...).must(t, 0)
			if want.out != got.out || want.out == "" {
				t.Errorf("%s on %s: %q, here %q", name, processor, got.out, want.out)
			}
		}
	}
}

// A home goes to another architecture and back, in the middle of an answer each time: the rows are used, the words are those of one
// machine, and what two machines store of the same tokens is the same bytes.
func TestHomeMovesBetweenArchitectures(t *testing.T) {
	t.Parallel()
	arm := onARM(t, "cortex-a76")
	for _, kv := range []string{"int8", "f16"} {
		const n, part = 150, 70
		args := func(n int, more ...string) []string {
			return append([]string{"run", "-m", model(t, "llama"), "--kv", kv, "--raw", "--temp", "0.8", "--seed", "7",
				"--logit-bias", noEnd, "--stats", "-", "-n", strconv.Itoa(n)}, more...)
		}
		want := kvasir.in(t, t.TempDir(), args(n, prompt)...).must(t, 0).out
		stored := map[string]map[string][]byte{}
		for name, hosts := range map[string][2]program{"amd64, arm64, amd64": {kvasir, arm}, "arm64, amd64, arm64": {arm, kvasir}} {
			home := t.TempDir()
			said := hosts[0].in(t, home, args(part, "--session", "S", prompt)...).must(t, 0).out
			stored[name] = storedBlocks(t, home)
			for i, n := range []int{part, n - 2*part} {
				r := hosts[1-i].in(t, home, args(n, "--session", "S", "--continue")...).must(t, 0)
				said += r.out
				if st := r.stats(t); st.ComputedTokens > 1 || st.ReusedTokens < (i+1)*part || r.err != "" && len(r.lines()) != 1 {
					t.Errorf("%s, %s: move %d: expected the rows to be used: %v", name, kv, i+1, r)
				}
			}
			if said != want {
				t.Errorf("%s, %s: %q, expected %q", name, kv, said, want)
			}
		}
		here, there := stored["amd64, arm64, amd64"], stored["arm64, amd64, arm64"]
		if len(here) != 2 || !maps.EqualFunc(here, there, bytes.Equal) {
			t.Errorf("%s: of the same tokens one machine stores %d blocks, another %d, and not the same bytes", kv, len(here), len(there))
		}
	}
}

// storedBlocks returns what the segments of a home hold, by file and slot (kvcache/FORMAT.md, sections 5 and 6): header and slot, but for
// the segment's random id and the checksum over it.
func storedBlocks(t testing.TB, home string) map[string][]byte {
	t.Helper()
	le := binary.LittleEndian
	blocks := map[string][]byte{}
	for _, path := range segments(t, home) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		slotBytes, slots, data := int(le.Uint64(b[96:])), int(le.Uint32(b[104:])), int(le.Uint64(b[120:]))
		for slot := range slots {
			header := slices.Clone(b[65536+4096*slot:][:4096])
			if string(header[:8]) != "KVSLOT1\n" {
				continue
			}
			clear(header[16:32])
			clear(header[4092:])
			blocks[fmt.Sprint(filepath.Base(path), " slot ", slot)] = append(header, b[data+slot*slotBytes:][:slotBytes]...)
		}
	}
	return blocks
}
