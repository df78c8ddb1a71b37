package kvcache

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kvasir/platform/vfs"
)

// Finding is something that is wrong with a file, or worth knowing of it.
type Finding struct {
	File   string // below the home
	Lost   string // what is not used because of it: "slot 7: tokens 64 to 127", "the file"; "" for a note
	Why    error
	Damage bool // else it is how a process may leave a file that is killed, or a file of another version
}

// Checked is the result of Check.
type Checked struct {
	Files    int
	Bytes    int64 // that were read
	Blocks   int   // whose payloads were verified, damaged ones included
	States   int   // likewise, snapshots of recurrent states
	Sessions int
	Findings []Finding
	damage   int
}

// Damaged returns the number of findings that are damage.
func (c *Checked) Damaged() int { return c.damage }

// CheckOptions say how a home is checked.
type CheckOptions struct {
	// Busy: another process uses the store. A block that fails is looked at again, since it may be being written.
	Busy bool
	// Progress is told how many bytes of segments were read; it may be nil. An error ends the check.
	Progress func(done, total int64) error
}

// Check reads every byte of the store and the journals of a home that is covered by a checksum: META, both superblocks of each segment,
// slot headers and hash chains, the layers of each block, the files beside them, and all records of all journals. It takes no lock
// and changes nothing. The error is for a home that cannot be read at all, or Progress's.
func Check(fsys vfs.FS, home string, opt CheckOptions) (*Checked, error) {
	s, err := glance(fsys, home, Options{})
	if err != nil {
		return nil, err
	}
	k := &checker{store: s, opt: opt, total: s.used}
	names, err := fsys.ReadDir(s.kvDir())
	if err != nil && !isNotExist(err) {
		return nil, err
	}
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, "m-"):
			err = k.namespace(name)
		case name == "written":
			k.small(filepath.Join("kv", "v1", name), "the count of bytes written", writtenBytes, func(b []byte) error {
				_, _, _, err := decodeWritten(b)
				return err
			})
		case name != "LOCK":
			k.stranger(filepath.Join("kv", "v1", name))
		}
		if err != nil {
			return nil, err
		}
	}
	if names, err := fsys.ReadDir(s.tmpDir()); err == nil && !opt.Busy {
		for _, name := range names {
			k.find(Finding{File: filepath.Join("tmp", name), Why: errors.New("left by a process that was killed; removed at the next start")})
		}
	}
	if err := k.journals(); err != nil {
		return nil, err
	}
	return &k.Checked, nil
}

// checker is a Check that is under way.
type checker struct {
	Checked
	store       *Store
	opt         CheckOptions
	done, total int64
}

func (k *checker) find(f Finding) {
	if f.Damage {
		k.damage++
	}
	k.Findings = append(k.Findings, f)
}

func (k *checker) stranger(file string) {
	k.find(Finding{File: file, Why: errors.New("no file of this version; left alone")})
}

func (k *checker) read(n int64) error {
	k.Bytes += n
	k.done += n
	if k.opt.Progress != nil {
		return k.opt.Progress(min(k.done, k.total), k.total)
	}
	return nil
}

// small checks a file that is read whole.
func (k *checker) small(file, what string, limit int64, check func([]byte) error) {
	b, err := vfs.ReadFile(k.store.fs, filepath.Join(k.store.home, file), limit)
	if isNotExist(err) {
		return
	}
	k.Files++
	k.Bytes += int64(len(b))
	if err == nil {
		err = check(b)
	}
	if err != nil {
		k.find(Finding{file, what, err, !errors.Is(err, errVersion)})
	}
}

// namespace checks a directory of kv/v1.
func (k *checker) namespace(name string) error {
	dir := filepath.Join("kv", "v1", name)
	names, err := k.store.fs.ReadDir(filepath.Join(k.store.home, dir))
	if err != nil {
		k.stranger(dir)
		return nil
	}
	st := readStored(k.store.fs, k.store.kvDir(), name)
	if st.Err != nil {
		if isNotExist(st.Err) && len(names) == 0 {
			return nil // just made
		}
		k.find(Finding{filepath.Join(dir, "META"), "all of " + dir, st.Err, !errors.Is(st.Err, errVersion)})
		return nil
	}
	k.Files++
	k.Bytes += int64(metaFixedBytes + len(st.lay.recipe) + len(st.Inputs) + 4)
	for _, file := range names {
		path := filepath.Join(dir, file)
		lay := st.lay.of(file)
		switch {
		case lay != nil:
			if err := k.segment(path, &st, lay); err != nil {
				return err
			}
		case file == "lru":
			k.small(path, "the order of use", hintsFixedBytes+hintBytes*maxHints+4, checkHints)
		case file == "pins":
			k.small(path, "all pins of "+dir, maxPinsBytes, func(b []byte) error {
				_, err := decodePins(b)
				return err
			})
		case file != "META":
			k.stranger(path)
		}
	}
	return k.blocks(dir, &st)
}

