package cli

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvasir/internal/testmodel"
)

// logitsFile is the form of eval logits --out and of the oracles.
type logitsFile struct {
	ids    []int32
	nVocab int
	logits []float32
}

func readLogits(t testing.TB, path string) logitsFile {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	if len(b) < 8 || len(b) != 4*(2+int(word(0))+int(word(0))*int(word(1))) {
		t.Fatalf("%s: %d bytes do not make a file of logits", path, len(b))
	}
	f := logitsFile{nVocab: int(word(1))}
	n := int(word(0))
	for i := range n {
		f.ids = append(f.ids, int32(word(2+i)))
	}
	for i := range n * f.nVocab {
		f.logits = append(f.logits, math.Float32frombits(word(2+n+i)))
	}
	return f
}

// nmse is the squared error of got relative to the spread of want about its mean.
func nmse(want, got []float32) float64 {
	mean, err, spread := 0.0, 0.0, 0.0
	for _, w := range want {
		mean += float64(w) / float64(len(want))
	}
	for i, w := range want {
		d, s := float64(got[i])-float64(w), float64(w)-mean
		err += float64(d * d)
		spread += float64(s * s)
	}
	return err / spread
}

// evalLogits runs eval logits for the ids of want and returns the answer.
func evalLogits(t testing.TB, model string, ids []int32, flags ...string) logitsFile {
	t.Helper()
	list, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.logits")
	r := kvasir(t, "", append([]string{"eval", "logits", "-m", model, "--tokens", file(t, "ids.json", string(list)), "--out", out}, flags...)...)
	if r.code != 0 || r.out != "" || r.err != "" {
		t.Fatalf("exit code %d\nstdout %s\nstderr %s", r.code, r.out, r.err)
	}
	return readLogits(t, out)
}

// Another program's logits for the same models, all weights and KV rows in float32.
func TestLogitsAgreeWithOracle(t *testing.T) {
	dir := filepath.Join(shared(t), "oracle", "archs")
	for _, name := range []string{"llama-dense", "llama-gqa", "llama-hd80", "llama-ropefreqs", "llama-tied", "qwen2-dense", "qwen2-gqa",
		"qwen3-dense", "qwen3-gqa", "gemma3-dense"} {
		t.Run(name, func(t *testing.T) {
			spec, err := os.ReadFile(filepath.Join(dir, name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			b, err := testmodel.FromSpec(spec)
			if err != nil {
				t.Fatal(err)
			}
			compareWithOracle(t, file(t, name+".gguf", string(b)), filepath.Join(dir, name+".logits"), 1e-6)
		})
	}
}

// A trained model with words of several tokens, grouped heads and heads of 8 values.
func TestLogitsOfTrainedModelAgreeWithOracle(t *testing.T) {
	dir := filepath.Join(shared(t), "models")
	compareWithOracle(t, filepath.Join(dir, "stories260K.gguf"), filepath.Join(dir, "stories260K.logits"), 1e-6)
}

func compareWithOracle(t *testing.T, model, golden string, limit float64) {
	want := readLogits(t, golden)
	got := evalLogits(t, model, want.ids, "--kv", "f32")
	if got.nVocab != want.nVocab || fmt.Sprint(got.ids) != fmt.Sprint(want.ids) {
		t.Fatalf("%d ids, vocabulary %d; want %d ids, vocabulary %d", len(got.ids), got.nVocab, len(want.ids), want.nVocab)
	}
	e := nmse(want.logits, got.logits)
	t.Logf("%d tokens: NMSE %.3g", len(want.ids), e)
	if !(e < limit) {
		t.Errorf("NMSE %g, want below %g", e, limit)
	}
}

// The formats of the cache differ, but not by much; batch and threads do not matter at all.
func TestLogitsFileByFlags(t *testing.T) {
	model := modelFile(t, "llama-gqa")
	var ids []int32
	for i := range 100 {
		ids = append(ids, int32(i*37%128))
	}
	base := evalLogits(t, model, ids, "--kv", "f32", "-t", "1")
	if len(base.logits) != 100*128 {
		t.Fatalf("%d logits, want %d", len(base.logits), 100*128)
	}
	for _, c := range []struct {
		flags []string
		limit float64 // NMSE; 0: the same bits
	}{
		{[]string{"--kv", "f32", "-t", "2", "--batch", "7"}, 0},
		{[]string{"--kv", "f32", "-t", "1", "--batch", "1"}, 0},
		{[]string{"--kv", "f16"}, 1e-5},
		{[]string{"--kv", "int8"}, 1e-3},
		{nil, 1e-3},
	} {
		got := evalLogits(t, model, ids, c.flags...)
		e := nmse(base.logits, got.logits)
		t.Logf("%v: NMSE %.3g", c.flags, e)
		if !(e <= c.limit) {
			t.Errorf("%v: NMSE %g, want at most %g", c.flags, e, c.limit)
		}
	}
}

func TestLogitsToStdoutAndOverAFile(t *testing.T) {
	model, ids := modelFile(t, "qwen2-gqa"), file(t, "ids.json", "[1, 2, 3]\n")
	out := filepath.Join(t.TempDir(), "f")
	for range 2 { // the second time over what the first one wrote
		if r := kvasir(t, "", "eval", "logits", "-m", model, "--tokens", ids, "--out", out); r.code != 0 {
			t.Fatal(r.err)
		}
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if r := kvasir(t, "[1,2,3]", "eval", "logits", "-m", model, "--tokens", "-", "--out", "-"); r.code != 0 || r.out != string(b) {
		t.Errorf("exit code %d: stdout differs from the file (%d bytes, %d bytes): %s", r.code, len(r.out), len(b), r.err)
	}
	names, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(names) != 1 {
		t.Errorf("left beside the file: %v, %v", names, err)
	}
	// What fails leaves nothing, neither the file nor a part of it.
	gone := filepath.Join(t.TempDir(), "f")
	if r := kvasir(t, "[1,2,3,400]", "eval", "logits", "-m", model, "--tokens", "-", "--out", gone); r.code != exitBadData {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	if names, err := os.ReadDir(filepath.Dir(gone)); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

func TestReadIDs(t *testing.T) {
	for _, c := range []struct {
		text, want string // ids, or part of the message
		ok         bool
	}{
		{"[0]", "[0]", true},
		{" [ 1 , 2147483647 ] \n", "[1 2147483647]", true},
		{"", "expected a JSON array", false},
		{"{}", "expected a JSON array", false},
		{"12", "expected a JSON array", false},
		{"[]", "no token ids", false},
		{"[1", "does not end", false},
		{"[1,", "token 1", false},
		{"[1] 2", "more behind", false},
		{"[1][2]", "more behind", false},
		{"[-1]", "token 0 is -1", false},
		{"[1, 2147483648]", "token 1", false},
		{"[1, 2.5]", "token 1", false},
		{`["1"]`, "token 0", false},
		{"[[1]]", "token 0", false},
	} {
		a := &app{in: strings.NewReader(c.text)}
		ids, err := a.readIDs("-")
		switch {
		case c.ok && (err != nil || fmt.Sprint(ids) != c.want):
			t.Errorf("%q: %v, %v, want %s", c.text, ids, err, c.want)
		case !c.ok && (err == nil || !strings.Contains(err.Error(), c.want) || exitCode(err) != exitBadData):
			t.Errorf("%q: %v, %v (exit code %d), want an error with %q", c.text, ids, err, exitCode(err), c.want)
		}
	}
}
