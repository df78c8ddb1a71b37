package kvcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"kvasir/platform/vfs"
	"kvasir/quant"
)

// Stored is a namespace as it lies on disk.
type Stored struct {
	Dir         string // its name below kv/v1
	Fingerprint Fingerprint
	Inputs      []byte // what the fingerprint was made from, for people
	Geometry    Geometry
	Err         error // why META cannot be used; the other fields but Dir then mean nothing

	lay *layout
}

// StoredNamespaces lists the namespaces on disk, by name. It takes no lock and reads META files only; Store.Namespace
// opens one by its Fingerprint, Inputs and Geometry. A home without any is no error.
func StoredNamespaces(fsys vfs.FS, home string) ([]Stored, error) {
	dir := filepath.Join(home, "kv", "v1")
	names, err := fsys.ReadDir(dir)
	if err != nil && !isNotExist(err) {
		return nil, err
	}
	var all []Stored
	for _, name := range names {
		if strings.HasPrefix(name, "m-") {
			all = append(all, readStored(fsys, dir, name))
		}
	}
	return all, nil
}

func readStored(fsys vfs.FS, dir, name string) Stored {
	s, path := Stored{Dir: name}, filepath.Join(dir, name, "META")
	b, err := vfs.ReadFile(fsys, path, maxMetaBytes)
	var recipe []byte
	if err == nil {
		s.Fingerprint, recipe, s.Inputs, err = decodeMeta(b)
	}
	if err == nil {
		s.lay, err = decodeRecipe(recipe)
	}
	if err == nil {
		if id := namespaceID(s.Fingerprint, s.lay.recipeHash); namespaceDir(id) != name {
			err = fmt.Errorf("%w: it is that of %s", errSegment, namespaceDir(id))
		}
	}
	if err != nil {
		s.Err = fmt.Errorf("%s: %w", path, err)
		return s
	}
	s.Geometry = s.lay.geometry
	return s
}

// StoredTokens returns how many tokens at the start of the path ids have their rows on disk for that fingerprint, in
// the format that holds the most. It takes no lock, maps nothing and reads headers only, so that it can run beside the
// process that writes: payloads are not verified, and a file that is damaged or being written counts as absent.
func StoredTokens(fsys vfs.FS, home string, fp Fingerprint, ids []int32) (int, error) {
	all, err := StoredNamespaces(fsys, home)
	if err != nil {
		return 0, err
	}
	most := 0
	for _, s := range all {
		if s.Err == nil && s.Fingerprint == fp {
			most = max(most, storedPath(fsys, filepath.Join(home, "kv", "v1", s.Dir), s.lay, fp, ids))
		}
	}
	return most, nil
}

// storedPath walks the chain of ids through the headers of one namespace's segments.
func storedPath(fsys vfs.FS, dir string, lay *layout, fp Fingerprint, ids []int32) int {
	have := map[Hash]*slotHeader{} // the one with all planes, of several
	children := map[Hash][]*slotHeader{}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, name := range names {
		if _, ok := segmentNumber(name); ok {
			eachHeader(fsys, filepath.Join(dir, name), lay, fp, func(h *slotHeader, _ int64) {
				if other := have[h.hash]; other == nil || h.before(other) {
					have[h.hash] = h
				}
				children[h.parent] = append(children[h.parent], h)
			})
		}
	}
	path := []Hash{rootHash(fp, lay.recipeHash, nil)}
	for len(ids) >= len(path)*BlockTokens {
		h := have[pathHash(&path[len(path)-1], ids[(len(path)-1)*BlockTokens:][:BlockTokens])]
		if h == nil {
			break
		}
		path = append(path, h.hash)
	}
	has := func(b int) bool { return b+1 >= len(path) || have[path[b+1]].flags&flagWindowPlanes != 0 }
	withTail := func(done int) int {
		tail := 0
		for _, h := range children[path[done/BlockTokens]] {
			if h.flags&flagWindowPlanes != 0 {
				tail = max(tail, commonPrefix(h.ids, ids[done:]))
			}
		}
		return done + tail
	}
	whole := (len(path) - 1) * BlockTokens
	most := withTail(whole)
	if lay.state != nil { // as far as the longest snapshot from which one can go on
		at := storedStates(fsys, dir, names, lay, fp, path, ids)
		for n := most; n > 0; n-- {
			if at[n] && lay.usable(n, has) == n {
				return n
			}
		}
		return 0
	}
	if lay.usable(most, has) == most {
		return most
	}
	return withTail(lay.usable(whole, has))
}

// eachHeader calls found for every valid slot header of a segment file, with the offset of the slot.
func eachHeader(fsys vfs.FS, path string, lay *layout, fp Fingerprint, found func(h *slotHeader, off int64)) {
	f, err := fsys.OpenFile(path, vfs.Read)
	if err != nil {
		return
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return
	}
	b := make([]byte, headerBytes)
	var sb *superblock
	for _, off := range []int64{0, superblockCopy} {
		if _, err := f.ReadAt(b, off); err == nil {
			if sb, err = decodeSuperblock(b, lay, fp, size); err == nil {
				break
			}
		}
	}
	if sb == nil {
		return
	}
	for slot := range sb.slotCount {
		if _, err := f.ReadAt(b, headerTableOff+int64(slot)*headerBytes); err != nil {
			return
		}
		if h, err := decodeSlotHeader(b, lay, sb.uuid, uint32(slot)); err == nil {
			found(h, dataOff(sb.slotCount)+int64(slot)*int64(lay.slotBytes))
		}
	}
}

var errRecipe = errors.New("unusable recipe")

// decodeRecipe is the inverse of encodeRecipe.
func decodeRecipe(b []byte) (*layout, error) {
	le := binary.LittleEndian
	nLayers := 0
	if len(b) >= 4 {
		nLayers = int(le.Uint16(b))
	}
	end := 4 + recipeBytes*nLayers
	if nLayers == 0 || len(b) != end && len(b) != end+stateRecipe {
		return nil, fmt.Errorf("%w: %d bytes", errRecipe, len(b))
	}
	var g Geometry
	if len(b) > end {
		g.StateBytes = int(le.Uint32(b[end:]))
	}
	for e := b[4:end]; len(e) > 0; e = e[recipeBytes:] {
		g.Layers = append(g.Layers, Layer{NKVHeads: int(le.Uint16(e)), HeadDim: int(le.Uint16(e[2:])),
			K: quant.KVFormat(e[4]), V: quant.KVFormat(e[5]), Window: int(le.Uint32(e[8:]))})
	}
	lay, err := newLayout(g)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(lay.recipe, b) {
		return nil, fmt.Errorf("%w: not in store order", errRecipe)
	}
	return lay, nil
}
