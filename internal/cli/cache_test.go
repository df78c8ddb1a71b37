package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

// homeFor gives the test a home directory that all its commands share.
func homeFor(t testing.TB) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	t.Setenv("KVASIR_HOME", home)
	t.Setenv("KVASIR_MODEL", "")
	t.Setenv("KVASIR_KERNELS", "")
	return home
}

// text is a prompt of more than one block in the test's model, whose tokens are letters.
const longPrompt = "The quick brown fox jumps over the lazy dog, and then it rests for a good while in the shade of an old oak tree."

// cache stats names the models and formats that are stored, before and after there is anything.
func TestCacheStats(t *testing.T) {
	home := homeFor(t)
	if j := decode[cacheJSON](t, plain("", "cache", "stats", "-o", "json")); len(j.Namespaces) != 0 || j.Home != home || j.MaxBytes == 0 || j.Lock != "never taken" {
		t.Errorf("before the first run: %+v", j)
	}
	for _, kv := range []string{"int8", "f16"} {
		if r := plain("", "run", "--raw", "-n", "1", "--kv", kv, "--session", kv, longPrompt); r.code != 0 {
			t.Fatal(r)
		}
	}
	j := decode[cacheJSON](t, plain("", "cache", "stats", "-o", "json"))
	if len(j.Namespaces) != 2 {
		t.Fatalf("%+v", j)
	}
	kinds := map[string]bool{}
	var sum int64
	for _, n := range j.Namespaces {
		kinds[n.KV] = true
		sum += n.Bytes
		if n.Model == "unknown" || n.Tokens < 64 || n.Blocks < 1 || n.Error != "" {
			t.Errorf("%+v", n)
		}
	}
	if !kinds["int8"] || !kinds["f16"] || sum != j.UsedBytes || j.Lock != "free" {
		t.Errorf("%+v", j)
	}
	if r := plain("", "cache", "stats"); r.code != 0 || !strings.Contains(r.out, j.Namespaces[0].Model) || !strings.Contains(r.out, "store lock") {
		t.Error(r)
	}
}
