package kvcache

import (
	"errors"

	"kvasir/platform/vfs"
)

// This file is about space that removing segments does not bring back: that of snapshots of the file system, of thin volumes, of
// quotas that count something else. Then removing more costs rows and gains nothing.

// regain is what removing segments is to bring, since space was found last.
type regain struct {
	bytes int64 // of the segments removed
	room  int64 // that there must be if the last removal has helped: half of its bytes may have gone to others
}

// room returns how much segments may take in addition. The caller has s.mu where the store is in use.
func (s *Store) room(free int64) int64 {
	return min(s.opt.MaxBytes-s.used, free-max(s.opt.MinFree, 0))
}

// mayRemove reports whether a segment may be removed because one of this layout could not be made for that cause, and the room there
// is now. What was removed before must have helped; when the file system says that it has no space, whatever it says is free, no more
// is removed than what was asked for occupies.
func (s *Store) mayRemove(lay *layout, cause error) (room int64, ok bool) {
	space, err := s.space()
	if err != nil {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	room = s.room(space.Free)
	switch {
	case s.removed.bytes == 0:
		return room, true
	case errors.Is(cause, vfs.ErrNoSpace):
		return room, s.removed.bytes < segmentBytes(lay, s.newSlots(lay, room))
	}
	return room, room >= s.removed.room
}

// noteRemoved counts a segment that was removed when there was so much room.
func (s *Store) noteRemoved(bytes, room int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = regain{s.removed.bytes + bytes, room + bytes/2}
}

// regained notes that space was found.
func (s *Store) regained() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = regain{}
}
