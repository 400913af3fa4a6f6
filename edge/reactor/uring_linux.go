package reactor

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What io_uring_setup(2), io_uring_enter(2) and io_uring_register(2) take; package
// unix has only their numbers.
const (
	ringSetupDisabled     = 1 << 6
	ringSetupSubmitAll    = 1 << 7
	ringSetupSingleIssuer = 1 << 12 // Linux 6.0
	ringSetupDeferTaskrun = 1 << 13 // Linux 6.1

	ringEnterGetEvents = 1 << 0
	ringRegisterEnable = 12
	ringOpSend         = 26

	ringOffSQ   = 0
	ringOffSQEs = 0x10000000

	ringFeatSingleMmap = 1 << 0
)

// ringParams is struct io_uring_params.
type ringParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq                                                                     sqOffsets
	cq                                                                     cqOffsets
}

type sqOffsets struct {
	head, tail, mask, entries, flags, dropped, array, _ uint32
	_                                                   uint64
}

type cqOffsets struct {
	head, tail, mask, entries, overflow, cqes, flags, _ uint32
	_                                                   uint64
}

// sqe is struct io_uring_sqe.
type sqe struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off, addr     uint64
	length        uint32
	msgFlags      uint32
	userData      uint64
	_             [3]uint64
}

// cqe is struct io_uring_cqe.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// uring is the engine that hands a batch of sends to the kernel in one call of
// io_uring(7); everything else of it is epoll. A null system call costs a good
// part of a small send where the kernel is virtual or guarded against
// speculation, and that is what it saves.
type uring struct {
	*epoll

	// Set at construction.
	fd     int
	ring   []byte // both queues
	sqes   []sqe
	sqTail *uint32 // written by us
	sqMask uint32
	cqHead *uint32 // written by us
	cqTail *uint32 // written by the kernel
	cqMask uint32
	cqes   []cqe

	// Owned by the loop.
	queued uint32
}

// newURing makes an engine with a ring that nothing can be given to before the
// loop's thread has started it. An error means that the kernel has no io_uring,
// one that is too old (before 6.1), or that it is forbidden here.
func newURing(maxEvents, loops int) (*uring, error) {
	params := ringParams{
		flags: ringSetupDisabled | ringSetupSubmitAll | ringSetupSingleIssuer | ringSetupDeferTaskrun,
	}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, maxBatch, uintptr(unsafe.Pointer(&params)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("reactor: io_uring_setup: %w", errno)
	}
	u := &uring{fd: int(fd)}
	unix.CloseOnExec(u.fd)
	if err := u.mapQueues(&params); err != nil {
		return nil, errors.Join(err, u.closeRing())
	}
	e, err := newEpoll(maxEvents, loops)
	if err != nil {
		return nil, errors.Join(err, u.closeRing())
	}
	u.epoll = e
	return u, nil
}

func (u *uring) mapQueues(p *ringParams) error {
	if p.features&ringFeatSingleMmap == 0 {
		return fmt.Errorf("reactor: io_uring has the features %#x, one mapping is not among them", p.features)
	}
	size := max(p.sq.array+p.sqEntries*4, p.cq.cqes+p.cqEntries*uint32(unsafe.Sizeof(cqe{})))
	var err error
	const access, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	if u.ring, err = unix.Mmap(u.fd, ringOffSQ, int(size), access, flags); err != nil {
		return fmt.Errorf("reactor: map %d bytes of io_uring's queues: %w", size, err)
	}
	raw, err := unix.Mmap(u.fd, ringOffSQEs, int(p.sqEntries)*int(unsafe.Sizeof(sqe{})), access, flags)
	if err != nil {
		return fmt.Errorf("reactor: map io_uring's entries: %w", err)
	}
	u.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&raw[0])), p.sqEntries)
	word := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&u.ring[off])) }
	u.sqTail, u.sqMask = word(p.sq.tail), *word(p.sq.mask)
	u.cqHead, u.cqTail, u.cqMask = word(p.cq.head), word(p.cq.tail), *word(p.cq.mask)
	u.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(&u.ring[p.cq.cqes])), p.cqEntries)
	for i := range p.sqEntries { // entry i is always the i-th of the array
		*word(p.sq.array + 4*i) = i
	}
	return nil
}

// start gives the ring to the calling thread.
func (u *uring) start() error {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(u.fd), ringRegisterEnable, 0, 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("reactor: enable io_uring: %w", errno)
	}
	return nil
}

func (u *uring) room() bool { return u.queued < uint32(len(u.sqes)) }

func (u *uring) queue(fd int, b []byte, tag uint32) {
	tail := *u.sqTail // only we write it
	u.sqes[tail&u.sqMask] = sqe{
		opcode: ringOpSend, fd: int32(fd), addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))),
		length: uint32(len(b)), msgFlags: unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL, userData: uint64(tag),
	}
	atomic.StoreUint32(u.sqTail, tail+1)
	u.queued++
}

// submit makes the kernel do what is queued. It does it within the call, since
// no send may wait, so its outcomes are all there when the call returns.
func (u *uring) submit(done func(sent)) error {
	for u.queued > 0 {
		n, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(u.fd), uintptr(u.queued), 0,
			ringEnterGetEvents, 0, 0)
		if errno != 0 && errno != unix.EINTR && errno != unix.EAGAIN {
			return fmt.Errorf("reactor: io_uring_enter: %w", errno)
		}
		if errno == 0 {
			u.queued -= uint32(n)
		}
		u.reap(done)
	}
	return nil
}

// reap passes on the outcomes that are there.
func (u *uring) reap(done func(sent)) {
	head, tail := *u.cqHead, atomic.LoadUint32(u.cqTail)
	for ; head != tail; head++ {
		c := u.cqes[head&u.cqMask]
		done(outcome(uint32(c.userData), c.res))
	}
	atomic.StoreUint32(u.cqHead, head)
}

// outcome is what the kernel says of a send.
func outcome(tag uint32, res int32) sent {
	switch {
	case res >= 0:
		return sent{tag: tag, n: int(res)}
	case syscall.Errno(-res) == unix.EAGAIN, syscall.Errno(-res) == unix.EINTR:
		return sent{tag: tag}
	}
	return sent{tag: tag, err: syscall.Errno(-res)}
}

func (u *uring) close() error { return errors.Join(u.closeRing(), u.epoll.close()) }

func (u *uring) closeRing() error {
	var faults []error
	if u.sqes != nil {
		size := len(u.sqes) * int(unsafe.Sizeof(sqe{}))
		faults = append(faults, unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(&u.sqes[0])), size)))
		u.sqes = nil
	}
	if u.ring != nil {
		faults = append(faults, unix.Munmap(u.ring))
		u.ring = nil
	}
	return errors.Join(append(faults, unix.Close(u.fd))...)
}
