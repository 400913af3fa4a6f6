package fabric

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"tmms/cluster/pki"
	"tmms/media"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestRefused: who is not of the cluster, or not who was meant, gets no session;
// the dialer is told in a way it can act on, and the acceptor's log says why.
func TestRefused(t *testing.T) {
	now := time.Now()
	ca, other := newCA(t, now.AddDate(-5, 0, 0)), newCA(t, now)
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), func(f *Fabric) { f.Handle(ALPNControl, echo) })
	raftless := startWith(t, issue(t, ca, "raftless"), "127.0.0.1:0", fast(), func(f *Fabric) { f.Handle(ALPNRaft, echo) })
	expired := startWith(t, issueAt(t, ca, now.AddDate(-2, 0, 0), "expired"), "127.0.0.1:0", fast(),
		func(f *Fabric) { f.Handle(ALPNControl, echo) })
	for _, tc := range []struct {
		name    string
		from    *pki.Identity
		to      Target
		alpn    ALPN
		failure Failure
		reason  error  // in the chain
		text    string // in the dialer's error
		log     string // in the log of the one who refuses
		by      *node
	}{
		{
			name: "our-ca-is-another", from: issue(t, other, "a"), to: b.target(), alpn: ALPNControl,
			failure: Untrusted, reason: pki.ErrUntrusted, text: "not signed by a CA of this cluster",
		},
		{
			name: "another-node-answers", from: issue(t, ca, "a"), to: Target{"c", b.Addr().String()}, alpn: ALPNControl,
			failure: Untrusted, text: `node "b" answers, want "c"`,
		},
		{
			name: "its-certificate-expired", from: issue(t, ca, "a"), to: expired.target(), alpn: ALPNControl,
			failure: Untrusted, reason: pki.ErrExpired, text: "ended at",
		},
		{
			name: "ours-expired", from: issueAt(t, ca, now.AddDate(-2, 0, 0), "a"), to: b.target(), alpn: ALPNControl,
			failure: Refused, text: "does not accept this node's certificate", by: b, log: "expired",
		},
		{
			name: "unknown-alpn", from: issue(t, ca, "a"), to: b.target(), alpn: ALPNRelay,
			failure: Refused, text: "does not speak this protocol", by: b, log: "tmms-relay/1",
		},
		{
			name: "edge-speaks-raft", from: issue(t, ca, "a", pki.RoleEdge), to: raftless.target(), alpn: ALPNRaft,
			failure: Refused, text: `a[edge] may not speak "tmms-raft/1"`, by: raftless, log: "may not speak",
		},
		{
			name: "client-is-no-node", from: issue(t, ca, "a", pki.RoleClient), to: b.target(), alpn: ALPNControl,
			failure: Refused, text: `a[client] may not speak "tmms-control/1"`,
		},
		{
			name: "no-address", from: issue(t, ca, "a"), to: Target{"b", "nowhere"}, alpn: ALPNControl,
			failure: Unresolved, text: "want HOST:PORT",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.by != nil { // one line in ten seconds
				tc.by.refusals.mu.Lock()
				tc.by.refusals.next = time.Time{}
				tc.by.refusals.mu.Unlock()
			}
			a := start(t, tc.from)
			_, err := a.Session(within(t), tc.to, tc.alpn)
			var d *DialError
			if !errors.As(err, &d) || d.Failure != tc.failure || d.To != tc.to || d.ALPN != tc.alpn {
				t.Fatalf("%v, want failure %q", err, tc.failure)
			}
			if tc.reason != nil && !errors.Is(err, tc.reason) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%v, want %v and %q", err, tc.reason, tc.text)
			}
			if got := a.value(t, "tmms_fabric_dials_total", string(tc.failure)); got != 1 {
				t.Errorf("tmms_fabric_dials_total{%s} = %v", tc.failure, got)
			}
			if tc.by != nil {
				waitFor(t, "log line", func() bool { return strings.Contains(tc.by.log.String(), tc.log) })
				if tc.by.value(t, "tmms_fabric_refused_total") == 0 {
					t.Error("tmms_fabric_refused_total = 0")
				}
			}
		})
	}
	ask(t, connect(t, start(t, issue(t, ca, "a")), b.target(), ALPNControl), "x")
}

