package chat

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// A hostile template ends in the error it deserves, within its limits and quickly.
func TestHostileTemplates(t *testing.T) {
	deep := func(open, x, end string, n int) string { return strings.Repeat(open, n) + x + strings.Repeat(end, n) }
	messages := NewList(NewMap().Set("role", String("user")).Set("content", String("hi")))
	vars := NewMap().Set("messages", messages).Set("s", String(strings.Repeat("x", 100_000))).Set("n", Int(math.MaxInt64))
	doubling := "{% set ns = namespace(s='xxxxxxxx', l=[1]) %}{% for i in range(100) %}"
	for _, c := range []struct {
		name, src string
		want      error
	}{
		{"6,000 parentheses", "{{ " + deep("(", "1", ")", 6000) + " }}", ErrLimit},
		{"6,000 brackets", "{{ " + deep("[", "1", "]", 6000) + " }}", ErrLimit},
		{"6,000 braces", "{{ " + deep("{1:", "1", "}", 6000) + " }}", ErrLimit},
		{"6,000 open parentheses", "{{ " + strings.Repeat("(", 6000), ErrLimit},
		{"6,000 indexings inside each other", "{{ " + deep("x[", "0", "]", 6000) + " }}", ErrLimit},
		{"6,000 calls inside each other", "{{ " + deep("x(", "0", ")", 6000) + " }}", ErrLimit},
		{"100,000 nots", "{{ " + strings.Repeat("not ", 100_000) + "x }}", ErrLimit},
		{"100,000 minuses", "{{ " + strings.Repeat("- ", 100_000) + "1 }}", ErrLimit},
		{"100,000 inline ifs", "{{ " + strings.Repeat("1 if 0 else ", 80_000) + "1 }}", ErrLimit},
		{"100,000 sums", "{{ " + strings.Repeat("1+", 100_000) + "1 }}", ErrLimit},
		{"100,000 filters", "{{ 1" + strings.Repeat("|abs", 100_000) + " }}", ErrLimit},
		{"100,000 attributes", "{{ messages" + strings.Repeat(".x", 100_000) + " }}", ErrLimit},
		{"100,000 powers", "{{ 1" + strings.Repeat("**1", 100_000) + " }}", ErrLimit},
		{"10,000 ifs", deep("{% if true %}", "", "{% endif %}", 10_000), ErrLimit},
		{"10,000 fors", deep("{% for x in messages %}", "", "{% endfor %}", 10_000), ErrLimit},
		{"nested targets", "{% for " + deep("(", "a", ")", 6000) + " in [] %}{% endfor %}", ErrLimit},
		{"recursive macro", "{% macro x() %}{{ x() }}{% endmacro %}{{ x() }}", ErrLimit},
		{"macros that call each other", "{% macro x() %}{{ y() }}{% endmacro %}{% macro y() %}{{ x() }}{% endmacro %}{{ x() }}", ErrLimit},
		{"recursion through a call block", "{% macro x() %}{% call x() %}{{ caller }}{% endcall %}{% endmacro %}{% call x() %}{% endcall %}", ErrLimit},
		{"recursion through a caller", "{% macro x() %}{{ caller() }}{% call x() %}a{% endcall %}{% endmacro %}{% call x() %}b{% endcall %}", ErrLimit},
		{"recursion through a default", "{% macro x(a=x()) %}{{ a }}{% endmacro %}{{ x() }}", ErrLimit},
		{"recursive loop", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", ErrLimit},
		{"branching recursion", "{% macro x(n) %}{% if n %}{{ x(n-1) }}{{ x(n-1) }}{% endif %}{% endmacro %}{{ x(30) }}", ErrLimit},
		{"range of 1e9", "{% for i in range(1000000000) %}{% endfor %}", ErrLimit},
		{"range of all integers", "{{ range(-n, n) }}", ErrLimit},
		{"range inside range", "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", ErrLimit},
		{"in over a range in a loop", "{% for i in range(100000) %}{% if 'x' in range(100000)|list %}{% endif %}{% endfor %}", ErrLimit},
		{"repeat 1e9", "{{ 'a' * 1000000000 }}", ErrLimit},
		{"repeat 1e18", "{{ 'abc' * 1000000000000000000 }}", ErrLimit},
		{"list repeat", "{{ [1] * 1000000000 }}", ErrLimit},
		{"list repeat past int", "{{ [1, 2, 3] * n }}", ErrLimit},
		{"repeated doubling by ~", doubling + "{% set ns.s = ns.s ~ ns.s %}{% endfor %}", ErrLimit},
		{"repeated doubling by +", doubling + "{% set ns.s = ns.s + ns.s %}{% endfor %}", ErrLimit},
		{"repeated doubling of a list", doubling + "{% set ns.l = ns.l + ns.l %}{% endfor %}", ErrLimit},
		{"repeated doubling by replace", doubling + "{% set ns.s = ns.s|replace('x', 'xx') %}{% endfor %}", ErrLimit},
		{"repeated doubling by join", doubling + "{% set ns.s = [ns.s, ns.s]|join %}{% endfor %}", ErrLimit},
		{"repeated doubling by str.join", doubling + "{% set ns.s = ns.s.join(['a', 'b', ns.s]) %}{% endfor %}", ErrLimit},
		{"repeated doubling by format", doubling + "{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}", ErrLimit},
		{"repeated doubling by str.format", doubling + "{% set ns.s = '{0}{0}'.format(ns.s) %}{% endfor %}", ErrLimit},
		{"repeated doubling by tojson", doubling + "{% set ns.s = [ns.s, ns.s]|tojson %}{% endfor %}", ErrLimit},
		{"repeated doubling by string", doubling + "{% set ns.s = [ns.s, ns.s]|string %}{% endfor %}", ErrLimit},
		{"repeated doubling by escape", doubling + "{% set ns.s = '<' ~ ns.s|escape ~ ns.s %}{% endfor %}", ErrLimit},
		{"repeated doubling by set block", doubling + "{% set b %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = b %}{% endfor %}", ErrLimit},
		{"repeated doubling by macro", "{% macro m(a) %}{{ a }}{{ a }}{% endmacro %}" + doubling + "{% set ns.s = m(ns.s) %}{% endfor %}", ErrLimit},
		{"many copies kept", "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = ns.l + [s ~ i] %}{% endfor %}", ErrLimit},
		{"output", "{% for i in range(100000) %}{{ s }}{% endfor %}", ErrLimit},
		{"join with a long separator", "{{ range(100000)|join('x' * 100000) }}", ErrLimit},
		{"replace growth", "{{ s|replace('x', 'y' * 100000) }}", ErrLimit},
		{"replace of nothing", "{{ s.replace('', 'y' * 100000) }}", ErrLimit},
		{"indent 1e9", "{{ 'a\nb'|indent(1000000000) }}", ErrLimit},
		{"indent of many lines", "{{ ('\n' * 100000)|indent(100000, true, true) }}", ErrLimit},
		{"center 1e12", "{{ 'a'|center(1000000000000) }}", ErrLimit},
		{"ljust", "{{ 'a'.ljust(1000000000000) }}", ErrLimit},
		{"zfill", "{{ 'a'.zfill(1000000000000) }}", ErrLimit},
		{"printf width", "{{ '%1000000000d' % 1 }}", ErrLimit},
		{"printf star width", "{{ '%*d' % (1000000000, 1) }}", ErrLimit},
		{"printf precision", "{{ '%.1000000000f' % 1.0 }}", ErrLimit},
		{"format width", "{{ '{:1000000000}'.format(1) }}", ErrLimit},
		{"format precision", "{{ '{:.100000f}'.format(1.0) }}", ErrLimit},
		{"tojson indent", "{{ [[[1]]]|tojson(indent=1000000000) }}", ErrLimit},
		{"tojson deep indent", "{{ [[[[[[[[1]]]]]]]]|tojson(indent=4000000) }}", ErrLimit},
		{"batch fill", "{{ [1]|batch(2000000000, 'x')|list }}", ErrLimit},
		{"slice count", "{{ [1]|slice(2000000000)|list }}", ErrLimit},
		{"2**100000", "{{ 2 ** 100000 }}", ErrRuntime},
		{"integer overflow", "{{ n + 1 }}", ErrRuntime},
		{"division by zero", "{{ 1 // 0 }}", ErrRuntime},
		{"smallest integer by -1", "{{ (-n - 1) // -1 }}", ErrRuntime},
		{"smallest integer times -1", "{{ (-n - 1) * -1 }}", ErrRuntime},
		{"minus the smallest integer", "{{ -(-n - 1) }}", ErrRuntime},
		{"deep value printed", "{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}", ErrLimit},
		{"deep value as JSON", "{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|tojson }}", ErrLimit},
		{"deep values compared", "{% set ns = namespace(l=[], m=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% endfor %}{{ ns.l == ns.m }}", ErrLimit},
		{"namespace in itself", "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", ErrLimit},
		{"namespace in itself as JSON", "{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns.x|tojson }}", ErrRuntime},
		{"list that would change while it is read", "{% set l = [1] %}{% for x in l %}{% set _ = l.append(x) %}{% endfor %}", ErrRuntime},
		{"strftime format", "{{ strftime_now('%c' * 500000) }}", ErrLimit},
		{"class of a tuple", "{{ ().__class__.__base__ }}", ErrRuntime},
		{"globals of a function", "{{ range.__globals__.x }}", ErrRuntime},
		{"globals of lipsum", "{{ lipsum.__globals__ }}", ErrRuntime},
		{"cycler", "{{ cycler.__init__.__globals__ }}", ErrRuntime},
		{"self", "{{ self._TemplateReference__context }}", ErrRuntime},
		{"request", "{{ request.application }}", ErrRuntime},
		{"config", "{{ config.items() }}", ErrRuntime},
		{"format attribute", "{{ '{0.__class__.__mro__}'.format(messages) }}", ErrRuntime},
		{"include", "{% include '/etc/passwd' %}", ErrSyntax},
		{"import", "{% import '/etc/passwd' as x %}", ErrSyntax},
		{"from", "{% from '/etc/passwd' import x %}", ErrSyntax},
		{"extends", "{% extends '/etc/passwd' %}", ErrSyntax},
		{"unterminated tag", "{% if ", ErrSyntax},
		{"unterminated string", "{{ 'a }}", ErrSyntax},
		{"unterminated comment", "{# a", ErrSyntax},
		{"unterminated block", "{% if true %}", ErrSyntax},
		{"unknown filter", "{{ 1|nope }}", ErrSyntax},
		{"unknown tag", "{% nope %}", ErrSyntax},
		{"wrong end tag", "{% if 1 %}{% endfor %}", ErrSyntax},
		{"invalid escape", `{{ "\U99999999" }}`, ErrSyntax},
		{"empty", "", ErrNoTemplate},
		{"blank", " \n", ErrNoTemplate},
		{"1 MiB and one byte", strings.Repeat("x", MaxSourceBytes+1), ErrLimit},
	} {
		start := time.Now()
		tmpl, err := Compile(c.src)
		if err == nil {
			var out string
			out, err = tmpl.Render(vars, Options{Now: time.Unix(0, 0)})
			if err == nil {
				t.Errorf("%s: rendered %q", c.name, cutRunes(out, 100))
			}
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("%s: error of %d bytes", c.name, len(err.Error()))
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s: took %v", c.name, took)
		}
	}
}

// What a template may do within the limits still works near them.
func TestWithinLimits(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"50 parentheses", "{{ " + strings.Repeat("(", 50) + "1" + strings.Repeat(")", 50) + " }}", "1"},
		{"1,000 sums", "{{ " + strings.Repeat("1+", 1000) + "1 }}", "1001"},
		{"10,000 ors", "{{ " + strings.Repeat("0 or ", 10_000) + "1 }}", "1"},
		{"10,000 elifs", "{% if 0 %}" + strings.Repeat("{% elif 0 %}", 10_000) + "{% else %}x{% endif %}", "x"},
		{"100 nested ifs", strings.Repeat("{% if 1 %}", 100) + "x" + strings.Repeat("{% endif %}", 100), "x"},
		{"macros 32 deep", "{% macro m(n) %}{% if n %}{{ m(n-1) }}{% else %}x{% endif %}{% endmacro %}{{ m(31) }}", "x"},
		{"range of 100,000", "{% for i in range(100000) %}{% if loop.last %}{{ i }}{% endif %}{% endfor %}", "99999"},
		{"repeat to 4 MiB", "{{ ('x' * 4194304)|length }}", "4194304"},
		{"long escape run", "{{ '" + strings.Repeat(`\\`, 1000) + "'|length }}", "1000"},
	} {
		got, err := mustCompile(t, c.src).Render(nil, Options{})
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, cutRunes(got, 100), err, c.want)
		}
	}
}

