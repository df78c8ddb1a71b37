package chat

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzTemplate: whatever the template and the input, Compile and Render come back with text or with an error of this package, and
// within the limits.
func FuzzTemplate(f *testing.F) {
	data, err := os.ReadFile("testdata/snippets.json")
	if err != nil {
		f.Fatal(err)
	}
	var golden struct {
		Vars     json.RawMessage
		Snippets []struct{ Src string }
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		f.Fatal(err)
	}
	for _, s := range golden.Snippets {
		f.Add(s.Src, string(golden.Vars))
	}
	f.Add(chatML, `{"messages":[{"role":"user","content":"hi"}],"add_generation_prompt":true}`)
	f.Fuzz(func(t *testing.T, src, input string) {
		vars, err := VarsFromJSON([]byte(input))
		if err != nil {
			vars = NewMap().Set("s", NewString(input))
		}
		tmpl, err := Compile(src)
		if err != nil {
			known(t, err)
			return
		}
		start := time.Now()
		const fuel, outBytes = 100_000, 1 << 20
		out, err := tmpl.Render(vars, Options{Now: time.Unix(0, 0).UTC(), Limits: Limits{Fuel: fuel, OutputBytes: outBytes}})
		if err != nil {
			known(t, err)
		}
		if len(out) > outBytes {
			t.Errorf("%d bytes of output", len(out))
		}
		if err == nil && !utf8.ValidString(out) {
			t.Errorf("output is not UTF-8: %q", out)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func known(t *testing.T, err error) {
	for _, want := range []error{ErrNoTemplate, ErrSyntax, ErrRuntime, ErrLimit, ErrDeadline} {
		if errors.Is(err, want) {
			return
		}
	}
	t.Errorf("error of no known kind: %v", err)
}
