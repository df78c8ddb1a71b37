//go:build !failpoints

package failpoint

// Here is a place to die.
func Here(name string) {}

// Torn is a place to die in the middle of writing p: with half of it written.
func Torn(name string, p []byte, write func([]byte)) {}

// Logits notes the logits behind a number of tokens.
func Logits(nTokens int, logits []float32) {}
