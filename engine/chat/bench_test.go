package chat

import (
	"strings"
	"testing"
	"time"
)

// BenchmarkPrompt renders a conversation of 20 turns with each of some real templates.
func BenchmarkPrompt(b *testing.B) {
	c := &Conversation{AddGenerationPrompt: true, BOS: "<s>", EOS: "</s>"}
	text := strings.Repeat("Some words of a turn, neither short nor long. ", 12)
	for range 20 {
		c.Messages = append(c.Messages, Message{Role: "user", Content: text}, Message{Role: "assistant", Content: text})
	}
	c.Messages = append(c.Messages, Message{Role: "user", Content: "And now?"})
	opts := Options{Now: time.Unix(0, 0)}
	for _, o := range loadOracles(b) {
		switch o.name {
		case "Qwen-Qwen3-0.6B", "meta-llama-Llama-3.1-8B-Instruct", "google-gemma-2-2b-it", "deepseek-ai-DeepSeek-V4", "MiniMax-M3", "mistralai-Mistral-Nemo-Instruct-2407":
		default:
			continue
		}
		b.Run(o.name, func(b *testing.B) {
			tmpl := mustCompile(b, o.Template)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tmpl.Prompt(c, opts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, o := range loadOracles(b) {
		if o.name == "Qwen-Qwen3-0.6B" {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(o.Template); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}
