//go:build unix

package carves

import "golang.org/x/sys/unix"

// freeBytes is what this process may still write on dir's disk.
func freeBytes(dir string) (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, err
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil
}
