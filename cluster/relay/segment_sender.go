package relay

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"tmms/cluster/fabric"
	"tmms/media/hls"
	"tmms/media/relaywire"
)

// segmentID names a segment; they are ordered by MSN within an epoch.
type segmentID struct{ epoch, msn uint64 }

func idOf(s *hls.Segment) segmentID { return segmentID{s.Epoch, s.MSN} }

// segmentSender sends the segment indexes of a stream and the bytes of their
// segments, on a goroutine of its own so that they never hold up the live
// packets.
type segmentSender struct {
	// Set at construction.
	sub    *subscription
	have   segmentID // the subscriber has everything up to this one
	wake   chan struct{}
	done   chan struct{} // closed when the goroutine has ended
	cancel context.CancelFunc

	index atomic.Pointer[hls.Index] // the newest one
	last  atomic.Bool               // nothing follows index

	// Owned by the goroutine.
	stream *fabric.SendStream     // of the indexes
	sent   map[segmentID]struct{} // of the last index
}

// wantHLS begins or ends the sending of segments.
func (s *subscription) wantHLS(ctx context.Context, on bool, have segmentID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on == (s.hls != nil) {
		return
	}
	if !on {
		s.hls.cancel()
		s.hls = nil
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	h := &segmentSender{
		sub: s, have: have, wake: make(chan struct{}, 1), done: make(chan struct{}), cancel: cancel,
		sent: map[segmentID]struct{}{},
	}
	s.hls = h
	s.peer.wg.Go(func() {
		defer close(h.done)
		h.run(ctx)
	})
}

// pace gives the sender a turn if x is new.
func (h *segmentSender) pace(x *hls.Index) {
	if x == h.index.Load() {
		return
	}
	h.index.Store(x)
	h.poke()
}

// finish makes x the last index.
func (h *segmentSender) finish(x *hls.Index) {
	h.index.Store(x)
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
		if h.stream != nil {
			_ = h.stream.Close()
		}
	}()
	var sent *hls.Index
	for {
		select {
		case <-h.wake:
		case <-ctx.Done():
			return
		}
		last := h.last.Load()
		if x := h.index.Load(); x != nil && x != sent {
			if h.send(ctx, x) != nil {
				return
			}
			sent = x
		}
		if last {
			return
		}
	}
}

// send sends x, then the bytes of its segments that the subscriber has not got:
// first what the playlist lists, then what has left it, newest first.
func (h *segmentSender) send(ctx context.Context, x *hls.Index) error {
	var err error
	b := []byte(nil)
	if h.stream == nil {
		if h.stream, err = h.open(ctx); err != nil {
			return err
		}
		b = relaywire.AppendIndexesHeader(b, relaywire.IndexesHeader{Subscription: h.sub.request.ID})
	}
	if err := h.write(ctx, h.stream, relaywire.AppendIndex(b, x)); err != nil {
		return err
	}
	order := slices.Clone(x.Playlist())
	for _, s := range slices.Backward(x.Segments[:len(x.Segments)-x.Listed]) {
		order = append(order, s)
	}
	now := make(map[segmentID]struct{}, len(order))
	for _, s := range order {
		id := idOf(s)
		now[id] = struct{}{}
		_, known := h.sent[id]
		if known || id.epoch == h.have.epoch && id.msn <= h.have.msn {
			continue
		}
		if err := h.segment(ctx, s); err != nil {
			return err
		}
	}
	h.sent = now
	return nil
}

func (h *segmentSender) open(ctx context.Context) (*fabric.SendStream, error) {
	stream, err := h.sub.peer.session.OpenUni(ctx)
	if err == nil {
		stream.SetPriority(urgencySegment, false)
	}
	return stream, err
}

// segment sends the bytes of one segment.
func (h *segmentSender) segment(ctx context.Context, s *hls.Segment) error {
	stream, err := h.open(ctx)
	if err != nil {
		return err
	}
	head := relaywire.AppendSegmentHeader(nil, relaywire.SegmentHeader{
		Subscription: h.sub.request.ID, Epoch: s.Epoch, MSN: s.MSN, Size: s.TS.Size,
	})
	err = h.write(ctx, stream, head)
	for i := 0; err == nil && i < len(s.TS.Chunks); i++ {
		err = h.write(ctx, stream, s.TS.Chunks[i])
	}
	if refused, ok := errors.AsType[*fabric.StreamError](err); ok && refused.Remote {
		return nil // the subscriber has no room for this one
	}
	if err == nil {
		_ = stream.Close() // fails if the subscriber has refused the segment meanwhile
	}
	return err
}

// write sends b; the end of ctx resets the stream.
func (h *segmentSender) write(ctx context.Context, stream *fabric.SendStream, b []byte) error {
	stop := context.AfterFunc(ctx, func() { stream.CancelWrite(fabric.StreamErrorCode(relaywire.CodeDone)) })
	defer stop()
	n, err := stream.Write(b)
	h.sub.count(n)
	return err
}
