package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvasir/kvcache"
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

// The whole life of a small cache: pinned conversations outlive others, gc and check say what they do, and bad settings are usage errors.
func TestCacheVerbs(t *testing.T) {
	home := homeFor(t)
	for _, args := range [][]string{{"cache", "check"}, {"cache", "gc"}, {"cache", "gc", "--dry-run"}} {
		if r := plain("", args...); r.code != 0 {
			t.Errorf("%v before the first run: %v", args, r)
		}
	}
	if _, err := os.Stat(home); err == nil {
		t.Error("looking after nothing made a directory")
	}
	if r := plain("", "sessions", "pin", "A"); r.code != 1 {
		t.Error(r)
	}
	for _, name := range []string{"A", "B"} {
		if r := plain("", "run", "--raw", "-n", "1", "--session", name, name+longPrompt); r.code != 0 {
			t.Fatal(r)
		}
	}
	if r := plain("", "sessions", "pin", "A"); r.code != 0 || !strings.Contains(r.err, "pinned") {
		t.Error(r)
	}
	if r := plain("", "sessions", "pin", "none"); r.code != 1 || !strings.Contains(r.err, "no such session") {
		t.Error(r)
	}
	j := decode[cacheJSON](t, plain("", "cache", "stats", "-o", "json"))
	if p := j.Namespaces[0].Pins; len(p) != 1 || p[0].Label != kvcache.SessionPin("A") || p[0].Tokens != p[0].Stored || j.Namespaces[0].Pinned == 0 || j.Today == 0 || j.Total < j.Today {
		t.Errorf("%+v", j)
	}
	before := j.Namespaces[0].Pins[0].Tokens
	if r := plain("", "run", "--raw", "-n", "1", "--session", "A", longPrompt); r.code != 0 {
		t.Fatal(r)
	}
	j = decode[cacheJSON](t, plain("", "cache", "stats", "-o", "json"))
	if p := j.Namespaces[0].Pins[0]; p.Tokens <= before+64 || p.Stored != p.Tokens {
		t.Errorf("the pin stays behind its conversation: %+v, had %d", p, before)
	}
	if r := plain("", "cache", "stats"); r.code != 0 || !strings.Contains(r.out, "pinned: session A") || !strings.Contains(r.out, "written") {
		t.Error(r)
	}
	if c := decode[checkJSON](t, plain("", "cache", "check", "-o", "json")); !c.Clean || len(c.Findings) != 0 || c.Sessions != 2 || c.Blocks == 0 || c.Bytes == 0 {
		t.Errorf("%+v", c)
	}

	// A pinned block keeps its segment, whatever the maximum is.
	g := decode[gcJSON](t, plain("", "cache", "gc", "--max", "0", "-o", "json"))
	if g.FreedBytes != 0 || g.UsedBytes == 0 {
		t.Errorf("with a pin: %+v", g)
	}
	if r := plain("", "sessions", "unpin", "A"); r.code != 0 {
		t.Error(r)
	}
	if r := plain("", "cache", "unpin", "session A"); r.code != 1 || !strings.Contains(r.err, "no such pin") {
		t.Error(r)
	}
	dry := decode[gcJSON](t, plain("", "cache", "gc", "--max", "0", "--dry-run", "-o", "json"))
	if !dry.DryRun || dry.FreedBytes != j.UsedBytes {
		t.Errorf("%+v of %d", dry, j.UsedBytes)
	}
	if r := plain("", "cache", "gc", "--max", "0"); r.code != 0 || !strings.Contains(r.out, "evicted: 1 segments") {
		t.Error(r)
	}
	if j := decode[cacheJSON](t, plain("", "cache", "stats", "-o", "json")); j.UsedBytes != 0 || j.Namespaces[0].Blocks != 0 {
		t.Errorf("%+v", j)
	}

	for _, args := range [][]string{
		{"run", "--cache-bytes", "much", "x"}, {"cache", "gc", "--max", "12X"}, {"cache", "gc", "x"}, {"cache", "check", "x"}, {"cache", "unpin"}, {"sessions", "pin"},
	} {
		if r := plain("", args...); r.code != 2 {
			t.Errorf("%v: %v", args, r)
		}
	}
	t.Setenv("KVASIR_CACHE_BYTES", "12X")
	for _, args := range [][]string{{"run", "x"}, {"cache", "stats"}} {
		if r := plain("", args...); r.code != 2 || !strings.Contains(r.err, "KVASIR_CACHE_BYTES") {
			t.Errorf("%v: %v", args, r)
		}
	}
	if r := plain("", "doctor"); r.code != 1 || !strings.Contains(r.out, "KVASIR_CACHE_BYTES") {
		t.Error(r)
	}
	t.Setenv("KVASIR_CACHE_BYTES", "0")
	if r := plain("", "run", "--raw", "-n", "1", longPrompt); r.code != 0 || r.err != "" {
		t.Error(r)
	}
	if j := decode[cacheJSON](t, plain("", "cache", "stats", "-o", "json")); j.UsedBytes != 0 {
		t.Errorf("%+v", j)
	}
}

// Damage is exit code 3, and doctor points to it; gc makes it well.
func TestCacheCheckFindsDamage(t *testing.T) {
	home := homeFor(t)
	if r := plain("", "run", "--raw", "-n", "1", "--session", "A", longPrompt); r.code != 0 {
		t.Fatal(r)
	}
	segments, err := filepath.Glob(filepath.Join(home, "kv", "v1", "m-*", "kv-*.seg"))
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	if err := os.Truncate(segments[0], 1<<20); err != nil {
		t.Fatal(err)
	}
	r := plain("", "cache", "check", "-o", "json")
	var c checkJSON
	if err := json.Unmarshal([]byte(r.out), &c); err != nil || r.code != 3 || c.Clean || len(c.Findings) != 1 || !c.Findings[0].Damage || c.Findings[0].Lost != "the file" {
		t.Errorf("%v: %+v", r, c)
	}
	if r := plain("", "cache", "check"); r.code != 3 || !strings.Contains(r.out, filepath.Base(segments[0])) {
		t.Error(r)
	}
	if r := plain("", "doctor"); !strings.Contains(r.out, "cache check") {
		t.Error(r)
	}
	if r := plain("", "cache", "gc"); r.code != 0 || !strings.Contains(r.out, filepath.Base(segments[0])) {
		t.Error(r)
	}
	if r := plain("", "cache", "check"); r.code != 0 {
		t.Error(r)
	}
}
