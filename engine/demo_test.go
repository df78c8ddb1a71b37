package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"kvasir/engine/sample"
	"kvasir/quant"
)

// The built-in model remembers: held-out dialogues, every turn answered by the model itself over int8 rows. The share
// that its own evaluation gives for all of them is 0.94 (testdata/demo/live.md); this takes every eighth.
func TestDemoModelAnswersFromWhatWasSaidBefore(t *testing.T) {
	if testing.Short() {
		t.Skip("plays long dialogues; runs without -short")
	}
	model, err := os.ReadFile("../testdata/demo.gguf")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("../testdata/demo/heldout.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := open(t, model, Options{})
	w, err := OpenMemory(context.Background(), m, MemoryOptions{Format: quant.KVInt8})
	if err != nil {
		t.Fatal(err)
	}
	var asked, right int
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for i := 0; lines.Scan(); i++ {
		if i%8 != 0 {
			continue
		}
		var d struct {
			Turns    []string
			Answer   string
			Category string
		}
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		c, err := m.NewConversation(w, ConversationOptions{Sample: sample.Greedy()})
		if err != nil {
			t.Fatal(err)
		}
		var answer string
		for _, turn := range d.Turns {
			answer = ""
			if _, err := c.Say(context.Background(), turn, 64, nil, func(s string) error { answer += s; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		asked++
		if strings.TrimSpace(answer) == strings.TrimSpace(d.Answer) {
			right++
		} else {
			t.Logf("%s: %q, want %q", d.Category, answer, d.Answer)
		}
	}
	if err := errors.Join(lines.Err(), w.Close()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d", right, asked)
	if asked < 30 || right*100 < asked*85 {
		t.Errorf("%d of %d right, want 85 %%", right, asked)
	}
}
