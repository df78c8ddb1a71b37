package kvcache

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"kvasir/platform"
	"kvasir/platform/vfs"
)

// deviceBytes is what the kernel has charged this process with for writing to block devices.
func deviceBytes(t testing.TB) (written int64) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip("no I/O accounting: ", err)
	}
	for line := range bytes.Lines(b) {
		if n, _ := fmt.Sscanf(string(line), "write_bytes: %d", &written); n == 1 {
			return written
		}
	}
	t.Skip("no write_bytes in /proc/self/io")
	return 0
}

// I10: of 20 turns of 300 tokens with the rows of Qwen2.5-0.5B, the journal included, at most 1.30 bytes go to the disk for each byte
// of rows; and what the store counts is what the kernel does.
func TestBytesToTheDisk(t *testing.T) {
	dir := t.TempDir()
	switch fs := platform.FileSystem(dir); fs {
	case "ext4", "xfs", "f2fs":
	default:
		t.Skipf("the directory for temporary files is on %s: what reaches a device is not charged there", fs)
	}
	const turns, asked, answered = 20, 50, 250
	before := deviceBytes(t)
	s, n := realStore(t, dir, qwen)
	q := n.NewSequence(nil)
	j := create(t, NewSessions(vfs.OS(), dir), "S")
	state := make([]byte, 40)
	for turn := range int32(turns) {
		ids := tokens(asked+answered, turn)
		must(t, j.Turn("user", "what a user asks in about as many bytes as fifty tokens have: two hundred and fifty or so of them, which this sentence does not have, but a longer one would", ids[:asked]))
		commitAll(t, q, ids[:asked])
		for i := asked; i < len(ids); i++ {
			must(t, j.Tokens(ids[i:i+1], []byte("word"), state))
			commitAll(t, q, ids[i:i+1])
		}
		must(t, j.EndTurn("stop", state))
		must(t, q.Flush()) // what a pause between turns does
	}
	journal := j.Stats()
	must(t, j.Close())
	must(t, q.Close())
	must(t, s.Close())
	device := deviceBytes(t) - before
	st := s.Stats()
	rows := int64(turns * (asked + answered) * n.TokenBytes())
	counted := int64(st.PayloadBytes + st.HeaderBytes + journal.RecordBytes + journal.ZeroBytes)
	v, err := Look(vfs.OS(), dir, Options{})
	must(t, err)
	t.Logf("rows %d; to the device %d (%.3f of the rows); counted %d (%.3f of it): payload %d, headers %d, journal records %d, zeros %d; %d syncs; in the file written %d",
		rows, device, float64(device)/float64(rows), counted, float64(counted)/float64(device), st.PayloadBytes, st.HeaderBytes, journal.RecordBytes, journal.ZeroBytes,
		st.Syncs+journal.Syncs, v.Written.Today)
	if float64(device) > 1.30*float64(rows) {
		t.Errorf("%d bytes to the device for %d bytes of rows, want at most 1.30 of them", device, rows)
	}
	if r := float64(counted) / float64(device); r < 0.9 || r > 1.1 {
		t.Errorf("%d bytes counted, %d charged by the kernel", counted, device)
	}
	if v.Written.Today != int64(st.PayloadBytes+st.HeaderBytes) || v.Written.Total != v.Written.Today {
		t.Errorf("the file says %+v, the counters %d", v.Written, st.PayloadBytes+st.HeaderBytes)
	}
	if _, err := os.Stat(filepath.Join(dir, "kv", "v1", "written")); err != nil {
		t.Error(err)
	}
}
