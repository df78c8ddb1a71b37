package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"kvasir/engine/chat"
	"kvasir/engine/sample"
	"kvasir/engine/token"
	"kvasir/internal/failpoint"
	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

var (
	// ErrOtherModel says that a session was held with another model.
	ErrOtherModel = errors.New("session belongs to another model")
	// ErrInUse says that another process has the session open.
	ErrInUse = errors.New("in use by another process")
	// ErrNothingToContinue says that the last turn of a session is no answer that was cut off.
	ErrNothingToContinue = errors.New("nothing to continue")
)

// Why an answer ended, as the journal records it.
const (
	FinishStop        = "stop"        // the model ended it
	FinishLength      = "length"      // the limit of tokens
	FinishContext     = "context"     // the context is full
	FinishInterrupted = "interrupted" // the caller
)

// ConversationOptions say how answers are made.
type ConversationOptions struct {
	Size   int  // positions of the context, 0: what the model was trained for
	Batch  int  // tokens of one pass, 0: MaxBatch
	Raw    bool // continue the text as it is, without the chat template
	System string
	Sample sample.Params

	Explain bool // say why a prompt was computed and not reused: Answer.Reuse, Resumed.Reuse
}

// Conversation is a dialogue with a model. With a session name every turn is in a journal before it is acknowledged,
// and every token before the caller sees it. A Conversation is used by one goroutine at a time.
type Conversation struct {
	m       *Model
	ctx     *Context
	journal *kvcache.Journal // nil: not kept
	prompt  prompter
	sampler *sample.Sampler
	stream  *token.Stream
	params  sample.Params
	system  string

	pin string // label of the pin of its rows, if it has one

	explains *Memory // nil: reuse is not explained

	turns  []Turn
	ids    []int32 // of all turns: what the context holds, or is to hold
	branch int     // position from which other conversations may go on; 0: none, or the store knows
	saved  []byte  // sampler state of an answer that another process left unfinished
	state  []byte
	text   []byte
}

// Turn is one message of a conversation.
type Turn struct {
	Role, Text string
	Tokens     int
	CutOff     bool // an answer that did not come to its end
	Stored     int  // turns of the journal up to and with this one: what Journal.Rewind takes

	sampler []byte // of an answer: state of the sampler behind it
}

// Progress reports the prefill of a prompt. It may be nil.
type Progress func(done, total int)

// Resumed says what taking a conversation up again took.
type Resumed struct {
	Turns    int
	Tokens   int // of the conversation
	Reused   int // of these, found in the KV store
	Computed int // of these, computed again
	Took     time.Duration
	Reuse    *Reuse // nil unless asked for
}

// Answer says how an answer came about.
type Answer struct {
	PromptTokens, ReusedTokens, ComputedTokens, GeneratedTokens int

	Prefill, Generate time.Duration // Generate from the first token on
	FirstToken        time.Time     // when it was handed out; zero if there was none
	Finish            string
	Reuse             *Reuse // nil unless asked for
}

// NewConversation starts a conversation that is not kept.
func (m *Model) NewConversation(w *Memory, opt ConversationOptions) (*Conversation, error) {
	return m.newConversation(w, opt)
}

// OpenSession starts or takes up the session of that name. What the store does not hold of an earlier conversation is
// computed before it returns: after a crash at most the tokens of one unfinished block.
func (m *Model) OpenSession(ctx context.Context, w *Memory, name string, opt ConversationOptions, progress Progress) (*Conversation, Resumed, error) {
	if w.Sessions == nil {
		return nil, Resumed{}, errors.New("no home directory: sessions cannot be kept (set KVASIR_HOME)")
	}
	c, err := m.newConversation(w, opt)
	if err != nil {
		return nil, Resumed{}, err
	}
	r, err := c.openJournal(ctx, w, name, progress)
	if err != nil {
		return nil, r, errors.Join(inSession(name, err), c.Close())
	}
	c.pin = kvcache.SessionPin(name)
	return c, r, nil
}

