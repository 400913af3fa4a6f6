package fabric

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// stranger is a UDP socket that has no certificate.
type stranger struct {
	t    *testing.T
	conn *net.UDPConn
	sent int // bytes
}

// newStranger sends to a node from an address of this machine, 127.0.0.host.
func newStranger(t *testing.T, to *node, host byte) *stranger {
	t.Helper()
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, host)}, net.UDPAddrFromAddrPort(to.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &stranger{t: t, conn: conn}
}

func (s *stranger) say(p []byte) {
	s.t.Helper()
	n, err := s.conn.Write(p)
	if err != nil {
		s.t.Fatal(err)
	}
	s.sent += n
}

// hear gives what comes until nothing has come for a while.
func (s *stranger) hear(quiet time.Duration) (all [][]byte) {
	s.t.Helper()
	b := make([]byte, 2048)
	for {
		_ = s.conn.SetReadDeadline(time.Now().Add(quiet))
		n, err := s.conn.Read(b)
		if err != nil {
			return all
		}
		all = append(all, bytes.Clone(b[:n]))
	}
}

func size(all [][]byte) (n int) {
	for _, p := range all {
		n += len(p)
	}
	return n
}

// initials are first packets of so many handshakes, by a client without a
// certificate that wants a protocol which is served.
func initials(tb testing.TB, n int) (all [][]byte) {
	tb.Helper()
	sink, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = sink.Close() }()
	cfg := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{string(ALPNControl)}, MinVersion: tls.VersionTLS13}
	transport := rawTransport(tb)
	b := make([]byte, 2048)
	for len(all) < n {
		ctx, cancel := context.WithCancel(tb.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = transport.Dial(ctx, sink.LocalAddr(), cfg, nil)
		}()
		_ = sink.SetReadDeadline(time.Now().Add(patience))
		size, err := sink.Read(b)
		if err != nil {
			tb.Fatal(err)
		}
		cancel()
		<-ended
		if b[0]&0xF0 == 0xC0 && size >= 1200 { // a long header of type Initial (RFC 9000 section 17.2.2)
			all = append(all, bytes.Clone(b[:size]))
		}
	}
	return all
}

// longRetry is the type of Retry packets (RFC 9000 section 17.2.5).
const longRetry = 3

// longType is the type of a packet of version 1 with a long header, -1 of another.
func longType(p []byte) int {
	if len(p) < 5 || p[0]&0x80 == 0 || binary.BigEndian.Uint32(p[1:]) != 1 {
		return -1
	}
	return int(p[0] >> 4 & 3)
}

// TestStrangerLearnsNothing: what is no handshake gets no answer, or a stateless
// reset, which looks like noise; a handshake shows the node's certificate and
// fails without words.
func TestStrangerLearnsNothing(t *testing.T) {
	ca := newCA(t, time.Now())
	n := startWith(t, issue(t, ca, "secret-name"), "127.0.0.1:0", fast(), func(f *Fabric) { f.Handle(ALPNControl, echo) })
	<-n.running
	noise := func(size int, head ...byte) []byte {
		p := make([]byte, size)
		_, _ = rand.Read(p)
		copy(p, head)
		return p
	}
	for name, tc := range map[string]struct {
		packet []byte
		reset  bool // may be answered
	}{
		"unknown-version":      {noise(1300, 0xC0, 0xFA, 0xCE, 0xB0, 0x0C, 8), false},
		"version-2":            {noise(1300, 0xC0, 0x6B, 0x33, 0x43, 0xCF, 8), false},
		"no-initial":           {noise(1300, 0xE0, 0, 0, 0, 1, 8), false},
		"broken-initial":       {noise(1300, 0xC0, 0, 0, 0, 1, 8), false},
		"short-initial":        {noise(300, 0xC0, 0, 0, 0, 1, 8), false},
		"version-negotiation":  {noise(60, 0x80, 0, 0, 0, 0, 8), false},
		"of-a-former-session":  {noise(400, 0x40), true},
		"tiny":                 {noise(20, 0x40), false},
		"one-byte":             {noise(1, 0x40), false},
		"no-quic":              {[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), false},
		"stun-binding-request": {append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42}, noise(12)...), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStranger(t, n, 1)
			s.say(tc.packet)
			answer := s.hear(100 * time.Millisecond)
			switch {
			case !tc.reset && len(answer) > 0:
				t.Errorf("%d bytes are answered by %x", len(tc.packet), answer)
			case tc.reset && (len(answer) > 1 || size(answer) >= len(tc.packet) || len(answer) == 1 && answer[0][0]&0xC0 != 0x40):
				t.Errorf("%d bytes are answered by %x", len(tc.packet), answer)
			}
		})
	}
	other := newCA(t, time.Now())
	for name, cfg := range map[string]*tls.Config{
		"without-certificate": {},
		"of-another-cluster":  issue(t, other, "x").TLS(),
	} {
		t.Run(name, func(t *testing.T) {
			var shown [][]byte
			cfg.InsecureSkipVerify, cfg.NextProtos = true, []string{string(ALPNControl)}
			cfg.VerifyConnection = func(cs tls.ConnectionState) error {
				for _, c := range cs.PeerCertificates {
					shown = append(shown, c.Raw)
				}
				return nil
			}
			conn, err := dialRaw(within(t), t, n, cfg)
			if err == nil {
				err = awaitGreeting(within(t), conn)
			}
			var refusal *quic.TransportError
			if !errors.As(err, &refusal) || !refusal.Remote || !refusal.ErrorCode.IsCryptoError() || refusal.ErrorMessage != "" {
				t.Errorf("it is told %v", err)
			}
			own, _ := n.id.TLS().GetCertificate(nil)
			if len(shown) != 1 || !bytes.Equal(shown[0], own.Certificate[0]) {
				t.Errorf("it is shown %d certificates", len(shown))
			}
		})
	}
}

// TestStrangersCost: a flood of first packets is asked for a proof of the address,
// then refused; it is answered with fewer bytes than RFC 9000 allows, and a node
// of the cluster gets in meanwhile.
func TestStrangersCost(t *testing.T) {
	ca := newCA(t, time.Now())
	n := startWith(t, issue(t, ca, "n"), "127.0.0.1:0", fast(), func(f *Fabric) { f.Handle(ALPNControl, echo) })
	<-n.running
	peer := start(t, issue(t, ca, "peer"))
	firsts := initials(t, 200)
	var hosts []*stranger
	for host := range 20 {
		hosts = append(hosts, newStranger(t, n, byte(1+host)))
	}
	before := heap()
	for round := range 5 {
		for i, p := range firsts {
			again := bytes.Clone(p)
			hosts[(round+i)%len(hosts)].say(again)
		}
	}
	ask(t, connect(t, peer, n.target(), ALPNControl), "in the flood")
	if grown := heap() - before; grown > 64<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	retries, sent, got := 0, 0, 0
	for _, s := range hosts {
		answer := s.hear(50 * time.Millisecond)
		sent, got = sent+s.sent, got+size(answer)
		if size(answer) > 3*s.sent { // RFC 9000 section 8.1
			t.Errorf("%d bytes are answered by %d", s.sent, size(answer))
		}
		for _, p := range answer {
			if longType(p) == longRetry {
				retries++
			}
		}
	}
	if retries == 0 {
		t.Error("nobody is asked to prove its address")
	}
	waitFor(t, "the end of the handshakes", func() bool {
		n.gate.mu.Lock()
		defer n.gate.mu.Unlock()
		return n.gate.all == 0 && len(n.gate.perIP) == 0
	})
	t.Logf("%d bytes were answered by %d, %d times with Retry", sent, got, retries)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
