package e2e

import (
	"os/exec"
	"runtime"
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

func TestHomeMovesBetweenArchitectures(t *testing.T) {
	t.Parallel()
	arm := onARM(t, "cortex-a76")
	for _, kv := range []string{"int8", "f16"} {
		const n, half = 60, 45
		args := func(n int, more ...string) []string {
			return append([]string{"run", "-m", model(t, "llama"), "--kv", kv, "--raw", "--temp", "0.8", "--seed", "7",
				"--logit-bias", noEnd, "--stats", "-", "-n", strconv.Itoa(n)}, more...)
		}
		want := kvasir.in(t, t.TempDir(), args(n, prompt)...).must(t, 0).out
		for name, hosts := range map[string][2]program{"from amd64 to arm64": {kvasir, arm}, "from arm64 to amd64": {arm, kvasir}} {
			home := t.TempDir()
			first := hosts[0].in(t, home, args(half, "--session", "S", prompt)...).must(t, 0)
			second := hosts[1].in(t, home, args(n-half, "--session", "S", "--continue")...).must(t, 0)
			if first.out+second.out != want {
				t.Errorf("%s, %s: %q and %q, expected %q", name, kv, first.out, second.out, want)
			}
			if st := second.stats(t); st.ComputedTokens > 1 || st.ReusedTokens < half {
				t.Errorf("%s, %s: %+v, expected the rows to be used", name, kv, st)
			}
		}
	}
}
