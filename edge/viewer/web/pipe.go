package web

import (
	"io"
	"net/netip"
	"sync"
	"sync/atomic"

	"tmms/edge/fanout"
	"tmms/media"
)

// pipe carries a viewer's bytes from its loop, which never waits, to the
// goroutine of its request, which writes them to HTTP/2 or 3. It is a
// [fanout.Conn] of at most media.MaxViewerPipe bytes: what does not fit is
// refused, as a socket refuses it. One writes and one reads, without a lock: a
// goroutine that is off its processor must not hold up a loop.
//
//	tail (the loop's) -> ... -> head (the goroutine's)   chunks, linked by next
type pipe struct {
	// Set at construction.
	pool   *sync.Pool // of *chunk
	remote netip.AddrPort
	filled chan struct{} // has one when bytes came since the last look

	queued atomic.Int64 // bytes inside
	full   atomic.Bool  // bytes were refused and nobody has been told of room since
	closed atomic.Bool

	tail *chunk // owned by the loop

	// Owned by the goroutine.
	head *chunk
	read int // bytes of head
}

// chunkSize is the piece that a pipe grows by, and the least that it holds.
const chunkSize = 16 << 10

// pipeRoom is how much must be free for a pipe that was full to take bytes again.
const pipeRoom = media.MaxViewerPipe / 2

// chunk is a part of a pipe.
type chunk struct {
	buf  [chunkSize]byte
	used atomic.Int32 // bytes that may be read; only rises
	next atomic.Pointer[chunk]
}

// newChunks returns a pool of chunks for pipes.
func newChunks() *sync.Pool { return &sync.Pool{New: func() any { return new(chunk) }} }

func newPipe(pool *sync.Pool, remote netip.AddrPort) *pipe {
	p := &pipe{pool: pool, remote: remote, filled: make(chan struct{}, 1)}
	p.head = p.chunk()
	p.tail = p.head
	return p
}

// chunk takes an empty one from the pool.
func (p *pipe) chunk() *chunk {
	c, ok := p.pool.Get().(*chunk)
	if !ok {
		return new(chunk)
	}
	c.used.Store(0)
	c.next.Store(nil)
	return c
}

// Remote is the viewer's address.
func (p *pipe) Remote() netip.AddrPort { return p.remote }

// Send implements fanout.Conn: it copies what fits. Called on the loop.
func (p *pipe) Send(b []byte) (n int, err error) {
	if p.closed.Load() {
		return 0, io.ErrClosedPipe
	}
	for n < len(b) {
		room := media.MaxViewerPipe - int(p.queued.Load())
		if room <= 0 && !p.refuse() {
			break
		}
		n += p.put(b[n:min(len(b), n+max(room, 0))])
	}
	select {
	case p.filled <- struct{}{}:
	default:
	}
	return n, nil
}

// refuse notes that the pipe is full, unless the goroutine has just made room
// without seeing the note: then it is taken back and there is room.
func (p *pipe) refuse() (room bool) {
	p.full.Store(true)
	return p.hasRoom() && p.full.CompareAndSwap(true, false)
}

func (p *pipe) hasRoom() bool { return p.queued.Load() <= media.MaxViewerPipe-pipeRoom }

// put appends what goes into one chunk.
func (p *pipe) put(b []byte) int {
	used := int(p.tail.used.Load())
	if used == chunkSize {
		c := p.chunk()
		p.tail.next.Store(c)
		p.tail, used = c, 0
	}
	n := copy(p.tail.buf[used:], b)
	p.queued.Add(int64(n))
	p.tail.used.Store(int32(used + n)) // lets the goroutine have them
	return n
}

// SendLater implements fanout.Conn.
func (p *pipe) SendLater(b []byte, to fanout.Completion) {
	n, err := p.Send(b)
	to.OnSent(n, len(b), err)
}

// next is what can be read now, valid until [pipe.took]; empty: nothing. Called
// on the goroutine.
func (p *pipe) next() []byte {
	for {
		used := int(p.head.used.Load())
		if p.read < used {
			return p.head.buf[p.read:used]
		}
		next := p.head.next.Load()
		if used < chunkSize || next == nil {
			return nil
		}
		p.pool.Put(p.head)
		p.head, p.read = next, 0
	}
}

// took drops n bytes. owed tells that the pipe was full and has room again,
// which the loop has to hear of.
func (p *pipe) took(n int) (owed bool) {
	p.read += n
	p.queued.Add(-int64(n))
	return p.hasRoom() && p.full.CompareAndSwap(true, false)
}

// close makes every Send fail from now on; safe from any goroutine.
func (p *pipe) close() { p.closed.Store(true) }