// inSession names the session in an error, unless the store has done so already.
func inSession(name string, err error) error {
	if errors.Is(err, vfs.ErrLocked) {
		err = ErrInUse
	}
	if errors.Is(err, kvcache.ErrName) || strings.HasPrefix(err.Error(), fmt.Sprintf("session %q: ", name)) {
		return err
	}
	return fmt.Errorf("session %q: %w", name, err)
}

func (m *Model) newConversation(w *Memory, opt ConversationOptions) (*Conversation, error) {
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("model %q: %w", m.Name(), m.TokenizerErr)
	}
	sampler, err := sample.New(opt.Sample, m.Config.NVocab)
	if err != nil {
		return nil, err
	}
	c := &Conversation{m: m, system: opt.System, prompt: prompter{tok: m.Tokenizer, now: time.Now()}, sampler: sampler, params: opt.Sample,
		stream: m.Tokenizer.NewStream(token.DecodeOptions{})}
	if !opt.Raw {
		if m.TemplateErr != nil && !errors.Is(m.TemplateErr, chat.ErrNoTemplate) {
			return nil, fmt.Errorf("model %q: %w: %w", m.Name(), ErrTemplate, m.TemplateErr)
		}
		c.prompt.tpl = m.Template
	}
	if opt.Explain {
		c.explains = w
	}
	c.ctx = w.NewContext(m, opt.Size, opt.Batch)
	return c, nil
}

func (c *Conversation) openJournal(ctx context.Context, w *Memory, name string, progress Progress) (r Resumed, err error) {
	start := time.Now()
	j, past, err := w.Sessions.Open(name)
	if errors.Is(err, kvcache.ErrNoSession) {
		if c.journal, err = w.Sessions.Create(name); err != nil {
			return r, err
		}
		return r, c.journal.Model(kvcache.ModelRecord{Fingerprint: w.fp, Name: c.m.Name()})
	}
	if err != nil {
		return r, err
	}
	c.journal = j
	if past.Damaged {
		return r, fmt.Errorf("the journal is damaged behind turn %d (%d gaps): 'kvasir sessions show' prints what is left, 'sessions rewind --to' gives up what is damaged, 'sessions fork' keeps it apart",
			len(JoinTurns(past.Turns[:past.Sound])), len(past.Gaps))
	}
	if past.Model.Fingerprint == (kvcache.Fingerprint{}) {
		if len(past.Turns) == 0 {
			return r, j.Model(kvcache.ModelRecord{Fingerprint: w.fp, Name: c.m.Name()})
		}
		return r, fmt.Errorf("%w: the record of which one is lost; 'kvasir sessions show' prints what was said", ErrOtherModel)
	}
	if past.Model.Fingerprint != w.fp {
		return r, fmt.Errorf("%w: %q (weights or numerics differ); start a new session, or give that model with -m", ErrOtherModel, past.Model.Name)
	}
	c.take(past)
	r.Turns, r.Tokens = len(c.turns), len(c.ids)
	if len(c.ids) >= c.ctx.Size() {
		return r, fmt.Errorf("%w: the conversation has %d tokens, the context %d (raise -c, or start a new session)", ErrContextFull, len(c.ids), c.ctx.Size())
	}
	if past.Parent != nil { // the other conversation goes on from there, too
		for _, t := range past.Turns[:min(past.Parent.Turns, len(past.Turns))] {
			c.branch += len(t.IDs)
		}
	}
	if r.Reused, err = c.ctx.Match(c.ids); err != nil {
		return r, err
	}
	r.Computed = len(c.ids) - r.Reused
	if c.explains != nil {
		r.Reuse = c.explain(r.Reused, false, true)
	}
	err = c.catchUp(ctx, progress)
	r.Took = time.Since(start)
	return r, err
}

// take rebuilds the turns from a journal. An answer that was continued later stands there in several parts.
func (c *Conversation) take(past *kvcache.Conversation) {
	c.turns = JoinTurns(past.Turns)
	c.ids = past.IDs()
	c.settle()
}

