package engine

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"

	"kvasir/gguf"
)

// digestEntry is one line of the cache file: a model file as the file system knew it, and its SHA-256. The time of the last change
// is the field that no program sets: other weights of the same size may well be given the old modification time.
type digestEntry struct {
	Dev    uint64 `json:"dev"`
	Ino    uint64 `json:"ino"`
	Size   int64  `json:"size"`
	MTime  int64  `json:"mtime_ns"`
	CTime  int64  `json:"ctime_ns"`
	Sample uint32 `json:"sample"` // of the contents, since images may be made with the same times and numbers
	SHA256 string `json:"sha256"`
	CRC32C uint32 `json:"crc32c"` // of the others: with another digest the model would be another one, and its sessions not its own
}

func (e *digestEntry) checksum() uint32 {
	text := fmt.Sprintln(e.Dev, e.Ino, e.Size, e.MTime, e.CTime, e.Sample, e.SHA256)
	return crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli))
}

const (
	digestsName    = "digests.json" // in the home directory
	maxDigests     = 256
	maxDigestBytes = 1 << 20
)

// cachedDigest returns the SHA-256 of the model, from the cache file where that knows it, and adds what it computed.
// The cache only saves time: one that cannot be read or written is done without.
func cachedDigest(ctx context.Context, f *gguf.Model, cache string, progress func(done, total int64)) (sum [32]byte, err error) {
	id := f.Identity()
	key := digestEntry{Dev: id.Dev, Ino: id.Ino, Size: id.Size, MTime: id.ModTime.UnixNano(), CTime: id.Changed.UnixNano()}
	usable := cache != "" && id.Ino != 0 && !id.Changed.IsZero()
	if usable {
		key.Sample, err = f.Sample()
		usable = err == nil
	}
	var entries []digestEntry
	if usable {
		entries = readDigests(cache)
		for _, e := range entries {
			b, err := hex.DecodeString(e.SHA256)
			e.SHA256, e.CRC32C = "", 0
			if e == key && err == nil && len(b) == len(sum) {
				return [32]byte(b), nil
			}
		}
	}
	if sum, err = f.Digest(ctx, progress); err != nil || !usable {
		return sum, err
	}
	key.SHA256 = hex.EncodeToString(sum[:])
	key.CRC32C = key.checksum()
	entries = append(entries, key)
	writeDigests(cache, entries[max(0, len(entries)-maxDigests):])
	return sum, nil
}

func readDigests(path string) []digestEntry {
	fi, err := os.Stat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() > maxDigestBytes {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var entries []digestEntry
	if json.Unmarshal(b, &entries) != nil {
		return nil
	}
	return slices.DeleteFunc(entries, func(e digestEntry) bool { return e.CRC32C != e.checksum() })
}

// writeDigests replaces the file by name, so that a reader or a crash sees the old or the new one.
func writeDigests(path string, entries []digestEntry) {
	b, err := json.MarshalIndent(entries, "", " ")
	if err != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".digests-*")
	if err != nil {
		return
	}
	_, err = tmp.Write(b)
	if err2 := tmp.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
}
