package layering

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// allowed is the table of imports inside the module: package, and what it may import of ours. A package that is not
// here may not exist. "test" packages are for tests alone: nothing else may import them.
var allowed = map[string][]string{
	"kvasir": {"internal/cli"},

	"platform/cpu":       {},
	"platform":           {"platform/cpu"},
	"platform/vfs":       {"internal/failpoint", "platform"},
	"platform/vfs/memfs": {"platform", "platform/vfs"},

	"quant/half":   {},
	"quant":        {"quant/half"},
	"quant/kernel": {"quant", "quant/half", "platform/cpu"},

	"gguf":       {"quant", "platform"},
	"gguf/synth": {"gguf", "quant", "quant/half"},
	"kvcache":    {"internal/failpoint", "quant", "quant/half", "platform", "platform/vfs"},

	"engine/sample": {},
	"engine/token":  {},
	"engine/chat":   {},
	"engine/par":    {"platform/cpu"},
	"engine/ops":    {"quant", "quant/kernel", "engine/par"},
	"engine/arch":   {"gguf", "quant", "engine/token"},
	"engine": {"engine/arch", "engine/chat", "engine/ops", "engine/par", "engine/sample", "engine/token",
		"gguf", "internal/failpoint", "kvcache", "quant", "quant/kernel", "platform", "platform/cpu", "platform/vfs"},

	"internal/buildinfo": {},
	"internal/failpoint": {},
	"internal/config":    {},
	"internal/cli": {"engine", "engine/arch", "engine/chat", "engine/par", "engine/sample", "engine/token", "gguf", "gguf/synth", "kvcache", "quant",
		"platform", "platform/cpu", "platform/vfs", "internal/buildinfo", "internal/config"},
}

// tools are programs beside the product.
var tools = map[string][]string{
	"bench/mca":     {},
	"bench/mkmodel": {"gguf/synth"},
	"bench/order":   {"platform/cpu", "quant", "quant/kernel"},
	"bench/report":  {},
}

var testOnly = map[string][]string{
	"internal/crashfs":   {"platform/vfs/memfs"},
	"internal/e2e":       {},
	"internal/guardmem":  {},
	"internal/layering":  {},
	"internal/testmodel": {"gguf", "gguf/synth", "quant", "quant/half"},
}

// Places of the two imports that hold back portability and safety.
var (
	unsafeIn = []string{"platform", "platform/vfs", "quant/kernel", "internal/guardmem"}
	xsysIn   = []string{"platform", "platform/cpu", "platform/vfs"}
)

type pkg struct {
	ImportPath, Dir string
	GoFiles         []string
	Imports         []string
}

func packages(t *testing.T) []pkg {
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "kvasir/...").Output()
	if err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			t.Fatalf("go list: %v\n%s", err, ee.Stderr)
		}
		t.Fatal(err)
	}
	var ps []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	if len(ps) < 10 {
		t.Fatalf("go list names %d packages", len(ps))
	}
	return ps
}

func short(path string) string { return strings.TrimPrefix(path, "kvasir/") }

func TestImportsFollowTheTable(t *testing.T) {
	for _, p := range packages(t) {
		name := short(p.ImportPath)
		may, ok := allowed[name]
		if !ok {
			if may, ok = testOnly[name]; !ok {
				may, ok = tools[name]
			}
			if !ok {
				t.Errorf("package %s is not in the table", name)
				continue
			}
		}
		for _, i := range p.Imports {
			if i == "kvasir" || strings.HasPrefix(i, "kvasir/") {
				if !slices.Contains(may, short(i)) {
					t.Errorf("%s imports %s, allowed are %q", name, short(i), may)
				}
			}
			if i == "unsafe" && !slices.Contains(unsafeIn, name) && !onlyIn(p, "unsafe", "view.go") {
				t.Errorf("%s imports unsafe", name)
			}
			if strings.HasPrefix(i, "golang.org/x/sys") && !slices.Contains(xsysIn, name) {
				t.Errorf("%s imports %s: system calls belong to platform", name, i)
			}
			for _, never := range []string{"C", "os/exec", "plugin", "net/rpc", "encoding/gob"} {
				if i == never {
					t.Errorf("%s imports %s", name, i)
				}
			}
		}
	}
}

// onlyIn reports whether, in kvcache, no file but the one named imports path.
func onlyIn(p pkg, path, file string) bool {
	if short(p.ImportPath) != "kvcache" {
		return false
	}
	for _, f := range p.GoFiles {
		ast, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, f), nil, parser.ImportsOnly)
		if err != nil {
			return false
		}
		for _, i := range ast.Imports {
			if i.Path.Value == `"`+path+`"` && f != file {
				return false
			}
		}
	}
	return true
}

// The environment is read in one place, and library packages do not print or exit. The commands under bench are no libraries.
func TestEnvironmentAndExitHaveOnePlace(t *testing.T) {
	for _, p := range packages(t) {
		name := short(p.ImportPath)
		if strings.HasPrefix(name, "bench/") {
			continue
		}
		for _, f := range p.GoFiles {
			for call, places := range map[string][]string{
				"os.Getenv":   {"internal/config"},
				"os.Exit":     {"kvasir", "internal/cli"},
				"log.Fatal":   {},
				"fmt.Println": {"internal/cli"},
				"fmt.Printf":  {"internal/cli"},
			} {
				if !slices.Contains(places, name) && mentions(t, filepath.Join(p.Dir, f), call) {
					t.Errorf("%s/%s uses %s", name, f, call)
				}
			}
		}
	}
}

// mentions reports whether code (not comments) of the file holds the text.
func mentions(t *testing.T, path, text string) bool {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		code, _, _ := strings.Cut(line, "//")
		if strings.Contains(code, text) {
			return true
		}
	}
	return false
}

func TestReleaseBinaryHasNoCgo(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "kvasir")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(strings.Fields(string(out)), "runtime/cgo") {
		t.Error("runtime/cgo is linked")
	}
}
