package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/relaywire"
	"tmms/media/rtmp"
)

// pushAnswerSize is the forwarder's read buffer: acknowledgements are short.
const pushAnswerSize = 512

// Nodes finds nodes by their id.
type Nodes interface {
	Node(id string) (state.Node, bool)
}

// Pusher opens pushes to other nodes. It is safe for concurrent use.
type Pusher struct {
	fabric *fabric.Fabric
	nodes  Nodes
	now    func() time.Time
}

// NewPusher returns a pusher that dials by f the nodes that nodes knows.
func NewPusher(f *fabric.Fabric, nodes Nodes, now func() time.Time) *Pusher {
	return &Pusher{fabric: f, nodes: nodes, now: now}
}

// Push asks the node with the id owner to take a publisher. ctx, and
// [media.PushOpenTimeout], bound the request only. The error wraps [ErrPushLost] if the owner can't be reached, or
// is a [PushRefusedError]. A push needs one [Push.Detach].
func (p *Pusher) Push(ctx context.Context, owner string, r PushRequest) (*Push, error) {
	ctx, cancel := context.WithTimeout(ctx, media.PushOpenTimeout)
	defer cancel()
	st, err := p.open(ctx, owner)
	if err != nil {
		return nil, fmt.Errorf("relay: push %s: %w: node %s: %w", r.Key, ErrPushLost, owner, err)
	}
	stop := context.AfterFunc(ctx, func() { reset(st, relaywire.CodeTimeout) })
	push := &Push{
		stream: st, owner: owner, now: p.now, closed: r.Close, turn: r.Turn, done: make(chan struct{}),
		reader: newPushReader(st, pushAnswerSize), buf: make([]byte, 0, media.PushBuffer),
	}
	if r.Turn != nil {
		r.Caps |= relaywire.CapTurn
	}
	err = push.ask(r.PushRequest)
	if !stop() && err == nil { // ctx has ended just now, and the stream with it
		err = fmt.Errorf("%w: %w", ErrPushLost, ctx.Err())
	}
	if err != nil {
		reset(st, relaywire.CodeDone)
		return nil, fmt.Errorf("relay: push %s: node %s: %w", r.Key, owner, err)
	}
	push.progress.Store(p.now().UnixNano())
	go push.listen()
	return push, nil
}

// open opens a stream to a node.
func (p *Pusher) open(ctx context.Context, owner string) (*fabric.Stream, error) {
	n, ok := p.nodes.Node(owner)
	if !ok || n.Addresses[fabricAddress] == "" {
		return nil, errors.New("its address is not known")
	}
	s, err := p.fabric.Session(ctx, fabric.Target{Name: n.Name, Addr: n.Addresses[fabricAddress]}, fabric.ALPNRelay)
	if err != nil {
		return nil, err
	}
	return s.Open(ctx)
}

// Push is a publisher at the owner of its stream, as the forwarder has it. Its
// methods are for one goroutine; what they send waits in a buffer of
// [media.PushBuffer] for [Push.Flush], and no further: they block while the
// owner takes nothing, until [media.PushStallTimeout].
type Push struct {
	// Set at construction.
	stream *fabric.Stream
	owner  string
	ok     relaywire.PushOk
	now    func() time.Time
	closed func(reason error)
	turn   func(relaywire.PushTurn) // nil: the owner was not told that it may ask
	done   chan struct{}            // closed when listen has ended

	// Owned by listen.
	reader *pushReader

	acked     atomic.Uint64
	progress  atomic.Int64 // unix nanoseconds: since then the owner owes an acknowledgement
	detaching atomic.Bool
	err       error // why the owner's side has ended; read after done

	// Owned by the publisher's goroutine.
	buf     []byte
	sent    uint64 // bytes of messages
	spoke   time.Time
	failed  error // final
	written bool  // since the last flush
}

// ask sends the request and waits for the answer.
func (p *Push) ask(r relaywire.PushRequest) error {
	b := relaywire.AppendHello(nil, relaywire.StreamPush)
	hello := len(b)
	b = relaywire.AppendMessage(b, r)
	p.sent = uint64(len(b) - hello) //nolint:gosec // a length
	if _, err := p.stream.Write(b); err != nil {
		return fmt.Errorf("%w: %w", ErrPushLost, err)
	}
	m, err := p.reader.next()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPushLost, err)
	}
	switch m := m.(type) {
	case relaywire.PushOk:
		p.ok = m
		return nil
	case relaywire.PushRefuse:
		return &PushRefusedError{m}
	}
	return fmt.Errorf("%w: %T answers the request", ErrPushProtocol, m)
}

// Owner is the id of the node that owns the stream.
func (p *Push) Owner() string { return p.owner }

// Epoch is the ownership that the stream is published in.
func (p *Push) Epoch() uint64 { return p.ok.Epoch }