func TestFuelIsCounted(t *testing.T) {
	tmpl := mustCompile(t, "{% for i in range(1000) %}{{ i }}{% endfor %}")
	if _, err := tmpl.Render(nil, Options{Limits: Limits{Fuel: 1000}}); !errors.Is(err, ErrLimit) {
		t.Errorf("1,000 steps: %v", err)
	}
	if _, err := tmpl.Render(nil, Options{Limits: Limits{Fuel: 10_000}}); err != nil {
		t.Errorf("10,000 steps: %v", err)
	}
	if _, err := tmpl.Render(nil, Options{Limits: Limits{OutputBytes: 100}}); !errors.Is(err, ErrLimit) {
		t.Errorf("100 bytes of output: %v", err)
	}
}

func TestDeadline(t *testing.T) {
	tmpl := mustCompile(t, "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}")
	start := time.Now()
	_, err := tmpl.Render(nil, Options{Limits: Limits{Fuel: math.MaxInt32, Deadline: start.Add(30 * time.Millisecond)}})
	if !errors.Is(err, ErrDeadline) {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("stopped after %v", took)
	}
	if _, err := mustCompile(t, "x").Render(nil, Options{Limits: Limits{Deadline: start}}); !errors.Is(err, ErrDeadline) {
		t.Errorf("a deadline that has passed: %v", err)
	}
}

