package engine_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"kvasir/engine/chat"
	"kvasir/engine/token"
	"kvasir/kvcache"
	"kvasir/platform/vfs"
	"kvasir/quant"
)

const toolsTemplate = "{% if tools %}<tools>{% for t in tools %}{{ t | tojson }}{% endfor %}</tools>{% endif %}" +
	"{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"

// The prefix of a prompt is what does not depend on the user's message: system message, tools as the template writes them, and what
// introduces the message.
func TestPromptPrefix(t *testing.T) {
	m := templated(t, 1024, toolsTemplate)
	tools, err := chat.ValueFromJSON([]byte(`[{"type":"function","function":{"name":"look_up","parameters":{}}}]`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		system string
		tools  chat.Value
		want   string
	}{
		"system message": {"be brief", nil, "<s><system>be brief<user>"},
		"tools":          {"be brief", tools, `<s><tools>{"type": "function", "function": {"name": "look_up", "parameters": {}}}</tools><system>be brief<user>`},
		"nothing":        {"", nil, "<s><user>"},
	} {
		p, err := m.PromptPrefix(c.system, c.tools)
		if err != nil {
			t.Fatal(err)
		}
		if p.Dated != len(p.IDs) || p.Text != c.want {
			t.Errorf("%s: %q, %d of %d tokens without a date; expected %q", name, p.Text, p.Dated, len(p.IDs), c.want)
		}
	}
	dated, err := templated(t, 1024, "{{ 'the day is ' + strftime_now('%Y-%m-%d') }}"+toolsTemplate).PromptPrefix("be brief", nil)
	if err != nil || dated.Dated >= len(dated.IDs) || dated.Dated < 5 || !strings.HasPrefix(dated.Text, "<s>the day is 2") {
		t.Errorf("a template with a date: %+v, %v", dated, err)
	}
	if _, err := m.PromptPrefix(strings.Repeat("x", 1<<28), nil); err == nil {
		t.Error("a system message of 256 MiB")
	}
	plain := resumeModel(t, "llama-gqa", 1)
	if _, err := plain.PromptPrefix("be brief", nil); err == nil {
		t.Error("a model without a vocabulary")
	}
}

// Whatever the user says first, a home that a baked prefix was added to computes only what follows it, with the same bits behind.
func TestBakedPrefixHasTheSameLogits(t *testing.T) {
	m, ctx := templated(t, 1024, toolsTemplate), context.Background()
	system := strings.Repeat("answer in one word. ", 9)
	p, err := m.PromptPrefix(system, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, home := range []string{"", t.TempDir()} { // rows from memory, and from a store
		var pack bytes.Buffer
		w := openMemory(t, m, home, quant.KVInt8)
		a, err := m.Bake(ctx, w, p, &pack, nil)
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		if a.Tokens != len(p.IDs) || a.Text != p.Text {
			t.Errorf("baked %+v, expected %d tokens", a, len(p.IDs))
		}
		board := t.TempDir()
		store, err := kvcache.Open(vfs.OS(), board, kvcache.Options{})
		if err == nil {
			_, err = store.AddPack(&pack, true)
			err = errors.Join(err, store.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"hello", "2+2?", "ß", "king of the hill"} {
			ids, err := m.Tokenizer.Encode("<system>"+system+"<user>"+text+"<assistant>", token.Options{AddBOS: m.Tokenizer.AddsBOS(), ParseSpecial: true})
			if err != nil || !slices.Equal(ids[:len(p.IDs)], p.IDs) {
				t.Fatalf("%q: %v, %v; expected to begin with %v", text, ids, err, p.IDs)
			}
			want := uninterrupted(t, m, ids, quant.KVInt8)
			w := openMemory(t, m, board, quant.KVInt8)
			c := w.NewContext(m, 0, 0)
			if n := takeUp(t, c, ids, want[len(ids)-1]); n < len(p.IDs) {
				t.Errorf("%q: %d tokens reused of the %d that were baked", text, n, len(p.IDs))
			}
			if err := errors.Join(c.Close(), w.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := openMemory(t, m, "", quant.KVF32)
	if _, err := m.Bake(ctx, w, p, new(bytes.Buffer), nil); !errors.Is(err, kvcache.ErrGeometry) {
		t.Errorf("rows that are not stored: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := m.Bake(cancelled, w, p, new(bytes.Buffer), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
