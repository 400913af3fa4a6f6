package reactor

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"tmms/edge/timewheel"
)

// connState is how far a connection is on its way out.
type connState uint8

const (
	stateFree      connState = iota
	stateOpen                // callbacks come
	stateFlushing            // CloseAfterFlush: the queue is being sent
	stateDraining            // FIN sent: what still comes is dropped until the peer's end
	stateCondemned           // closed at the end of the turn
	stateDetached            // the socket is somebody else's; the place is freed at the end of the turn
)

// ID names a connection for as long as it lives; unlike a *Conn it is safe to
// keep. See [Loop.Conn].
type ID uint64

// Conn is one connection, owned by its loop: every method, where it does not
// say otherwise, is for the loop's thread only. A *Conn must not be used after
// OnClose or Detach, its place is given to another connection then.
type Conn struct {
	// What each send looks at, together: set when the connection starts, and the
	// loop's own.
	loop       *Loop
	fd         int32
	remotePort uint16
	state      connState
	armed      bool     // writable events are asked for
	full       bool     // the socket took less than it was given
	queued     bool     // stands on the ready list
	paused     bool     // PauseRead
	hangup     bool     // the peer's end is in sight: read up to it
	ended      bool     // the peer's end was read
	pending    bool     // stands on the loop's list of unidentified connections
	reset      bool     // to be closed by a reset
	out        *[]byte  // queue of Write, never empty; nil: nothing waits, as nearly always
	layer      *layered // nil: the socket has the plain bytes

	// Set when the connection starts.
	remoteIP   [16]byte
	accepted   time.Duration // loop time
	place      uint32
	generation uint32

	// Neighbours on the list of unidentified connections, owned by the loop.
	older, newer link

	// Owned by the loop.
	proto  Protocol
	reason *error // why it ends; nil until it does
	timer  timewheel.Entry
}

// Loop is the loop that c lives on; valid from any goroutine until OnClose.
func (c *Conn) Loop() *Loop { return c.loop }

// ID is the name under which [Loop.Conn] finds c while it lives.
func (c *Conn) ID() ID { return ID(c.token()) }

// Remote is the peer's address; IPv4 is never shown as IPv6.
func (c *Conn) Remote() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(c.remoteIP).Unmap(), c.remotePort)
}

// Local is our address, the zero value if the kernel does not know it any
// more. It costs a system call.
func (c *Conn) Local() netip.AddrPort {
	if c.closed() {
		return netip.AddrPort{}
	}
	addr, err := localAddr(int(c.fd))
	if err != nil {
		return netip.AddrPort{}
	}
	return addr
}

// Protocol is what gets c's callbacks.
func (c *Conn) Protocol() Protocol { return c.proto }

// SetProtocol gives all further callbacks of c to p, OnClose included.
func (c *Conn) SetProtocol(p Protocol) { c.proto = p }

// Identified tells that the peer has said what it wants, so that it is no
// longer among the first to go when there are too many connections.
func (c *Conn) Identified() { c.loop.identified(c) }

// Send gives b to the socket without blocking and keeps nothing of it. A short
// send (n < len(b), err == nil) means that the socket is full: the rest is the
// caller's, and OnWritable comes when there is room. While bytes of Write wait,
// Send sends those first and may take nothing. After an error c is condemned,
// with that error as the reason, and the caller need not close it. Send does
// not allocate.
func (c *Conn) Send(b []byte) (n int, err error) {
	if c.state != stateOpen {
		return 0, ErrClosed
	}
	if c.out != nil {
		if c.full && c.layer != nil {
			return 0, nil // what Send has taken before is not out, and OnWritable will come
		}
		if err = c.flush(); err != nil || c.out != nil {
			return 0, err
		}
	}
	if c.layer != nil {
		return c.sendSealed(b)
	}
	return c.send(b)
}