// rewindStream makes the stream hold what the answer t, the last turn, left in it: it may end inside a character.
func (c *Conversation) rewindStream(t *Turn) {
	c.stream.Reset()
	n := 0
	for _, id := range c.ids[len(c.ids)-t.Tokens:] {
		c.text = c.stream.Append(c.text[:0], id)
		n += len(c.text)
	}
	if n < len(t.Text) { // the model had ended the answer, and what was held is written
		c.text = c.stream.Flush(c.text[:0])
	}
}

// JoinTurns returns the turns of a journal as a reader sees them: parts of one answer joined, roles as stored.
func JoinTurns(past []kvcache.Turn) []Turn {
	var ts []Turn
	var text []byte // of the turn that is last
	for i, t := range past {
		if n := len(ts); n == 0 || !t.Generated || !ts[n-1].CutOff {
			if n > 0 {
				ts[n-1].Text = string(text)
			}
			ts, text = append(ts, Turn{Role: t.Role}), text[:0]
		}
		last := &ts[len(ts)-1]
		text = append(text, t.Text...)
		last.Tokens += len(t.IDs)
		last.CutOff, last.Stored, last.sampler = cutOff(t), i+1, t.Sampler
	}
	if n := len(ts); n > 0 {
		ts[n-1].Text = string(text)
	}
	return ts
}

func cutOff(t kvcache.Turn) bool {
	return t.Generated && (!t.Complete || t.Finish != FinishStop)
}

// catchUp computes what the context lacks of the conversation, so that its logits are there.
func (c *Conversation) catchUp(ctx context.Context, progress Progress) error {
	todo := c.ids[c.ctx.Len():]
	if len(todo) == 0 {
		if len(c.ids) == 0 || c.ctx.Logits() != nil {
			return nil
		}
		if err := c.ctx.Truncate(len(c.ids) - 1); err != nil && !errors.Is(err, kvcache.ErrLost) { // the rows are there, the logits are not
			return err
		}
		todo = c.ids[c.ctx.Len():]
	}
	err := c.ctx.Extend(ctx, todo, func(done int) {
		if progress != nil {
			progress(done, len(todo))
		}
	})
	if err == nil && c.branch > 0 {
		err = c.ctx.seq.Keep(min(c.branch, c.ctx.Len()))
		c.branch = 0
	}
	return err
}

// stored returns how many turns the journal has.
func (c *Conversation) stored() int {
	if c.journal == nil {
		return 0
	}
	return c.journal.Turns()
}

// Turns returns the turns so far: read-only, valid until the next call.
func (c *Conversation) Turns() []Turn { return c.turns }

// Tokens returns how many tokens the conversation has.
func (c *Conversation) Tokens() int { return len(c.ids) }

// CutOff reports whether the last turn is an answer that did not come to its end, or a question without one.
func (c *Conversation) CutOff() bool {
	n := len(c.turns)
	return n > 0 && len(c.ids) > 0 && (c.turns[n-1].CutOff || c.turns[n-1].Role != "assistant")
}