func TestRaisedException(t *testing.T) {
	_, err := mustCompile(t, "\n{{ raise_exception('roles must alternate') }}").Render(nil, Options{})
	var raised *RaisedError
	if !errors.As(err, &raised) || raised.Message != "roles must alternate" || !errors.Is(err, ErrRuntime) {
		t.Errorf("%v", err)
	}
	var at *Error
	if !errors.As(err, &at) || at.Line != 2 {
		t.Errorf("line of %v", err)
	}
	_, err = mustCompile(t, "{{ raise_exception('x' * 1000000) }}").Render(nil, Options{})
	if !errors.As(err, &raised) || len(raised.Message) != maxRaisedBytes || len(err.Error()) > 300 {
		t.Errorf("long message: %d bytes, error %d bytes", len(raised.Message), len(err.Error()))
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	for src, line := range map[string]int{
		"a\nb\n{{ x.y }}":                        3,
		"{% if 1 %}\n{% for %}\n{% endif %}":     2,
		"\n\n{{ 1|nope }}":                       3,
		"{{ 1 }}\n{% set a = 1 %}\n{{ a + '' }}": 3,
		"{#\n\n#}\n{{ 'a }}":                     4,
	} {
		tmpl, err := Compile(src)
		if err == nil {
			_, err = tmpl.Render(nil, Options{})
		}
		var at *Error
		if !errors.As(err, &at) || at.Line != line {
			t.Errorf("%q: %v, want line %d", src, err, line)
		}
	}
}
