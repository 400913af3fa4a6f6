package web

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// memoryFile makes a file in memory (memfd_create(2)) of the chunks.
func memoryFile(chunks [][]byte) (int, error) {
	fd, err := unix.MemfdCreate("segment", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("web: memfd_create: %w", err)
	}
	for _, chunk := range chunks {
		for len(chunk) > 0 {
			n, err := unix.Write(fd, chunk)
			if err != nil && !errors.Is(err, unix.EINTR) {
				return -1, errors.Join(fmt.Errorf("web: memory file: %w", err), unix.Close(fd))
			}
			chunk = chunk[max(n, 0):]
		}
	}
	return fd, nil
}

func closeFile(fd int) { _ = unix.Close(fd) } // it is never read again
