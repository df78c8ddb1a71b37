package chat

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Work that grows faster than the template is either avoided or paid with fuel: none of these takes long, whatever comes out.
func TestNoQuadraticWork(t *testing.T) {
	const n = 100_000
	seq := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	big := "{% set a = s * 40 %}{% set b = s * 40 %}{% for i in range(100000) %}"
	vars := NewMap().Set("s", String(strings.Repeat("x", n))).Set("nl", String(strings.Repeat("\n", 4<<20)))
	for _, c := range []struct{ name, src string }{
		{"adjacent strings", "{{ " + strings.Repeat("'a' ", 250_000) + "|length }}"},
		{"dotted filter name", "{{ x|a" + strings.Repeat(".a", 500_000) + " }}"},
		{"unknown filters in arguments of unknown filters", "{{ x" + strings.Repeat("|a(y|b)", n) + " }}"},
		{"macro of many parameters", "{% macro m(" + strings.TrimSuffix(seq("a%d,", n), ",") + ") %}{% endmacro %}{{ m() }}{{ m(**{'a1': 1}) }}"},
		{"loop body of many variables", "{% for i in range(100000) %}" + seq("{%% set a%d = 1 %%}", 40_000) + "{% endfor %}"},
		{"lookups through many scopes", strings.Repeat("{% for i in [1] %}", 100) + "{% for i in range(100000) %}{{ q }}{% endfor %}" + strings.Repeat("{% endfor %}", 100)},
		{"length of a filtered loop", "{% for i in range(100000) if true %}{{ loop.length }}{{ loop.last }}{% endfor %}"},
		{"strip of many characters", "{{ (s * 40).strip(s * 40) }}"},
		{"startswith of long strings", big + "{{ a.startswith(b) }}{% endfor %}"},
		{"comparing long strings", big + "{{ a == b }}{% endfor %}"},
		{"ordering long strings", big + "{{ a < b }}{% endfor %}"},
		{"long keys", big + "{{ {a: 1}[b] }}{% endfor %}"},
		{"long keys in get", big + "{{ {a: 1}.get(b) }}{% endfor %}"},
		{"slices of a long string", big + "{{ a[:1] }}{% endfor %}"},
		{"last character of a long string", big + "{{ a[-1] }}{{ a|last }}{% endfor %}"},
		{"length of a long string", big + "{{ a|length }}{% endfor %}"},
		{"long string as a number", big + "{{ a|int }}{{ a|float }}{% endfor %}"},
		{"search in a long string", big + "{{ 'y' in a }}{{ a.find('y') }}{{ a.count('y') }}{% endfor %}"},
		{"trim of a long string", big + "{{ (nl ~ 'x')|trim }}{% endfor %}"},
		{"split of many lines", "{{ nl.splitlines()|length }}"},
		{"split at every character", "{{ nl.split('\n')|length }}"},
		{"words", "{{ nl.split()|length }}{{ ('a ' * 2000000).split()|length }}"},
		{"long attribute path", "{{ [1]|map(attribute='.' * 4000000)|list }}"},
		{"long sort path", "{{ [1]|sort(attribute=',' * 4000000)|list }}"},
		{"escape that grows", "{{ ('\"' * 4000000)|e|length }}{{ ('\"' * 4000000)|e|e|length }}"},
		{"repr that grows", "{% set ns = namespace(s='\\x01' * 1000000) %}{% for i in range(9) %}{% set ns.s = [ns.s]|string %}{% endfor %}"},
		{"sort of many", "{{ range(100000)|sort(reverse=true)|first }}"},
		{"unmatched opening tags in a raw block", "{% raw %}" + strings.Repeat("{% ", n)},
		{"many comments", strings.Repeat("{# #}\n", n)},
		{"open braces", strings.Repeat("{", 1_000_000)},
		{"many small outputs", strings.Repeat("{{a}}", 200_000)},
	} {
		start := time.Now()
		tmpl, err := Compile(c.src)
		compiled := time.Since(start)
		if err == nil {
			_, err = tmpl.Render(vars, Options{Limits: Limits{Fuel: 300_000}})
		}
		took := time.Since(start)
		if took > 4*time.Second {
			t.Errorf("%s: took %v (compile %v), %v", c.name, took, compiled, err)
		}
		t.Logf("%8.1f ms %s: %v", float64(took.Microseconds())/1000, c.name, err)
	}
}
