package yara

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// confine keeps this process from taking more processor time and more bytes of memory.
// The memory is beside what is mapped already, which for Go is mostly air.
func confine(processor time.Duration, memory uint64) error {
	limits := map[int]uint64{syscall.RLIMIT_CPU: uint64(processor.Seconds()), syscall.RLIMIT_CORE: 0}
	var pages uint64
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if _, err := fmt.Sscan(string(statm), &pages); err == nil {
			limits[syscall.RLIMIT_AS] = pages*uint64(os.Getpagesize()) + memory
		}
	}
	for resource, limit := range limits {
		if err := lower(resource, limit); err != nil {
			return err
		}
	}
	return nil
}

// lower sets a limit, unless there is a lower one already.
func lower(resource int, limit uint64) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(resource, &now); err != nil {
		return err
	}
	return syscall.Setrlimit(resource, &syscall.Rlimit{Cur: min(limit, now.Max), Max: min(limit, now.Max)})
}
