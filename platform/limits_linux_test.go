package platform

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLockHolderOfATable(t *testing.T) {
	const table = "1: POSIX  ADVISORY  WRITE 11 fe:01:500 0 EOF\n" +
		"2: FLOCK  ADVISORY  WRITE 22 fe:01:500 0 EOF\n" +
		"2: -> FLOCK  ADVISORY  WRITE 33 fe:01:500 0 EOF\n" +
		"3: FLOCK  ADVISORY  WRITE 44 00:2a:600 0 EOF\n" +
		"4: FLOCK  ADVISORY  WRITE 0 fe:01:700 0 EOF\n" +
		"5: FLOCK\n6: FLOCK ADVISORY WRITE x fe:01:800 0 EOF\n7: FLOCK ADVISORY WRITE 9 fe-01-800 0 EOF\n"
	for _, c := range []struct {
		name         string
		major, minor uint32
		ino          uint64
		want         int
	}{
		{"held", 0xfe, 1, 500, 22},
		{"same inode number, device shown differently", 0, 0x30, 600, 44},
		{"holder out of sight", 0xfe, 1, 700, -1},
		{"nobody", 0xfe, 1, 501, 0},
		{"lines that say nothing", 0xfe, 1, 800, 0},
	} {
		got, err := lockHolder(strings.NewReader(table), c.major, c.minor, c.ino)
		if got != c.want || err != nil {
			t.Errorf("%s: %d, %v, want %d", c.name, got, err, c.want)
		}
	}
}

func TestLockHolderIsThisProcess(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "LOCK"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if pid, err := LockHolder(f.Name()); pid != 0 || err != nil {
		t.Fatalf("before locking: holder %d, %v", pid, err)
	}
	if err := LockExclusive(f); err != nil {
		t.Fatal(err)
	}
	// Sandboxed kernels (gVisor) keep the table empty.
	pid, err := LockHolder(f.Name())
	if table, _ := os.ReadFile("/proc/locks"); !strings.Contains(string(table), "FLOCK") {
		t.Skip("this system's /proc/locks does not list locks")
	}
	if pid != os.Getpid() && pid != -1 || err != nil {
		t.Errorf("holder %d, %v, want %d", pid, err, os.Getpid())
	}
	if name := ProcessName(os.Getpid()); name == "" {
		t.Error("this process has no name")
	}
}

func TestWritable(t *testing.T) {
	dir := t.TempDir()
	if err := Writable(dir); err != nil {
		t.Error(err)
	}
	if err := Writable(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent directory: %v", err)
	}
	if FileSystem(dir) == "" || FileSystem(filepath.Join(dir, "absent")) != "" {
		t.Errorf("file systems %q, %q", FileSystem(dir), FileSystem(filepath.Join(dir, "absent")))
	}
}

func TestLimitsNameOpenFiles(t *testing.T) {
	for _, l := range Limits() {
		if l.Name == "RLIMIT_NOFILE" && l.Soft > 0 && l.Soft <= l.Hard && l.String() != "" {
			return
		}
	}
	t.Errorf("%+v", Limits())
}
