package engine

import (
	"errors"

	"kvasir/engine/sample"
	"kvasir/kvcache"
)

// ErrNothingToUndo says that a conversation has no message of the user's.
var ErrNothingToUndo = errors.New("nothing to undo")

// Undo forgets the last message of the user's and what came after it, durably, and returns what was forgotten. The random
// numbers go on: the same message again need not have the same answer.
func (c *Conversation) Undo() ([]Turn, error) {
	n := len(c.turns) - 1
	for n >= 0 && c.turns[n].Role != "user" {
		n--
	}
	if n < 0 {
		return nil, ErrNothingToUndo
	}
	return c.rewind(n)
}

// rewind forgets all turns but the first n.
func (c *Conversation) rewind(n int) ([]Turn, error) {
	tokens, stored := 0, 0
	for _, t := range c.turns[:n] {
		tokens, stored = tokens+t.Tokens, t.Stored
	}
	sampler, err := sample.New(c.params, c.m.Config.NVocab)
	if err != nil {
		return nil, err
	}
	// The rows first: a context that holds less than the conversation catches up.
	if c.ctx.Len() > tokens {
		if err := c.ctx.Truncate(tokens); err != nil && !errors.Is(err, kvcache.ErrLost) {
			return nil, err
		}
	}
	if c.journal != nil {
		if err := c.journal.Rewind(stored); err != nil {
			return nil, err
		}
	}
	gone := append([]Turn(nil), c.turns[n:]...)
	sampler.Restore(c.sampler.State())
	c.turns, c.ids, c.sampler, c.saved = c.turns[:n], c.ids[:tokens], sampler, nil
	c.settle()
	return gone, nil
}

// settle makes sampler and stream stand behind the last turn.
func (c *Conversation) settle() {
	for _, id := range c.ids {
		c.sampler.Accept(id)
	}
	if n := len(c.turns); n > 0 && c.turns[n-1].CutOff {
		c.rewindStream(&c.turns[n-1])
		c.saved = c.turns[n-1].sampler
	}
}
