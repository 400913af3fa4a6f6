package reactor

import (
	"errors"
	"io"
	"net"

	"tmms/media"
)

// Layer stands between the plain bytes of a connection and its socket: TLS, for
// example. Its methods are called on the connection's loop, one at a time, and
// must not block. An error is final for the connection.
type Layer interface {
	// Seal appends to dst what carries plain over the socket, behind what the
	// layer has to say by itself; without plain only that. It keeps neither.
	Seal(dst, plain []byte) ([]byte, error)
	// Open takes b from the socket and fills buf with the n plain bytes that
	// come out of it. It is called again, with the same buf and no b, until n is
	// 0; b is valid until then. io.EOF is the peer's orderly end.
	Open(buf, b []byte) (n int, err error)
	// End appends to dst what tells the peer that nothing follows.
	End(dst []byte) []byte
	// Leave takes the layer off the loop, maybe while Open's bytes are being
	// used; the function that it returns puts it over a connection that blocks.
	Leave() func(net.Conn) net.Conn
}

const (
	// sealPiece bounds the plain bytes that are sealed at a time, and with that
	// what a connection holds of sealed bytes that its socket did not take: a
	// flush of 5 Mbit/s each 100 ms.
	sealPiece = 64 << 10
	// sealRoom is what the sealed bytes of a piece may take; a TLS record of
	// 16 KiB grows by at most 256 bytes (RFC 8446 section 5.2).
	sealRoom = sealPiece + 2<<10
	// openSize is the buffer for opened bytes: one TLS record.
	openSize = 16 << 10
	// maxSpare bounds the buffers of sealed bytes that a loop keeps for reuse.
	maxSpare = 64
)

// layered is a connection's layer.
type layered struct {
	Layer
	fresh bool // what it holds already has not been passed on
}

// layering is what a loop needs for connections with a layer; made with the first.
type layering struct {
	sealed []byte    // scratch of Seal
	opened []byte    // scratch of Open
	spare  []*[]byte // of sealRoom each
}

// SetLayer puts y between c's plain bytes and its socket, from now on and for
// good. Bytes that y holds already come with OnData, from the end of the turn on.
//
// With a layer Send takes what it could seal, and a connection with sealed bytes
// that wait takes nothing more; SendLater is Send. What the loop had read when
// PauseRead was called still comes.
func (c *Conn) SetLayer(y Layer) {
	if c.state != stateOpen {
		return
	}
	if c.loop.layers == nil {
		c.loop.layers = &layering{sealed: make([]byte, 0, sealRoom), opened: make([]byte, openSize)}
	}
	c.layer = &layered{y, true}
	c.loop.readLater(c)
}

// Take is [Conn.Detach] for those who go on with a net.Conn, with c's layer over
// it if there is one. open makes it, or frees everything; it is called once, off
// the loop.
func (c *Conn) Take() (open func() (net.Conn, error), err error) {
	layer := c.layer
	fd, err := c.Detach()
	if err != nil {
		return nil, err
	}
	over := func(nc net.Conn) net.Conn { return nc }
	if layer != nil {
		over = layer.Leave()
	}
	return func() (net.Conn, error) {
		nc, err := NetConn(fd)
		if err != nil {
			return nil, err
		}
		return over(nc), nil
	}, nil
}

// sendSealed is Send through the layer: piece by piece, each with one call, for
// as long as the socket takes them whole. Of the last piece the rest is kept.
func (c *Conn) sendSealed(b []byte) (taken int, err error) {
	for taken < len(b) {
		piece := b[taken:min(taken+sealPiece, len(b))]
		sealed, err := c.seal(piece)
		if err != nil {
			return taken, err
		}
		n, err := c.send(sealed)
		if err != nil {
			return taken, err
		}
		taken += len(piece)
		if n < len(sealed) {
			c.keep(sealed[n:])
			break
		}
	}
	return taken, nil
}

// seal gives the sealed bytes of plain; valid until the next seal on the loop.
func (c *Conn) seal(plain []byte) ([]byte, error) {
	ls := c.loop.layers
	sealed, err := c.layer.Seal(ls.sealed[:0], plain)
	if cap(sealed) <= 2*sealRoom {
		ls.sealed = sealed
	}
	if err != nil {
		c.loop.condemn(c, err)
	}
	return sealed, err
}

// keep queues sealed bytes on an empty queue, in a spare buffer if there is one.
func (c *Conn) keep(b []byte) {
	ls := c.loop.layers
	if n := len(ls.spare); n > 0 {
		c.out, ls.spare = ls.spare[n-1], ls.spare[:n-1]
	} else {
		out := make([]byte, 0, sealRoom)
		c.out = &out
	}
	*c.out = append(*c.out, b...)
}

// emptied drops the queue, whose bytes have been sent.
func (c *Conn) emptied() {
	if ls := c.loop.layers; c.layer != nil && cap(*c.out) == sealRoom && len(ls.spare) < maxSpare {
		*c.out = (*c.out)[:0]
		ls.spare = append(ls.spare, c.out)
	}
	c.out = nil
}

// maxOut bounds the queue: with a layer it also has what Send has sealed.
func (c *Conn) maxOut() int {
	if c.layer != nil {
		return media.MaxControlOutput + sealRoom
	}
	return media.MaxControlOutput
}

// open passes on to the protocol what the layer makes of b.
func (c *Conn) open(b []byte) {
	buf := c.loop.layers.opened
	for {
		n, err := c.layer.Open(buf, b)
		if n > 0 {
			c.proto.OnData(c, buf[:n])
		}
		if c.state != stateOpen {
			return
		}
		if err != nil {
			c.opened(err)
			return
		}
		if n == 0 {
			break
		}
		b = nil
	}
	c.answer()
}

// openFresh passes on what a new layer held already.
func (c *Conn) openFresh() {
	if c.layer != nil && c.layer.fresh && c.state == stateOpen && !c.paused {
		c.layer.fresh = false
		c.open(nil)
	}
}

// opened ends c after an error of Open, which the layer may want to tell the peer.
func (c *Conn) opened(err error) {
	c.answer()
	switch {
	case c.state != stateOpen:
	case errors.Is(err, io.EOF):
		c.peerEnded()
	default:
		c.CloseAfterFlush(err)
	}
}

// answer sends what the layer has to say by itself.
func (c *Conn) answer() {
	if sealed, err := c.seal(nil); err == nil && len(sealed) > 0 {
		_ = c.put(sealed) // an error has condemned c
	}
}

// end queues the layer's last word.
func (c *Conn) end() {
	switch {
	case c.layer == nil:
	case c.out != nil:
		*c.out = c.layer.End(*c.out)
	default:
		if last := c.layer.End(nil); len(last) > 0 {
			c.out = &last
		}
	}
}
