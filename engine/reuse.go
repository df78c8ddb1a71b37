package engine

import (
	"kvasir/engine/token"
	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

// Reuse says why a prompt was not taken from the store as far as it might have been. It is made where
// ConversationOptions.Explain is set.
type Reuse struct {
	Why Why `json:"why"`
	// Detail is what the store says of itself where Why is WhyInMemory.
	Detail string `json:"detail,omitempty"`
	// Position is the first one that had to be computed; Before is the text before it.
	Position int    `json:"position"`
	Before   string `json:"before"`
	// Prompt and Stored are what stands there in the prompt, and in the store where Why is WhyDiffers. Texts are as the tokens
	// have them, shortened, with the names of control tokens; they may begin and end within a character.
	Prompt string `json:"prompt"`
	Stored string `json:"stored,omitempty"`
}

// Why is the reason for which the rest of a prompt was computed.
type Why string

// The reasons.
const (
	WhyLastToken   Why = "last token"         // nothing was missing: logits are not stored, the last token is always computed
	WhyNew         Why = "new"                // what is stored ends there
	WhyDiffers     Why = "differs"            // what is stored goes on with another token
	WhyNothing     Why = "nothing stored"     // for this model
	WhyOtherFormat Why = "other format"       // it is stored, in another format of the rows
	WhyNotKept     Why = "not kept"           // there is no home directory
	WhyInMemory    Why = "store in memory"    // the disk cannot be used, Detail says why
	WhyEvicted     Why = "evicted"            // its blocks made room for others
	WhyDamaged     Why = "damaged"            // a block failed its checksum
	WhyGone        Why = "gone"               // a block is missing: evicted, or damaged
	WhyWindow      Why = "window given back"  // the path is stored, but not the rows that sliding-window layers need there
	WhyUnfinished  Why = "block not finished" // at most 64 tokens of a session: its process was killed, or the block was evicted since
)

// Texts around the first difference have at most so many tokens, and bytes.
const (
	reuseTokens = 16
	reuseBytes  = 64
)

// explain says why no more than the first reused tokens of c.ids were there. Call it between Match and Extend, which puts the
// rest into the store. held says that the context had them already, and the store was not asked; known that all of c.ids had been
// computed before.
func (c *Conversation) explain(reused int, held, known bool) *Reuse {
	w, tok := c.explains, c.m.Tokenizer
	r := &Reuse{Position: reused, Before: excerpt(tok, c.ids[:reused], true), Prompt: excerpt(tok, c.ids[reused:], false)}
	if reused >= len(c.ids)-1 || held {
		if r.Why = WhyNew; reused >= len(c.ids)-1 {
			r.Why = WhyLastToken
		}
		return r
	}
	d := c.ctx.seq.Divergence(c.ids, reuseTokens)
	status := kvcache.Status{}
	if w.store != nil {
		status = w.store.Status()
	}
	switch {
	case d.Lost == kvcache.Damaged:
		r.Why = WhyDamaged
	case d.Lost == kvcache.Evicted:
		r.Why = WhyEvicted
	case d.Lost == kvcache.Gone:
		r.Why = WhyGone
	case d.Lost == kvcache.GivenBack:
		r.Why = WhyWindow
	case w.store == nil && d.Empty:
		r.Why = WhyNotKept
	case status.Mode == kvcache.InMemory && (d.Empty || known):
		r.Why, r.Detail = WhyInMemory, status.Reason.Error()
	case d.Empty || known:
		// An error of the disk tells nothing here: the reason is then the next likely one.
		elsewhere, _ := kvcache.StoredTokens(vfs.OS(), w.home, w.fp, c.ids)
		switch {
		case elsewhere > reused:
			r.Why = WhyOtherFormat
		case known && len(c.ids)-reused <= kvcache.BlockTokens:
			r.Why = WhyUnfinished
		case known:
			r.Why = WhyGone
		default:
			r.Why = WhyNothing
		}
	case len(d.Stored) > 0:
		r.Why, r.Stored = WhyDiffers, excerpt(tok, d.Stored, false)
	default:
		r.Why = WhyNew
	}
	return r
}

// excerpt returns the text of the first of ids, or the last with tail, shortened.
func excerpt(tok *token.Tokenizer, ids []int32, tail bool) string {
	if tail {
		s := tok.AppendDecode(nil, ids[max(0, len(ids)-reuseTokens):], token.DecodeOptions{Special: true})
		return string(s[max(0, len(s)-reuseBytes):])
	}
	s := tok.AppendDecode(nil, ids[:min(len(ids), reuseTokens)], token.DecodeOptions{Special: true})
	return string(s[:min(len(s), reuseBytes)])
}
