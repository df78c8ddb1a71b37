package chat

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const chatML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
	"{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

// dropThink is chatML that shows only what follows </think> of earlier answers.
const dropThink = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content.split('</think>')[-1].lstrip('\\n') }}<|im_end|>\n{% endfor %}" +
	"{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

func mustCompile(t testing.TB, src string) *Template {
	t.Helper()
	tmpl, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// turns gives the conversations of two prompts, the second after the answer to the first.
func turns(answer string, system bool) (first, second *Conversation) {
	first = &Conversation{AddGenerationPrompt: true, BOS: "<s>", EOS: "</s>"}
	if system {
		first.Messages = append(first.Messages, Message{Role: "system", Content: "Be brief."})
	}
	first.Messages = append(first.Messages, Message{Role: "user", Content: "Wie heißt du?"})
	next := *first
	next.Messages = append(append([]Message{}, first.Messages...),
		Message{Role: "assistant", Content: answer}, Message{Role: "user", Content: "And then?"})
	return first, &next
}

func TestDelta(t *testing.T) {
	const suffix = "<|im_end|>\n<|im_start|>user\nAnd then?<|im_end|>\n<|im_start|>assistant\n"
	for _, c := range []struct {
		name, src, answer string
		ok                bool
		keepUpTo          string // the kept text ends with this
	}{
		{"stable", chatML, "Ada ü.", true, "Ada ü."},
		{"thinking kept", chatML, "<think>\nx\n</think>\n\nAda.", true, "Ada."},
		{"thinking dropped", dropThink, "<think>\nx\n</think>\n\nAda.", false, "assistant\n"},
		{"nothing to drop", dropThink, "Ada.", true, "Ada."},
		{"trimmed", strings.Replace(chatML, "m.content", "m.content|trim", 1), "Ada. \n", false, "Ada."},
	} {
		tmpl := mustCompile(t, c.src)
		first, second := turns(c.answer, true)
		prompt, err := tmpl.Prompt(first, Options{})
		if err != nil {
			t.Fatal(err)
		}
		held := prompt + c.answer
		d, err := tmpl.Delta(held, second, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d.OK() != c.ok || !strings.HasSuffix(held[:d.Keep], c.keepUpTo) {
			t.Errorf("%s: ok %v, kept %q", c.name, d.OK(), held[:d.Keep])
		}
		full, _ := tmpl.Prompt(second, Options{})
		if held[:d.Keep]+d.Suffix != full {
			t.Errorf("%s: kept text and suffix are not the prompt", c.name)
		}
		after, ok, err := tmpl.AfterAnswer(second, Options{})
		if err != nil || !ok || after != suffix {
			t.Errorf("%s: after the answer %q, %v, %v", c.name, after, ok, err)
		}
	}
}

func TestDiffKeepsCharactersWhole(t *testing.T) {
	d := Diff("a\u00e9", "a\u00e8b") // the two share their first byte
	if d.Keep != 1 || d.Suffix != "\u00e8b" || d.OK() {
		t.Errorf("%+v", d)
	}
	if d := Diff("", "x"); !d.OK() || d.Suffix != "x" {
		t.Errorf("%+v", d)
	}
	if d := Diff("long", "lo"); d.OK() || d.Keep != 2 || d.Suffix != "" {
		t.Errorf("%+v", d)
	}
}

func TestAfterAnswerWithoutAnswer(t *testing.T) {
	first, _ := turns("x", false)
	if _, _, err := mustCompile(t, chatML).AfterAnswer(first, Options{}); !errors.Is(err, ErrInput) {
		t.Errorf("%v", err)
	}
	_, second := turns("x", false)
	_, ok, err := mustCompile(t, "{{ messages|length }}").AfterAnswer(second, Options{})
	if ok || err != nil {
		t.Errorf("a template that hides the answer: %v, %v", ok, err)
	}
}

// rewriting are the oracle's templates for which the prompt of a second turn does not begin with the first prompt and a plain
// answer, with the reason.
var rewriting = map[string]string{
	"Apriel-1.6-15b-Thinker-fixed":                  thinkDropped,
	"Cohere2MoE":                                    thinkDropped,
	"CohereForAI-c4ai-command-r7b-12-2024-tool_use": thinkDropped,
	"GLM-4.6":                             thinkAdded,
	"Kimi-K2-Thinking":                    thinkAdded,
	"MiniMax-M2":                          thinkDropped,
	"MiniMax-M3":                          thinkAdded,
	"NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": thinkAdded,
	"NVIDIA-Nemotron-Nano-v2":             thinkDropped,
	"Qwen-QwQ-32B":                        thinkDropped,
	"Reka-Edge":                           spaceAdded,
	"StepFun3.5-Flash":                    thinkDropped,
	"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": thinkDropped,
	"google-gemma-4-31B-it-interleaved":        thinkDropped,
	"llama-cpp-deepseek-r1":                    thinkDropped,
	"llama-cpp-rwkv-world":                     spaceAdded,
	"meetkai-functionary-medium-v3.2":          "the model itself writes the recipient, all, in front of its answer",
	"poolside-Laguna-XS.2":                     spaceAdded,
	"upstage-Solar-Open-100B":                  "the model itself writes <|content|> in front of its answer",
}

const (
	thinkDropped = "the generation prompt opens a thinking block that a finished answer does not show"
	thinkAdded   = "a finished answer shows a thinking block that the generation prompt leaves to the model"
	spaceAdded   = "white space stands in front of a finished answer that the generation prompt leaves to the model"
)

// With real templates: a suffix that Delta accepts is the one AfterAnswer gives, and which templates rewrite a plain answer is
// known.
func TestDeltaOfOracleTemplates(t *testing.T) {
	var stable, rewritten, refused []string
	for _, o := range loadOracles(t) {
		tmpl := mustCompile(t, o.Template)
		opts := Options{Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
		first, second := turns("I am an answer.", false)
		prompt, err := tmpl.Prompt(first, opts)
		if err != nil {
			refused = append(refused, o.name)
			continue
		}
		held := prompt + "I am an answer."
		d, err := tmpl.Delta(held, second, opts)
		if err != nil {
			refused = append(refused, o.name)
			continue
		}
		after, ok, err := tmpl.AfterAnswer(second, opts)
		if err != nil || !ok {
			t.Errorf("%s: AfterAnswer: %v, %v", o.name, ok, err)
			continue
		}
		full, _ := tmpl.Prompt(second, opts)
		if !strings.HasSuffix(full, after) {
			t.Errorf("%s: the prompt does not end with %q", o.name, after)
		}
		if d.OK() {
			stable = append(stable, o.name)
			if d.Suffix != after {
				t.Errorf("%s: Delta gives %q, AfterAnswer %q", o.name, d.Suffix, after)
			}
		} else {
			rewritten = append(rewritten, o.name)
			if _, known := rewriting[o.name]; !known {
				t.Errorf("%s: rewrites the past from %q on: %q", o.name, held[d.Keep:], cutRunes(d.Suffix, 60))
			}
		}
	}
	t.Logf("%d templates keep the past, %d rewrite it, %d refuse: %v", len(stable), len(rewritten), len(refused), refused)
	if got := len(rewritten) + len(refused); got != len(rewriting) {
		t.Errorf("%d templates rewrite or refuse, want %d", got, len(rewriting))
	}
}
