package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"tmms/media/rtmp"
)

// peer is one connection of an attacker.
type peer struct {
	net.Conn

	ctx    context.Context //nolint:containedctx // of the run that the connection lives in
	target Target
	rng    *rand.Rand
	n      int  // number of the connection
	http   bool // it goes to the HTTP port
}

func (p *peer) say(s string) error {
	_, err := io.WriteString(p, s)
	return err
}

// drip sends a byte a second.
func (p *peer) drip(s string) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for i := range len(s) {
		if err := p.say(s[i : i+1]); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
	return nil
}

// hold waits for the server to close, and reads what it says meanwhile.
func (p *peer) hold() error {
	_, err := io.Copy(io.Discard, p)
	if err == nil {
		err = io.EOF
	}
	return err
}

// stall reads nothing any more, up to the end of the run.
func (p *peer) stall() error {
	<-p.ctx.Done()
	return p.ctx.Err()
}

// answer reads the first bytes of an answer.
func (p *peer) answer() error {
	_, err := p.Read(make([]byte, 4<<10))
	return err
}

// noise is so many random bytes.
func (p *peer) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(p.rng.Uint32())
	}
	return b
}

// Of the RTMP handshake (RTMP 1.0 section 5.2).
const (
	handshakePart = 1536
	rtmpVersion   = 3
)

// greet sends C0 and C1 and reads S0, S1 and S2; answer is S1, to be sent as C2.
func (p *peer) greet() (answer []byte, err error) {
	hello := make([]byte, 1+handshakePart)
	hello[0] = rtmpVersion
	if _, err = p.Write(hello); err != nil {
		return nil, err
	}
	b := make([]byte, 1+2*handshakePart)
	if _, err = io.ReadFull(p, b); err != nil {
		return nil, err
	}
	return b[1 : 1+handshakePart], nil
}

// shake does the whole handshake.
func (p *peer) shake() error {
	answer, err := p.greet()
	if err != nil {
		return err
	}
	_, err = p.Write(answer)
	return err
}

// play asks for a stream and waits for it, up to the end of the run.
func (p *peer) play(name string) error {
	u, err := rtmp.ParseURL("rtmp://" + p.target.RTMP + "/live/" + name)
	if err != nil {
		return err
	}
	conn := rtmp.NewClientConn(rtmp.ClientConfig{URL: u, Role: rtmp.RolePlay})
	b := make([]byte, 4<<10)
	for {
		out := conn.Output()
		if _, err = p.Write(out); err != nil {
			return err
		}
		conn.Sent(len(out))
		n, err := p.Read(b)
		if err != nil {
			return err
		}
		for rest := b[:n]; err == nil; {
			var ev rtmp.Event
			n, ev, err = conn.Feed(rest)
			if rest = rest[n:]; ev.Kind == rtmp.EventNone {
				break
			}
		}
		if err != nil {
			return err
		}
	}
}

// segment asks for the playlist and gives the path of its last segment, "" if
// there is none.
func (p *peer) segment() (string, error) {
	if err := p.say(p.get("/live/" + p.target.Stream + "/live.m3u8")); err != nil {
		return "", err
	}
	b := make([]byte, 16<<10)
	n, err := p.Read(b)
	if err != nil {
		return "", err
	}
	name := ""
	for line := range strings.Lines(string(b[:n])) {
		if line = strings.TrimSpace(line); strings.HasSuffix(line, ".ts") {
			name = "/live/" + p.target.Stream + "/" + line
		}
	}
	return name, nil
}

// Message types (RTMP 1.0 sections 5.4 and 7.1).
const (
	typeVideo   = 9
	typeData    = 18
	typeCommand = 20
)

// chunkSize is what a chunk holds as long as nobody says otherwise.
const chunkSize = 128

// chunkHead is a basic header of a chunk stream 3..63 and a type 0 message
// header (RTMP 1.0 section 5.3.1).
func chunkHead(stream, typ byte, length int) []byte {
	b := []byte{stream, 0, 0, 0, byte(length >> 16), byte(length >> 8), byte(length), typ}
	return binary.LittleEndian.AppendUint32(b, 0)
}

// message is a whole message in chunks.
func message(typ byte, body []byte) []byte {
	const stream = 3
	var b bytes.Buffer
	b.Write(chunkHead(stream, typ, len(body)))
	for i := 0; i < len(body); i += chunkSize {
		if i > 0 {
			b.WriteByte(3<<6 | stream)
		}
		b.Write(body[i:min(len(body), i+chunkSize)])
	}
	return b.Bytes()
}

// connect is the beginning of a connect command; its object is to follow.
const connect = "\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00"

// upgrade asks for a stream over WebSocket.
func (p *peer) upgrade() string {
	return fmt.Sprintf("GET /live/%s.flv HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", p.target.Stream, p.target.HTTP)
}

// get asks for a path.
func (p *peer) get(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + p.target.HTTP + "\r\n\r\n"
}