// SendFile is Send of n > 0 bytes of a file, from off on. The kernel takes the
// file's pages as they are (sendfile(2)), so they must not change until the peer
// has them. A file that ends before condemns c with io.ErrUnexpectedEOF. A
// connection with a layer can't send files: that is errors.ErrUnsupported and no
// harm to c. SendFile does not allocate.
func (c *Conn) SendFile(fd int, off int64, n int) (sent int, err error) {
	switch {
	case c.state != stateOpen:
		return 0, ErrClosed
	case c.layer != nil:
		return 0, fmt.Errorf("reactor: send a file through a layer: %w", errors.ErrUnsupported)
	case c.out != nil:
		if err = c.flush(); err != nil || c.out != nil {
			return 0, err
		}
	}
	sent, err = sendFile(int(c.fd), fd, off, n)
	return c.took(sent, n, err)
}

// Write sends b or, as far as the socket does not take it, queues a copy, which
// goes out before OnWritable is called. It is meant for small replies: a peer
// that lets more than media.MaxControlOutput bytes pile up is condemned with
// [ErrBacklog].
func (c *Conn) Write(b []byte) error {
	if c.state != stateOpen {
		return ErrClosed
	}
	if c.layer != nil {
		sealed, err := c.seal(b)
		if err != nil {
			return err
		}
		b = sealed
	}
	return c.put(b)
}

