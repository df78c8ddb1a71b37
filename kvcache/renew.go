package kvcache

import (
	"errors"
	"fmt"

	"kvasir/platform/vfs"
)

// This file is about what a journal that another process has written needs before it is gone on with.

// renew applies rule J11: it writes the records behind from once more. Where a sync has failed, in this process or in one before, the system may take
// pages for written that the disk does not have, and the next sync would skip them. A disk without space leaves things as they are.
func (j *Journal) renew(from int64) error {
	buf := make([]byte, min(journalExtent, j.end-from))
	for off := from; off < j.end; off += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), j.end-off)]
		if _, err := j.file.ReadAt(buf, off); err != nil {
			return err
		}
		if _, err := j.file.WriteAt(buf, off); err != nil {
			return unlessFull(err)
		}
	}
	if extent := (j.end - 1) / journalExtent * journalExtent; from <= extent && extent > 0 { // the file grew meanwhile: its length too
		return unlessFull(j.relength(extent + journalExtent))
	}
	return nil
}

// relength cuts the zeros behind at off and grows the file by an extent: with a new length the next sync cannot skip it. One that
// cannot grow is cut behind the records, and gets its length back.
func (j *Journal) relength(at int64) error {
	if at >= maxJournalBytes {
		at = j.end
	}
	if j.size > at {
		if err := j.file.Truncate(at); err != nil {
			if err = fmt.Errorf("journal truncate: %w", err); errors.Is(err, vfs.ErrNoSpace) {
				return err
			}
			return j.fail(err)
		}
		j.size = at
	}
	return j.extend(min(j.size+1, maxJournalBytes))
}

func unlessFull(err error) error {
	if errors.Is(err, vfs.ErrNoSpace) {
		return nil
	}
	return err
}

// clearTail applies rule J3.
func (j *Journal) clearTail() error {
	for off := j.end; off < j.size; off += journalExtent {
		if err := j.write(journalZeros[:min(journalExtent, j.size-off)], off); err != nil {
			return err
		}
	}
	return j.Sync()
}
