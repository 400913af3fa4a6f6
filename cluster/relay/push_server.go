package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/pki"
	"tmms/media"
	"tmms/media/relaywire"
	"tmms/media/rtmp"
)

// AcceptPush decides on a publisher that another node forwards. A
// [PushRefusedError] says why not; any other error is told as it is.
type AcceptPush func(ctx context.Context, r PushRequest) (PushSink, error)

// pushServer serves the pushes of other nodes. It is safe for concurrent use.
type pushServer struct {
	accept atomic.Pointer[AcceptPush] // nil refuses
	count  atomic.Int64
}

// OnPush makes accept decide on the publishers that other nodes forward; without
// it they are refused.
func (s *Server) OnPush(accept AcceptPush) { s.push.accept.Store(&accept) }

// Pushes is the number of publishers that other nodes forward to this one now.
func (s *Server) Pushes() int64 { return s.push.count.Load() }

// servePush answers a stream of kind [relaywire.StreamPush].
func (p *peer) servePush(ctx context.Context, stream *fabric.Stream, in *inbox) {
	p.server.push.serve(ctx, p.session.Peer(), stream, in.rest())
}

// serve takes one push from its request on, of which unread has come already;
// it returns when that has ended.
func (s *pushServer) serve(ctx context.Context, peer pki.Peer, st *fabric.Stream, unread []byte) {
	defer s.count.Add(-1)
	r := io.MultiReader(bytes.NewReader(unread), st)
	in := &incomingPush{stream: st, reader: newPushReader(r, pushReadSize), turned: make(chan struct{}, 1)}
	sink, err := s.admit(ctx, peer, in, s.count.Add(1))
	if err != nil {
		in.refuse(err)
		return
	}
	in.run(ctx, sink, peer.Name)
}

// admit reads the request and decides on it; count is how many pushes there are.
func (s *pushServer) admit(ctx context.Context, peer pki.Peer, in *incomingPush, count int64) (PushSink, error) {
	if err := in.stream.SetReadDeadline(time.Now().Add(media.HandshakeTimeout)); err != nil {
		return nil, err
	}
	m, err := in.reader.next()
	if err != nil {
		return nil, err
	}
	r, ok := m.(relaywire.PushRequest)
	accept := s.accept.Load()
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %T before the request", ErrPushProtocol, m)
	case accept == nil || !peer.Has(pki.RoleOrigin):
		return nil, &PushRefusedError{relaywire.PushRefuse{Text: "this node takes no publishers of " + peer.Name}}
	case count > media.MaxPushes:
		return nil, &PushRefusedError{relaywire.PushRefuse{
			Reason: relaywire.PushFull, Text: fmt.Sprintf("%d forwarded publishers, the limit is %d", count, media.MaxPushes),
		}}
	}
	if err = in.stream.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	request := PushRequest{PushRequest: r, Node: peer.Name, Close: in.close}
	if r.Caps&relaywire.CapTurn != 0 {
		request.Turn = in.turn
	}
	return (*accept)(ctx, request)
}

// incomingPush is one push at the owner.
type incomingPush struct {
	// Set at construction.
	stream *fabric.Stream

	reader *pushReader           // owned by serve, but for its count
	cause  atomic.Pointer[error] // why it was ended from outside

	asked  atomic.Pointer[relaywire.PushTurn] // what the forwarder is to be told
	turned chan struct{}                      // holds one: it is

	mu sync.Mutex // one writer at a time
}

// close ends the push from outside: serve is woken and says why.
func (p *incomingPush) close(reason error) {
	if p.cause.CompareAndSwap(nil, &reason) {
		_ = p.stream.SetReadDeadline(expired())
	}
}

// turn has the forwarder told where to hold; only the last word counts.
func (p *incomingPush) turn(t relaywire.PushTurn) {
	p.asked.Store(&t)
	select {
	case p.turned <- struct{}{}:
	default:
	}
}

