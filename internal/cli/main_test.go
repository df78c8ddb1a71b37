package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kvasir/internal/testmodel"
)

// demoModel stands for the built-in model: a vocabulary of bytes and letters, 2048 tokens of context.
var demoModel = sync.OnceValue(func() []byte {
	b, err := testmodel.Build("llama-text")
	if err != nil {
		panic(err)
	}
	return b
})

// result is what a command left.
type result struct {
	out, err string
	code     int
}

// kvasir runs a command line with its own home directory and no model in the environment.
func kvasir(t testing.TB, stdin string, args ...string) result {
	t.Helper()
	t.Setenv("KVASIR_HOME", filepath.Join(t.TempDir(), "home"))
	t.Setenv("KVASIR_MODEL", "")
	t.Setenv("KVASIR_KERNELS", "")
	return plain(stdin, args...)
}

// plain runs a command line in the environment as it is.
func plain(stdin string, args ...string) result {
	var out, err bytes.Buffer
	code := Main(append([]string{"kvasir"}, args...), strings.NewReader(stdin), &out, &err, demoModel())
	return result{out.String(), err.String(), code}
}

// file writes a file into a directory of the test's and returns its path.
func file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// modelFile writes a model of package testmodel to a file.
func modelFile(t testing.TB, name string) string {
	t.Helper()
	b, err := testmodel.Build(name)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, name+".gguf", string(b))
}

// shared returns the folder of oracles, or skips.
func shared(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("KVASIR_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "oracle")); err != nil {
		t.Skip("no shared oracles: ", err)
	}
	return dir
}

// decode reads the JSON that a command printed.
func decode[T any](t testing.TB, r result) T {
	t.Helper()
	var x T
	d := json.NewDecoder(strings.NewReader(r.out))
	d.DisallowUnknownFields()
	if err := d.Decode(&x); err != nil || r.code != 0 {
		t.Fatalf("exit code %d, %v\nstdout %s\nstderr %s", r.code, err, r.out, r.err)
	}
	return x
}
