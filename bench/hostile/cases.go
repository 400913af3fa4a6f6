package hostile

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
)

// port is which of the server's ports a case goes to.
type port uint8

const (
	portRTMP port = iota
	portHTTP
	portBoth
)

// Case is one way to attack.
type Case struct {
	Name, What string
	Conns      int // at once
	Rate       int // new ones a second, at most

	port port
	// attack uses one connection up; an error is the connection's.
	attack func(*peer) error
}

// Cases are all attacks, in the order in which they are to be run.
func Cases() []Case {
	return []Case{
		{"slow-http", "request heads, a byte a second", 3000, 1500, portHTTP, slowHTTP},
		{"slow-rtmp", "handshakes, a byte a second", 3000, 1500, portRTMP, slowRTMP},
		{"half-open", "handshakes without an end", 2000, 1000, portRTMP, halfOpen},
		{"silent", "more connections than may be unidentified, that say nothing", 4000, 2000, portBoth, (*peer).hold},
		{"resets", "connections that are reset at once", 64, 3000, portBoth, reset},
		{"garbage", "random bytes, before and after what is polite", 64, 400, portBoth, garbage},
		{"declared", "64 messages of 8 MiB each declared, a chunk of each sent", 500, 250, portRTMP, declared},
		{"partial", "8 MiB messages that are sent but for their end", 100, 100, portRTMP, partial},
		{"amf", "commands of great depth, length and number of values", 64, 400, portRTMP, amfBomb},
		{"long-heads", "request heads of 17 KiB without an end, and of many lines", 200, 400, portHTTP, longHead},
		{"smuggling", "heads that two parsers read in two ways, and paths that climb", 64, 400, portHTTP, smuggling},
		{"pipelined", "requests without end, the answers of half of them unread", 50, 100, portHTTP, pipelined},
		{"stalled", "files, segments and streams that are asked for and not read", 400, 200, portHTTP, stalled},
		{"websocket", "malformed and oversized frames, pings without end", 64, 200, portHTTP, badFrames},
		{"missing", "streams that are not there, each of another name", 2000, 1000, portBoth, missing},
	}
}

// Accepts are honest connections that are closed as soon as they are served.
func Accepts() []Case {
	return []Case{
		{"connect", "connect, reset", 256, 3000, portBoth, reset},
		{"flv", "ask for the stream by HTTP-FLV, read its beginning, reset", 256, 3000, portHTTP, flv},
		{"rtmp", "the handshake and connect, reset", 256, 3000, portRTMP, greeting},
	}
}

