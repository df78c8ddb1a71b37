package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kvasir/gguf"
	"kvasir/internal/testmodel"
)

// root is the module's root, seen from this package's directory.
var root = filepath.Join("..", "..")

// work holds the binaries and models of a test run.
var work string

// kvasir is the program under test: $KVASIR_BINARY, or what TestMain builds.
var kvasir program

func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == measureVerb {
		os.Exit(measure(os.Args[2], os.Args[3:]))
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	var err error
	if work, err = os.MkdirTemp("", "kvasir-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(work)
	binary := os.Getenv("KVASIR_BINARY")
	if binary == "" {
		binary, err = build("")
	} else {
		binary, err = filepath.Abs(binary)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	kvasir = program{binary}
	return m.Run()
}

// build makes the program for an architecture of Linux ("": this one), with more flags for the compiler.
func build(arch string, flags ...string) (string, error) {
	if arch == "" {
		arch = runtime.GOARCH
	}
	binary := filepath.Join(work, strings.Join(append([]string{"kvasir", arch}, flags...), "-"))
	c := exec.Command("go", append(append([]string{"build", "-trimpath", "-o", binary}, flags...), ".")...)
	c.Dir = root
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %q for %s: %w\n%s", flags, arch, err, out)
	}
	return binary, nil
}

// program is a command line up to the program's own arguments.
type program []string

// limit is how long one command may take on a busy machine before it counts as hung.
const limit = 2 * time.Minute

// command prepares a call with nothing in the environment but env.
func (p program) command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	args = append(append([]string{}, p[1:]...), args...)
	c := exec.CommandContext(ctx, p[0], args...)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	return c
}

// result is what a call left.
type result struct {
	out, err string
	code     int // -1 if a signal ended it
	took     time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d after %v\nstdout: %.2000s\nstderr: %.2000s", r.code, r.took.Round(time.Millisecond), r.out, r.err)
}

// in runs a command with a home directory.
func (p program) in(t testing.TB, home string, args ...string) result {
	t.Helper()
	return p.call(t, []string{"KVASIR_HOME=" + home}, "", args...)
}

// say is in with input.
func (p program) say(t testing.TB, home, stdin string, args ...string) result {
	t.Helper()
	return p.call(t, []string{"KVASIR_HOME=" + home}, stdin, args...)
}

func (p program) call(t testing.TB, env []string, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := p.command(ctx, env, args...)
	var out, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &stderr
	start := time.Now()
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%q: %v, %v", args, err, ctx.Err())
	}
	r := result{out: out.String(), err: stderr.String(), code: c.ProcessState.ExitCode(), took: time.Since(start)}
	if strings.Contains(r.err, "panic:") || strings.Contains(r.err, "goroutine ") {
		t.Errorf("%q: the program crashed\n%v", args, r)
	}
	return r
}

// must fails the test unless the exit code is the one expected.
func (r result) must(t testing.TB, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("expected exit code %d\n%v", code, r)
	}
	return r
}

// process is a command that runs beside the test.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	stderr bytes.Buffer
}

// start begins a command whose output the test reads as it comes.
func (p program) start(t testing.TB, home string, args ...string) *process {
	t.Helper()
	return p.startWith(t, []string{"KVASIR_HOME=" + home}, args...)
}

func (p program) startWith(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	x := &process{t: t, cmd: p.command(ctx, env, args...)}
	x.cmd.Stderr = &x.stderr
	var err, err2 error
	x.stdin, err = x.cmd.StdinPipe()
	x.stdout, err2 = x.cmd.StdoutPipe()
	if err = errors.Join(err, err2); err == nil {
		err = x.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill()
		_ = x.cmd.Wait()
		cancel()
	})
	return x
}

// read returns the next n bytes of output, or what there is until its end.
func (x *process) read(n int) string {
	b := make([]byte, n)
	n, _ = io.ReadFull(x.stdout, b)
	return string(b[:n])
}

// readLine returns the output up to and with the next line break.
func (x *process) readLine() string {
	var line []byte
	b := make([]byte, 1)
	for {
		if _, err := io.ReadFull(x.stdout, b); err != nil {
			return string(line)
		}
		if line = append(line, b[0]); b[0] == '\n' {
			return string(line)
		}
	}
}

// write gives the process input.
func (x *process) write(s string) {
	x.t.Helper()
	if _, err := io.WriteString(x.stdin, s); err != nil {
		x.t.Fatalf("%v\nstderr: %s", err, x.stderr.String())
	}
}

// signal sends a signal; that the process has ended already is no error.
func (x *process) signal(s os.Signal) {
	x.t.Helper()
	if err := x.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		x.t.Fatal(err)
	}
}

