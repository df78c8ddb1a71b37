package token

// Model files mark the tokens that end an answer poorly, so these are known by their text, as in llama.cpp.

// eogNames end an answer wherever they are in a vocabulary.
var eogNames = []string{
	"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
	"<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>",
	"<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
	"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]",
	"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>",
}

// controlNames are control tokens even where a model file calls them something else.
var controlNames = []string{
	"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>",
	"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>",
	"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>",
}

// visibleNames are the Harmony format's marks, which a caller must see in the text in order to parse it.
var visibleNames = []string{"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}

type nameRole uint8

const (
	roleEOG nameRole = iota + 1
	roleControl
	roleVisible
)

var nameRoles = func() map[string]nameRole {
	m := map[string]nameRole{}
	for _, n := range eogNames {
		m[n] = roleEOG
	}
	for _, n := range controlNames {
		m[n] = roleControl
	}
	for _, n := range visibleNames {
		m[n] = roleVisible
	}
	return m
}()

// maxNameBytes is the longest key of nameRoles.
var maxNameBytes = func() (n int) {
	for name := range nameRoles {
		n = max(n, len(name))
	}
	return n
}()

// applyNames sets types and eog from the texts of the tokens.
func applyNames(tokens []string, types []uint8, eog map[int32]bool) {
	at := map[string]int32{}
	for id, s := range tokens {
		if len(s) < 5 && s != "</s>" && s != "[e~[" || len(s) > maxNameBytes {
			continue
		}
		switch s[0] {
		case '<', '[', '_', 0xe2: // 0xe2 starts "▁"
		default:
			continue
		}
		role := nameRoles[s]
		if role == 0 {
			continue
		}
		if _, dup := at[s]; dup {
			continue
		}
		at[s] = int32(id)
		switch role {
		case roleEOG:
			eog[int32(id)] = true
			types[id] = TypeControl
		case roleControl:
			types[id] = TypeControl
		case roleVisible:
			types[id] = TypeUserDefined
		}
	}
	has := func(name string) bool { _, ok := at[name]; return ok }
	// Harmony and Solar end a message, not the answer, with <|end|>.
	if id, ok := at["<|end|>"]; ok && (has("<|return|>") && (has("<|call|>") || has("<|calls|>")) ||
		has("<|flush|>") && (has("<|call|>") || has("<|calls|>"))) {
		delete(eog, id)
		types[id] = TypeUserDefined
	}
	// Gemma 4 has </s> as a piece of HTML.
	if id, ok := at["</s>"]; ok && has("<|tool_response>") {
		delete(eog, id)
		types[id] = TypeNormal
	}
}