// Run is the number of this publisher within the epoch, from 0.
func (p *Push) Run() uint32 { return p.ok.Run }

// listen reads what the owner says until the stream ends.
func (p *Push) listen() {
	defer close(p.done)
	err := p.answers()
	p.err = err
	if !p.detaching.Load() {
		p.closed(err)
	}
}

// answers handles the owner's messages; the error is why there are no more.
func (p *Push) answers() error {
	for {
		m, err := p.reader.next()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("relay: %w: it closed the push", ErrPushLost)
		case err != nil:
			return fmt.Errorf("relay: %w: %w", ErrPushLost, err)
		}
		switch m := m.(type) {
		case relaywire.PushAck:
			if m.Taken > p.acked.Load() {
				p.progress.Store(p.now().UnixNano())
				p.acked.Store(m.Taken)
			}
		case relaywire.PushClose:
			return &PushClosedError{m}
		case relaywire.PushTurn:
			if p.turn != nil {
				p.turn(m)
			}
		case relaywire.Unknown:
		default:
			return fmt.Errorf("%w: %T from the owner", ErrPushProtocol, m)
		}
	}
}

// Write sends a message of the publisher; its body is copied or sent when it
// returns. An error is final.
func (p *Push) Write(m rtmp.Message, _ time.Time) error {
	w := relaywire.PushMessage{Type: m.Type, Timestamp: m.Timestamp, Body: m.Body}
	if len(p.buf)+relaywire.MaxPushMessageHeader+len(m.Body) > cap(p.buf) {
		if err := p.send(); err != nil {
			return err
		}
	}
	p.written = true
	p.buf = relaywire.AppendPushMessageHeader(p.buf, w)
	for body := m.Body; ; {
		n := min(cap(p.buf)-len(p.buf), len(body))
		p.buf = append(p.buf, body[:n]...)
		if body = body[n:]; len(body) == 0 {
			return p.failed
		}
		if err := p.send(); err != nil {
			return err
		}
	}
}

// Hold tells the owner that nothing is written until it has said what becomes of the
// stream, see [PushRequest].Turn.
func (p *Push) Hold() error {
	p.buf = relaywire.AppendMessage(p.buf, relaywire.PushHeld{})
	return p.send()
}

// Alive is for what the socket of a publisher shares with a session: the owner
// is told by Flush.
func (p *Push) Alive(time.Time) {}

// Flush sends what waits, or, at most every [media.PushAckInterval], that the
// publisher lives although there is no message of it.
func (p *Push) Flush(now time.Time) error {
	if !p.written {
		if now.Sub(p.spoke) < media.PushAckInterval {
			return p.failed
		}
		p.buf = relaywire.AppendMessage(p.buf, relaywire.PushAlive{})
	}
	p.written, p.spoke = false, now
	return p.send()
}

// send writes the buffer. It fails if the owner owes an acknowledgement for too
// long.
func (p *Push) send() error {
	if p.failed != nil || len(p.buf) == 0 {
		return p.failed
	}
	now := p.now()
	acked := p.acked.Load()
	if acked >= p.sent {
		p.progress.Store(now.UnixNano())
	}
	if owing := now.Sub(time.Unix(0, p.progress.Load())); owing > media.PushStallTimeout {
		return p.fail(fmt.Errorf("relay: %w: %d bytes for %v, the limit is %v",
			ErrPushStalled, p.sent-acked, owing.Truncate(time.Millisecond), media.PushStallTimeout))
	}
	err := p.stream.SetWriteDeadline(now.Add(media.PushStallTimeout))
	if err == nil {
		_, err = p.stream.Write(p.buf)
	}
	p.sent += uint64(len(p.buf))
	p.buf = p.buf[:0]
	if err != nil {
		return p.fail(p.why(err))
	}
	return nil
}

// why prefers what the owner has said of the end, which comes with it or just
// behind, to the error of a write.
func (p *Push) why(err error) error {
	t := time.NewTimer(media.PushAckInterval)
	defer t.Stop()
	select {
	case <-p.done:
		return p.err
	case <-t.C:
		return fmt.Errorf("relay: %w: %w", ErrPushLost, err)
	}
}

func (p *Push) fail(err error) error {
	p.failed = err
	reset(p.stream, relaywire.CodeTimeout)
	return err
}

// Detach tells the owner that the publisher is gone, and waits, at most
// [media.PushOpenTimeout], until it knows: the stream is in its grace then.
func (p *Push) Detach(reason error) {
	p.detaching.Store(true)
	cause := "gone"
	if reason != nil {
		cause = reason.Error()
	}
	p.buf = relaywire.AppendMessage(p.buf, relaywire.PushEnd{Cause: cause})
	if p.send() == nil {
		_ = p.stream.Close()
	}
	t := time.NewTimer(media.PushOpenTimeout)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
	}
	reset(p.stream, relaywire.CodeDone)
	<-p.done
}
