package relay

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"tmms/cluster/fabric"
	"tmms/media/hls"
	"tmms/media/relaywire"
)

// segmentSender sends the segment indexes of a stream and the bytes of their
// segments, on a goroutine of its own so that they never hold up the live
// packets. It is woken by each index, and by what is new of the open segment for the
// standby, not by the pacer.
type segmentSender struct {
	// Set at construction.
	sub    *subscription
	have   segmentID // the subscriber has everything up to this one
	wake   chan struct{}
	done   chan struct{} // closed when the goroutine has ended
	cancel context.CancelFunc

	live atomic.Pointer[Live] // nil: not known yet
	last atomic.Bool          // the life has had its last index

	unwatch func() // guarded by subscription.mu; nil: not called yet for indexes

	// Owned by the goroutine.
	stream  *fabric.SendStream // of the indexes
	indexes relaywire.Indexes  // on stream
	told    *hls.Index         // the last of them
	sent    map[hls.Name]struct{}
	early   early
	buf     []byte
}

// wantHLS begins or ends the sending of segments.
func (s *subscription) wantHLS(ctx context.Context, on bool, have segmentID) {
	if s.down != nil {
		s.down.wantHLS(on)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if on == (s.hls != nil) {
		return
	}
	if !on {
		s.hls.stop()
		s.hls = nil
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	h := &segmentSender{
		sub: s, have: have, wake: make(chan struct{}, 1), done: make(chan struct{}), cancel: cancel,
		sent: map[hls.Name]struct{}{},
	}
	s.hls = h
	s.peer.wg.Go(func() {
		defer close(h.done)
		h.run(ctx)
	})
}

// follow makes the sender send the life's indexes as they come. subscription.mu is held.
func (h *segmentSender) follow(live *Live) {
	if h.unwatch == nil {
		h.live.Store(live)
		h.unwatch = live.watch(h.poke)
		h.poke()
	}
}

// stop ends the sender. subscription.mu is held.
func (h *segmentSender) stop() {
	h.cancel()
	if h.unwatch != nil {
		h.unwatch()
	}
}

// finish ends the sender once it has sent the index that the life has now.
func (h *segmentSender) finish() {
	h.last.Store(true)
	h.poke()
}

func (h *segmentSender) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// run sends each new index until ctx ends or the last one was sent.
func (h *segmentSender) run(ctx context.Context) {
	defer func() {
		h.drop()
		if h.stream != nil {
			_ = h.stream.Close()
		}
	}()
	for {
		select {
		case <-h.wake:
		case <-ctx.Done():
			return
		}
		last := h.last.Load()
		if err := h.send(ctx); err != nil {
			if errors.Is(err, relaywire.ErrTooLarge) {
				h.sub.server.log.Warn("segments are not sent",
					slog.String("stream", h.sub.request.Key.String()), slog.Any("err", err))
			}
			return
		}
		if last {
			return
		}
	}
}

// send sends what is new, and then what has left the playlist, newest first.
func (h *segmentSender) send(ctx context.Context) error {
	for {
		x, err := h.news(ctx)
		if err != nil || x == nil {
			return err
		}
		s := h.behind(x)
		if s == nil {
			return nil
		}
		if err := h.segment(ctx, s, true); err != nil {
			return err
		}
	}
}

// news sends the newest index, if it is another one than the last, and then what
// is new of what its playlists list: whole segments, oldest first, then the open
// one. The index goes ahead, since what is behind a lost packet makes up for it at
// once, and an end that is lost only after a while.
func (h *segmentSender) news(ctx context.Context) (*hls.Index, error) {
	live := h.live.Load()
	if live == nil {
		return nil, nil
	}
	open := live.growing.Load() // first: the index is then of that moment, or newer
	x := h.newest(live)
	if x != nil && x != h.told {
		if err := h.list(ctx, x); err != nil {
			return nil, err
		}
	}
	return x, h.grow(ctx, x, open)
}

// newest is the index to send; nil: there is none yet.
func (h *segmentSender) newest(live *Live) *hls.Index {
	if h.sub.standby.Load() {
		return live.Made()
	}
	return live.Index()
}

// list sends an index and what is new of what its playlists list.
func (h *segmentSender) list(ctx context.Context, x *hls.Index) error {
	if err := h.index(ctx, x); err != nil {
		return err
	}
	h.told = x
	for _, s := range x.Playlist() {
		if err := h.segment(ctx, s, false); err != nil {
			return err
		}
	}
	if x.Open != nil {
		if err := h.segment(ctx, x.Open, false); err != nil {
			return err
		}
	}
	if !behindAll(h.early.name, x) {
		h.drop() // it was never whole, or has left the playlist meanwhile
	}
	if len(x.Segments) > 0 {
		first := x.Segments[0].MSN
		maps.DeleteFunc(h.sent, func(n hls.Name, _ struct{}) bool { return n.MSN < first })
	}
	return nil
}

// refused makes nothing of the error that the subscriber has no room for a piece.
func (h *segmentSender) refused(err error) error {
	if stream, ok := errors.AsType[*fabric.StreamError](err); ok && stream.Remote {
		return nil
	}
	return err
}

// index sends x without the bytes of its segments.
func (h *segmentSender) index(ctx context.Context, x *hls.Index) (err error) {
	b := h.buf[:0]
	if h.stream == nil {
		if h.stream, err = h.open(ctx); err != nil {
			return err
		}
		b = relaywire.AppendIndexesHeader(b, relaywire.IndexesHeader{Subscription: h.sub.request.ID})
	}
	h.indexes.Standby = h.sub.claims.Load()
	if b, err = h.indexes.Append(b, x); err != nil {
		return err
	}
	return h.write(ctx, h.stream, b)
}

// behind is the newest segment that has left the playlist and was not sent; nil:
// there is none.
func (h *segmentSender) behind(x *hls.Index) *hls.Segment {
	for _, s := range slices.Backward(x.Segments[:len(x.Segments)-x.Listed]) {
		for p := range pieces(s) {
			if !h.known(p.name) {
				return s
			}
		}
	}
	return nil
}

// known tells that a piece was sent, or that the subscriber has it.
func (h *segmentSender) known(n hls.Name) bool {
	_, sent := h.sent[n]
	return sent || n.Epoch == h.have.epoch && n.MSN <= h.have.msn
}

func (h *segmentSender) open(ctx context.Context) (*fabric.SendStream, error) {
	stream, err := h.sub.peer.session.OpenUni(ctx)
	if err == nil {
		stream.SetPriority(urgencySegment, false)
	}
	return stream, err
}

// segment sends those pieces of a segment that the subscriber has not got. With
// patient it lets newer indexes go first.
func (h *segmentSender) segment(ctx context.Context, s *hls.Segment, patient bool) error {
	for p := range pieces(s) {
		if err := h.complete(ctx, p); err != nil {
			return err
		}
		if h.known(p.name) {
			continue
		}
		h.sent[p.name] = struct{}{}
		if patient {
			if _, err := h.news(ctx); err != nil {
				return err
			}
		}
		if err := h.piece(ctx, p, patient); err != nil {
			return err
		}
	}
	return nil
}

// piece sends the bytes of a piece.
func (h *segmentSender) piece(ctx context.Context, p piece, patient bool) error {
	stream, err := h.open(ctx)
	if err != nil {
		return err
	}
	head := relaywire.AppendPieceHeader(nil, relaywire.PieceHeader{
		Subscription: h.sub.request.ID, Name: p.name, Size: p.size,
	})
	if p.size <= sendBuffer { // in one packet, if it can be
		for _, c := range p.chunks {
			head = append(head, c...)
		}
		p.chunks = nil
	}
	err = h.write(ctx, stream, head)
	for i := 0; err == nil && i < len(p.chunks); i++ {
		if err = h.write(ctx, stream, p.chunks[i]); err != nil || !patient {
			continue
		}
		if _, fault := h.news(ctx); fault != nil {
			stream.CancelWrite(fabric.StreamErrorCode(relaywire.CodeDone))
			return fault
		}
	}
	if err == nil {
		_ = stream.Close() // fails if the subscriber has refused the piece meanwhile
	}
	return h.refused(err)
}

// write sends b; the end of ctx resets the stream.
func (h *segmentSender) write(ctx context.Context, stream *fabric.SendStream, b []byte) error {
	stop := context.AfterFunc(ctx, func() { stream.CancelWrite(fabric.StreamErrorCode(relaywire.CodeDone)) })
	defer stop()
	n, err := stream.Write(b)
	h.sub.count(n)
	return err
}
