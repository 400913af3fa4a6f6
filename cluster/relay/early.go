package relay

import (
	"bytes"
	"context"
	"slices"

	"tmms/cluster/fabric"
	"tmms/media/hls"
	"tmms/media/relaywire"
)

// early is a piece of the open segment that is sent while it is made, so that little
// is left at its end: the standby's acknowledgement is waited for then, and parts
// would wait behind all of it.
type early struct {
	name   hls.Name
	stream *fabric.SendStream // nil: there is none
	sent   [][]byte           // the first of its chunks, of which the last may grow
}

// isOf tells that a piece with these chunks goes on with what was sent. One that was
// begun anew does not.
func (e *early) isOf(n hls.Name, chunks [][]byte) bool {
	last := len(e.sent) - 1
	return e.name == n && (last < 0 || len(chunks) > last && bytes.HasPrefix(chunks[last], e.sent[last]) &&
		slices.EqualFunc(chunks[:last], e.sent[:last], bytes.Equal)) // at once where it is the same memory
}

// rest is what chunks, which go on with those that were sent, have beyond them.
func (e *early) rest(chunks [][]byte) [][]byte {
	last := len(e.sent) - 1
	if last < 0 {
		return chunks
	}
	rest := slices.Clone(chunks[last:])
	rest[0] = rest[0][len(e.sent[last]):]
	return rest
}

// behindAll tells that a piece is of a segment behind those that x has, or of a later
// epoch. nil has none.
func behindAll(n hls.Name, x *hls.Index) bool {
	if x == nil || n.Epoch != x.Epoch {
		return x == nil || n.Epoch > x.Epoch
	}
	last, ok := x.LastMSN()
	return !ok || n.MSN > last
}

// ahead tells that the subscriber gets the open segment before it is whole: the
// standby, and with low latency who has its parts.
func (h *segmentSender) ahead(x *hls.Index, open *piece) bool {
	if h.sub.standby.Load() {
		return behindAll(open.name, x)
	}
	return x != nil && x.Open != nil && idOf(x.Open) == of(open.name)
}

// grow sends what is new of the open segment, which is behind x.
func (h *segmentSender) grow(ctx context.Context, x *hls.Index, open *piece) error {
	if open == nil || !h.ahead(x, open) {
		return nil
	}
	if !h.early.isOf(open.name, open.chunks) {
		h.drop()
	}
	if h.early.stream == nil {
		if h.known(open.name) { // the subscriber has refused it
			return nil
		}
		if err := h.beginEarly(ctx, open.name); err != nil {
			return err
		}
	}
	return h.goOn(ctx, open.chunks, true)
}

// beginEarly opens the stream of a piece whose size is not known yet.
func (h *segmentSender) beginEarly(ctx context.Context, n hls.Name) error {
	stream, err := h.open(ctx)
	if err != nil {
		return err
	}
	h.early = early{name: n, stream: stream}
	h.sent[n] = struct{}{}
	head := relaywire.AppendPieceHeader(nil, relaywire.PieceHeader{Subscription: h.sub.request.ID, Name: n})
	return h.writeEarly(ctx, head)
}

// goOn sends what was not sent yet of the early piece's chunks. With patient it lets
// a newer index go first.
func (h *segmentSender) goOn(ctx context.Context, chunks [][]byte, patient bool) error {
	rest := h.early.rest(chunks)
	done := len(chunks) - len(rest)
	for i, c := range rest {
		if h.early.stream == nil || patient && h.newest(h.live.Load()) != h.told {
			return nil
		}
		if err := h.writeEarly(ctx, c); err != nil {
			return err
		}
		h.early.sent = chunks[:done+i+1]
	}
	return nil
}

// writeEarly sends b on the early piece's stream; there is none any more if the
// subscriber has refused it.
func (h *segmentSender) writeEarly(ctx context.Context, b []byte) error {
	err := h.write(ctx, h.early.stream, b)
	if err != nil {
		h.early.stream, h.early.sent = nil, nil
	}
	return h.refused(err)
}

// complete ends the early piece, if it is that one, with the chunks that it has now
// that its segment is whole. One that has others is sent anew.
func (h *segmentSender) complete(ctx context.Context, p piece) error {
	if h.early.stream == nil || h.early.name != p.name {
		return nil
	}
	if !h.early.isOf(p.name, p.chunks) {
		h.drop()
		return nil
	}
	if err := h.goOn(ctx, p.chunks, false); err != nil || h.early.stream == nil {
		return err
	}
	_ = h.early.stream.Close() // fails if the subscriber has refused the piece meanwhile
	h.early.stream, h.early.sent = nil, nil
	return nil
}

// drop gives up the early piece, so that it can be sent anew.
func (h *segmentSender) drop() {
	if h.early.stream == nil {
		return
	}
	h.early.stream.CancelWrite(fabric.StreamErrorCode(relaywire.CodeDone))
	delete(h.sent, h.early.name)
	h.early = early{}
}
