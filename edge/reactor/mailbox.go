package reactor

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// message is what a loop gets from other goroutines: a function, or a fresh
// connection that another loop accepted.
type message struct {
	run   func() // nil: fresh counts
	fresh fresh
}

// fresh is an accepted socket that is on its way to its loop.
type fresh struct {
	remoteIP   [16]byte
	fd         int32
	remotePort uint16
	listener   uint16 // its place, the same on all loops
}

// addr is the peer's address; IPv4 is never shown as IPv6.
func (f *fresh) addr() netip.Addr { return netip.AddrFrom16(f.remoteIP).Unmap() }

// mailbox is a bounded queue of messages to one loop with coalesced wake-ups:
// however many messages come while the loop is busy, it is woken once.
type mailbox struct {
	wake  func()
	woken atomic.Bool // a wake-up is on its way

	// Guarded by mu.
	mu     sync.Mutex
	ring   []message
	head   int
	count  int
	closed bool
}

func newMailbox(size int, wake func()) *mailbox {
	return &mailbox{wake: wake, ring: make([]message, size)}
}

// put reports false, and drops m, if the mailbox is full or closed.
func (b *mailbox) put(m message) bool {
	b.mu.Lock()
	if b.closed || b.count == len(b.ring) {
		b.mu.Unlock()
		return false
	}
	b.ring[(b.head+b.count)%len(b.ring)] = m
	b.count++
	b.mu.Unlock()
	b.notify()
	return true
}

// notify wakes the loop, unless it has been and has not looked yet.
func (b *mailbox) notify() {
	if !b.woken.Swap(true) {
		b.wake()
	}
}

// open is called by the loop before it takes messages: later ones wake it anew.
func (b *mailbox) open() { b.woken.Store(false) }

func (b *mailbox) take() (m message, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count == 0 {
		return message{}, false
	}
	m = b.ring[b.head]
	b.ring[b.head] = message{}
	b.head = (b.head + 1) % len(b.ring)
	b.count--
	return m, true
}

// close refuses further messages; those inside can still be taken.
func (b *mailbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}
