package chat

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A conversation's context is text that the model has read already. For the next turn only what comes after it has to be
// computed, if the template lets the past stand. Many do: rendering the conversation with one more message gives the old text
// and a suffix. Some rewrite it: they drop the thinking of earlier turns, trim white space of a message, or put an empty
// thinking block only into the generation prompt. Then the new text leaves the old one at some byte, and the context from there
// on is either computed again (Delta), or kept as the model wrote it and gone on from (AfterAnswer).

// Delta is how a new prompt relates to the text in the context.
type Delta struct {
	Keep   int    // bytes of the old text that the new one begins with, at a character boundary
	Suffix string // the rest of the new text
	ok     bool
}

// OK reports whether all of the old text stands, so that appending Suffix to it gives the new prompt.
func (d Delta) OK() bool { return d.ok }

// Diff compares the text in the context with a new prompt.
func Diff(held, prompt string) Delta {
	n := 0
	for n < len(held) && n < len(prompt) && held[n] == prompt[n] {
		n++
	}
	for n > 0 && n < len(prompt) && !utf8.RuneStart(prompt[n]) {
		n--
	}
	return Delta{Keep: n, Suffix: prompt[n:], ok: n == len(held)}
}

// Delta renders the next prompt and compares it with the text in the context, which is the prompt of the turn before followed
// by the answer as the model wrote it.
func (t *Template) Delta(held string, next *Conversation, opts Options) (Delta, error) {
	prompt, err := t.Prompt(next, opts)
	if err != nil {
		return Delta{}, err
	}
	return Diff(held, prompt), nil
}

// answerMark stands in for an answer; the private-use characters keep it apart from any text.
const answerMark = "\uE0F0answer\uE0F1"

// AfterAnswer gives the text that follows the last assistant message of next: the end of its turn, the messages after it and
// the generation prompt. Appended to a context that ends with that answer, it goes on with the conversation whatever the
// template would have done to the past; where Delta is OK the two give the same text. ok is false when the template does not
// show the answer exactly once, so that the place behind it cannot be told.
func (t *Template) AfterAnswer(next *Conversation, opts Options) (suffix string, ok bool, err error) {
	last := len(next.Messages) - 1
	for last >= 0 && next.Messages[last].Role != "assistant" {
		last--
	}
	if last < 0 {
		return "", false, fmt.Errorf("%w: conversation has no assistant message", ErrInput)
	}
	marked := *next
	marked.Messages = append([]Message{}, next.Messages...)
	marked.Messages[last].Content = answerMark
	prompt, err := t.Prompt(&marked, opts)
	if err != nil {
		return "", false, err
	}
	_, suffix, ok = strings.Cut(prompt, answerMark)
	if !ok || strings.Contains(suffix, answerMark) {
		return "", false, nil
	}
	return suffix, true, nil
}
