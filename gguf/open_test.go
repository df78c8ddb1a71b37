package gguf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"kvasir/internal/guardmem"
	"kvasir/platform"
	"kvasir/quant"
)

func goodFile(t *testing.T) (path string, contents []byte) {
	t.Helper()
	contents = good().bytes()
	path = filepath.Join(t.TempDir(), "good.gguf")
	if err := os.WriteFile(path, contents, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, contents
}

func TestOpenMapsWhatParseReads(t *testing.T) {
	path, contents := goodFile(t)
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(contents)
	if err != nil {
		t.Fatal(err)
	}
	sameContents(t, f, m.File)
	if m.Name != path || m.Size != int64(len(contents)) || !bytes.Equal(m.Contents(), contents) {
		t.Errorf("name %q, size %d", m.Name, m.Size)
	}
	toks, err := m.Strings("tokenizer.ggml.tokens")
	if err != nil {
		t.Fatal(err)
	}
	w := *mustTensor(t, m.File, "a")
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	// The vocabulary outlives the mapping; the weights do not.
	if got := fmt.Sprintf("%q", toks.Slice()); got != `["a" "" "\xff"]` {
		t.Errorf("after Close: %s", got)
	}
	if name, _ := m.String("general.name"); name != "grüner Hund" {
		t.Errorf("after Close: %q", name)
	}
	if m.Data(&w) != nil || m.Contents() != nil {
		t.Error("data of a closed model")
	}
}

func mustTensor(t *testing.T, f *File, name string) *Tensor {
	t.Helper()
	x, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %q", name)
	}
	return x
}

