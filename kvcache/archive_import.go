package kvcache

import (
	"errors"
	"fmt"
	"io"
)

// ImportOptions say how an archive is taken in.
type ImportOptions struct {
	Name  string // of the new session, in place of the archive's
	Store *Store // where its rows go; nil: they are left out
}

// Imported says what was taken in.
type Imported struct {
	Archive
	Session string // its name here
	Stored  int    // tokens at the start of the path that the store has now, so that a sequence can go on from there
	Reason  error  // why these are fewer than the archive holds; nil if they are not
	Pin     string // label of the pin that keeps them, if one was asked for
}

// Import makes a new session of an archive. The archive is checked as by CheckArchive while it is read; the session is there whole
// when it was read to its end, and not at all if that fails: what may be left is blocks in the store, each as good as any other.
// Rows that find no place (another process has the store, it is full), or that lack the state of recurrent layers, are no error: they will be
// computed again. The error wraps
// ErrArchive, ErrName, ErrExists, vfs.ErrNoSpace..., or is that of r.
func (s *Sessions) Import(r io.Reader, opt ImportOptions) (*Imported, error) {
	b, err := openArchive(r)
	if err != nil {
		return nil, err
	}
	if b.info.Kind != SessionArchive {
		return nil, b.errorf("%v, want %v", b.info.Kind, SessionArchive)
	}
	out := &Imported{Session: opt.Name}
	if out.Session == "" {
		out.Session = b.info.Session
	}
	err = s.compose(out.Session, func(j *Journal) error {
		return opt.Store.takeIn(b, out, func(kind uint8, body []byte) error {
			return j.append(append(j.begin(kind), body...))
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// AddPack stores the rows of a prefix pack, for prompts that begin with it, and, if pin is set and all were stored, pins them under a
// label that follows from its tokens. The pack is checked as by CheckArchive while it is read. Where rows find no place the result says
// why. The error wraps ErrArchive or ErrClosed, or is that of r; or it is that of Namespace.Pin, with a result.
func (s *Store) AddPack(r io.Reader, pin bool) (*Imported, error) {
	b, err := openArchive(r)
	if err != nil {
		return nil, err
	}
	if b.info.Kind != PrefixPack {
		return nil, b.errorf("%v, want %v", b.info.Kind, PrefixPack)
	}
	out := &Imported{}
	if err := s.takeIn(b, out, nil); err != nil {
		return nil, err
	}
	if !pin || out.Reason != nil {
		return out, nil
	}
	n, err := s.Namespace(out.Fingerprint, out.Inputs, out.Geometry)
	if err != nil {
		return out, err
	}
	label := fmt.Sprintf("pack %x", b.path.last[:8])
	if _, err := n.Pin(label, b.path.ids); err != nil {
		return out, err
	}
	out.Pin = label
	return out, nil
}

// takeIn reads the rest of an archive, and keeps its rows if s is not nil.
func (s *Store) takeIn(b *archiveBody, out *Imported, record func(kind uint8, body []byte) error) (err error) {
	sink := archiveSink{record: record}
	rows := &rowSink{store: s}
	if s != nil {
		sink.block = rows.put
	}
	err = b.rest(sink)
	if err == nil {
		rows.finish()
	}
	rows.close()
	out.Archive, out.Stored, out.Reason = *b.info, rows.stored, rows.reason
	return err
}

// rowSink stores the blocks of an archive as if a sequence had computed them: what is there already is shared, the path before a
// block is not evicted, limits are kept. The first block that cannot be stored is the last: rows are not gathered in memory.
type rowSink struct {
	store  *Store
	seq    *Sequence
	stored int
	reason error
}

// put takes a block. Its error is one of use, not of storing.
func (k *rowSink) put(info *Archive, b *archiveBlock) error {
	if k.reason != nil {
		return nil
	}
	if k.seq == nil {
		ns, err := k.store.Namespace(info.Fingerprint, info.Inputs, info.Geometry)
		if err != nil {
			return err
		}
		if !ns.Durable() {
			k.reason = k.why("the kv store is not writable")
			return nil
		}
		k.seq = ns.NewSequence(nil)
	}
	k.reason = k.add(b)
	return nil
}

func (k *rowSink) why(otherwise string) error {
	if err := k.store.Status().Reason; err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrFull, otherwise)
}

// add appends a block to the sequence; it returns why it is not stored.
func (k *rowSink) add(b *archiveBlock) error {
	q, lay := k.seq, k.seq.ns.lay
	if err := q.Reserve(len(b.ids)); err != nil {
		return err
	}
	data := q.entries[len(q.entries)-1].data
	if len(b.ids) < BlockTokens {
		lay.unpack(data, b.payload, len(b.ids)) // stored by Flush
		return q.Commit(b.ids)
	}
	copy(data, b.payload)
	q.entries[len(q.entries)-1].windowless = !b.windows
	if err := q.Commit(b.ids); err != nil {
		return err
	}
	if !k.isStored(len(q.entries) - 1) {
		return k.why("no room for a block")
	}
	return nil
}

// isStored reports whether entry i of the sequence, a full block, is on disk.
func (k *rowSink) isStored(i int) bool {
	b := k.seq.entries[i].block
	k.seq.ns.mu.Lock()
	defer k.seq.ns.mu.Unlock()
	return b.seg != nil && !b.dropped
}

// finish stores the tail, makes everything durable, and counts what is there.
func (k *rowSink) finish() {
	if k.seq == nil {
		return
	}
	err := k.seq.Flush()
	if err == nil && !k.seq.ns.Durable() {
		err = k.why("it stopped being writable")
	}
	if k.reason == nil {
		k.reason = err
	}
	full := k.seq.Len() / BlockTokens
	for i := 0; i < full && k.isStored(i); i++ {
		k.stored += BlockTokens
	}
	if k.reason == nil && k.stored == full*BlockTokens {
		k.stored = k.seq.Len()
	}
	if k.seq.ns.lay.state != nil {
		stored := k.stored
		if k.stored = k.seq.restore(0, stored); k.stored < stored && k.reason == nil {
			k.reason = errNoSnapshots
		}
	}
}

// errNoSnapshots: the model has recurrent layers.
var errNoSnapshots = errors.New("an archive holds no snapshot of the recurrent state, without which rows are not taken up")

func (k *rowSink) close() {
	if k.seq != nil {
		_ = k.seq.Close() // open until now: cannot fail
	}
}
