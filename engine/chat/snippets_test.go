package chat

import (
	"encoding/json"
	"os"
	"testing"
)

// knownDifferences are the snippets whose output differs from Jinja2's on purpose, with ours.
var knownDifferences = map[string]string{
	"{{ d.b }} {{ d['b'] }} {{ d.items }}":                                              "2 2 <built-in items>", // no address of a Python object
	"{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{{ ns['a'] }}|{{ ns }}": "121|<Namespace {'a': 1, 'b': 2}>",
}

// Small templates render as Jinja2 renders them, or fail where it fails (testdata/snippets.py makes the answers).
func TestSnippets(t *testing.T) { compareGolden(t, "testdata/snippets.json", 200) }

// So do random ones (testdata/random_snippets.py).
func TestRandomSnippets(t *testing.T) { compareGolden(t, "testdata/random_snippets.json", 1500) }

func compareGolden(t *testing.T, path string, atLeast int) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Now      string
		Vars     json.RawMessage
		Snippets []struct {
			Src   string
			Out   *string
			Error string
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	vars, err := VarsFromJSON(golden.Vars)
	if err != nil {
		t.Fatal(err)
	}
	now, err := ParseNow(golden.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range golden.Snippets {
		var got string
		tmpl, err := Compile(s.Src)
		if err == nil {
			got, err = tmpl.Render(vars, Options{Now: now})
		}
		switch want, known := knownDifferences[s.Src]; {
		case known:
			if err != nil || got != want {
				t.Errorf("%q: %q, %v; want %q", s.Src, got, err, want)
			}
		case s.Out == nil:
			if err == nil {
				t.Errorf("%q: %q, want an error (%s)", s.Src, got, s.Error)
			}
		case err != nil:
			t.Errorf("%q: %v, want %q", s.Src, err, *s.Out)
		case got != *s.Out:
			t.Errorf("%q:\n got %q\nwant %q", s.Src, got, *s.Out)
		}
	}
	t.Logf("%d snippets", len(golden.Snippets))
	if len(golden.Snippets) < atLeast {
		t.Errorf("only %d snippets, want %d", len(golden.Snippets), atLeast)
	}
}