func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("fifo", at("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", at("loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("empty"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", at("sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		path, text string
		want       error
	}{
		{dir, "directory", ErrUnsupported}, {at("fifo"), "named pipe", ErrUnsupported}, {at("link"), "named pipe", ErrUnsupported},
		{at("sock"), "socket", ErrUnsupported}, {"/dev/zero", "device", ErrUnsupported}, {at("loop"), "", syscall.ELOOP},
		{at("empty"), "empty", ErrTruncated}, {at("none"), "", os.ErrNotExist}, {at("a\x1b\n"), "", os.ErrNotExist},
	} {
		done := make(chan error, 1)
		go func() {
			m, err := Open(c.path)
			if err == nil {
				err = errors.Join(errors.New("opened"), m.Close())
			}
			done <- err
		}()
		select {
		case err := <-done:
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("%s: %v", c.path, err)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: Open blocks", c.path)
		}
	}
}

// Neither a refused file nor a closed one leaves a descriptor or a mapping behind.
func TestOpenLeaksNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts /proc/self entries, which only Linux has")
	}
	path, contents := goodFile(t)
	bad := filepath.Join(t.TempDir(), "bad.gguf")
	if err := os.WriteFile(bad, contents[:len(contents)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	count := func() (fds, maps int) {
		es, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return len(es), strings.Count(string(b), ".gguf")
	}
	fds, maps := count()
	for range 20 {
		if _, err := Open(bad); !errors.Is(err, ErrTruncated) {
			t.Fatal(err)
		}
		m, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if f, m := count(); f > fds || m != maps {
		t.Errorf("descriptors %d, then %d; mappings %d, then %d", fds, f, maps, m)
	}
}

func TestDigestAndIdentity(t *testing.T) {
	contents := rawFile{version: 3, kv: [][]byte{arch}, tensors: [][]byte{tens("a", 24, 0, 5<<20)}, data: 5 << 20}.bytes()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, contents, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	inMemory, err := OpenBytes("built-in", contents)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Model{m, inMemory} {
		var seen []int64
		sum, err := m.Digest(context.Background(), func(done, total int64) {
			if total != int64(len(contents)) {
				t.Errorf("total %d", total)
			}
			seen = append(seen, done)
		})
		if err != nil || sum != sha256.Sum256(contents) {
			t.Errorf("%s: wrong digest, %v", m.Name, err)
		}
		if len(seen) != 6 || seen[5] != int64(len(contents)) {
			t.Errorf("%s: progress %v", m.Name, seen)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := m.Digest(ctx, func(int64, int64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	other, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	a, b := m.Identity(), other.Identity()
	if a != b || a.Size != int64(len(contents)) || a.Ino == 0 || a.ModTime.IsZero() {
		t.Errorf("%+v, %+v", a, b)
	}
	if err := os.Truncate(path, 1<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Digest(context.Background(), nil); !errors.Is(err, ErrTruncated) {
		t.Errorf("shortened file: %v", err)
	}
	if id := inMemory.Identity(); id != (Identity{Size: int64(len(contents))}) {
		t.Errorf("in memory: %+v", id)
	}
	if err := inMemory.Close(); err != nil {
		t.Error(err)
	}
}

// A page of the mapping that is gone is an error of the goroutine that reads it, not the end of the process.
func TestFaultBecomesError(t *testing.T) {
	if guardmem.Emulated() {
		t.Skip("user-mode emulation: it reports a bus error at address 0, which Go takes for a nil pointer")
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	contents := rawFile{version: 3, kv: [][]byte{arch}, tensors: [][]byte{tens("a", 24, 0, 1<<20)}, data: 1 << 20}.bytes()
	if err := os.WriteFile(path, contents, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	var sum int
	read := func() error {
		for _, x := range m.Data(mustTensor(t, m.File, "a")) {
			sum += int(x)
		}
		return nil
	}
	if err := CatchFault(read); !errors.Is(err, ErrFault) {
		t.Errorf("got %v", err)
	}
	if err := CatchFault(func() error { return os.ErrExist }); err != os.ErrExist {
		t.Errorf("an error passes through: %v", err)
	}
	defer func() {
		if r := recover(); r != "mine" {
			t.Errorf("another panic passes through: %v", r)
		}
	}()
	_ = CatchFault(func() error { panic("mine") })
}

// A sparse tail of a gibibyte is not read.
func TestOpenIgnoresSparseTail(t *testing.T) {
	path, _ := goodFile(t)
	if err := os.Truncate(path, 1<<30); err != nil {
		t.Skipf("no sparse files here: %v", err)
	}
	start := time.Now()
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if took := time.Since(start); took > 500*time.Millisecond || len(m.Warnings) != 1 {
		t.Errorf("took %v, warnings %q", took, m.Warnings)
	}
}

func TestOpenBytesNamesTheModel(t *testing.T) {
	_, err := OpenBytes("built-in", []byte("GGUF"))
	if !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), `"built-in"`) {
		t.Error(err)
	}
}

func TestTypeName(t *testing.T) {
	for typ, want := range map[quant.Type]string{quant.Q4_K: "Q4_K", 27: "I64", 200: "type 200"} {
		if got := TypeName(typ); got != want {
			t.Errorf("%d: %s", typ, got)
		}
	}
}

// What is read into memory is what is mapped, and does not change with the file.
func TestOpenReads(t *testing.T) {
	path, contents := goodFile(t)
	var told []int64
	m, err := OpenWith(path, OpenOptions{Read: true, Progress: func(done, total int64) error {
		told = append(told, done, total)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, len(contents)), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Parse(contents)
	if err != nil {
		t.Fatal(err)
	}
	sameContents(t, f, m.File)
	sum, err := m.Digest(context.Background(), nil)
	if err != nil || sum != sha256.Sum256(contents) || m.Mapped() {
		t.Errorf("digest %x, %v; mapped: %v", sum, err, m.Mapped())
	}
	if n := int64(len(contents)); len(told) != 2 || told[0] != n || told[1] != n {
		t.Errorf("progress %d, want %d of it", told, n)
	}
	w := *mustTensor(t, m.File, "a")
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if m.Data(&w) != nil {
		t.Error("data of a closed model")
	}
}

func TestOpenReadsNoMoreThanMemoryHolds(t *testing.T) {
	path, _ := goodFile(t)
	stop := errors.New("stop")
	if _, err := OpenWith(path, OpenOptions{Read: true, Progress: func(int64, int64) error { return stop }}); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
	if _, known := platform.ReadMemory().Usable(); !known {
		t.Skip("the system does not say how much memory there is")
	}
	if err := os.Truncate(path, 1<<42); err != nil {
		t.Skip("no file of 4 TiB: ", err)
	}
	if _, err := OpenWith(path, OpenOptions{Read: true}); !errors.Is(err, syscall.ENOMEM) {
		t.Errorf("a file of 4 TiB: %v", err)
	}
}