func (p *incomingPush) write(m relaywire.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.stream.SetWriteDeadline(time.Now().Add(media.PushStallTimeout)); err != nil {
		return err
	}
	_, err := p.stream.Write(relaywire.AppendMessage(nil, m))
	return err
}

// refuse answers a request that is not granted.
func (p *incomingPush) refuse(err error) {
	var refuse relaywire.PushRefuse
	if e, ok := errors.AsType[*PushRefusedError](err); ok {
		refuse = e.PushRefuse
	} else {
		refuse.Text = err.Error()
	}
	p.finish(refuse)
}

// finish sends the last message, waits until the forwarder has seen it, which
// ends the stream then, and gives the stream back.
func (p *incomingPush) finish(m relaywire.Message) {
	if p.write(m) != nil || p.stream.Close() != nil {
		reset(p.stream, relaywire.CodeTimeout)
		return
	}
	if p.stream.SetReadDeadline(time.Now().Add(media.PushAckInterval)) == nil {
		io.Copy(io.Discard, p.stream) //nolint:errcheck // what comes has no reader
	}
	p.stream.CancelRead(fabric.StreamErrorCode(relaywire.CodeDone))
}

// run gives what comes to the sink, to the end.
func (p *incomingPush) run(ctx context.Context, sink PushSink, node string) {
	err := p.write(relaywire.PushOk{Epoch: sink.Epoch(), Run: sink.Run()})
	if err == nil {
		stop := make(chan struct{})
		acking := sync.WaitGroup{}
		acking.Go(func() { p.tell(stop) })
		defer context.AfterFunc(ctx, func() { p.close(context.Cause(ctx)) })()
		err = p.messages(sink)
		close(stop)
		acking.Wait()
	}
	switch cause := p.cause.Load(); {
	case cause != nil:
		err = *cause
	case errors.Is(err, errPushEnd):
		sink.Detach(fmt.Errorf("%w, at node %s", err, node))
		p.finish(relaywire.PushAck{Taken: p.reader.taken.n.Load()})
		return
	}
	p.finish(closeMessage(err))
	sink.Detach(fmt.Errorf("relay: push from node %s: %w", node, err))
}

// closeMessage says why a push has ended.
func closeMessage(err error) relaywire.PushClose {
	if e, ok := errors.AsType[*PushClosedError](err); ok {
		return e.PushClose
	}
	return relaywire.PushClose{Reason: relaywire.PushFailed, Text: err.Error()}
}

// errPushEnd is the end that the forwarder says itself.
var errPushEnd = errors.New("publisher is gone")

// messages passes on what the forwarder sends, until it or the sink ends.
func (p *incomingPush) messages(sink PushSink) error {
	for {
		m, err := p.reader.next()
		switch {
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
		now := time.Now()
		sink.Alive(now)
		switch m := m.(type) {
		case relaywire.PushMessage:
			if err := sink.Write(rtmp.Message{Type: m.Type, Timestamp: m.Timestamp, Body: m.Body}, now); err != nil {
				return err
			}
		case relaywire.PushHeld:
			if err := sink.Hold(); err != nil {
				return err
			}
		case relaywire.PushAlive, relaywire.Unknown:
		case relaywire.PushEnd:
			return fmt.Errorf("%w: %s", errPushEnd, m.Cause)
		default:
			return fmt.Errorf("%w: %T from the forwarder", ErrPushProtocol, m)
		}
	}
}

// tell tells the forwarder where to hold, and how much was taken, while that changes.
func (p *incomingPush) tell(stop <-chan struct{}) {
	t := time.NewTicker(media.PushAckInterval)
	defer t.Stop()
	var told uint64
	for {
		var m relaywire.Message
		select {
		case <-stop:
			return
		case <-p.turned:
			m = *p.asked.Load()
		case <-t.C:
			taken := p.reader.taken.n.Load()
			if taken == told {
				continue
			}
			m, told = relaywire.PushAck{Taken: taken}, taken
		}
		if err := p.write(m); err != nil {
			p.close(err)
			return
		}
	}
}
