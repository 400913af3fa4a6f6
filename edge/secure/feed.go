package secure

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

type addr = netip.AddrPort

// feed is the net.Conn of a handshake: the loop puts in what comes from the
// socket, and Read waits for it. While it waits, another handshake may compute.
type feed struct {
	noDeadline
	// Set at construction.
	cpu    chan struct{}
	write  func([]byte) error
	remote addr
	more   chan struct{} // has one when bytes came since the last look
	gone   chan struct{} // closed with the cause

	mu  sync.Mutex
	in  []byte // guarded by mu
	err error  // guarded by mu; the cause of the end
}

func newFeed(cpu chan struct{}, write func([]byte) error, first []byte) *feed {
	return &feed{cpu: cpu, write: write, in: first, more: make(chan struct{}, 1), gone: make(chan struct{})}
}

// put gives bytes to the handshake, or to whoever comes after it; b is copied.
func (f *feed) put(b []byte) {
	f.mu.Lock()
	f.in = append(f.in, b...)
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// end makes the handshake fail; only the first cause counts.
func (f *feed) end(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = cause
		close(f.gone)
	}
}

// cause is what end was given; nil: nothing.
func (f *feed) cause() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// rest is what the handshake has not read.
func (f *feed) rest() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.in
}

// acquire waits for a processor.
func (f *feed) acquire() error {
	select {
	case f.cpu <- struct{}{}:
		return nil
	case <-f.gone:
		return f.cause()
	}
}

func (f *feed) release() { <-f.cpu }

// Read implements net.Conn. It is called with a processor, and returns with one.
func (f *feed) Read(b []byte) (int, error) {
	for {
		if n, err := f.take(b); n > 0 || err != nil {
			return n, err
		}
		f.release()
		select {
		case <-f.more:
		case <-f.gone:
		}
		f.cpu <- struct{}{}
	}
}

func (f *feed) take(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return 0, f.err
	}
	n := copy(b, f.in)
	f.in = f.in[n:]
	return n, nil
}

// Write implements net.Conn.
func (f *feed) Write(b []byte) (int, error) {
	if err := f.write(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// RemoteAddr implements net.Conn.
func (f *feed) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(f.remote) }

// noDeadline is the part of a net.Conn that one in memory has no use for.
type noDeadline struct{}

func (noDeadline) Close() error                     { return nil }
func (noDeadline) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (noDeadline) SetDeadline(time.Time) error      { return nil }
func (noDeadline) SetReadDeadline(time.Time) error  { return nil }
func (noDeadline) SetWriteDeadline(time.Time) error { return nil }
