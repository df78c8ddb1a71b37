package kvcache

import (
	"errors"
	"fmt"
	"path/filepath"

	"kvasir/internal/failpoint"
	"kvasir/platform/vfs"
)

// Bounds on the size of a new segment.
const (
	segmentSlots    = 64
	minSegmentBytes = 4 << 20
	maxSegmentBytes = 128 << 20
	minSegmentSlots = 8
)

// segment is one open segment file. The mapping and the file stay as they are while the store is open; free and unsynced
// are guarded by Namespace.mu.
type segment struct {
	file      vfs.File
	name      string
	uuid      [16]byte
	slotCount int
	slotBytes int
	data      int64           // offset of slot 0
	view      []byte          // the whole file, read-only; nil where it cannot be mapped
	free      []uint32        // slots without a block, the next one to use last
	hollow    []uint32        // likewise, but with a hole
	holes     map[uint32]span // of slots, in bytes of the slot: space that was given back
	unsynced  []*block        // written since the last sync began
	dirty     bool            // slots were overwritten since the last sync began
	failed    bool            // a sync failed: nothing is written here any more
	inherited bool            // not synced by this process yet: the one before may have written and died

	stamp
}

func (s *segment) slotOff(slot uint32) int64 { return s.data + int64(slot)*int64(s.slotBytes) }

func (s *segment) slotView(slot uint32) []byte {
	off := int(s.slotOff(slot))
	return s.view[off : off+s.slotBytes : off+s.slotBytes]
}

// release returns a slot to the free lists.
func (s *segment) release(slot uint32) {
	switch {
	case s.failed:
	case s.holes[slot].n > 0:
		s.hollow = append(s.hollow, slot)
	default:
		s.free = append(s.free, slot)
	}
}

// disown returns a slot that was just written, and whose block the index has elsewhere. Of two copies the next process keeps the later
// one, so this one must not be found: its header goes. If it cannot be overwritten the slot stays unused in this process.
func (s *segment) disown(slot uint32) {
	var none [headerBytes]byte
	if err := s.write(func() error {
		_, err := s.file.WriteAt(none[:], headerTableOff+int64(slot)*headerBytes)
		return err
	}); err == nil {
		s.release(slot)
	}
}

// occupied returns what the file takes of the disk. Needs Namespace.mu.
func (s *segment) occupied(lay *layout) int64 {
	bytes := segmentBytes(lay, s.slotCount)
	for _, hole := range s.holes {
		bytes -= int64(hole.n)
	}
	return bytes
}

func (s *segment) close() error {
	var err error
	if s.view != nil {
		err = s.file.Unmap(s.view)
		s.view = nil
	}
	return errors.Join(err, s.file.Close())
}

// newSegmentSlots returns how many slots a new segment gets when room bytes may be allocated; 0 if none fits.
func newSegmentSlots(lay *layout, room int64) int {
	per := int64(lay.slotBytes) + headerBytes
	target := min(max(segmentSlots*per, minSegmentBytes), maxSegmentBytes)
	count := max(target/per, minSegmentSlots)
	count = min(count, maxSlots, (room-dataOff(1))/per)
	return int(max(count, 0))
}

// newSlots is newSegmentSlots within the store's options.
func (s *Store) newSlots(lay *layout, room int64) int {
	slots := newSegmentSlots(lay, room)
	if s.opt.segmentSlots > 0 {
		slots = min(slots, s.opt.segmentSlots)
	}
	return slots
}

// createSegment makes a segment in tmpDir and moves it to dir/name. Durable when it returns.
func (d *disk) createSegment(lay *layout, fp Fingerprint, name string, slotCount int) (*segment, error) {
	sb := superblock{fp: fp, recipe: lay.recipeHash, slotCount: slotCount, created: d.store.opt.Now().UnixNano()}
	if _, err := readFull(d.store.opt.Random, sb.uuid[:]); err != nil {
		return nil, fmt.Errorf("segment uuid: %w", err)
	}
	fs, tmp := d.store.fs, filepath.Join(d.store.tmpDir(), filepath.Base(d.dir)+"-"+name)
	if err := fs.Remove(tmp); err != nil && !isNotExist(err) {
		return nil, err
	}
	f, err := fs.OpenFile(tmp, vfs.Write|vfs.Create|vfs.Excl)
	if err != nil {
		return nil, err
	}
	failpoint.Here("segment: empty file")
	err = func() error {
		if err := f.Fallocate(0, segmentBytes(lay, slotCount)); err != nil {
			return fmt.Errorf("allocate %d bytes: %w", segmentBytes(lay, slotCount), err)
		}
		failpoint.Here("segment: allocated")
		b := make([]byte, headerBytes)
		sb.encode(b, lay)
		for _, off := range []int64{0, superblockCopy} {
			if _, err := f.WriteAt(b, off); err != nil {
				return err
			}
		}
		if err := f.Fdatasync(); err != nil {
			return err
		}
		failpoint.Here("segment: before the rename")
		if err := fs.Rename(tmp, filepath.Join(d.dir, name)); err != nil {
			return err
		}
		failpoint.Here("segment: renamed")
		if !syncNewSegment {
			return nil
		}
		return fs.SyncDir(d.dir)
	}()
	if err != nil {
		_ = fs.Remove(tmp) // swept at the next opening otherwise
		return nil, errors.Join(fmt.Errorf("segment %s: %w", name, err), f.Close())
	}
	d.store.wrote(2 * headerBytes)
	d.store.stats.syncs.Add(1)
	s := d.mapSegment(f, name, &sb, lay)
	for slot := slotCount - 1; slot >= 0; slot-- {
		s.free = append(s.free, uint32(slot))
	}
	return s, nil
}

// mapSegment maps an open segment file whose superblock was checked. A file that cannot be mapped is read block by block.
func (d *disk) mapSegment(f vfs.File, name string, sb *superblock, lay *layout) *segment {
	s := &segment{file: f, name: name, uuid: sb.uuid, slotCount: sb.slotCount, slotBytes: lay.slotBytes, data: dataOff(sb.slotCount), holes: map[uint32]span{}}
	if lay.kind == segmentKindKV { // snapshots are copied out
		if view, err := f.Map(segmentBytes(lay, sb.slotCount)); err == nil {
			s.view = view
		}
	}
	s.watch(segmentBytes(lay, sb.slotCount), d.store.opt.Now)
	return s
}

// openSegment applies rule R4 to an existing file.
func (d *disk) openSegment(lay *layout, fp Fingerprint, name string) (*segment, error) {
	flag := vfs.Write
	if d.store.readOnly {
		flag = vfs.Read
	}
	f, err := d.store.fs.OpenFile(filepath.Join(d.dir, name), flag)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if size < dataOff(1) {
		return nil, errors.Join(fmt.Errorf("segment %s: %w: %d bytes", name, errSegment, size), f.Close())
	}
	b := make([]byte, headerBytes)
	var causes []error
	for _, off := range []int64{0, superblockCopy} {
		if _, err := f.ReadAt(b, off); err != nil {
			causes = append(causes, err)
			continue
		}
		sb, err := decodeSuperblock(b, lay, fp, size)
		if err == nil {
			s := d.mapSegment(f, name, sb, lay)
			s.inherited = true
			return s, nil
		}
		causes = append(causes, err)
	}
	return nil, errors.Join(fmt.Errorf("segment %s: %w", name, errors.Join(causes...)), f.Close())
}
