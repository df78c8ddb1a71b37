package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// oracle is one real template with what Jinja2 makes of seven conversations.
type oracle struct {
	name     string
	Template string
	Now      string
	Cases    []oracleCase
}

type oracleCase struct {
	Case   string
	Input  json.RawMessage
	Output *string
	Error  string
}

// sharedDir is where the oracles are kept: $KVASIR_SHARED, else ../shared beside the repository.
func sharedDir(t testing.TB) string {
	dir := os.Getenv("KVASIR_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	dir = filepath.Join(dir, "oracle", "chat-templates")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no shared oracles: " + err.Error())
	}
	return dir
}

func loadOracles(t testing.TB) []oracle {
	paths, err := filepath.Glob(filepath.Join(sharedDir(t), "*.json"))
	if err != nil || len(paths) == 0 {
		t.Skip("no shared oracles: folder is empty")
	}
	sort.Strings(paths)
	var all []oracle
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		o := oracle{name: strings.TrimSuffix(filepath.Base(path), ".json")}
		if err := json.Unmarshal(data, &o); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, o)
	}
	return all
}

func (o *oracle) render(t testing.TB, c oracleCase) (string, error) {
	now, err := ParseNow(o.Now)
	if err != nil {
		t.Fatal(err)
	}
	vars, err := VarsFromJSON(c.Input)
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := Compile(o.Template)
	if err != nil {
		return "", err
	}
	return tmpl.Render(vars, Options{Now: now})
}

// Every real template renders as Jinja2 renders it, or fails where Jinja2 fails. The oracle's Jinja2 does not know the generation
// tag, Hugging Face's does: the cases that fail there for this reason alone have their output, as a hash, in
// testdata/generation.json (made by testdata/generation.py).
func TestOracleTemplates(t *testing.T) {
	oracles := loadOracles(t)
	var generation map[string]string
	data, err := os.ReadFile("testdata/generation.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &generation); err != nil {
		t.Fatal(err)
	}
	nCases, nEqual, nGeneration := 0, 0, 0
	for _, o := range oracles {
		for _, c := range o.Cases {
			nCases++
			name := o.name + "/" + c.Case
			got, err := o.render(t, c)
			switch {
			case strings.Contains(c.Error, "unknown tag 'generation'"):
				sum := sha256.Sum256([]byte(got))
				if err != nil || hex.EncodeToString(sum[:]) != generation[name] {
					t.Errorf("%s: %v, or not the output with the generation extension:\n%s", name, err, got)
					continue
				}
				nGeneration++
			case c.Output == nil:
				if err == nil {
					t.Errorf("%s: no error, want %s\n%s", name, c.Error, got)
					continue
				}
				nEqual++
			case err != nil:
				t.Errorf("%s: %v", name, err)
			case got != *c.Output:
				t.Errorf("%s: differs from Jinja2 %s", name, firstDifference(got, *c.Output))
			default:
				nEqual++
			}
		}
	}
	t.Logf("%d templates, %d cases: %d equal to plain Jinja2, %d to Jinja2 with the generation extension", len(oracles), nCases, nEqual, nGeneration)
	if len(oracles) == 44 && (nEqual != 287 || nGeneration != 21) {
		t.Errorf("%d + %d cases equal, want 287 + 21", nEqual, nGeneration)
	}
}

func firstDifference(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	from := max(0, i-60)
	return "\n got: " + quoteLong(got[from:min(len(got), i+60)]) + "\nwant: " + quoteLong(want[from:min(len(want), i+60)])
}

func quoteLong(s string) string { b, _ := json.Marshal(s); return string(b) }
