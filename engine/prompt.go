package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
	now time.Time      // what templates that print the date are told

	tools chat.Value // that the model may call, as the template takes them; nil: none
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
		s, err := p.tpl.Prompt(p.conversation(next), p.options())
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrTemplate, err)
		}
		return s, nil
	}
	s, ok, err := p.tpl.AfterAnswer(p.conversation(msgs, next), p.options())
	if !ok || err != nil {
		// The template does not show the answer as it is. What it puts between an answer and the next message shows in a
		// conversation that gives it nothing to rewrite.
		plain := []chat.Message{{Role: "user", Content: "hi"}, {Role: "assistant", Content: "hello"}}
		s, ok, err = p.tpl.AfterAnswer(p.conversation(plain, next), p.options())
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	if !ok {
		return "", fmt.Errorf("%w: does not continue a conversation of %d turns", ErrTemplate, len(msgs))
	}
	return s, nil
}

func (p *prompter) conversation(parts ...[]chat.Message) *chat.Conversation {
	return &chat.Conversation{Messages: slices.Concat(parts...), Tools: p.tools, AddGenerationPrompt: true,
		BOS: string(p.tok.Piece(p.tok.BOS(), true)), EOS: string(p.tok.Piece(p.tok.EOS(), true))}
}

// renderTime bounds the evaluation of a template: real ones take below a millisecond.
const renderTime = 2 * time.Second

func (p *prompter) options() chat.Options {
	return chat.Options{Now: p.now, Limits: chat.Limits{Deadline: time.Now().Add(renderTime)}}
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
