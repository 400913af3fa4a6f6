package reactor

import (
	"fmt"
	"time"
)

// engine is what a loop needs of the kernel: readiness of sockets, and their
// bytes. Both engines wait with epoll(7); they differ in how a batch of sends
// gets to the kernel.
//
// All methods but wake and close belong to the loop's thread.
type engine interface {
	// start is called once, on the loop's thread, before all others but close.
	start() error
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

// batcher is what an engine has besides if several sends cost less together. All
// methods belong to the loop's thread.
type batcher interface {
	// room tells whether queue can take one more.
	room() bool
	// queue adds a send to the batch; b must stay as it is, and be kept alive,
	// until submit returns.
	queue(fd int, b []byte, tag uint32)
	// submit sends the batch and passes on an outcome for each.
	submit(done func(sent)) error
}

// maxBatch is how many sends go into one submit: enough to make a system call
// for all of them cheap, and few enough that the scheduler gets the thread back
// after about a millisecond.
const maxBatch = 128

// sent is the outcome of a send of a batch, as of engine.send.
type sent struct {
	tag uint32
	n   int
	err error
}

// Engine names a way to the kernel.
type Engine string

// The engines.
const (
	// EngineAuto is io_uring where the kernel has it and lets us, else epoll.
	EngineAuto Engine = "auto"
	// EngineEpoll makes a system call for each send.
	EngineEpoll Engine = "epoll"
	// EngineURing makes one for a batch of them, by io_uring. It needs Linux 6.1.
	EngineURing Engine = "io_uring"
)

func (e Engine) valid() bool { return e == EngineAuto || e == EngineEpoll || e == EngineURing }

// newEngine makes the engine of one of so many loops. found says what it is
// and, if it is not what io_uring would be, why not.
func newEngine(which Engine, maxEvents, loops int) (e engine, found string, err error) {
	if which == EngineEpoll {
		e, err = newEpoll(maxEvents, loops)
		return e, string(EngineEpoll), err
	}
	e, err = newURing(maxEvents, loops)
	if err == nil || which == EngineURing {
		return e, string(EngineURing), err
	}
	why := err
	e, err = newEpoll(maxEvents, loops)
	return e, fmt.Sprintf("%s (%s)", EngineEpoll, why), err
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