func checkHints(b []byte) error {
	if h := decodeHints(b); h.uses == nil {
		return errors.New("unusable list of uses")
	}
	return nil
}

// segment checks both superblocks and all headers of a file; blocks has what follows from them.
func (k *checker) segment(path string, st *Stored, lay *layout) error {
	full := filepath.Join(k.store.home, path)
	f, err := k.store.fs.OpenFile(full, vfs.Read)
	if isNotExist(err) {
		return nil // removed in the meantime
	}
	k.Files++
	var size int64
	if err == nil {
		defer f.Close()
		size, err = f.Size()
	}
	if err != nil {
		k.find(Finding{path, "the file", err, true})
		return nil
	}
	b := make([]byte, headerBytes)
	var sb *superblock
	var bad []Finding
	for i, off := range []int64{0, superblockCopy} {
		_, err := f.ReadAt(b, off)
		var x *superblock
		if err == nil {
			x, err = decodeSuperblock(b, lay, st.Fingerprint, size)
		}
		if err != nil {
			bad = append(bad, Finding{path, fmt.Sprintf("superblock %d; the other one serves", i+1), err, !errors.Is(err, errVersion)})
		} else if sb == nil {
			sb = x
		}
	}
	if sb == nil {
		k.find(Finding{path, "the file", errors.Join(bad[0].Why, bad[1].Why), bad[0].Damage || bad[1].Damage})
		return k.read(size)
	}
	for _, f := range bad {
		k.find(f)
	}
	for slot := range uint32(sb.slotCount) {
		off := headerTableOff + int64(slot)*headerBytes
		err := k.settled(func() error {
			if _, err := f.ReadAt(b, off); err != nil {
				return err
			}
			if allZero(b) {
				return nil
			}
			_, err := decodeSlotHeader(b, lay, sb.uuid, slot)
			return err
		})
		if err != nil {
			k.find(Finding{path, fmt.Sprintf("slot %d", slot), err, true})
		}
	}
	return k.read(dataOff(sb.slotCount))
}

// settled calls check again where another process may be writing what it looks at.
func (k *checker) settled(check func() error) error {
	err := check()
	for range 10 {
		if err == nil || !k.opt.Busy {
			break
		}
		time.Sleep(50 * time.Millisecond)
		err = check()
	}
	return err
}

// blocks verifies the payloads of all blocks that the store would find.
func (k *checker) blocks(dir string, st *Stored) error {
	n, err := k.store.load(st.lay, st.Fingerprint, nil)
	if err != nil {
		k.find(Finding{dir, "all of it", err, true})
		return nil
	}
	defer n.closeFiles()
	all := make([]*block, 0, len(n.blocks))
	for _, b := range n.blocks {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b *block) int {
		return cmp.Or(strings.Compare(a.seg.name, b.seg.name), cmp.Compare(a.slot, b.slot))
	})
	buf := make([]byte, n.lay.slotBytes)
	for _, b := range all {
		k.Blocks++
		if err := k.settled(func() error { return n.verify(b, buf) }); err != nil {
			lost := fmt.Sprintf("slot %d: tokens %d to %d of a path", b.slot, b.firstPos, b.firstPos+len(b.ids)-1)
			if behind := descendants(b); behind > 0 && !errors.Is(err, errWindowsOnly) {
				lost += fmt.Sprintf(", and the %d blocks behind them", behind)
			}
			k.find(Finding{filepath.Join(dir, b.seg.name), lost, err, true})
		}
		if err := k.read(int64(n.lay.slotBytes)); err != nil {
			return err
		}
	}
	return k.states(dir, n)
}

