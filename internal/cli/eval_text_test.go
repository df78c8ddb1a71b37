package cli

import (
	"slices"
	"strings"
	"testing"

	"kvasir/gguf"
	"kvasir/internal/testmodel"
)

func TestTokenize(t *testing.T) {
	text := file(t, "text", "the cat</s>")
	// The vocabulary of package testmodel: 3 special tokens, 256 bytes, a space (259), a to z, th, the (287).
	const space, a = 259, 260
	the, cat := []int32{space, 287, space}, []int32{a + 'c' - 'a', a, a + 't' - 'a'}
	bytesOf := func(s string) (ids []int32) {
		for _, b := range []byte(s) {
			ids = append(ids, int32(3+b))
		}
		return ids
	}
	plain := slices.Concat(the, cat, bytesOf("</"), []int32{a + 's' - 'a'}, bytesOf(">"))
	for _, c := range []struct {
		flags []string
		want  []int32
	}{
		{nil, plain},
		{[]string{"--bos"}, slices.Concat([]int32{1}, plain)},
		{[]string{"--special"}, slices.Concat(the, cat, []int32{2})},
		{[]string{"--special", "--bos", "-m", "demo"}, slices.Concat([]int32{1}, the, cat, []int32{2})},
	} {
		r := kvasir(t, "", append([]string{"eval", "tokenize", "--file", text}, c.flags...)...)
		if got := decode[[]int32](t, r); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.flags, got, c.want)
		}
	}
	if r := kvasir(t, "", "eval", "tokenize", "--file", "-"); r.out != "[]\n" || r.code != 0 {
		t.Errorf("no text: exit code %d, %q", r.code, r.out)
	}
	// A file without a model in it is enough.
	spec := testmodel.Named("llama-text").Spec()
	b, err := (&testmodel.Spec{KV: slices.DeleteFunc(spec.KV, func(e gguf.KV) bool { return e.Key == "general.architecture" })}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	r := kvasir(t, "the cat</s>", "eval", "tokenize", "-m", file(t, "vocab.gguf", string(b)), "--file", "-")
	if got := decode[[]int32](t, r); !slices.Equal(got, plain) {
		t.Errorf("vocabulary only: %v, want %v", got, plain)
	}
	if r := kvasir(t, "x", "eval", "tokenize", "-m", modelFile(t, "llama-gqa"), "--file", "-"); r.code != exitBadData || !strings.Contains(r.err, "no vocabulary") {
		t.Errorf("no vocabulary: exit code %d, %s", r.code, r.err)
	}
}

func TestTemplate(t *testing.T) {
	tmpl := file(t, "t.jinja", "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}")
	const in = `{"messages": [{"role": "user", "content": "<hi> & ü"}], "bos_token": "<s>", "add_generation_prompt": true}`
	if r := kvasir(t, in, "eval", "template", "--template", tmpl, "--input", "-"); r.code != 0 || r.out != "<s><user><hi> & ü\n<bot>" {
		t.Errorf("exit code %d, %q, %s", r.code, r.out, r.err)
	}
	clock := file(t, "t.jinja", `{{ strftime_now("%d %b %Y") }}`)
	if r := kvasir(t, `{"now": "2024-07-26T08:09:10"}`, "eval", "template", "--template", clock, "--input", "-"); r.out != "26 Jul 2024" {
		t.Errorf("exit code %d, %q, %s", r.code, r.out, r.err)
	}
	if r := kvasir(t, `{}`, "eval", "template", "--template", clock, "--input", "-"); r.code != 0 || len(r.out) != len("26 Jul 2024") {
		t.Errorf("exit code %d, %q, %s", r.code, r.out, r.err)
	}
	for _, c := range []struct{ name, template, input, want string }{
		{"syntax", "{% if %}", "{}", "template syntax error"},
		{"empty", "  ", "{}", "empty"},
		{"refused", "{{ raise_exception('roles must alternate') }}", "{}", "roles must alternate"},
		{"endless", "{% for i in range(100000) %}{% for j in range(100000) %}{{ i }}{% endfor %}{% endfor %}", "{}", ""},
		{"no object", "x", "[]", "expected an object"},
		{"no JSON", "x", "{", "invalid template input"},
		{"bad time", "x", `{"now": "yesterday"}`, "yesterday"},
	} {
		path := file(t, "t.jinja", c.template)
		r := kvasir(t, c.input, "eval", "template", "--template", path, "--input", "-")
		if r.code != exitBadData || r.out != "" || !strings.Contains(r.err, c.want) {
			t.Errorf("%s: exit code %d, stdout %.80q, stderr %s", c.name, r.code, r.out, r.err)
		}
	}
}
