package token

import "unicode/utf8"

// Piece returns the bytes that a token stands for: a read-only view that lives as long as the tokenizer. Control and
// unknown tokens stand for nothing unless special is set, then for their name; so does an id outside the vocabulary.
// Bytes of a character can be spread over several tokens: see Stream.
func (t *Tokenizer) Piece(id int32, special bool) []byte {
	if id < 0 || int(id) >= t.nTokens || !special && t.IsControl(id) {
		return nil
	}
	return t.pieces.at(id)
}

// DecodeOptions say how tokens become text.
type DecodeOptions struct {
	Special bool // write the names of control tokens
	Start   bool // the tokens start a text: the space that encoding put before it is removed
}

// AppendDecode appends the bytes of ids to dst as they are, valid UTF-8 or not.
func (t *Tokenizer) AppendDecode(dst []byte, ids []int32, opts DecodeOptions) []byte {
	strip := opts.Start && t.prefix
	for _, id := range ids {
		p := t.Piece(id, opts.Special)
		if strip && !t.IsControl(id) {
			strip = false
			if len(p) > 0 && p[0] == ' ' {
				p = p[1:]
			}
		}
		dst = append(dst, p...)
	}
	return dst
}

// Stream turns a sequence of tokens into valid UTF-8 while it arrives. It never gives out part of a character: bytes
// that may be the start of one wait for the next token. A byte that cannot be part of one becomes U+FFFD.
// The zero value is not usable, see NewStream. A Stream is for one goroutine.
type Stream struct {
	t     *Tokenizer
	opts  DecodeOptions
	strip bool
	held  [utf8.UTFMax]byte // the start of a character
	nHeld int
}

// NewStream returns a stream that decodes with t.
func (t *Tokenizer) NewStream(opts DecodeOptions) *Stream {
	s := &Stream{t: t, opts: opts}
	s.Reset()
	return s
}

// Reset forgets what the stream holds and starts over.
func (s *Stream) Reset() {
	s.nHeld = 0
	s.strip = s.opts.Start && s.t.prefix
}

// Append appends the text that is complete with id to dst.
func (s *Stream) Append(dst []byte, id int32) []byte {
	p := s.t.Piece(id, s.opts.Special)
	if s.strip && !s.t.IsControl(id) {
		s.strip = false
		if len(p) > 0 && p[0] == ' ' {
			p = p[1:]
		}
	}
	for s.nHeld > 0 && len(p) > 0 { // finish the character that waits, byte by byte
		s.held[s.nHeld] = p[0]
		s.nHeld++
		p = p[1:]
		dst = s.emitHeld(dst, false)
	}
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			if !utf8.FullRune(p) {
				s.nHeld = copy(s.held[:], p)
				return dst
			}
			dst = utf8.AppendRune(dst, utf8.RuneError)
		} else {
			dst = append(dst, p[:n]...)
		}
		p = p[n:]
	}
	return dst
}

// Flush appends U+FFFD for each byte that still waits for the rest of its character, and starts over within the text.
func (s *Stream) Flush(dst []byte) []byte { return s.emitHeld(dst, true) }

// Held returns the number of bytes that wait.
func (s *Stream) Held() int { return s.nHeld }

// emitHeld gives out of held what is decided; with end, all of it.
func (s *Stream) emitHeld(dst []byte, end bool) []byte {
	h := s.held[:s.nHeld]
	for len(h) > 0 && (end || utf8.FullRune(h)) {
		r, n := utf8.DecodeRune(h)
		dst = utf8.AppendRune(dst, r)
		h = h[n:]
	}
	s.nHeld = copy(s.held[:], h)
	return dst
}
