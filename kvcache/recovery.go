package kvcache

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kvasir/internal/failpoint"
	"kvasir/platform/vfs"
)

// recover opens the directory of n, making it if it is absent, and fills the index from the slot headers: rules R3 to R8 of
// FORMAT.md. It changes no file that exists.
func (d *disk) recover(n *Namespace, inputs []byte) error {
	if err := d.checkMeta(n, inputs); err != nil {
		return err
	}
	names, err := d.store.fs.ReadDir(d.dir)
	if err != nil {
		return err
	}
	d.next = 1
	var found []*block
	for _, name := range names {
		number, ok := segmentNumber(name)
		if !ok {
			continue
		}
		d.next = nextNumber(d.next, number)
		seg, blocks, err := d.openSlots(n.lay, n.fp, name)
		if isNotExist(err) {
			continue // removed since by the process that writes, beside which we only read
		}
		if err != nil {
			n.stats.damagedBlocks.Add(1)
			d.setAside = append(d.setAside, err)
			continue // ignored, not changed
		}
		d.segments = append(d.segments, seg)
		found = append(found, blocks...)
	}
	d.index(n, found)
	d.loadPins(n)
	d.recoverStates(n, names)
	return nil
}

// openSlots opens a segment and reads its headers.
func (d *disk) openSlots(lay *layout, fp Fingerprint, name string) (*segment, []*block, error) {
	seg, err := d.openSegment(lay, fp, name)
	if err != nil {
		return nil, nil, err
	}
	blocks, err := d.readHeaders(seg, lay)
	if err == nil {
		err = d.findHoles(lay, seg, blocks)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("segment %s: headers: %w", name, err), seg.close())
	}
	return seg, blocks, nil
}

func segmentName(number int) string { return fmt.Sprintf("kv-%06d.seg", number) }

// segmentNumber is the inverse of segmentName.
func segmentNumber(name string) (number int, ok bool) { return numberIn(name, "kv-", segmentName) }

// numberIn returns the number with which name makes this very file name.
func numberIn(file, prefix string, name func(int) string) (number int, ok bool) {
	digits := strings.TrimSuffix(strings.TrimPrefix(file, prefix), ".seg")
	n, err := strconv.ParseUint(digits, 10, 31)
	return int(n), err == nil && name(int(n)) == file
}

// nextNumber returns the number of the segment that is made next, when there is one of that number. A name that is far away from those
// that we give is not counted from: there might be no number behind it.
func nextNumber(next, number int) int {
	const far = 1 << 30
	if number >= far {
		return next
	}
	return max(next, number+1)
}

