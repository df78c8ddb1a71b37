package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"kvasir/engine/chat"
	"kvasir/engine/token"
	"kvasir/kvcache"
)

// Prefix is what a model reads before the user's first message, whatever that is.
type Prefix struct {
	IDs  []int32
	Text string
	// Dated is how many of the tokens stand before the first one that depends on the day; len(IDs) if none does.
	Dated int
}

// openings are user messages that have nothing in common: what prompts with all of them begin with does not depend on the message.
var openings = []string{"Hello", "what is this?", "1 + 1", "Привет", "你好", "(a)"}

// PromptPrefix returns what the prompts of all conversations with this system message and these tools begin with; tools is a list in
// the form of the OpenAI API, or nil. The error wraps ErrTemplate or token.ErrTextTooLong.
func (m *Model) PromptPrefix(system string, tools chat.Value) (Prefix, error) {
	if m.Tokenizer == nil {
		return Prefix{}, fmt.Errorf("model %q: %w", m.Name(), m.TokenizerErr)
	}
	if m.Template == nil {
		return Prefix{}, fmt.Errorf("model %q: %w: %w", m.Name(), ErrTemplate, m.TemplateErr)
	}
	now := time.Now()
	p := prompter{tok: m.Tokenizer, tpl: m.Template, tools: tools, now: now}
	ids, err := p.shared(system, nil)
	if err != nil {
		return Prefix{}, err
	}
	p.now = now.AddDate(1, 1, 1) // another year, month and day
	later, err := p.shared(system, ids)
	if err != nil {
		return Prefix{}, err
	}
	text := m.Tokenizer.AppendDecode(nil, ids, token.DecodeOptions{Special: true, Start: true})
	return Prefix{IDs: ids, Text: string(text), Dated: len(later)}, nil
}

// shared returns the ids that first prompts with this system message begin with, whatever the user says; if with is not nil, only as
// far as they are also those.
func (p *prompter) shared(system string, with []int32) ([]int32, error) {
	for _, text := range openings {
		next := []chat.Message{{Role: "user", Content: text}}
		if system != "" {
			next = []chat.Message{{Role: "system", Content: system}, next[0]}
		}
		rendered, err := p.text(nil, next)
		if err != nil {
			return nil, err
		}
		ids, err := p.encode(rendered, true, []string{system, text})
		if err != nil {
			return nil, err
		}
		if with == nil {
			with = ids
		}
		n := 0
		for n < min(len(ids), len(with)) && ids[n] == with[n] {
			n++
		}
		with = with[:n:n]
	}
	return with, nil
}

// Bake computes a prefix, as far as w does not hold it, and writes its rows to out as a prefix pack: a home that it is added to
// (kvcache.Store.AddPack) reads such a prompt without computing the prefix.
func (m *Model) Bake(ctx context.Context, w *Memory, p Prefix, out io.Writer, progress Progress) (_ *kvcache.Archive, err error) {
	fp, inputs := w.fp, w.inputs
	if inputs == nil {
		digest, err := m.Digest(ctx, "", nil)
		if err != nil {
			return nil, err
		}
		fp, inputs = m.Fingerprint(digest)
	}
	c := w.NewContext(m, max(len(p.IDs), 1), 0)
	defer func() { err = errors.Join(err, c.Close()) }()
	reused, err := c.seq.Match(p.IDs) // with the last one: no logits are asked for
	if err != nil {
		return nil, err
	}
	todo := p.IDs[reused:]
	if err := c.Extend(ctx, todo, func(done int) {
		if progress != nil {
			progress(done, len(todo))
		}
	}); err != nil {
		return nil, err
	}
	return c.seq.WritePack(out, fp, inputs, p.Text)
}
