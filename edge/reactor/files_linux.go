package reactor

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What io_uring_register(2) takes for a table of files.
const (
	ringRegisterFilesUpdate = 6
	ringRegisterFiles2      = 13
	ringRegisterSparse      = 1
	ringFixedFile           = 1 << 0 // of sqe.flags
)

const (
	// maxFixed bounds the table, 8 bytes an entry in the kernel; descriptors above
	// it are looked up for each send.
	maxFixed = 1 << 16
	// fixAfter is after how many sends a socket gets a place in the table: that and
	// its end cost a system call each, which a short visit would not earn back.
	fixAfter = 16
	// fixed marks a socket with a place.
	fixed = fixAfter + 1
)

// files is a ring's table of sockets, at the place of their descriptors. A send
// by the table finds its socket without the look-up, and the count of its users,
// that a descriptor costs; with one cache miss less.
type files struct {
	ring  int
	sends []uint8 // by descriptor: up to fixAfter, or fixed; empty: there is no table
}

// rsrcRegister is struct io_uring_rsrc_register.
type rsrcRegister struct {
	nr, flags  uint32
	_          uint64
	data, tags uint64
}

// filesUpdate is struct io_uring_files_update.
type filesUpdate struct {
	offset, _ uint32
	fds       uint64
}

// open makes an empty table. Where the kernel has none, or has no memory for it,
// sends go without.
func (f *files) open(ring int) {
	f.ring = ring
	n := uint64(maxFixed)
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		n = min(n, limit.Cur)
	}
	r := rsrcRegister{nr: uint32(n), flags: ringRegisterSparse}
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(ring), ringRegisterFiles2,
		uintptr(unsafe.Pointer(&r)), unsafe.Sizeof(r), 0, 0)
	if errno == 0 {
		f.sends = make([]uint8, n)
	}
}

// use counts a send, and tells whether it may go by the table.
func (f *files) use(fd int) bool {
	if fd >= len(f.sends) {
		return false
	}
	switch f.sends[fd] {
	case fixed:
		return true
	case fixAfter:
		if f.update(fd, int32(fd)) != nil {
			f.sends[fd] = 0 // it is tried again later
			return false
		}
		f.sends[fd] = fixed
		return true
	}
	f.sends[fd]++
	return false
}

// drop takes a socket out of the table; it must be done before its descriptor is
// closed, for the table holds the socket too.
func (f *files) drop(fd int) error {
	if fd >= len(f.sends) {
		return nil
	}
	was := f.sends[fd]
	f.sends[fd] = 0
	if was != fixed {
		return nil
	}
	const none = -1
	return f.update(fd, none)
}

func (f *files) update(place int, fd int32) error {
	u := filesUpdate{offset: uint32(place), fds: uint64(uintptr(unsafe.Pointer(&fd)))}
	for {
		_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(f.ring), ringRegisterFilesUpdate,
			uintptr(unsafe.Pointer(&u)), 1, 0, 0)
		switch {
		case errno == 0:
			return nil
		case !errors.Is(errno, unix.EINTR):
			return fmt.Errorf("reactor: io_uring's file %d at %d: %w", fd, place, errno)
		}
	}
}