// roleless makes a certificate that the CA would not: it names a node but no role.
func roleless(t *testing.T, ca *pki.CA) tls.Certificate {
	t.Helper()
	block, _ := pem.Decode(ca.KeyPEM())
	caKey, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	block, _ = pem.Decode(ca.CertPEM())
	caCert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		URIs:        []*url.URL{{Scheme: "tmms", Host: "node", Path: "/x"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, caCert, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestNoRole(t *testing.T) {
	ca := newCA(t, time.Now())
	n := startWith(t, issue(t, ca, "n"), "127.0.0.1:0", fast(), func(f *Fabric) { f.Handle(ALPNControl, echo) })
	cfg := &tls.Config{
		Certificates: []tls.Certificate{roleless(t, ca)}, InsecureSkipVerify: true, NextProtos: []string{string(ALPNControl)},
	}
	t.Run("dials", func(t *testing.T) {
		conn, err := dialRaw(within(t), t, n, cfg)
		if err == nil {
			defer func() { _ = conn.CloseWithError(0, "") }()
			err = awaitGreeting(within(t), conn)
		}
		var refusal *quic.TransportError
		if !errors.As(err, &refusal) || !refusal.Remote || refusal.ErrorCode != alertBadCertificate {
			t.Errorf("it got %v", err)
		}
		waitFor(t, "log line", func() bool { return strings.Contains(n.log.String(), "no known role") })
	})
	t.Run("answers", func(t *testing.T) {
		l := listenRaw(t, cfg)
		_, err := n.Session(within(t), Target{"x", l.Addr().String()}, ALPNControl)
		var d *DialError
		if !errors.As(err, &d) || d.Failure != Untrusted || !errors.Is(err, pki.ErrNoRole) {
			t.Errorf("%v", err)
		}
	})
}

// TestNoGreeting: a peer that takes the handshake and then is silent, or
// babbles, is no session.
func TestNoGreeting(t *testing.T) {
	ca := newCA(t, time.Now())
	tm := fast()
	tm.handshake = 300 * time.Millisecond
	n := startWith(t, issue(t, ca, "n"), "127.0.0.1:0", tm, nil)
	for name, say := range map[string][]byte{"silent": nil, "babbles": []byte("HTTP"), "long": {greeting, greeting}, "other": {2}} {
		t.Run(name, func(t *testing.T) {
			l := listenRaw(t, issue(t, ca, name).TLS(string(ALPNControl)))
			defer func() { _ = l.Close() }()
			go func() {
				conn, lost := l.Accept(t.Context())
				if lost != nil {
					return
				}
				if u, full := conn.OpenUniStream(); full == nil && say != nil {
					_, _ = u.Write(say)
					_ = u.Close()
				}
			}()
			var d *DialError
			_, err := n.Session(within(t), Target{name, l.Addr().String()}, ALPNControl)
			if !errors.As(err, &d) || d.Failure != Unreachable {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestBackoff: a failed dial is not repeated at once, the answer then is quick,
// and a peer that comes by itself is dialed without delay.
func TestBackoff(t *testing.T) {
	ca := newCA(t, time.Now())
	tm := fast()
	tm.handshake, tm.backoffMin, tm.backoffMax = time.Second, time.Hour, time.Hour
	a := startWith(t, issue(t, ca, "a"), "127.0.0.1:0", tm, func(f *Fabric) { f.Handle(ALPNControl, echo) })
	hole, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	to := Target{"b", hole.LocalAddr().String()}
	var d *DialError
	if _, err := a.Session(within(t), to, ALPNControl); !errors.As(err, &d) || d.Failure != Unreachable {
		t.Fatalf("a node that is not there: %v", err)
	}
	_ = hole.Close()
	began := time.Now()
	var b *BackoffError
	if _, err := a.Session(within(t), to, ALPNControl); !errors.As(err, &b) || b.Wait <= 0 || !errors.As(err, &d) {
		t.Fatalf("too early: %v", err)
	}
	if took := time.Since(began); took > 100*time.Millisecond {
		t.Errorf("the answer took %s", took)
	}
	if got := a.value(t, "tmms_fabric_dials_total", string(Unreachable)); got != 1 {
		t.Errorf("%v dials", got)
	}
	peer := startWith(t, issue(t, ca, "b"), to.Addr, fast(), func(f *Fabric) { f.Handle(ALPNControl, echo) })
	ask(t, connect(t, peer, a.target(), ALPNControl), "here I am")
	ask(t, connect(t, a, peer.target(), ALPNControl), "x")
}

// TestCallerGivesUp: the dial goes on for the others.
func TestCallerGivesUp(t *testing.T) {
	ca := newCA(t, time.Now())
	a := start(t, issue(t, ca, "a"))
	hole, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hole.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := a.Session(ctx, Target{"b", hole.LocalAddr().String()}, ALPNControl)
		done <- err
	}()
	if _, err := hole.Read(make([]byte, 2048)); err != nil { // the dial has begun
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	a.stop(t) // with the dial in flight
	if got := a.value(t, "tmms_fabric_dials_total", string(Stopped)); got != 1 {
		t.Errorf("tmms_fabric_dials_total{stopped} = %v", got)
	}
}

func TestLinkBackoff(t *testing.T) {
	tm, now := defaultTiming(), time.Unix(1000, 0)
	var l link
	if l.wait("x", now, tm) != 0 {
		t.Error("the first dial waits")
	}
	var longest time.Duration
	for range 200 {
		l.failed("x", io.EOF, now, tm)
		wait := l.wait("x", now, tm)
		if wait <= 0 || wait > tm.backoffMax+time.Millisecond {
			t.Fatalf("wait %s after %d failures", wait, l.failures)
		}
		if l.failures == 1 && wait > tm.backoffMin+time.Millisecond {
			t.Errorf("wait %s after the first failure", wait)
		}
		if other := l.wait("y", now, tm); other > tm.backoffMin {
			t.Errorf("another address waits %s", other)
		}
		longest = max(longest, wait)
	}
	if longest < tm.backoffMax/2 { // of 190 draws below 5 s
		t.Errorf("the longest wait is %s", longest)
	}
	if l.wait("x", now.Add(tm.backoffMax+time.Second), tm) != 0 {
		t.Error("the wait does not end")
	}
	if l.idle(now.Add(tm.backoffMax), tm) || !l.idle(now.Add(4*tm.backoffMax), tm) {
		t.Error("a link is forgotten once it does not matter")
	}
	l.worked()
	if l.wait("x", now, tm) != 0 {
		t.Error("a link that works waits")
	}
}

// TestShortLived: a peer that ends every session at once is backed off from.
func TestShortLived(t *testing.T) {
	ca := newCA(t, time.Now())
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), func(f *Fabric) {
		f.Handle(ALPNControl, func(ctx context.Context, s *Session) { _, _ = s.Accept(ctx) })
	})
	tm := fast()
	tm.backoffMin, tm.backoffMax = time.Hour, time.Hour
	a := startWith(t, issue(t, ca, "a"), "127.0.0.1:0", tm, nil)
	s := connect(t, a, b.target(), ALPNControl)
	if stream, err := s.Open(within(t)); err == nil {
		_, _ = stream.Write([]byte{1})
	}
	<-s.Context().Done()
	var e *BackoffError
	if _, err := a.Session(within(t), b.target(), ALPNControl); !errors.As(err, &e) || !strings.Contains(err.Error(), "ended at once") {
		t.Errorf("the next dial: %v", err)
	}
}

// TestRestart: a peer that was killed and is back at its port ends its former
// sessions itself, long before they would time out, and is dialed anew.
func TestRestart(t *testing.T) {
	ca := newCA(t, time.Now())
	id := issue(t, ca, "b")
	serve := func(f *Fabric) { f.Handle(ALPNControl, echo) }
	tm := fast()
	tm.keepAlive, tm.idle, tm.silence = time.Minute, 2*time.Minute, 2*time.Minute
	b := startWith(t, id, "127.0.0.1:0", tm, serve)
	a := startWith(t, issue(t, ca, "a"), "127.0.0.1:0", tm, nil)
	s := connect(t, a, b.target(), ALPNControl)
	ask(t, s, "x")
	b.kill(t)
	if s.Context().Err() != nil {
		t.Fatal("it was told, which a killed process cannot do")
	}
	again := startWith(t, id, b.Addr().String(), tm, serve)
	<-again.running
	if stream, err := s.Open(within(t)); err == nil {
		_, _ = stream.Write(make([]byte, 100))
	}
	select {
	case <-s.Context().Done():
	case <-time.After(patience):
		t.Fatal("the old session stays")
	}
	var reset *quic.StatelessResetError
	if err := context.Cause(s.Context()); !errors.As(err, &reset) {
		t.Errorf("the old session ended with %v", err)
	}
	waitFor(t, "new session", func() bool {
		anew, err := a.Session(within(t), b.target(), ALPNControl)
		return err == nil && ask(t, anew, "y") == "y"
	})
}

// TestPeerComesWhileItIsDialed: who waits for a node that was away gets its session
// as soon as it is there, and not the failure of packets that were sent before.
func TestPeerComesWhileItIsDialed(t *testing.T) {
	ca := newCA(t, time.Now())
	away, err := net.ListenPacket("udp", "127.0.0.1:0") // nobody answers here
	if err != nil {
		t.Fatal(err)
	}
	addr := away.LocalAddr().String()
	tm := fast()
	tm.handshake = 4 * time.Second // an attempt ends after 2 s without an answer
	a := startWith(t, issue(t, ca, "a"), "127.0.0.1:0", tm, func(f *Fabric) { f.Handle(ALPNControl, echo) })
	<-a.running
	got := make(chan error, 1)
	go func() {
		_, err := a.Session(within(t), Target{Name: "b", Addr: addr}, ALPNControl)
		got <- err
	}()
	<-time.After(1600 * time.Millisecond) // the last packet of the attempt was sent at 1.4 s
	if err := away.Close(); err != nil {
		t.Fatal(err)
	}
	b := startWith(t, issue(t, ca, "b"), addr, tm, func(f *Fabric) { f.Handle(ALPNControl, echo) })
	connect(t, b, a.target(), ALPNControl)
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// TestIdle: silence ends a session, and keep-alives prevent it.
func TestIdle(t *testing.T) {
	ca := newCA(t, time.Now())
	tm := fast()
	tm.keepAlive, tm.idle = 100*time.Millisecond, 500*time.Millisecond
	serve := func(f *Fabric) { f.Handle(ALPNControl, echo) }
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", tm, serve)
	a := startWith(t, issue(t, ca, "a"), "127.0.0.1:0", tm, nil)
	s := connect(t, a, b.target(), ALPNControl)
	select {
	case <-s.Context().Done():
		t.Fatalf("a quiet session ended: %v", context.Cause(s.Context()))
	case <-time.After(3 * tm.idle):
	}
	ask(t, s, "still there")
	b.kill(t)
	select {
	case <-s.Context().Done():
	case <-time.After(patience):
		t.Fatal("the session of a dead peer stays")
	}
	var idle *quic.IdleTimeoutError
	if err := context.Cause(s.Context()); !errors.As(err, &idle) {
		t.Errorf("it ended with %v", err)
	}
}

// TestFlood: handshakes in flight are counted, strangers are asked to prove
// their address past a bound, and refused past another; sessions go on.
func TestFlood(t *testing.T) {
	ca := newCA(t, time.Now())
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), func(f *Fabric) {
		f.Handle(ALPNControl, echo)
		f.Handle(ALPNRelay, echo)
	})
	old := connect(t, start(t, issue(t, ca, "old")), b.target(), ALPNControl)
	g := b.gate
	fill := func(n int) {
		for i := range n {
			if err := g.enter(netip.AddrFrom4([4]byte{10, 0, byte(i / media.MaxFabricHandshakesPerIP), 1})); err != nil {
				t.Fatalf("handshake %d: %v", i, err)
			}
		}
	}
	fill(media.MaxFabricUnverified)
	if !g.verifySource(nil) {
		t.Error("no proof of the address is asked for")
	}
	ask(t, connect(t, start(t, issue(t, ca, "retried")), b.target(), ALPNControl), "x")
	waitFor(t, "end of the handshake", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.all == media.MaxFabricUnverified })

	g.mu.Lock()
	g.all, g.perIP = 0, map[netip.Addr]int{}
	g.mu.Unlock()
	fill(media.MaxFabricHandshakes)
	if err := g.enter(netip.MustParseAddr("10.9.9.9")); err == nil {
		t.Error("the flood is let in")
	}
	_, err := start(t, issue(t, ca, "late")).Session(within(t), b.target(), ALPNControl)
	var d *DialError
	if !errors.As(err, &d) || d.Failure != Refused {
		t.Errorf("in the flood: %v", err)
	}
	ask(t, old, "undisturbed")

	if a, b := household(netip.MustParseAddr("2001:db8::1")), household(netip.MustParseAddr("2001:db8::2")); a != b {
		t.Errorf("%s and %s count as two", a, b)
	}
	one := newGate()
	ip := netip.MustParseAddr("10.0.0.1")
	for range media.MaxFabricHandshakesPerIP {
		if err := one.enter(ip); err != nil {
			t.Fatal(err)
		}
	}
	if one.enter(ip) == nil || one.enter(netip.MustParseAddr("10.0.0.2")) != nil {
		t.Error("the bound of one address is not its own")
	}
	for range media.MaxFabricHandshakesPerIP {
		one.leave(ip)
	}
	if len(one.perIP) != 1 {
		t.Errorf("%d addresses are remembered, want 1", len(one.perIP))
	}
}

// TestGarbage: datagrams that are no QUIC, or only begin to be, change nothing.
func TestGarbage(t *testing.T) {
	ca := newCA(t, time.Now())
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), func(f *Fabric) { f.Handle(ALPNControl, echo) })
	<-b.running
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for i := range 2000 {
		p := make([]byte, 1+i%1400)
		_, _ = rand.Read(p)
		if i%2 == 0 && len(p) > 5 { // a long header of version 1
			p[0] |= 0xC0
			copy(p[1:], []byte{0, 0, 0, 1})
		}
		_, _ = conn.Write(p)
	}
	ask(t, connect(t, start(t, issue(t, ca, "a")), b.target(), ALPNControl), "x")
}
