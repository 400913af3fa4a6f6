package play

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"tmms/media/rtmp"
)

// Dial connects, such as from another network.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// silence is how long a server may say nothing before [Follow] gives up: longer
// than any outage that a viewer is kept through.
const silence = time.Minute

// Follow plays one stream by RTMP or FLV, without TLS, and gives see each message
// and when it came, on the caller's goroutine; the body is valid until see
// returns. It ends with the stream, whose end is an error too, or with ctx.
func Follow(ctx context.Context, url string, dial Dial, see func(m rtmp.Message, now time.Time)) error {
	t, err := parseTarget(url)
	if err != nil {
		return err
	}
	if t.name != "" || t.ts {
		return fmt.Errorf("play: %q is neither RTMP nor FLV without TLS", url)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialing, stop := context.WithTimeout(ctx, dialTimeout)
	defer stop()
	c, err := dial(dialing, "tcp", t.address)
	if err != nil {
		return fmt.Errorf("play: %w", err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	var v viewer
	if err = errors.Join(c.SetDeadline(time.Now().Add(dialTimeout)), t.ask(c, &v, true)); err != nil {
		return err
	}
	return v.follow(ctx, c, see)
}

// Count is [Follow] for who wants to know only how many bytes each message has.
func Count(ctx context.Context, url string, dial Dial, came func(bytes int)) error {
	return Follow(ctx, url, dial, func(m rtmp.Message, _ time.Time) { came(len(m.Body)) })
}

// follow reads until the connection ends.
func (v *viewer) follow(ctx context.Context, c net.Conn, see func(rtmp.Message, time.Time)) error {
	b := make([]byte, 64<<10)
	for {
		if err := errors.Join(c.SetDeadline(time.Now().Add(silence)), ctx.Err()); err != nil {
			return err
		}
		n, err := c.Read(b)
		if err == nil {
			err = v.pass(c, b[:n], see)
		}
		if err != nil {
			return fmt.Errorf("play: %w", err)
		}
	}
}

// pass gives see what came, and answers.
func (v *viewer) pass(c net.Conn, b []byte, see func(rtmp.Message, time.Time)) error {
	reply, err := v.stream.feed(b, time.Now(), func(p signalPacket) { see(p.Message, p.now) })
	if err == nil && len(reply) > 0 {
		_, err = c.Write(reply)
	}
	return err
}