// put sends b, which is fit for the socket, or queues a copy.
func (c *Conn) put(b []byte) error {
	if c.out == nil && !c.full {
		n, err := c.send(b)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	if len(b) == 0 {
		return nil
	}
	if size := c.Pending() + len(b); size > c.maxOut() {
		err := fmt.Errorf("%w: %d bytes wait, the limit is %d", ErrBacklog, size, c.maxOut())
		c.loop.condemn(c, err)
		return err
	}
	if c.out == nil {
		c.out = new([]byte)
	}
	*c.out = append(*c.out, b...)
	return nil
}

// Pending is the number of bytes of Write, or sealed by the layer, that the
// socket has not taken yet.
func (c *Conn) Pending() int {
	if c.out == nil {
		return 0
	}
	return len(*c.out)
}

// Blocked reports whether the last send was short and the socket has not become
// writable since.
func (c *Conn) Blocked() bool { return c.full }

// Unsent is the number of bytes in the socket that the peer has not
// acknowledged. It costs a system call.
func (c *Conn) Unsent() (int, error) {
	if c.closed() {
		return 0, ErrClosed
	}
	n, err := unsentBytes(int(c.fd))
	if err != nil {
		return 0, fmt.Errorf("reactor: SIOCOUTQ: %w", err)
	}
	return n, nil
}

// SetTimer makes OnTimer come d after the turn's [Loop.Now], rounded up to a
// tick; it replaces the time that was set before. Moving it later, again and
// again, is cheap.
func (c *Conn) SetTimer(d time.Duration) {
	if c.state == stateOpen {
		c.loop.wheel.Add(&c.timer, c.loop.now+d)
	}
}

// StopTimer takes back SetTimer.
func (c *Conn) StopTimer() {
	if c.state == stateOpen {
		c.loop.wheel.Cancel(&c.timer)
	}
}

// PauseRead stops OnData, so that the peer is slowed down by TCP; the bytes of
// a running OnData are the protocol's all the same. A reset still closes c, the
// peer's orderly end waits for ResumeRead.
func (c *Conn) PauseRead() { c.paused = true }

// ResumeRead lets OnData come again, from the end of the turn on.
func (c *Conn) ResumeRead() {
	if c.paused {
		c.paused = false
		c.loop.readLater(c)
	}
}

// Close condemns c: no further callback but OnClose(c, reason), at the end of
// the turn. It is safe in any callback; only the first reason counts. What the
// socket holds is still sent, unless it is full: then c is reset, see Reset.
func (c *Conn) Close(reason error) { c.loop.condemn(c, reason) }

// Reset is Close for a peer that does not take what it is sent: the connection is
// reset, so that the kernel drops the unsent bytes at once, which else it would
// hold for minutes.
func (c *Conn) Reset(reason error) {
	c.reset = true
	c.Close(reason)
}

// CloseAfterFlush sends what Write has queued and the layer's last word, then FIN, waits for the peer's
// end so that a reset does not destroy the last bytes, and closes. All of it
// is bounded by Config.Linger, and ends in a reset then. Only OnClose(c, reason)
// still comes.
func (c *Conn) CloseAfterFlush(reason error) {
	if c.state != stateOpen {
		return
	}
	c.state, c.reason = stateFlushing, &reason
	c.loop.wheel.Add(&c.timer, c.loop.now+c.loop.cfg.Linger)
	c.end()
	c.continueClose()
}

// Detach takes the socket out of the loop: no callback comes any more and c is
// gone. The descriptor is the caller's, still non-blocking and close-on-exec;
// what OnData gave and what was not read yet is all there is to know. Detach
// fails with [ErrUnsent] while bytes of Write wait, and with [ErrClosed] after
// Close.
func (c *Conn) Detach() (fd int, err error) {
	switch {
	case c.state != stateOpen:
		return -1, ErrClosed
	case c.out != nil:
		return -1, fmt.Errorf("%w: %d", ErrUnsent, c.Pending())
	}
	if err = c.loop.engine.forget(int(c.fd)); err != nil {
		return -1, err
	}
	c.loop.detach(c)
	return int(c.fd), nil
}

// SetNotSentLowat bounds the unsent bytes that the kernel takes for c
// (TCP_NOTSENT_LOWAT), so that what a slow peer gets is fresh.
func (c *Conn) SetNotSentLowat(n int) error {
	if c.closed() {
		return ErrClosed
	}
	if err := setNotSentLowat(int(c.fd), n); err != nil {
		return fmt.Errorf("reactor: TCP_NOTSENT_LOWAT %d: %w", n, err)
	}
	return nil
}

// SetCongestion chooses the congestion control, such as "bbr". An error is no
// harm: the socket keeps the one it had.
func (c *Conn) SetCongestion(name string) error {
	if c.closed() {
		return ErrClosed
	}
	if err := setCongestion(int(c.fd), name); err != nil {
		return fmt.Errorf("reactor: TCP_CONGESTION %q: %w", name, err)
	}
	return nil
}

func (c *Conn) token() token { return makeToken(c.place, c.generation) }

// closed reports that the socket is not c's any more.
func (c *Conn) closed() bool { return c.state == stateFree || c.state == stateDetached }

// send is the one way to the socket.
func (c *Conn) send(b []byte) (int, error) {
	n, err := c.loop.engine.send(int(c.fd), b)
	return c.took(n, len(b), err)
}

// took notes that the socket has taken n of the asked bytes.
func (c *Conn) took(n, asked int, err error) (int, error) {
	l := c.loop
	if err != nil {
		l.condemn(c, err)
		return 0, err
	}
	l.count.sent += uint64(n)
	if n < asked {
		l.count.shortSends++
		c.full = true
		l.arm(c, true)
	}
	return n, nil
}

// flush sends from the queue.
func (c *Conn) flush() error {
	out := *c.out
	n, err := c.send(out)
	if err != nil {
		return err
	}
	if n == len(out) {
		c.emptied()
		return nil
	}
	*c.out = out[:copy(out, out[n:])]
	return nil
}

// continueClose takes the next step of CloseAfterFlush.
func (c *Conn) continueClose() {
	if c.out != nil && c.flush() != nil {
		return
	}
	if c.out != nil {
		return
	}
	if c.ended || shutdownWrite(int(c.fd)) != nil {
		c.loop.condemn(c, nil)
		return
	}
	c.state, c.paused = stateDraining, false
	c.loop.readLater(c)
}

// readable reports whether bytes of the socket are wanted now.
func (c *Conn) readable() bool {
	return c.state == stateDraining || c.state == stateOpen && !c.paused
}

// received passes on bytes of the socket.
func (c *Conn) received(b []byte) {
	if c.layer != nil {
		c.open(b)
		return
	}
	c.proto.OnData(c, b)
}

// peerEnded is the end of the stream: what we still owe goes out first.
func (c *Conn) peerEnded() {
	c.ended = true
	if c.state == stateOpen && c.out != nil {
		c.CloseAfterFlush(io.EOF)
		return
	}
	c.loop.condemn(c, io.EOF)
}
