package relay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"tmms/media"
	"tmms/media/relaywire"
	"tmms/media/rtmp"
)

// A push takes a publisher that is connected to this node to the node that
// owns its stream. The forwarder's end is [Push], the owner's end gives what
// comes to a [PushSink]. media/relaywire has the messages.

// PushRequest asks for a publisher to be taken.
type PushRequest struct {
	relaywire.PushRequest

	// Node is the name of the forwarding node; set for the owner's side.
	Node string
	// Close ends the push for a reason, which a [PushClosedError] passes on to
	// the other side; it does not block, and only the first call counts. The
	// owner's side gets it with the request; the forwarder's side gives it, and
	// it is called when the owner has ended the push or is lost.
	Close func(reason error)
	// Turn says that the stream is about to get another owner: the publisher is to hold
	// in front of the frame that t names, or, if not t.On, to go on. It does not block,
	// and may be called from any goroutine. The owner's side gets it with the request,
	// nil if the forwarder can't be asked; the forwarder's side gives it, or nil.
	Turn func(t relaywire.PushTurn)
}

// PushSink takes what a forwarded publisher sends; it is called from one
// goroutine.
type PushSink interface {
	Epoch() uint64
	Run() uint32
	// Write takes a message; its body is valid during the call. An error ends the push.
	Write(m rtmp.Message, now time.Time) error
	// Alive notes that the publisher sent some byte.
	Alive(now time.Time)
	// Hold notes that it holds, see [PushRequest].Turn. An error ends the push.
	Hold() error
	// Detach ends it; nothing else is called after.
	Detach(reason error)
}

// PushRefusedError is why an owner does not take a publisher.
type PushRefusedError struct{ relaywire.PushRefuse }

// Error gives the reason with the owner's own words.
func (e *PushRefusedError) Error() string {
	return fmt.Sprintf("relay: push refused (%v): %s", e.Reason, e.Text)
}

// PushClosedError is why an owner has ended a push.
type PushClosedError struct{ relaywire.PushClose }

// Error gives the reason with the owner's own words.
func (e *PushClosedError) Error() string {
	return fmt.Sprintf("relay: push closed by the owner (%v): %s", e.Reason, e.Text)
}

// What ends a push besides its owner.
var (
	// ErrPushLost ends a push whose owner can't be reached any more.
	ErrPushLost = errors.New("the stream's owner is lost")
	// ErrPushStalled ends a push whose owner has not taken what was sent in time.
	ErrPushStalled = errors.New("the stream's owner does not answer")
	// ErrPushProtocol ends a push whose other side does not keep to the protocol.
	ErrPushProtocol = errors.New("unexpected message in a push")
)

// Sizes of the buffers of a push, in bytes.
const (
	pushReadSize = 16 << 10 // of the owner's side
	pushBodyStep = 64 << 10 // by which the buffer of a long message grows
)

// pushReader reads the messages of a push. It belongs to one goroutine, but for
// taken.
type pushReader struct {
	r     *bufio.Reader
	taken *takenReader
	body  []byte
}

// takenReader counts what was read.
type takenReader struct {
	r io.Reader
	n atomic.Uint64
}

func (t *takenReader) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	t.n.Add(uint64(max(n, 0)))
	return n, err
}

func newPushReader(r io.Reader, size int) *pushReader {
	t := &takenReader{r: r}
	return &pushReader{r: bufio.NewReaderSize(t, size), taken: t}
}

// next reads a message; the body of a media message is valid until the next
// call. io.EOF only stands between messages.
func (p *pushReader) next() (relaywire.Message, error) {
	typ, n, err := p.header()
	if err != nil {
		return nil, err
	}
	b, err := p.read(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return relaywire.ParsePushBody(typ, b)
}

func (p *pushReader) header() (typ relaywire.MessageType, body int, err error) {
	var head [relaywire.MaxPushHeader]byte
	for i := range head {
		if head[i], err = p.r.ReadByte(); err != nil {
			if i > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, 0, err
		}
		typ, body, _, err = relaywire.ParsePushHeader(head[:i+1])
		if !errors.Is(err, relaywire.ErrShort) {
			return typ, body, err
		}
	}
	return 0, 0, fmt.Errorf("relay: push: %w: message header over %d bytes", relaywire.ErrMalformed, len(head))
}

// read gives the next n bytes. Memory is taken as bytes arrive, and a large
// buffer is not kept.
func (p *pushReader) read(n int) ([]byte, error) {
	b := p.body[:0]
	p.body = nil
	for len(b) < n {
		step := min(n-len(b), pushBodyStep)
		b = slices.Grow(b, step)
		m, err := io.ReadFull(p.r, b[len(b):len(b)+step])
		b = b[:len(b)+m]
		if err != nil {
			return nil, err
		}
	}
	if cap(b) <= media.KeepMessageBuffer {
		p.body = b
	}
	return b, nil
}

// expired is a deadline that lets a read or write return at once.
func expired() time.Time { return time.Unix(1, 0) }