// Say adds a message of the user's and generates the answer, at most max tokens (0: what the context has room for). out
// gets the text piece by piece; an error of out ends the answer. When ctx ends, the answer ends, which is no error; when
// it ends before the first token, its error is returned and the next Continue answers.
func (c *Conversation) Say(ctx context.Context, text string, max int, progress Progress, out func(string) error) (Answer, error) {
	past, system, kept := c.messages(), "", 0
	switch {
	case len(c.turns) == 0 && c.prompt.tpl != nil:
		system = c.system
	case len(c.ids) == 0 && len(c.turns) == 1 && c.turns[0].Role == "system" && c.turns[0].Text != "":
		// Whoever wrote the system message came no further: this message brings it into the context.
		past, system, kept = nil, c.turns[0].Text, 1
	}
	var next []chat.Message
	if system != "" {
		next = append(next, chat.Message{Role: "system", Content: system})
	}
	next = append(next, chat.Message{Role: "user", Content: text})
	rendered, err := c.prompt.text(past, next)
	if err != nil {
		return Answer{}, err
	}
	ids, err := c.prompt.encode(rendered, len(c.ids) == 0, []string{system, text})
	if err != nil {
		return Answer{}, err
	}
	if len(ids) == 0 {
		return Answer{}, errors.New("empty prompt")
	}
	if room := c.ctx.Size() - len(c.ids); len(ids) >= room {
		return Answer{}, fmt.Errorf("%w: the message has %d tokens, room is left for %d", ErrContextFull, len(ids), room-1)
	}
	for _, m := range next[kept:] {
		var of []int32
		if m.Role == "user" {
			of = ids // the template renders the messages together: the ids stand with the last one
		}
		if c.journal != nil {
			if err := c.journal.Turn(m.Role, m.Content, of); err != nil {
				return Answer{}, fmt.Errorf("message refused, it could not be kept: %w", err)
			}
		}
		c.turns = append(c.turns, Turn{Role: m.Role, Text: m.Content, Stored: c.stored()})
	}
	failpoint.Here("turn: kept, before the prefill")
	c.turns[len(c.turns)-1].Tokens = len(ids)
	for _, id := range ids {
		c.sampler.Accept(id)
	}
	if system != "" && c.m.windowed() { // a prompt with the same system message should find all that it needs
		shared, err := c.prompt.shared(system, ids)
		if err != nil {
			return Answer{}, err
		}
		c.branch = len(shared)
	}
	c.ids = append(c.ids, ids...)
	c.saved = nil // of an answer that is the last one no more
	return c.answer(ctx, max, progress, out)
}

// Continue goes on with an answer that was cut off, or answers a message that has no answer yet.
func (c *Conversation) Continue(ctx context.Context, max int, progress Progress, out func(string) error) (Answer, error) {
	if !c.CutOff() {
		return Answer{}, ErrNothingToContinue
	}
	if len(c.saved) == stateBytes {
		c.sampler.Restore(sample.State{Seed: binary.LittleEndian.Uint64(c.saved), Draws: binary.LittleEndian.Uint64(c.saved[8:])})
	}
	c.saved = nil
	return c.answer(ctx, max, progress, out)
}

// stateBytes is the size of a sampler state in the journal: seed and draws, little-endian.
const stateBytes = 16

func appendState(b []byte, st sample.State) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, st.Seed), st.Draws)
}

// messages returns the turns as the template sees them. A question that was left without an answer has an empty one:
// the context holds the words that open it.
func (c *Conversation) messages() []chat.Message {
	var ms []chat.Message
	for i, t := range c.turns {
		ms = append(ms, chat.Message{Role: t.Role, Content: t.Text})
		if t.Role == "user" && (i+1 == len(c.turns) || c.turns[i+1].Role == "user") {
			ms = append(ms, chat.Message{Role: "assistant"})
		}
	}
	return ms
}

// answer prefills what is due and generates.
func (c *Conversation) answer(ctx context.Context, max int, progress Progress, out func(string) error) (Answer, error) {
	a := Answer{PromptTokens: len(c.ids)}
	start := time.Now()
	held := c.ctx.Len()
	if a.ReusedTokens = held; held == 0 {
		var err error
		if a.ReusedTokens, err = c.ctx.Match(c.ids); err != nil {
			return a, err
		}
	}
	if c.explains != nil {
		a.Reuse = c.explain(a.ReusedTokens, held > 0, false)
	}
	a.ComputedTokens = len(c.ids) - a.ReusedTokens
	if err := c.catchUp(ctx, progress); err != nil {
		return a, err
	}
	a.Prefill = time.Since(start)
	if n := len(c.turns); !c.turns[n-1].CutOff {
		c.turns = append(c.turns, Turn{Role: "assistant", CutOff: true})
		c.stream.Reset()
	}
	failpoint.Here("answer: before the first token")
	t := &c.turns[len(c.turns)-1]
	c.state = appendState(c.state[:0], c.sampler.State())
	err := c.generate(ctx, max, t, &a, out)
	if !a.FirstToken.IsZero() {
		a.Generate = time.Since(a.FirstToken)
	}
	t.CutOff = a.Finish != FinishStop
	if c.journal != nil && a.Finish != "" {
		failpoint.Here("answer: before its end is kept")
		err = errors.Join(err, c.journal.EndTurn(a.Finish, c.state))
		failpoint.Here("answer: its end is kept")
	}
	t.Stored, t.sampler = c.stored(), append(t.sampler[:0], c.state...)
	return a, err
}

