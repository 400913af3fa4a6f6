package reactor

import "time"

// engine is what a loop needs of the kernel: readiness of sockets, and their
// bytes. The epoll engine is the only one today; one on io_uring fits behind
// the same methods (its wait submits and reaps in one enter).
//
// All methods but wake belong to the loop's thread.
type engine interface {
	// watch starts to report a connection, edge-triggered: readable, hang-up
	// and, only after arm, writable.
	watch(fd int, t token) error
	// arm asks for writable events of a watched connection, or ends them.
	arm(fd int, t token, on bool) error
	// watchListener starts to report a listener, level-triggered; pauseListener
	// suspends and resumes that.
	watchListener(fd int, t token) error
	pauseListener(fd int, t token, pause bool) error
	// forget stops reporting a descriptor that stays open.
	forget(fd int) error
	// wait fills events, or returns none when the timeout has passed or wake
	// was called; a negative timeout never passes.
	wait(events []event, timeout time.Duration) (int, error)
	// wake ends the current or the next wait; from any goroutine.
	wake()
	// recv reads what is there: n = 0 without an error is the end of the
	// stream, again tells that nothing is there yet.
	recv(fd int, b []byte) (n int, again bool, err error)
	// send gives b to the socket, which may take less: n < len(b) without an
	// error means that the socket is full.
	send(fd int, b []byte) (n int, err error)
	// close frees the engine's own descriptors.
	close() error
}

// event is the readiness of one socket. A stale one, for a connection that has
// gone, is recognised by the generation in its token.
type event struct {
	token    token
	readable bool // bytes, the peer's end or an error are there
	writable bool
	hangup   bool // the peer will send no more: read to the end
}

// token names a socket in events: the place in the slab in the low half, its
// generation in the high one; generation 0 is for listeners.
type token uint64

func makeToken(place, generation uint32) token {
	return token(generation)<<32 | token(place)
}

func (t token) place() uint32      { return uint32(t) }
func (t token) generation() uint32 { return uint32(t >> 32) }
