package cli

import (
	"fmt"
	"strconv"
	"strings"

	"kvasir/engine"
)

// whyTexts are what -v says of the reasons, behind the count of the tokens that were computed.
var whyTexts = map[engine.Why]string{
	engine.WhyLastToken:   "the last token is always computed: its logits are not stored",
	engine.WhyNew:         "they are new: what is stored ends before them",
	engine.WhyDiffers:     "what is stored goes on differently",
	engine.WhyNothing:     "nothing is stored for this model",
	engine.WhyOtherFormat: "they are stored in another KV format (see --kv)",
	engine.WhyNotKept:     "nothing is kept: there is no home directory (set KVASIR_HOME)",
	engine.WhyInMemory:    "the store is in memory",
	engine.WhyEvicted:     "their blocks were evicted to make room for others",
	engine.WhyDamaged:     "a block is damaged (checksum)",
	engine.WhyGone:        "they are not stored any more (evicted, damaged, or never written)",
	engine.WhyWindow:      "rows that the sliding windows need there were given back",
	engine.WhyUnfinished:  "their block is not stored: the process before ended before that, or it made room for others",
}

// explain says on stderr how many tokens were reused, and why no more. what names them: the prompt, the conversation.
func (a *app) explain(what string, tokens, reused, computed int, r *engine.Reuse) {
	if r == nil {
		return
	}
	why := whyTexts[r.Why]
	if r.Detail != "" {
		why += ": " + printable(r.Detail)
	}
	fmt.Fprintf(a.err, "kvasir: %s: %d tokens, %d reused, %d computed: %s\n", what, tokens, reused, computed, why)
	if r.Why == engine.WhyLastToken {
		return
	}
	fmt.Fprintf(a.err, "        from token %d, behind %s\n        here    %s\n", r.Position, visible("…", r.Before, ""), visible("", r.Prompt, "…"))
	if r.Why == engine.WhyDiffers {
		fmt.Fprintf(a.err, "        stored  %s\n", visible("", r.Stored, "…"))
	}
}

// visible quotes a piece of text, with control characters and broken ones escaped. before and after mark where it goes on.
func visible(before, s, after string) string {
	if s == "" {
		return "nothing"
	}
	// A quotation mark in the text stays readable: the quotes around it are only a frame.
	q := strings.ReplaceAll(strconv.Quote(s), `\"`, `"`)
	return q[:1] + before + q[1:len(q)-1] + after + q[len(q)-1:]
}
