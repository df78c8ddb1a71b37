package kvcache

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"kvasir/platform"
	"kvasir/platform/vfs"
)

// rowSource is where the rows of an archive come from: a path of tokens, block by block.
type rowSource interface {
	// rows returns the payload of the block that holds ids from firstPos on, FULL or PACKED, to be changed at will until the next call,
	// and whether the planes of windowed layers are there. The error wraps errDamaged where there are no such rows.
	rows(firstPos int, ids []int32) (payload []byte, windows bool, err error)
}

// writeBlocks writes meta and the rows of ids, from the first on, until source has no more that an archive takes, and returns how many
// tokens that were. If there are none it writes nothing.
func (a *archiveWriter) writeBlocks(lay *layout, fp Fingerprint, meta []byte, ids []int32, source rowSource) (int, error) {
	parent, done := rootHash(fp, lay.recipeHash, nil), 0
	for done < len(ids) {
		next := ids[done:min(done+BlockTokens, len(ids))]
		payload, windows, err := source.rows(done, next)
		if errors.Is(err, errDamaged) {
			break
		}
		if err != nil {
			return done, err
		}
		if !windows && !lay.leavesOut() {
			break
		}
		if done == 0 {
			if err := a.section(tagMeta, meta); err != nil {
				return 0, err
			}
		}
		next = next[:len(payload)/lay.tokenBytes]
		if parent, err = a.writeBlock(lay, &parent, done, next, payload, windows); err != nil {
			return done, err
		}
		if done += len(next); len(next) < BlockTokens {
			break
		}
	}
	return done, nil
}

// storedRows reads the rows of a path from the segments of one namespace. It takes no lock: whatever the process that has it does
// meanwhile, a payload that does not match its header is not there.
type storedRows struct {
	fsys   vfs.FS
	dir    string
	lay    *layout
	blocks map[int]storedBlock // by index on the path: those that hold exactly its ids
	tails  map[int]storedBlock // of the others below the same parent: the one that shares most ids
	tokens int                 // what can be had, if no payload is damaged

	file vfs.File // the segment read last
	name string
	buf  [2][]byte
}

// storedBlock is a slot.
type storedBlock struct {
	segment string
	off     int64 // of the payload
	header  *slotHeader
	shared  int // leading ids that are the path's
}

// openStoredRows looks for the path ids in a namespace.
func openStoredRows(fsys vfs.FS, home string, s *Stored, ids []int32) (*storedRows, error) {
	r := &storedRows{fsys: fsys, dir: filepath.Join(home, "kv", "v1", s.Dir), lay: s.lay, blocks: map[int]storedBlock{}, tails: map[int]storedBlock{}}
	parents := map[Hash]int{} // where on the path a child's ids begin, in blocks
	h := rootHash(s.Fingerprint, s.lay.recipeHash, nil)
	for i := 0; ; i++ {
		parents[h] = i
		if len(ids) < (i+1)*BlockTokens {
			break
		}
		h = pathHash(&h, ids[i*BlockTokens:(i+1)*BlockTokens])
	}
	names, err := fsys.ReadDir(r.dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "kv-") || !strings.HasSuffix(name, ".seg") {
			continue
		}
		eachHeader(fsys, filepath.Join(r.dir, name), s.lay, s.Fingerprint, func(h *slotHeader, off int64) {
			i, ok := parents[h.parent]
			if !ok || int(h.firstPos) != i*BlockTokens {
				return
			}
			b := storedBlock{name, off, h, commonPrefix(h.ids, ids[i*BlockTokens:])}
			windows := h.flags&flagWindowPlanes != 0
			switch old := r.blocks[i].header; {
			case b.shared == BlockTokens:
				if old == nil || h.before(old) {
					r.blocks[i] = b
				}
			case windows && b.shared > r.tails[i].shared:
				r.tails[i] = b
			}
		})
	}
	for r.blocks[r.tokens/BlockTokens].header != nil {
		r.tokens += BlockTokens
	}
	r.tokens += r.tails[r.tokens/BlockTokens].shared
	return r, nil
}

func (r *storedRows) close() error {
	var err error
	for _, b := range r.buf {
		if b != nil {
			err = errors.Join(err, platform.Unmap(b))
		}
	}
	r.buf = [2][]byte{}
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
		r.file = nil
	}
	return err
}

// rows implements rowSource.
func (r *storedRows) rows(firstPos int, _ []int32) (payload []byte, windows bool, err error) {
	for i := range r.buf {
		if r.buf[i] == nil {
			b, err := r.lay.newBuffer()
			if err != nil {
				return nil, false, err
			}
			r.buf[i] = b
		}
	}
	i := firstPos / BlockTokens
	if b := r.blocks[i]; b.header != nil {
		if windows, err := r.read(&b); err == nil {
			return r.buf[0][:r.lay.payloadBytes], windows, nil
		}
	}
	b := r.tails[i]
	if b.header == nil {
		return nil, false, fmt.Errorf("%w: not there", errDamaged)
	}
	if windows, err := r.read(&b); err != nil {
		return nil, false, err
	} else if !windows {
		return nil, false, fmt.Errorf("%w: %w", errDamaged, errNoWindow)
	}
	packed := b.shared * r.lay.tokenBytes
	if len(b.header.ids) < BlockTokens {
		return r.buf[0][:packed], true, nil // token after token: what follows is another path's
	}
	r.lay.pack(r.buf[1], r.buf[0], b.shared)
	return r.buf[1][:packed], true, nil
}

// read fills the first buffer with the payload of a slot, compares its checksums, and returns whether windowed planes are there.
func (r *storedRows) read(b *storedBlock) (windows bool, err error) {
	if r.name != b.segment {
		if r.file != nil {
			_ = r.file.Close() // only read
		}
		r.file, r.name = nil, ""
		f, err := r.fsys.OpenFile(filepath.Join(r.dir, b.segment), vfs.Read)
		if err != nil {
			return false, fmt.Errorf("%w: %w", errDamaged, err)
		}
		r.file, r.name = f, b.segment
	}
	n := len(b.header.ids)
	payload := r.buf[0][:n*r.lay.tokenBytes]
	if _, err := r.file.ReadAt(payload, b.off); err != nil {
		return false, fmt.Errorf("%s slot %d: %w: %w", b.segment, b.header.slot, errDamaged, err)
	}
	return r.lay.checkPayload(payload, n, &b.header.hash, b.header.slot, b.header.crcs, b.segment, b.header.flags&flagWindowPlanes != 0)
}

// sequenceRows are the rows of an open sequence.
type sequenceRows struct {
	q   *Sequence
	buf []byte // a slot
}

// rows implements rowSource.
func (s *sequenceRows) rows(firstPos int, ids []int32) (payload []byte, windows bool, err error) {
	lay, e := s.q.ns.lay, &s.q.entries[firstPos/BlockTokens]
	if len(ids) == BlockTokens {
		windows, err := s.q.ns.copyVerified(s.buf, e, BlockTokens)
		if err == nil && !windows && !e.windowless { // the sequence does not know yet
			err = fmt.Errorf("%w: %w", errDamaged, errNoWindow)
		}
		return s.buf[:lay.payloadBytes], windows, err
	}
	lay.pack(s.buf, e.data, len(ids))
	return s.buf[:len(ids)*lay.tokenBytes], !e.windowless, nil
}