func find(name string) (Case, error) {
	var names []string
	for _, c := range append(Cases(), Accepts()...) {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return Case{}, fmt.Errorf("hostile: %q is none of %s", name, strings.Join(names, ", "))
}

func slowHTTP(p *peer) error {
	return p.drip("GET /live/x.flv HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + strings.Repeat("a", 1000))
}

func slowRTMP(p *peer) error { return p.drip("\x03" + strings.Repeat("\x00", handshakePart)) }

func halfOpen(p *peer) error {
	if _, err := p.greet(); err != nil {
		return err
	}
	return p.hold()
}

func reset(*peer) error { return nil }

func flv(p *peer) error {
	if err := p.say(p.get("/live/" + p.target.Stream + ".flv")); err != nil {
		return err
	}
	return p.answer()
}

func greeting(p *peer) error {
	if err := p.shake(); err != nil {
		return err
	}
	if _, err := p.Write(message(typeCommand, []byte(connect+"\x03\x00\x03app\x02\x00\x04live\x00\x00\x09"))); err != nil {
		return err
	}
	return p.answer()
}

func garbage(p *peer) error {
	polite := p.n / 2 % 2
	switch {
	case polite == 1 && p.http:
		if err := p.say("GET /live/" + p.target.Stream + ".flv HTTP/1.1\r\nHost: localhost\r\nX: "); err != nil {
			return err
		}
	case polite == 1:
		if err := p.shake(); err != nil {
			return err
		}
	}
	_, err := p.Write(p.noise(p.rng.IntN(64 << 10)))
	return err
}

const largest = 8 << 20 // bytes of the longest message that is taken

func declared(p *peer) error {
	if err := p.shake(); err != nil {
		return err
	}
	body := make([]byte, chunkSize)
	for stream := byte(3); stream < 3+61; stream++ {
		if _, err := p.Write(append(chunkHead(stream, typeVideo, largest), body...)); err != nil {
			return err
		}
	}
	return p.hold()
}

func partial(p *peer) error {
	if err := p.shake(); err != nil {
		return err
	}
	body := message(typeVideo, make([]byte, largest))
	if _, err := p.Write(body[:len(body)-chunkSize]); err != nil {
		return err
	}
	return p.hold()
}

func amfBomb(p *peer) error {
	if err := p.shake(); err != nil {
		return err
	}
	const room = 60 << 10
	typ, body := byte(typeCommand), connect
	switch p.n % 5 {
	case 0: // an object in an object, all the way down
		body += "\x03" + strings.Repeat("\x00\x01a\x03", room/4)
	case 1: // arrays in arrays
		body += strings.Repeat("\x0a\x00\x00\x00\x01", room/5)
	case 2: // one array that says it has four thousand million values
		body += string(binary.BigEndian.AppendUint32([]byte{0x0a}, 1<<32-1))
	case 3: // more values than any command has
		body += "\x0a\x00\x00\xff\xff" + strings.Repeat("\x05", room)
	case 4: // a long string that is not there
		typ, body = typeData, "\x0c\xff\xff\xff\xff"
	}
	if _, err := p.Write(message(typ, []byte(body))); err != nil {
		return err
	}
	return p.hold()
}

func longHead(p *peer) error {
	head := "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 17<<10)
	if p.n%2 == 0 {
		head = "GET / HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("A: b\r\n", 1<<15)
	}
	if err := p.say(head); err != nil {
		return err
	}
	return p.hold()
}

func smuggling(p *peer) error {
	heads := []string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n",
		"GET /live/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /live/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /live/a\x00b.flv HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://elsewhere/live/x.flv HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\nHost: x\n\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	}
	if err := p.say(heads[p.n%len(heads)]); err != nil {
		return err
	}
	return p.answer()
}

func pipelined(p *peer) error {
	paths := []string{"/", "/nothing", "/live/" + p.target.Stream + ".m3u8", "/live/none.m3u8"}
	flood := strings.Repeat(p.get(paths[p.n/2%len(paths)]), 500)
	if p.n%2 == 0 {
		go func() { _ = p.hold() }() // it ends with the connection
	}
	for {
		if err := p.say(flood); err != nil {
			return err
		}
	}
}

func stalled(p *peer) error {
	// The smallest buffer that there is: what is not read waits at the server.
	if tcp, ok := p.Conn.(*net.TCPConn); ok {
		if err := tcp.SetReadBuffer(1 << 10); err != nil {
			return err
		}
	}
	segment, err := p.segment()
	if err != nil {
		return err
	}
	paths := []string{"/assets/hls.min.js", "/assets/mpegts.js", "/live/" + p.target.Stream + ".flv", segment}
	if err := p.say(strings.Repeat(p.get(paths[p.n%len(paths)]), 20)); err != nil {
		return err
	}
	return p.stall()
}

func badFrames(p *peer) error {
	if err := p.say(p.upgrade()); err != nil {
		return err
	}
	if err := p.answer(); err != nil {
		return err
	}
	frames := []string{
		"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",                 // masked not, and 2^63 bytes
		"\x82\xff\x00\x00\x00\x00\x40\x00\x00\x00\x01\x02\x03\x04", // 1 GiB
		"\x82\xfe\xff\xff\x01\x02\x03\x04",
		"\xf2\x80\x00\x00\x00\x00", // reserved bits
		"\x09\x80\x00\x00\x00\x00", // a ping in pieces
		"\x83\x80\x00\x00\x00\x00", // no such opcode
		strings.Repeat("\x89\x84\x00\x00\x00\x00ping", 4000),
		string(p.noise(4 << 10)),
	}
	if err := p.say(frames[p.n%len(frames)]); err != nil {
		return err
	}
	return p.hold()
}

func missing(p *peer) error {
	name := fmt.Sprintf("none-%d", p.rng.Uint64())
	if p.http {
		path := "/live/" + name + ".flv"
		if p.n/2%2 == 0 {
			path = "/live/" + name + "/live.m3u8"
		}
		if err := p.say(p.get(path)); err != nil {
			return err
		}
		return p.hold()
	}
	return p.play(name)
}
