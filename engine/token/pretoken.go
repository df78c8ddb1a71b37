package token

import (
	"slices"
	"strings"
)

// A scanner looks at the start of s, which is not empty and is cut from one fragment of the text. It returns the size of
// the piece that starts here and true, or, where no piece starts here, the size of what certainly belongs to no piece
// and false. The size is at least one character. A scanner takes time proportional to the size it returns plus a run
// that the next call consumes, so that a text is split in linear time.
type scanner func(s []byte) (n int, ok bool)

// preTokenizer is the rule by which byte-level BPE cuts a text into words before merging: scanners applied one after
// the other, each to the fragments that the one before it left, both its pieces and what lay between them.
type preTokenizer struct {
	scanners     []scanner
	ignoreMerges bool // a word that is a token as a whole is not merged
	addBOS       bool // where the model file is silent
}

var (
	preLlama3     = preTokenizer{scanners: []scanner{scanLlama3}}
	preLlama3Full = preTokenizer{scanners: []scanner{scanLlama3}, ignoreMerges: true, addBOS: true}
	preQwen2      = preTokenizer{scanners: []scanner{scanQwen2}}
	preQwen35     = preTokenizer{scanners: []scanner{scanQwen35}}
	preGPT2       = preTokenizer{scanners: []scanner{scanGPT2}}
	preStarcoder  = preTokenizer{scanners: []scanner{scanNumber, scanGPT2}}
	preFalcon     = preTokenizer{scanners: []scanner{scanFalconPunct, scanGPT2, scanThreeDigits}}
	preDefault    = preTokenizer{scanners: []scanner{scanDefaultPunct, scanGPT2, scanNumbers, scanThreeDigits}}
	preDeepLLM    = preTokenizer{scanners: []scanner{scanLineBreak, scanDeepLetters, scanDeepPunct, scanFinalSpace, scanDeepCJK, scanNumbers}}
	preDeepCoder  = preTokenizer{scanners: []scanner{scanLineBreak, scanSpaceLetters, scanSpacePunct, scanDeepCJK, scanNumber}}
	preDeep3      = preTokenizer{scanners: []scanner{scanUpTo3Numbers, scanHanKana, scanDeep3}}
	preGPT4o      = preTokenizer{scanners: []scanner{scanGPT4o}}
	preTekken     = preTokenizer{scanners: []scanner{scanTekken}, ignoreMerges: true, addBOS: true}
)

// preTokenizers lists the names that tokenizer.ggml.pre takes.
var preTokenizers = map[string]preTokenizer{
	"default": preDefault,

	"llama-bpe": preLlama3Full, "llama3": preLlama3Full, "llama-v3": preLlama3Full, "falcon3": preLlama3Full,
	"falcon-h1": preLlama3Full, "pixtral": preLlama3Full, "midm-2.0": preLlama3Full, "lfm2": preLlama3Full,
	"dbrx": preLlama3, "smaug-bpe": preLlama3, "glm4": preLlama3, "chatglm-bpe": preLlama3,

	"qwen2": preQwen2, "deepseek-r1-qwen": preQwen2, "megrez": preQwen2, "kormo": preQwen2, "stablelm2": preQwen2,
	"hunyuan": preQwen2, "grok-2": preQwen2, "solar-open": preQwen2,
	"qwen35": preQwen35,

	"gpt-2": preGPT2, "phi-2": preGPT2, "mpt": preGPT2, "olmo": preGPT2, "jais": preGPT2, "gigachat": preGPT2,
	"exaone4": preGPT2, "mellum": preGPT2, "trillion": preGPT2, "granite-docling": preGPT2, "a.x-4.0": preGPT2,

	"starcoder": preStarcoder, "smollm": preStarcoder, "refact": preStarcoder, "command-r": preStarcoder,
	"codeshell": preStarcoder, "exaone": preStarcoder, "minerva-7b": preStarcoder, "mellum2": preStarcoder,

	"falcon":       preFalcon,
	"deepseek-llm": preDeepLLM, "deepseek-coder": preDeepCoder,
	"deepseek-v3": preDeep3, "hunyuan-dense": preDeep3, "joyai-llm": preDeep3,

	"gpt-4o": preGPT4o, "llama4": preGPT4o, "tekken": preTekken,
}

// PreTokenizers returns the names of the known pre-tokenizers, sorted.
func PreTokenizers() []string {
	names := make([]string, 0, len(preTokenizers))
	for name := range preTokenizers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func preName(pre string) string {
	if pre == "" {
		return "default"
	}
	return pre
}

// knownPreTokenizers is PreTokenizers for an error message.
func knownPreTokenizers() string { return strings.Join(PreTokenizers(), ", ") }

// split calls word for each piece that scanners cut frag into, in order; the pieces together are frag.
func split(scanners []scanner, frag []byte, word func([]byte)) {
	if len(scanners) == 0 {
		word(frag)
		return
	}
	scan, rest := scanners[0], scanners[1:]
	between := 0 // start of what no piece covers
	for i := 0; i < len(frag); {
		n, ok := scan(frag[i:])
		if ok {
			if between < i {
				split(rest, frag[between:i], word)
			}
			split(rest, frag[i:i+n], word)
			between = i + n
		}
		i += n
	}
	if between < len(frag) {
		split(rest, frag[between:], word)
	}
}
