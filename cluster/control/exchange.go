package control

import (
	"context"
	"fmt"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/media"
)

// exchange is a request that was sent. It belongs to one goroutine.
type exchange struct {
	ctx    context.Context //nolint:containedctx // lives as long as the request
	stream *fabric.Stream
	stop   func() bool
}

// open sends a request. Its errors wrap ErrNotLeader: it was not served.
func (c *Client) open(ctx context.Context, to fabric.Target, method string, body []byte) (*exchange, error) {
	frame, err := appendFrame(nil, request{Version: version, Method: method, Body: body})
	if err != nil {
		return nil, err
	}
	if len(frame) > frameHead+media.MaxControlFrame {
		return nil, fmt.Errorf("%w: a request of %d bytes, the limit is %d",
			member.ErrInvalid, len(frame), media.MaxControlFrame)
	}
	stream, err := c.openStream(ctx, to, len(frame))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", member.ErrNotLeader, err)
	}
	x := &exchange{ctx: ctx, stream: stream}
	x.stop = context.AfterFunc(ctx, func() {
		stream.CancelRead(codeGone)
		stream.CancelWrite(codeGone)
	})
	if _, err = stream.Write(frame); err != nil {
		x.close()
		return nil, fmt.Errorf("%w: send %s to %s: %w", member.ErrNotLeader, method, to, x.cause(err))
	}
	// It fails if the server has answered already and reads no more: the request
	// was served, and the answer is there to be read.
	_ = stream.Close()
	return x, nil
}

// openStream opens a stream for a request of size bytes.
func (c *Client) openStream(ctx context.Context, to fabric.Target, size int) (*fabric.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	s, err := c.sessions.Session(ctx, to, fabric.ALPNControl)
	if err != nil {
		return nil, err
	}
	stream, err := s.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("control: stream to %s: %w", to, err)
	}
	return stream, stream.SetWriteDeadline(time.Now().Add(replyTimeout + transfer(int64(size))))
}

// read takes the next frame.
func (x *exchange) read(v any, timeout time.Duration) error {
	if err := x.stream.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return x.cause(err)
	}
	return x.cause(readFrame(x.stream, media.MaxControlFrame, v))
}

// cause prefers the end of the context, which reset the stream.
func (x *exchange) cause(err error) error {
	if err != nil && x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	return err
}

func (x *exchange) close() {
	x.stop()
	x.stream.CancelRead(codeGone)
}
