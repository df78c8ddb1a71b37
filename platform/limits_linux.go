package platform

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits returns the limits that matter to a program that maps files and holds many of them open.
func Limits() []Limit {
	var ls []Limit
	for _, r := range []struct {
		name string
		id   int
	}{{"RLIMIT_AS", unix.RLIMIT_AS}, {"RLIMIT_FSIZE", unix.RLIMIT_FSIZE}, {"RLIMIT_MEMLOCK", unix.RLIMIT_MEMLOCK}, {"RLIMIT_NOFILE", unix.RLIMIT_NOFILE}} {
		var l unix.Rlimit
		if unix.Getrlimit(r.id, &l) == nil {
			ls = append(ls, Limit{Name: r.name, Soft: l.Cur, Hard: l.Max})
		}
	}
	return ls
}

// fileSystems names file systems by the magic number of statfs(2), those that a program's state may lie on.
var fileSystems = map[uint32]string{
	0xEF53: "ext4", 0x9123683E: "btrfs", 0x58465342: "xfs", 0xF2F52010: "f2fs", 0x2FC12FC1: "zfs", 0xCA451A4E: "bcachefs",
	0x01021994: "tmpfs", 0x858458F6: "ramfs", 0x794C7630: "overlay", 0x6969: "nfs", 0xFF534D42: "cifs", 0xFE534D42: "smb2",
	0x01021997: "9p", 0x65735546: "fuse", 0x4D44: "vfat", 0x2011BAB0: "exfat", 0x73717368: "squashfs", 0x24051905: "ubifs", 0x72B6: "jffs2",
}

// FileSystem names the kind of file system that holds path, by its number if the name is not known; "" if it cannot be asked.
func FileSystem(path string) string {
	var st unix.Statfs_t
	if retry(func() error { return unix.Statfs(path, &st) }) != nil {
		return ""
	}
	if name, ok := fileSystems[uint32(st.Type)]; ok {
		return name
	}
	return "0x" + strconv.FormatUint(uint64(uint32(st.Type)), 16)
}

// Writable reports whether this process may make files in the directory at path: nil, or the system's reason.
func Writable(path string) error { return unix.Access(path, unix.W_OK|unix.X_OK) }

// LockHolder returns the process that holds a lock (flock) on the file at path: 0 if none does, -1 if one does that this
// process cannot see (in another PID namespace). It asks the system's table and does not touch the lock.
func LockHolder(path string) (pid int, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	dev, ino, ok := FileID(info)
	if !ok {
		return 0, ErrUnsupported
	}
	f, err := os.Open("/proc/locks")
	if err != nil {
		return 0, err
	}
	pid, err = lockHolder(f, unix.Major(dev), unix.Minor(dev), ino)
	return pid, errors.Join(err, f.Close())
}

// lockHolder finds a lock of flock on the inode in a table like /proc/locks. Some file systems (btrfs, overlay) show
// another device number there than to stat: a lock on the same inode number of another device counts if the device asked
// for has none.
func lockHolder(table io.Reader, major, minor uint32, ino uint64) (int, error) {
	elsewhere := 0
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text()) // 1: FLOCK ADVISORY WRITE 1234 fe:01:5678 0 EOF; waiting ones have "->" behind the number
		if len(f) < 6 || f[1] != "FLOCK" {
			continue
		}
		id := strings.Split(f[5], ":")
		pid, err := strconv.Atoi(f[4])
		if len(id) != 3 || err != nil {
			continue
		}
		if n, err := strconv.ParseUint(id[2], 10, 64); err != nil || n != ino {
			continue
		}
		if pid <= 0 {
			pid = -1
		}
		major1, err1 := strconv.ParseUint(id[0], 16, 32)
		minor1, err2 := strconv.ParseUint(id[1], 16, 32)
		if err1 == nil && err2 == nil && uint32(major1) == major && uint32(minor1) == minor {
			return pid, nil
		}
		elsewhere = pid
	}
	return elsewhere, lines.Err()
}

// ProcessName returns the short name of a running process, "" if it cannot be read.
func ProcessName(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// System returns the kernel's name and release, "" if it cannot be asked.
func System() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}