// checkMeta applies rule R3, and writes META and the directory where there is neither.
func (d *disk) checkMeta(n *Namespace, inputs []byte) error {
	path := filepath.Join(d.dir, "META")
	b, err := vfs.ReadFile(d.store.fs, path, maxMetaBytes)
	if errors.Is(err, fs.ErrNotExist) && !d.store.readOnly {
		return d.createMeta(n, inputs)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	fp, recipe, _, err := decodeMeta(b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if fp != n.fp || !bytes.Equal(recipe, n.lay.recipe) {
		return fmt.Errorf("%s: %w: made for another model or recipe", path, errSegment)
	}
	return nil
}

func (d *disk) createMeta(n *Namespace, inputs []byte) error {
	fsys := d.store.fs
	b := encodeMeta(n.lay, n.fp, inputs)
	if len(b) > maxMetaBytes {
		b = encodeMeta(n.lay, n.fp, nil)
	}
	if err := fsys.MkdirAll(d.dir); err != nil {
		return err
	}
	tmp := filepath.Join(d.store.tmpDir(), filepath.Base(d.dir)+"-META")
	if err := vfs.WriteNew(fsys, tmp, b); err != nil {
		return err
	}
	failpoint.Here("META: before the rename")
	if err := fsys.Rename(tmp, filepath.Join(d.dir, "META")); err != nil {
		return err
	}
	failpoint.Here("META: renamed")
	d.store.wrote(len(b))
	return errors.Join(fsys.SyncDir(d.dir), fsys.SyncDir(d.store.kvDir()))
}

// readHeaders reads the header table of a segment, in pieces, and applies rule R5. Slots without a block are free.
func (d *disk) readHeaders(seg *segment, lay *layout) ([]*block, error) {
	const step = 64
	buf := make([]byte, min(step, seg.slotCount)*headerBytes)
	var blocks []*block
	var free []uint32
	for first := 0; first < seg.slotCount; first += step {
		piece := buf[:min(step, seg.slotCount-first)*headerBytes]
		if _, err := seg.file.ReadAt(piece, headerTableOff+int64(first)*headerBytes); err != nil {
			return nil, err
		}
		for i := 0; i < len(piece)/headerBytes; i++ {
			slot := uint32(first + i)
			h, err := decodeSlotHeader(piece[i*headerBytes:][:headerBytes], lay, seg.uuid, slot)
			if err != nil {
				free = append(free, slot)
				continue
			}
			blocks = append(blocks, &block{
				hash: h.hash, parent: &block{hash: h.parent}, ids: h.ids, firstPos: int(h.firstPos), seq: h.seq, crcs: h.crcs,
				seg: seg, slot: slot, windowless: h.flags&flagWindowPlanes == 0,
				marked: h.flags&flagKeep != 0,
			})
		}
	}
	slices.Reverse(free) // the lowest slot is used first
	seg.free = free
	return blocks, nil
}

// index builds the tree of the blocks found (rules R6 to R8) and their order of use.
func (d *disk) index(n *Namespace, found []*block) {
	slices.SortFunc(found, compareCopies)
	var kept []*block
	orphans := map[Hash]bool{}
	for _, b := range found {
		d.seq = max(d.seq, b.seq)
		parent := n.blocks[b.parent.hash]
		if b.firstPos == 0 || parent == nil && !checkParent {
			parent = n.root(b.parent.hash)
		}
		if same := n.blocks[b.hash]; same != nil && b.windowless && !same.windowless && same.replaces == nil {
			same.replaces = b
			b.dropped, b.holds = true, 1
			continue
		}
		if parent == nil || n.blocks[b.hash] != nil || b.firstPos > 0 && checkParent && (!parent.full() || parent.firstPos+BlockTokens != b.firstPos) {
			if parent == nil && !orphans[b.parent.hash] {
				n.losses.add(loss{hash: b.parent.hash, why: Gone})
			}
			orphans[b.hash] = true
			b.seg.release(b.slot)
			continue
		}
		b.parent = parent
		n.insert(b)
		kept = append(kept, b)
	}
	d.order(n, slices.Clone(kept))
	parents := map[*block]bool{}
	for _, b := range kept {
		if !b.full() && !parents[b.parent] {
			parents[b.parent] = true
			n.dropAllCovered(b.parent)
		}
	}
}

// compareCopies puts what was found into the order of positions, and of two copies the one that is kept first.
func compareCopies(a, b *block) int {
	if a.firstPos != b.firstPos {
		return a.firstPos - b.firstPos
	}
	if a.windowless != b.windowless {
		if b.windowless {
			return -1
		}
		return 1
	}
	// Of two copies the later one is kept: the other may be a slot that was given out again.
	return cmp.Or(cmp.Compare(b.seq, a.seq), strings.Compare(a.seg.name, b.seg.name), cmp.Compare(a.slot, b.slot))
}

// dropAllCovered applies rule R8 to the children of one block: in lexical order a prefix stands before what it begins.
func (n *Namespace) dropAllCovered(parent *block) {
	children := slices.Clone(parent.children)
	slices.SortFunc(children, func(a, b *block) int { return slices.Compare(a.ids, b.ids) })
	for i, c := range children {
		for _, next := range children[i+1:] {
			if commonPrefix(c.ids, next.ids) < len(c.ids) {
				break
			}
			if !next.windowless {
				n.drop(c)
				break
			}
		}
	}
}
