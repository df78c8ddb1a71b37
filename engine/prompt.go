package engine

import (
	"errors"
	"fmt"
	"strings"

	"kvasir/engine/chat"
	"kvasir/engine/token"
)

// ErrTemplate says that the model's chat template cannot express the conversation.
var ErrTemplate = errors.New("chat template")

// prompter turns the turns of a conversation into the text that follows what the context already holds. Text is only
// ever appended: a template that rewrites earlier turns (dropping the reasoning of old answers, say) sees them as they
// were, which keeps the computed past valid.
type prompter struct {
	tok *token.Tokenizer
	tpl *chat.Template // nil: plain continuation
}

// text renders what comes behind the context when the messages msgs are its turns so far (the last one, if any, an
// answer) and next are the new ones, and the model is to answer.
func (p *prompter) text(msgs, next []chat.Message) (string, error) {
	if p.tpl == nil {
		var b strings.Builder
		for _, m := range next {
			b.WriteString(m.Content)
		}
		return b.String(), nil
	}
	if len(msgs) == 0 {
		return p.render(next, true)
	}
	all := append(append([]chat.Message(nil), msgs...), next...)
	if s, ok := p.behind(msgs, all); ok {
		return s, nil
	}
	// The template does not repeat the earlier turns as they were. What it puts between an answer and the next message
	// shows in a conversation that gives it nothing to rewrite.
	const marker = "ok"
	probe := []chat.Message{{Role: "user", Content: "hi"}, {Role: "assistant", Content: marker}}
	if s, ok := p.behind(probe, append(probe[:2:2], next...)); ok {
		return s, nil
	}
	return "", fmt.Errorf("%w: does not continue a conversation of %d turns", ErrTemplate, len(msgs))
}

// behind renders all and returns what stands behind the last answer of msgs.
func (p *prompter) behind(msgs, all []chat.Message) (string, bool) {
	last := len(msgs) - 1
	if last < 0 || msgs[last].Role != "assistant" {
		return "", false
	}
	before, err := p.render(msgs[:last], true)
	if err != nil {
		return "", false
	}
	whole, err := p.render(all, true)
	if err != nil {
		return "", false
	}
	rest, ok := strings.CutPrefix(whole, before)
	if !ok {
		return "", false
	}
	answer := msgs[last].Content
	if s, ok := strings.CutPrefix(rest, answer); ok {
		return s, true
	}
	// Many templates trim the answer, and some generation prompts end in a space that the answer's first token holds.
	return strings.CutPrefix(strings.TrimLeft(rest, " \n"), strings.TrimSpace(answer))
}

func (p *prompter) render(msgs []chat.Message, generate bool) (string, error) {
	s, err := p.tpl.Prompt(&chat.Conversation{Messages: msgs, AddGenerationPrompt: generate,
		BOS: string(p.tok.Piece(p.tok.BOS(), true)), EOS: string(p.tok.Piece(p.tok.EOS(), true))}, chat.Options{})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	return s, nil
}

// encode turns text into ids. first says that the context is empty: the text then gets the BOS token, unless the
// template has written it. quoted are the texts that came from people: control tokens that they spell out stay text.
func (p *prompter) encode(text string, first bool, quoted []string) ([]int32, error) {
	opt := token.Options{AddBOS: first && p.tok.AddsBOS(), ParseSpecial: p.tpl != nil, NoSpacePrefix: !first}
	if opt.AddBOS && p.tpl != nil && strings.HasPrefix(text, string(p.tok.Piece(p.tok.BOS(), true))) {
		opt.AddBOS = false
	}
	var ids []int32
	for _, q := range quoted {
		q = strings.TrimSpace(q)
		at := strings.Index(text, q)
		if q == "" || at < 0 || p.tpl == nil || !p.spellsControl(q) {
			continue
		}
		var err error
		if ids, err = p.tok.AppendEncode(ids, text[:at], opt); err != nil {
			return nil, err
		}
		if ids, err = p.tok.AppendEncode(ids, q, token.Options{NoSpacePrefix: true}); err != nil {
			return nil, err
		}
		text, opt.AddBOS, opt.NoSpacePrefix = text[at+len(q):], false, true
	}
	return p.tok.AppendEncode(ids, text, opt)
}

// spellsControl reports whether parsing special tokens would find a control token in s.
func (p *prompter) spellsControl(s string) bool {
	ids, err := p.tok.Encode(s, token.Options{ParseSpecial: true})
	if err != nil {
		return true
	}
	for _, id := range ids {
		if p.tok.IsControl(id) {
			return true
		}
	}
	return false
}