// states verifies all snapshots that the store would find.
func (k *checker) states(dir string, n *Namespace) error {
	all := make([]*state, 0, len(n.states))
	for _, s := range n.states {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *state) int {
		return cmp.Or(strings.Compare(a.seg.name, b.seg.name), cmp.Compare(a.slot, b.slot))
	})
	for _, s := range all {
		k.States++
		dst, seg, slot, lost := make([]byte, n.lay.state.payloadBytes), s.seg, s.slot, fmt.Sprintf("slot %d: the state behind %d tokens of a path", s.slot, s.pos())
		err := k.settled(func() error {
			var header [headerBytes]byte
			if _, err := seg.file.ReadAt(header[:], headerTableOff+int64(slot)*headerBytes); err != nil {
				return err
			}
			if h, err := decodeSlotHeader(header[:], n.lay.state, seg.uuid, slot); err != nil || h.seq != s.seq {
				return nil // rewritten since
			}
			if _, err := seg.file.ReadAt(dst, seg.slotOff(slot)); err != nil {
				return err
			}
			_, err := n.lay.state.checkPayload(dst, BlockTokens, &s.hash, slot, []uint32{s.crc}, seg.name, true)
			return err
		})
		if err != nil {
			k.find(Finding{filepath.Join(dir, seg.name), lost, err, true})
		}
		if err := k.read(int64(seg.slotBytes)); err != nil {
			return err
		}
	}
	return nil
}

// errWindowsOnly: the block serves only where no window reaches it.
var errWindowsOnly = fmt.Errorf("%w: its rows of windowed layers", errDamaged)

// verify compares the checksums of a block, unless its slot holds another one by now.
func (n *Namespace) verify(b *block, buf []byte) error {
	had := !b.windowless
	err := n.readChecked(b, buf)
	if err == nil && had && b.windowless {
		b.windowless, err = false, errWindowsOnly
	}
	if err == nil {
		return nil
	}
	var header [headerBytes]byte
	if _, e := b.seg.file.ReadAt(header[:], headerTableOff+int64(b.slot)*headerBytes); e == nil {
		h, e := decodeSlotHeader(header[:], n.lay, b.seg.uuid, b.slot)
		if e != nil || h.hash != b.hash || h.seq != b.seq || h.flags&flagWindowPlanes == 0 && !b.windowless {
			return nil // rewritten, punched or removed since its header was read
		}
	}
	return err
}

// descendants counts the blocks below b.
func descendants(b *block) int {
	sum := 0
	for work := slices.Clone(b.children); len(work) > 0; sum++ {
		last := work[len(work)-1]
		work = append(work[:len(work)-1], last.children...)
	}
	return sum
}

// journals checks all sessions.
func (k *checker) journals() error {
	s := NewSessions(k.store.fs, k.store.home)
	err := s.Scan(func(info SessionInfo, c *Conversation) error {
		file := filepath.Join("sessions", info.File)
		k.Files++
		k.Sessions++
		k.Bytes += info.Bytes
		if info.Err != nil {
			k.find(Finding{file, "the session", info.Err, true})
			return nil
		}
		for _, g := range c.Gaps {
			lost := fmt.Sprintf("session %q: records %d to %d", c.Name, g.AfterSeq+1, g.ToSeq-1)
			if g.ToSeq == 0 {
				lost = fmt.Sprintf("session %q: records from %d on", c.Name, g.AfterSeq+1)
			}
			k.find(Finding{file, lost,
				fmt.Errorf("%d bytes at %d hold no valid record", g.Bytes, g.Off), true})
		}
		found := len(c.Gaps) > 0
		for i, t := range c.Turns {
			if t.Damaged {
				found = true
				k.find(Finding{file, fmt.Sprintf("session %q: part of turn %d", c.Name, i+1), errors.New("its tokens are not those that it ended with"), true})
			}
		}
		if c.Damaged && !found {
			k.find(Finding{file, fmt.Sprintf("session %q: a record behind turn %d", c.Name, c.Sound), errors.New("its payload is none of its type"), true})
		}
		return nil
	})
	if err != nil {
		return err
	}
	names, err := k.store.fs.ReadDir(s.dir())
	if err != nil && !isNotExist(err) {
		return err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, journalSuffix) && !k.opt.Busy {
			k.find(Finding{File: filepath.Join("sessions", name), Why: errors.New("left by a process that was killed; removed when a session is made")})
		}
	}
	return nil
}