// generate samples until something ends the answer. A token is in the journal before out gets its text, and computed
// only when the next one is asked for. The token by which the model ends its answer is not part of the context: the
// template writes what stands between two turns.
func (c *Conversation) generate(ctx context.Context, max int, t *Turn, a *Answer, out func(string) error) error {
	for {
		switch {
		case ctx.Err() != nil:
			a.Finish = FinishInterrupted
		case max > 0 && a.GeneratedTokens == max:
			a.Finish = FinishLength
		case len(c.ids) == c.ctx.Size():
			a.Finish = FinishContext
		}
		if a.Finish != "" {
			return nil
		}
		if due := c.ids[c.ctx.Len():]; len(due) > 0 {
			if err := c.ctx.Extend(context.Background(), due, nil); err != nil {
				return err
			}
		}
		failpoint.Logits(len(c.ids), c.ctx.Logits())
		before := c.sampler.State()
		id, err := c.sampler.Sample(c.ctx.Logits())
		if err != nil {
			return err
		}
		n := len(c.ids)
		if c.m.Tokenizer.IsEOG(id) {
			a.Finish = FinishStop
			c.state = appendState(c.state[:0], before) // whoever goes on from here draws the end again
			if c.text = c.stream.Flush(c.text[:0]); len(c.text) == 0 {
				return nil
			} // else a character that never came to its end
		} else {
			c.state = appendState(c.state[:0], c.sampler.State())
			c.text = c.stream.Append(c.text[:0], id)
			c.ids = append(c.ids, id)
		}
		failpoint.Here("token: before it is kept")
		if c.journal != nil {
			if err := c.journal.Tokens(c.ids[n:], c.text, c.state); err != nil {
				// As if the token had not been drawn, so that Continue draws it again.
				c.ids, a.Finish, c.saved = c.ids[:n], "", appendState(nil, before)
				c.state = appendState(c.state[:0], before)
				c.rewindStream(t)
				return fmt.Errorf("answer stopped, it could not be kept: %w", err)
			}
		}
		failpoint.Here("token: kept, before it is shown")
		if a.Finish != "" {
			t.Text += string(c.text)
			return out(string(c.text))
		}
		c.sampler.Accept(id) // not the end: a process that resumes knows only what the context holds
		t.Tokens++
		a.GeneratedTokens++
		if a.FirstToken.IsZero() {
			a.FirstToken = time.Now()
		}
		if len(c.text) > 0 {
			t.Text += string(c.text)
			if err := out(string(c.text)); err != nil {
				a.Finish = FinishInterrupted
				return err
			}
		}
		failpoint.Here("token: shown")
	}
}

// Flush stores the rows of the unfinished block and makes the disk keep them: call it when the conversation pauses.
// The pin of a session moves on with it.
func (c *Conversation) Flush() error {
	err := c.ctx.Flush()
	if c.pin != "" && err == nil {
		err = c.ctx.seq.RenewPin(c.pin)
	}
	return err
}

// Close stores what is left and releases the conversation. Errors of the KV store are not errors here: the journal has
// everything.
func (c *Conversation) Close() error {
	_ = c.Flush()
	err := c.ctx.Close()
	if c.journal != nil {
		err = errors.Join(err, c.journal.Close())
	}
	return err
}
