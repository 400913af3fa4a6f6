package session

import (
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"time"

	"tmms/media"
	"tmms/media/rtmp"
)

// PublisherInfo says who publishes.
type PublisherInfo struct {
	Remote string // address, for logs and listings
	Token  string // key or token of the request, "" without; only a digest is kept
	// Digest stands for the token of a publisher that another node forwards:
	// its SHA-256, zero without. It counts if Token is "".
	Digest [sha256.Size]byte
	// Close ends the connection for a reason. It must not block, nor call back
	// into the session; it may be called from any goroutine, and more than once.
	Close func(reason error)
	// Moved, if not nil, is called in place of Close when the stream has another
	// owner: the publisher may go on there. The same holds as for Close.
	Moved func(m Moved)
	// Turn, if not nil, is called before the stream is given to another owner: the
	// publisher is to write no frame from the one on that t names, and calls
	// [Publisher.Hold] in place of that. Then it is told with Moved that the stream has
	// moved, or with a Turn that is not On that it stays. The same holds as for Close.
	Turn func(t Turn)
}

// Turn names the frame from which on a stream is to be the next owner's.
type Turn struct {
	On    bool          // false: the stream stays where it is
	Video bool          // it is a keyframe of Track or of one before it; else an audio frame will do
	Track media.TrackID // of the first video track that the stream has
}

// Moved says where a stream is, by the placement, and what is in force in it.
type Moved struct {
	Owner string // node id
	Epoch uint64
	// Headers are the metadata and the codec configurations, in the order in which
	// they are sent; nobody changes them.
	Headers []rtmp.Message
	Reason  error // why it is not here any more
}

// Publisher is one publisher connection's hold on a stream, until Detach or
// until another takes its place.
type Publisher struct {
	// Set at construction.
	stream *stream
	run    uint32
	info   PublisherInfo
	token  token
	since  time.Time

	alive atomic.Int64 // unix nanoseconds of the last byte

	// Guarded by stream.mu.
	meter meter
	bytes int64
	held  chan struct{} // closed when it holds, or the stream is not its own any more; nil: nobody waits for that
}

func newPublisher(s *stream, run uint32, info PublisherInfo, now time.Time) *Publisher {
	p := &Publisher{stream: s, run: run, info: info, token: tokenOf(info), since: now}
	p.info.Token, p.info.Digest = "", [sha256.Size]byte{}
	p.Alive(now)
	return p
}

// Epoch is the ownership that the stream is published in.
func (p *Publisher) Epoch() uint64 { return p.stream.epoch }

// Run is the number of this connection within the epoch, from 0.
func (p *Publisher) Run() uint32 { return p.run }

// Alive notes that the connection sent some byte; a publisher that stays silent
// may lose its stream to another (see state.BusyReplaceSameToken).
func (p *Publisher) Alive(now time.Time) { p.alive.Store(now.UnixNano()) }

func (p *Publisher) lastAlive() time.Time { return time.Unix(0, p.alive.Load()) }

// Write gives a message to the stream. What the stream can't use is dropped and
// counted. An error is final: [ErrReplaced] or [ErrClosed] once the stream is
// not this publisher's any more, or the log's. The body is copied.
func (p *Publisher) Write(m rtmp.Message, now time.Time) error {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pub != p {
		s.reg.counters.drops[DropLate].Add(1)
		return p.late()
	}
	p.bytes += int64(len(m.Body))
	p.meter.add(now, len(m.Body))
	if len(m.Body) == 0 { // of no type is that anything
		s.seq.drop(DropMalformed)
		return nil
	}
	return s.seq.write(m, now)
}

// Hold says that nothing will be written before the stream has moved, or stays; see
// [PublisherInfo].Turn. It does not block. The error is that of [Publisher.Write].
func (p *Publisher) Hold() error {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pub != p {
		return p.late()
	}
	p.letGo()
	return nil
}

// letGo ends the wait for p to hold. stream.mu is held.
func (p *Publisher) letGo() {
	if p.held != nil {
		close(p.held)
		p.held = nil
	}
}

// late is why the stream is not p's any more. stream.mu is held.
func (p *Publisher) late() error {
	s := p.stream
	if s.phase == ended {
		return fmt.Errorf("session: %s: %w", s.key, ErrClosed)
	}
	return fmt.Errorf("session: %s: run %d: %w", s.key, p.run, ErrReplaced)
}

// Detach gives the stream up, which then waits out the app's grace for another
// publisher; the reason is for the log. It may block for as long as a placement
// takes to be released; after the first call, and after the publisher has been
// replaced, it does nothing.
func (p *Publisher) Detach(reason error) { p.stream.detach(p, reason) }
