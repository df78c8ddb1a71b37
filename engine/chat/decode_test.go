package chat

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// JSON goes through a template and out again unchanged but for white space: order, numbers and text.
func TestJSONRoundTrip(t *testing.T) {
	tmpl := mustCompile(t, "{{ v|tojson }}")
	for in, want := range map[string]string{
		`{"z":1,"a":2,"m":{"y":[],"x":{}}}`:                   `{"z": 1, "a": 2, "m": {"y": [], "x": {}}}`,
		`{"a":1,"b":2,"a":3}`:                                 `{"a": 3, "b": 2}`,
		`[1, 1.0, -0, 1e2, 1E-7, 1.5e300, null, true, false]`: `[1, 1.0, 0, 100.0, 1e-07, 1.5e+300, null, true, false]`,
		`9223372036854775807`:                                 `9223372036854775807`,
		`123456789012345678901234567890`:                      `123456789012345678901234567890`,
		`-123456789012345678901234567890`:                     `-123456789012345678901234567890`,
		`1e999`:                                               `Infinity`,
		`"\u00e9\ud83e\udd99 \ud800 \" \\ \/ \n\u0001"`:       `"é🦙 ` + "\uFFFD" + ` \" \\ / \n\u0001"`,
		"\"\xff\"": "\"\uFFFD\"",
		strings.Repeat("[", 120) + strings.Repeat("]", 120): strings.Repeat("[", 120) + strings.Repeat("]", 120),
	} {
		v, err := ValueFromJSON([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got, err := tmpl.Render(NewMap().Set("v", v), Options{})
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", in, got, err, want)
		}
	}
}

func TestJSONRefused(t *testing.T) {
	for _, in := range []string{
		"", " ", "{", "[1,", `{"a"}`, `{"a":}`, `{1:2}`, "nul", "NaN", "01", "1 2", "[1]x", `"`, `{"a":1,}`,
		strings.Repeat("[", 129) + strings.Repeat("]", 129), strings.Repeat("[", 1_000_000), strings.Repeat(`{"a":`, 1_000_000),
		strings.Repeat("9", 5000),
	} {
		if v, err := ValueFromJSON([]byte(in)); !errors.Is(err, ErrInput) {
			t.Errorf("%s: %v, %v", cutRunes(in, 20), v, err)
		}
	}
	if _, err := VarsFromJSON([]byte(`[1]`)); !errors.Is(err, ErrInput) {
		t.Errorf("variables in an array: %v", err)
	}
	if _, err := ValueFromJSON(make([]byte, MaxInputBytes+1)); !errors.Is(err, ErrInput) {
		t.Errorf("too many bytes: %v", err)
	}
}

func TestNowOfVars(t *testing.T) {
	vars, err := VarsFromJSON([]byte(`{"now": "2024-02-29T13:04:05"}`))
	if err != nil {
		t.Fatal(err)
	}
	now, ok, err := Now(vars)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	const format = "%a %A %b %B %c %C %d %D %e %F %G %g %H %I %j %k %l %m %M %n %p %P %R %r %S %t %T %u %U %V %w %W %x %X %y %Y %z %Z %% " +
		"%-d %-m %-H %_d %^a %Q %-"
	got, err := mustCompile(t, "{{ strftime_now('"+format+"') }}").Render(vars, Options{Now: now})
	// As C's strftime has it; Python's is the same.
	const want = "Thu Thursday Feb February Thu Feb 29 13:04:05 2024 20 29 02/29/24 29 2024-02-29 2024 24 13 01 060 13  1 02 04 \n PM pm " +
		"13:04 01:04:05 PM 05 \t 13:04:05 4 08 09 4 09 02/29/24 13:04:05 24 2024   % 29 2 13 29 THU %Q %-"
	if err != nil || got != want {
		t.Errorf("%q, %v\nwant %q", got, err, want)
	}
	if _, err := mustCompile(t, "{{ strftime_now('%Y') }}").Render(vars, Options{}); !errors.Is(err, ErrRuntime) {
		t.Errorf("no clock: %v", err)
	}
	for in, ok := range map[string]bool{
		`{"now": "2024-02-29"}`: true, `{"now": "2024-02-29 01:02:03.5"}`: true, `{"now": "2024-02-29T01:02:03+02:00"}`: true,
		`{"now": "yesterday"}`: false, `{"now": 5}`: false, `{}`: false,
	} {
		vars, _ := VarsFromJSON([]byte(in))
		if _, got, _ := Now(vars); got != ok {
			t.Errorf("%s: %v", in, got)
		}
	}
}

func TestMapKeepsOrder(t *testing.T) {
	m := NewMap()
	for i := range 40 {
		m.Set(string(rune('A'+i*7%40)), Int(i))
	}
	m.Set("A", String("first")).Set("nil", nil)
	if m.Len() != 41 || m.keys[0] != Value(String("A")) || m.vals[0] != Value(String("first")) || m.keys[40] != Value(String("nil")) {
		t.Errorf("%v", m.keys)
	}
	if v, ok := m.Get("nil"); !ok || v != Value(None{}) {
		t.Errorf("%v %v", v, ok)
	}
	if v, ok := m.Get("absent"); ok || v != nil {
		t.Errorf("%v %v", v, ok)
	}
	for i, k := range m.keys {
		if j := m.find(k); j != i {
			t.Errorf("key %d found at %d", i, j)
		}
	}
}

// Text from outside that is not UTF-8 is replaced and cannot leave a template broken.
func TestInvalidUTF8(t *testing.T) {
	first, _ := turns("", false)
	first.Messages[0].Content = "a\xff\xc3("
	got, err := mustCompile(t, "{{ messages[0].content }}{{ messages[0].content|length }}\xfe").Prompt(first, Options{})
	if err != nil || got != "a\uFFFD(3\uFFFD" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestMessageFields(t *testing.T) {
	args, _ := ValueFromJSON([]byte(`{"z": 1, "a": [true]}`))
	c := &Conversation{
		Messages: []Message{
			{Role: "assistant", ReasoningContent: "r", ToolCalls: []ToolCall{{ID: "c1", Name: "f", Arguments: args}}},
			{Role: "tool", Content: "5", ToolCallID: "c1", Name: "f", Extra: NewMap().Set("x", Int(1)).Set("name", String("g"))},
		},
		Tools: NewList(String("t")), BOS: "<s>", EOS: "</s>", Extra: NewMap().Set("enable_thinking", Bool(false)),
	}
	got, err := mustCompile(t, "{{ messages|tojson }}{{ tools }}{{ bos_token }}{{ eos_token }}{{ enable_thinking }}{{ add_generation_prompt }}").Prompt(c, Options{})
	const want = `[{"role": "assistant", "content": "", "reasoning_content": "r", "tool_calls": [{"id": "c1", "type": "function", "function": ` +
		`{"name": "f", "arguments": {"z": 1, "a": [true]}}}]}, {"role": "tool", "content": "5", "name": "g", "tool_call_id": "c1", "x": 1}]` +
		`['t']<s></s>FalseFalse`
	if err != nil || got != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
	if _, err := (*Template)(nil).Prompt(c, Options{}); !errors.Is(err, ErrNoTemplate) {
		t.Errorf("no template: %v", err)
	}
}

// One template serves many goroutines.
func TestConcurrentRender(t *testing.T) {
	tmpl := mustCompile(t, chatML)
	conversation, _ := turns("", true)
	want, err := tmpl.Prompt(conversation, Options{})
	if err != nil {
		t.Fatal(err)
	}
	vars := conversation.vars()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if got, err := tmpl.Render(vars, Options{Now: time.Unix(0, 0)}); err != nil || got != want {
					t.Errorf("%q, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
