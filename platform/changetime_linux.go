package platform

import (
	"io/fs"
	"syscall"
	"time"
)

// ChangeTime returns when the file behind fi, its contents or its attributes, was last changed: unlike the modification time nobody
// can set it. Zero if fi does not say.
func ChangeTime(fi fs.FileInfo) time.Time {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return time.Time{}
}
