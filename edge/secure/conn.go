package secure

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"tmms/edge/reactor"
	"tmms/edge/viewer"
	"tmms/media"
)

// conn is a connection on its loop until its handshake is over.
type conn struct {
	listener *listener
	rc       *reactor.Conn
	hello    []byte // before the handshake has begun
	feed     *feed  // of the handshake; nil: not begun
	received int    // bytes
	done     bool   // the result is counted
}

// OnData implements reactor.Protocol. The handshake begins when the first record
// is there, so that who sends nothing costs nothing.
func (c *conn) OnData(_ *reactor.Conn, b []byte) {
	c.received += len(b)
	if c.received > media.MaxTLSHandshakeBytes {
		c.rc.Close(fmt.Errorf("%w: %d bytes before the handshake was over, the limit is %d",
			viewer.ErrProtocol, c.received, media.MaxTLSHandshakeBytes))
		return
	}
	if c.feed != nil {
		c.feed.put(b)
		return
	}
	c.hello = append(c.hello, b...)
	whole, err := checkHello(c.hello)
	switch {
	case err != nil:
		c.refuse(err)
	case whole:
		first := c.hello
		c.hello = nil
		c.start(first)
	}
}

// errNoTLS refuses what does not begin as TLS does, errHTTP those of them who
// speak HTTP.
var (
	errNoTLS = errors.New("no TLS handshake")
	errHTTP  = errors.New("HTTP on a TLS port")
)

// headerSize is a TLS record's header: type, version (2), length (2).
const headerSize = 5

// checkHello tells whether b has a first record, which must be one of a handshake
// (RFC 8446 section 5.1), to its end.
func checkHello(b []byte) (whole bool, err error) {
	const (
		typeHandshake = 22
		major         = 3
		maxRecord     = 16 << 10
	)
	switch {
	case len(b) == 0:
		return false, nil
	case b[0] >= 'A' && b[0] <= 'Z':
		return false, errHTTP
	case b[0] != typeHandshake || len(b) > 1 && b[1] != major:
		return false, errNoTLS
	case len(b) < headerSize:
		return false, nil
	}
	size := int(binary.BigEndian.Uint16(b[3:]))
	if size == 0 || size > maxRecord {
		return false, errNoTLS
	}
	return len(b) >= headerSize+size, nil
}

// alertProtocolVersion is a fatal alert, for those whose first bytes are no TLS
// that we know (RFC 8446 section 6).
const alertProtocolVersion = "\x15\x03\x01\x00\x02\x02\x46"

// notTLS answers a browser that was sent to the wrong port.
const notTLS = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Content-Length: 32\r\n\r\nthis port speaks TLS: use https\n"

func (c *conn) refuse(err error) {
	last := alertProtocolVersion
	if errors.Is(err, errHTTP) {
		last = notTLS
	}
	if c.rc.Write([]byte(last)) == nil {
		c.rc.CloseAfterFlush(fmt.Errorf("%w: %w", viewer.ErrProtocol, err))
	}
}

// OnWritable implements reactor.Protocol.
func (c *conn) OnWritable(*reactor.Conn) {}

// OnTimer implements reactor.Protocol.
func (c *conn) OnTimer(*reactor.Conn) { c.rc.Close(viewer.ErrTimeout) }

// OnClose implements reactor.Protocol.
func (c *conn) OnClose(rc *reactor.Conn, reason error) {
	if c.feed != nil {
		c.feed.end(reactor.ErrClosed)
	}
	if c.done {
		return
	}
	c.count(resultOf(reason))
	cfg := &c.listener.server.cfg
	cfg.Gate.Ended(reason)
	cfg.Log.Debug("tls connection closed", slog.String("remote", rc.Remote().String()), slog.Any("err", reason))
}

func resultOf(reason error) Result {
	switch viewer.ReasonOf(reason) {
	case viewer.ReasonTimeout:
		return ResultTimeout
	case viewer.ReasonProtocol:
		return ResultFailed
	case viewer.ReasonFull, viewer.ReasonEvicted:
		return ResultBusy
	default:
		return ResultClosed
	}
}

func (c *conn) count(r Result) {
	c.done = true
	c.listener.server.counters.results[r].Add(1)
}

// finished is called on the loop when the handshake is over.
func (c *conn) finished(y *layer, err error) {
	switch {
	case errors.Is(err, viewer.ErrFull):
		c.rc.Close(err)
		return
	case err != nil:
		c.rc.CloseAfterFlush(fmt.Errorf("%w: %w", viewer.ErrProtocol, err)) // the alert is queued
		return
	}
	y.takeOver(c.feed.rest())
	c.count(ResultOK)
	if serve := c.listener.Moved[y.conn.ConnectionState().NegotiatedProtocol]; serve != nil {
		c.rc.SetLayer(y)
		open, err := c.rc.Take()
		if err != nil {
			c.rc.Close(err)
			return
		}
		c.listener.server.move(open, serve)
		return
	}
	c.rc.StopTimer()
	p := c.listener.Open(c.rc)
	if p == nil {
		c.rc.Close(nil)
		return
	}
	c.rc.SetProtocol(p)
	c.rc.SetLayer(y)
}
