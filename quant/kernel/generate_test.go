package kernel

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The committed assembly is what the generators write. It needs the modules of _asm, so it runs only when asked to.
func TestGenerated(t *testing.T) {
	if os.Getenv("KVASIR_CHECK_GENERATED") == "" {
		t.Skip("KVASIR_CHECK_GENERATED is not set: the generators need their own modules")
	}
	list, err := os.ReadFile("generate.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(list)) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "//go:generate ")
		if !ok {
			continue
		}
		args, dir := strings.Fields(command), t.TempDir()
		var files []string
		for i, a := range args {
			if name, ok := strings.CutPrefix(a, "../"); ok {
				args[i] = filepath.Join(dir, filepath.Base(name))
				files = append(files, name)
			}
		}
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		for _, name := range files {
			if !bytes.Equal(generated(t, name), generated(t, filepath.Join(dir, filepath.Base(name)))) {
				t.Errorf("%s is not what its generator writes: run go generate ./quant/kernel", name)
			}
			n++
		}
	}
	if n == 0 {
		t.Error("no generators in generate.go")
	}
}

// generated reads a generated file without the first line, which holds the command.
func generated(t *testing.T, name string) []byte {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := bytes.Cut(data, []byte("\n"))
	return body
}
