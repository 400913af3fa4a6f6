package rtmp

import (
	"fmt"
	"io"

	"tmms/media"
	"tmms/media/flv"
)

// Role is what a client is for.
type Role uint8

// The roles of a ClientConn.
const (
	RolePublish Role = iota
	RolePlay
)

// Order is the order and the form of a client's commands.
type Order uint8

// The orders of commands that encoders and players use.
const (
	// OrderFFmpeg: connect; releaseStream, FCPublish, createStream; publish.
	OrderFFmpeg Order = iota
	// OrderOBS: as OrderFFmpeg, with the chunk size set in front of connect and
	// swfUrl in it.
	OrderOBS
	// OrderMinimal: connect, createStream, publish, as GStreamer's simplest form.
	OrderMinimal
)

// ClientConfig says what a client asks for.
type ClientConfig struct {
	URL       URL
	Role      Role
	Handshake Handshake
	Order     Order
	ChunkSize int       // bytes of the chunks that we send, 1 to 0xFFFFFF; 0: 4096
	FlashVer  string    // "": one that fits the role
	Caps      Caps      // to be announced (Enhanced RTMP v2)
	FourCCs   []string  // to be announced as codecs that we take, such as "hvc1"
	Rand      io.Reader // for the handshake; nil: crypto/rand
}

// clientChunkSize is the usual chunk size of encoders.
const clientChunkSize = 4096

// clientPhase is what a client waits for.
type clientPhase uint8

const (
	clientHandshaking clientPhase = iota
	clientConnecting
	clientCreating
	clientStarting // publish or play is sent
	clientReady
	clientStopped
)

// ClientConn is the client's side of one RTMP connection, of a publisher or of
// a player. It is not safe for concurrent use.
type ClientConn struct {
	cfg       ClientConfig
	reader    chunkReader
	out       outbox
	err       error // final
	handshake *clientHandshake

	phase       clientPhase
	ended       bool    // EventEOF was given, and no media has come since
	chunkSize   int     // of what we send
	transaction float64 // of our last call
	streamID    uint32
	received    uint32 // bytes, modulo 2^32
	ackedIn     uint32 // received when we acknowledged last
	ackedOut    uint32 // what the server acknowledged last
	serverCaps  Caps   // what the server announced, with
	serverCCs   flv.FourCCs
	window      uint32 // bytes of the server's acknowledgement window
	sentWindow  uint32
}

// NewClientConn starts the handshake: C0 and C1 are in Output. A random source
// that fails shows in the first Feed.
func NewClientConn(cfg ClientConfig) *ClientConn {
	if cfg.ChunkSize <= 0 {
		cfg.ChunkSize = clientChunkSize
	}
	cfg.ChunkSize = min(cfg.ChunkSize, media.MaxChunkSize)
	c := &ClientConn{
		cfg:       cfg,
		reader:    newChunkReader(nil, media.MaxPartialBytes),
		handshake: &clientHandshake{kind: cfg.Handshake, random: cfg.Rand},
		chunkSize: defaultChunkSize,
		window:    defaultWindow,
	}
	c.reader.keep = media.KeepMessageBuffer
	c.out.buf, c.err = c.handshake.start(nil)
	return c
}

// Output is what to send now; it is valid until the next call on c.
func (c *ClientConn) Output() []byte { return c.out.bytes() }

// Sent says that the first n bytes of Output were sent.
func (c *ClientConn) Sent(n int) { c.out.sent(n, media.KeepMessageBuffer) }

// Ready reports whether the server accepted to publish or play.
func (c *ClientConn) Ready() bool { return c.phase == clientReady }

// ServerCaps are what the server says it can do, and the codecs that it takes by
// FourCC; none before Ready.
func (c *ClientConn) ServerCaps() (Caps, flv.FourCCs) { return c.serverCaps, c.serverCCs }

// Acked is the sequence number that the server acknowledged last: the bytes it
// has received, modulo 2^32.
func (c *ClientConn) Acked() uint32 { return c.ackedOut }

// Feed consumes bytes up to and including the one that completes the next
// event; feed the rest again, until EventNone. Message.Body is valid until the
// next Feed. An error is final.
func (c *ClientConn) Feed(b []byte) (n int, ev Event, err error) {
	if c.err != nil {
		return 0, Event{}, c.err
	}
	c.out.compact()
	n, ev, err = c.feed(b)
	c.received += uint32(n)
	if c.phase != clientHandshaking && c.received-c.ackedIn >= ackInterval(c.window) {
		c.ackedIn = c.received
		c.out.buf = appendControl(c.out.buf, typeAck, c.received)
	}
	if have := c.out.len(); err == nil && have > media.MaxPartialBytes {
		err = fmt.Errorf("%w: %d unsent bytes, the limit is %d", ErrLimit, have, media.MaxPartialBytes)
	}
	if err != nil {
		c.err = err
		return n, Event{}, err
	}
	return n, ev, nil
}

func (c *ClientConn) feed(b []byte) (n int, ev Event, err error) {
	if c.handshake != nil {
		var done bool
		n, c.out.buf, done, err = c.handshake.feed(b, c.out.buf)
		if err != nil || !done {
			return n, Event{}, err
		}
		c.handshake = nil
		c.connect()
	}
	for {
		k, s, err := c.reader.next(b[n:])
		n += k
		if err != nil || s == nil {
			return n, Event{}, err
		}
		if ev, err = c.handle(s); err != nil || ev.Kind != EventNone {
			return n, ev, err
		}
	}
}

// Publish appends m to Output; call it after EventReady. Metadata (onMetaData)
// goes out the way encoders send it, with @setDataFrame in front. m.Body has
// less than 16 MiB.
func (c *ClientConn) Publish(m Message) {
	h := header{typ: uint8(m.Type), timestamp: m.Timestamp, streamID: c.streamID}
	csid := mediaChunkStream(m.Type)
	body := m.Body
	if m.Type == media.TypeData && isMetaData(body) {
		body = append(appendDataFrame(make([]byte, 0, len(body)+16)), body...)
	}
	c.out.buf = appendMessage(c.out.buf, csid, h, body, c.chunkSize)
}

// Ping asks the server for a sign of life.
func (c *ClientConn) Ping(timestampMS uint32) {
	c.out.buf = appendUserControl(c.out.buf, userPingRequest, timestampMS)
}