// end reads the rest of the output and returns it with the exit code, -1 if a signal ended the process.
func (x *process) end() (rest string, code int) {
	b, _ := io.ReadAll(x.stdout)
	_ = x.cmd.Wait()
	return string(b), x.cmd.ProcessState.ExitCode()
}

// session is what 'sessions show -o json' prints.
type session struct {
	Name     string `json:"name"`
	Model    string `json:"model"`
	Tokens   int    `json:"tokens"`
	KVTokens int    `json:"kv_tokens"`
	Bytes    int64  `json:"bytes"`
	KVBytes  int64  `json:"kv_bytes"`
	Turns    []turn `json:"turns"`
	Damaged  bool   `json:"damaged"`

	ForkedFrom struct {
		Name string `json:"name"`
		Turn int    `json:"turn"`
	} `json:"forked_from"`
	SharedWith []share `json:"shared_with"`
}

type share struct {
	Name   string `json:"name"`
	Tokens int    `json:"tokens"`
	Bytes  int64  `json:"bytes"`
}

type turn struct {
	Role     string `json:"role"`
	Text     string `json:"text"`
	Tokens   int    `json:"tokens"`
	Complete bool   `json:"complete"`
}

// last returns the last turn if it is the assistant's.
func (s session) last() turn {
	if n := len(s.Turns); n > 0 && s.Turns[n-1].Role == "assistant" {
		return s.Turns[n-1]
	}
	return turn{}
}

func (p program) show(t testing.TB, home, name string) session {
	t.Helper()
	return decode[session](t, p.in(t, home, "sessions", "show", name, "-o", "json").must(t, 0).out)
}

// stats is what --stats writes.
type stats struct {
	PromptTokens    int     `json:"prompt_tokens"`
	ReusedTokens    int     `json:"reused_tokens"`
	ComputedTokens  int     `json:"computed_tokens"`
	GeneratedTokens int     `json:"generated_tokens"`
	StartMS         float64 `json:"start_ms"`
	FirstTokenMS    float64 `json:"first_token_ms"`
	PromptTokS      float64 `json:"prompt_tok_s"`
	GenTokS         float64 `json:"gen_tok_s"`
	KV              string  `json:"kv"`
	Kernels         string  `json:"kernels"`
	Threads         int     `json:"threads"`
	Finish          string  `json:"finish"`
}

// stats reads the figures that '--stats -' wrote to stderr.
func (r result) stats(t testing.TB) stats {
	t.Helper()
	for line := range strings.Lines(r.err) {
		if strings.HasPrefix(line, "{") {
			return decode[stats](t, line)
		}
	}
	t.Fatalf("no figures on stderr\n%v", r)
	return stats{}
}

// decode reads a JSON object that has no other fields than T.
func decode[T any](t testing.TB, s string) T {
	t.Helper()
	var x T
	d := json.NewDecoder(strings.NewReader(s))
	d.DisallowUnknownFields()
	if err := d.Decode(&x); err != nil {
		t.Fatalf("%v in %.500s", err, s)
	}
	return x
}

// segments returns the segment files of a home directory, the newest last.
func segments(t testing.TB, home string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(home, "kv/v1/m-*/kv-*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

// Models of package testmodel with a vocabulary: name to configuration.
var textModels = map[string]func() testmodel.Config{
	"llama": func() testmodel.Config { return testmodel.Named("llama-text") },
	"gemma3": func() testmodel.Config {
		c := testmodel.Named("gemma3-window")
		c.Embd, c.FFN, c.Heads = 128, 256, 2
		c.Vocab, c.Context, c.Text = testmodel.Named("llama-text").Vocab, 2048, true
		return c
	},
}

const (
	// noEnd keeps an answer going until -n.
	noEnd = "2=-1000"
)

var models struct {
	sync.Mutex
	paths map[string]string
}

// model returns the file of one of textModels.
func model(t testing.TB, name string) string {
	t.Helper()
	return modelFile(t, name+".gguf", textModels[name]().Spec())
}

// modelFile writes a model once per test run and returns its path. The same name must mean the same model.
func modelFile(t testing.TB, name string, s *testmodel.Spec) string {
	t.Helper()
	models.Lock()
	defer models.Unlock()
	if path, ok := models.paths[name]; ok {
		return path
	}
	b, err := s.Bytes()
	path := filepath.Join(work, name)
	if err == nil {
		err = os.WriteFile(path, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if models.paths == nil {
		models.paths = map[string]string{}
	}
	models.paths[name] = path
	return path
}

// parse reads a model file that the tests made themselves.
func parse(t testing.TB, b []byte) *gguf.File {
	t.Helper()
	f, err := gguf.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
