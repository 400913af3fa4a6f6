package fabric

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"tmms/cluster/pki"
	"tmms/media"
)

// TestThree: each of three nodes dials the others, with streams of both kinds
// and both ways, on one UDP port each.
func TestThree(t *testing.T) {
	ca := newCA(t, time.Now())
	var nodes []*node
	for _, name := range []string{"n1", "n2", "n3"} {
		n := startWith(t, issue(t, ca, name), "127.0.0.1:0", fast(), func(f *Fabric) {
			f.Handle(ALPNControl, echo)
			f.Handle(ALPNRelay, echo)
		})
		nodes = append(nodes, n)
	}
	for _, from := range nodes {
		for _, to := range nodes {
			if from == to {
				continue
			}
			s := connect(t, from, to.target(), ALPNRelay)
			if got := ask(t, s, "over "+to.Name()); got != "over "+to.Name() {
				t.Errorf("%s to %s: echo %q", from.Name(), to.Name(), got)
			}
			exchangeUni(t, s, from.Name())
			if s.Peer().Name != to.Name() || !s.Peer().Has(pki.RoleOrigin) || s.ALPN() != ALPNRelay ||
				s.Target() != to.target() || s.RemoteAddr() != to.Addr() {
				t.Errorf("session with %s, %s, %s, %s", s.Peer(), s.ALPN(), s.Target(), s.RemoteAddr())
			}
			if s.RTT() <= 0 || s.RTT() > 5*time.Second {
				t.Errorf("round trip %s", s.RTT())
			}
			if again := connect(t, from, to.target(), ALPNRelay); again != s {
				t.Error("a second session of one pair and protocol")
			}
			if other := connect(t, from, to.target(), ALPNControl); other == s {
				t.Error("two protocols share a session")
			}
		}
	}
	n := nodes[0]
	for metric, want := range map[string]float64{"in": 2, "out": 2} {
		for _, alpn := range []ALPN{ALPNControl, ALPNRelay} {
			if got := n.value(t, "tmms_fabric_sessions", string(alpn), metric); got != want {
				t.Errorf("tmms_fabric_sessions{%s,%s} = %v, want %v", alpn, metric, got, want)
			}
		}
	}
	if got := n.value(t, "tmms_fabric_dials_total", "ok"); got != 4 {
		t.Errorf("tmms_fabric_dials_total{ok} = %v, want 4", got)
	}
	if rtt := n.value(t, "tmms_fabric_rtt_seconds", string(ALPNRelay)); rtt <= 0 || rtt > 5 {
		t.Errorf("tmms_fabric_rtt_seconds = %v", rtt)
	}
	if end := n.value(t, "tmms_fabric_certificate_expiry_timestamp_seconds"); end < float64(time.Now().Unix()) {
		t.Errorf("the certificate ends at %v", end)
	}
}

// exchangeUni reads the acceptor's stream and sends one of 1 MiB.
func exchangeUni(t *testing.T, s *Session, self string) {
	t.Helper()
	ctx := within(t)
	in, err := s.AcceptUni(ctx)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(in)
	if err != nil || string(text) != "hello "+self {
		t.Errorf("uni stream: %q, %v", text, err)
	}
	out, err := s.OpenUni(ctx)
	if err != nil {
		t.Fatal(err)
	}
	out.SetPriority(3, false)
	if n, err := out.Write(make([]byte, 1<<20)); n != 1<<20 || err != nil {
		t.Errorf("wrote %d: %v", n, err)
	}
	_ = out.Close()
}

// TestSingleFlight: a crowd that wants a session makes one dial.
func TestSingleFlight(t *testing.T) {
	ca := newCA(t, time.Now())
	var sessions atomic.Int32
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), func(f *Fabric) {
		f.Handle(ALPNControl, func(ctx context.Context, s *Session) {
			sessions.Add(1)
			echo(ctx, s)
		})
	})
	a := start(t, issue(t, ca, "a"))
	var crowd sync.WaitGroup
	got := make([]*Session, 50)
	for i := range got {
		crowd.Go(func() { got[i], _ = a.Session(within(t), b.target(), ALPNControl) })
	}
	crowd.Wait()
	if got[0] == nil || len(slices.Compact(got)) != 1 || sessions.Load() != 1 {
		t.Errorf("%d sessions at the dialer, %d at the acceptor", len(slices.Compact(got)), sessions.Load())
	}
}

// TestLimits: what a peer may open is what media/limits.go says.
func TestLimits(t *testing.T) {
	if media.MaxFabricUniStreams < 4*media.MaxSubscriptions {
		t.Errorf("%d unidirectional streams for %d subscriptions", media.MaxFabricUniStreams, media.MaxSubscriptions)
	}
	const bdp = 200_000_000 / 8 / 10 // 200 Mbit/s for 100 ms, in bytes
	if media.FabricSessionWindow < bdp || media.MaxFabricStreamWindow < 2*bdp || media.MaxFabricSessionWindow < 2*bdp {
		t.Errorf("windows below %d bytes in flight", bdp)
	}
	ca := newCA(t, time.Now())
	accepted := make(chan *Session, 1)
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), func(f *Fabric) {
		f.Handle(ALPNRelay, func(ctx context.Context, s *Session) {
			accepted <- s
			<-ctx.Done()
		})
	})
	dialer := connect(t, start(t, issue(t, ca, "a")), b.target(), ALPNRelay)
	acceptor := <-accepted
	for name, c := range map[string]struct {
		open  func(context.Context) (io.Writer, error)
		limit int
	}{
		"dialer": {func(ctx context.Context) (io.Writer, error) { return dialer.Open(ctx) }, media.MaxFabricStreams},
		"dialer-uni": {
			func(ctx context.Context) (io.Writer, error) { return dialer.OpenUni(ctx) }, media.MaxFabricDialerUniStreams,
		},
		"acceptor":     {func(ctx context.Context) (io.Writer, error) { return acceptor.Open(ctx) }, 0},
		"acceptor-uni": {func(ctx context.Context) (io.Writer, error) { return acceptor.OpenUni(ctx) }, media.MaxFabricUniStreams},
	} {
		for i := range c.limit {
			u, err := c.open(within(t))
			if err != nil {
				t.Fatalf("%s: stream %d: %v", name, i, err)
			}
			if _, err := u.Write([]byte{1}); err != nil {
				t.Fatalf("%s: stream %d: %v", name, i, err)
			}
		}
		brief, cancel := context.WithTimeout(within(t), 50*time.Millisecond)
		if _, err := c.open(brief); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: one stream too many: %v", name, err)
		}
		cancel()
	}
}

// TestTooManySessions: a peer that has gone mad is refused, the others are not.
func TestTooManySessions(t *testing.T) {
	ca := newCA(t, time.Now())
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), func(f *Fabric) { f.Handle(ALPNRelay, echo) })
	mad := issue(t, ca, "mad")
	ctx := within(t)
	dial := func() (*quic.Conn, error) {
		conn, err := dialRaw(ctx, t, b, mad.TLS(string(ALPNRelay)))
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
		return conn, awaitGreeting(ctx, conn)
	}
	for i := range media.MaxFabricPeerSessions {
		if _, err := dial(); err != nil {
			t.Fatalf("session %d: %v", i, err)
		}
	}
	var refusal *SessionError
	if _, err := dial(); !errors.As(err, &refusal) || uint64(refusal.ErrorCode) != CodeRefused ||
		!strings.Contains(refusal.ErrorMessage, "limit 64") {
		t.Errorf("one session too many: %v", err)
	}
	ask(t, connect(t, start(t, issue(t, ca, "a")), b.target(), ALPNRelay), "x")
}

// TestStop: the peers of a node that stops learn it at once, and why.
func TestStop(t *testing.T) {
	ca := newCA(t, time.Now())
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), func(f *Fabric) { f.Handle(ALPNControl, echo) })
	a := startWith(t, issue(t, ca, "a"), "127.0.0.1:0", fast(), func(f *Fabric) { f.Handle(ALPNControl, echo) })
	out, in := connect(t, a, b.target(), ALPNControl), connect(t, b, a.target(), ALPNControl)
	ask(t, out, "x")
	ask(t, in, "x")
	b.stop(t)
	select {
	case <-out.Context().Done():
	case <-time.After(patience):
		t.Fatal("the session stays")
	}
	var e *SessionError
	if err := context.Cause(out.Context()); !errors.As(err, &e) || uint64(e.ErrorCode) != CodeShutdown || !e.Remote {
		t.Errorf("the session ended with %v", err)
	}
	if _, err := b.Session(t.Context(), a.target(), ALPNControl); !errors.Is(err, ErrClosed) {
		t.Errorf("a session of a fabric that has stopped: %v", err)
	}
	waitFor(t, "end of all sessions", func() bool {
		return a.value(t, "tmms_fabric_sessions", string(ALPNControl), "in") == 0 &&
			a.value(t, "tmms_fabric_sessions", string(ALPNControl), "out") == 0
	})
	if !strings.Contains(a.log.String(), "session ended") || !strings.Contains(a.log.String(), "the node stops") {
		t.Errorf("the log: %s", a.log)
	}
}

func TestLifecycle(t *testing.T) {
	ca := newCA(t, time.Now())
	id := issue(t, ca, "a")
	t.Run("config", func(t *testing.T) {
		for _, listen := range []string{"", "7400", "127.0.0.1:x", "256.0.0.1:0"} {
			if f, err := New(Config{Listen: listen}, id, Deps{Log: discard()}); err == nil {
				_ = f.Close()
				t.Errorf("listen %q was taken", listen)
			}
		}
		if _, err := New(Config{Listen: "127.0.0.1:0"}, id, Deps{}); err == nil {
			t.Error("no logger was taken")
		}
	})
	t.Run("never-run", func(t *testing.T) {
		f, err := New(Config{Listen: "127.0.0.1:0"}, id, Deps{Log: discard()})
		if err != nil {
			t.Fatal(err)
		}
		waiting := make(chan error)
		go func() {
			_, early := f.Session(t.Context(), Target{"b", "127.0.0.1:1"}, ALPNControl)
			waiting <- early
		}()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err = f.Session(ctx, Target{"b", "127.0.0.1:1"}, ALPNControl); !errors.Is(err, context.Canceled) {
			t.Errorf("session before Run: %v", err)
		}
		if err = errors.Join(f.Close(), f.Close()); err != nil {
			t.Error(err)
		}
		if err = <-waiting; !errors.Is(err, ErrClosed) {
			t.Errorf("session of a closed fabric: %v", err)
		}
		if err = f.Run(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Run of a closed fabric: %v", err)
		}
		again, err := New(Config{Listen: f.Addr().String()}, id, Deps{Log: discard()})
		if err != nil {
			t.Fatalf("the port was not freed: %v", err)
		}
		_ = again.Close()
	})
	t.Run("twice", func(t *testing.T) {
		n := start(t, id)
		<-n.running
		if err := n.Run(t.Context()); err == nil {
			t.Error("it runs twice")
		}
		if err := n.Fabric.Close(); err != nil {
			t.Error(err)
		}
		if err := n.socket.SetReadBuffer(1 << 16); err != nil {
			t.Errorf("Close has closed a running fabric: %v", err)
		}
	})
	t.Run("ended-before", func(t *testing.T) {
		f, err := New(Config{Listen: "127.0.0.1:0"}, id, Deps{Log: discard()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Run("socket-lost", func(t *testing.T) {
		n := start(t, id)
		<-n.running
		_ = n.socket.Close()
		if err := <-n.done; err == nil {
			t.Error("Run ended without an error")
		}
		n.done <- nil
	})
}

// TestSilence: quic-go prints nothing of its own.
func TestSilence(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStop$")
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s%s", err, out.String(), errOut.String())
	}
	text := strings.TrimSpace(out.String())
	if lines := strings.Split(text, "\n"); lines[0] != "PASS" || len(lines) > 2 || errOut.Len() > 0 {
		t.Errorf("stdout %q, stderr %q", text, errOut.String())
	}
}

// TestReload: new sessions show the new certificate, old ones stay.
func TestReload(t *testing.T) {
	ca := newCA(t, time.Now())
	dir := t.TempDir()
	cert, key, caFile := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key"), filepath.Join(dir, "ca.crt")
	write := func(roles ...string) {
		certPEM, keyPEM, err := ca.Issue("a", roles, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string][]byte{cert: certPEM, key: keyPEM, caFile: ca.CertPEM()} {
			if err := os.WriteFile(name, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(pki.RoleEdge)
	id, err := pki.LoadIdentity(cert, key, caFile)
	if err != nil {
		t.Fatal(err)
	}
	setup := func(f *Fabric) {
		f.Handle(ALPNControl, echo)
		f.Handle(ALPNRelay, echo)
	}
	a := startWith(t, id, "127.0.0.1:0", fast(), setup)
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), setup)
	before := connect(t, b, a.target(), ALPNControl)
	write(pki.RoleOrigin)
	if err := id.Reload(); err != nil {
		t.Fatal(err)
	}
	after := connect(t, b, a.target(), ALPNRelay)
	if !before.Peer().Has(pki.RoleEdge) || !after.Peer().Has(pki.RoleOrigin) {
		t.Errorf("before %s, after %s", before.Peer(), after.Peer())
	}
	ask(t, before, "x")
	ask(t, after, "x")
	if connect(t, b, a.target(), ALPNControl) != before {
		t.Error("the session was replaced")
	}
}

// TestRecheck: sessions with peers whose CA is given up end, whoever dialed;
// others stay.
func TestRecheck(t *testing.T) {
	kept, dropped := newCA(t, time.Now()), newCA(t, time.Now())
	both := slices.Concat(kept.CertPEM(), dropped.CertPEM())
	identity := func(ca *pki.CA, name string) *pki.Identity {
		cert, key, err := ca.Issue(name, []string{pki.RoleOrigin}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		id, err := pki.NewIdentity(cert, key, both)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	setup := func(f *Fabric) { f.Handle(ALPNControl, echo) }
	b := startWith(t, identity(kept, "b"), "127.0.0.1:0", fast(), setup)
	gone := startWith(t, identity(dropped, "gone"), "127.0.0.1:0", fast(), setup)

	dir := t.TempDir()
	cert, key, caFile := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key"), filepath.Join(dir, "ca.crt")
	certPEM, keyPEM, err := kept.Issue("a", []string{pki.RoleOrigin}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{cert: certPEM, key: keyPEM, caFile: both} {
		if err = os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	id, err := pki.LoadIdentity(cert, key, caFile)
	if err != nil {
		t.Fatal(err)
	}
	a := startWith(t, id, "127.0.0.1:0", fast(), setup)
	stay := []*Session{connect(t, a, b.target(), ALPNControl), connect(t, b, a.target(), ALPNControl)}
	end := []*Session{connect(t, a, gone.target(), ALPNControl), connect(t, gone, a.target(), ALPNControl)}
	a.Recheck()
	for _, s := range slices.Concat(stay, end) {
		ask(t, s, "all are trusted")
	}
	if err = os.WriteFile(caFile, kept.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err = id.Reload(); err != nil {
		t.Fatal(err)
	}
	a.Recheck()
	for i, s := range end {
		select {
		case <-s.Context().Done():
		case <-within(t).Done():
			t.Errorf("session %d has not ended", i)
		}
	}
	for _, s := range stay {
		ask(t, s, "still trusted")
	}
	if _, err = gone.Session(within(t), a.target(), ALPNControl); err == nil {
		t.Error("a new session with what is not trusted")
	}
}

func TestResolve(t *testing.T) {
	v4, v6, both := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.IPv6Unspecified()
	for _, tc := range []struct {
		local netip.Addr
		addr  string
		want  string // "": refused
	}{
		{v4, "10.0.0.1:7400", "10.0.0.1:7400"},
		{v4, "[::ffff:10.0.0.1]:7400", "10.0.0.1:7400"},
		{v4, "[2001:db8::1]:7400", ""},
		{v6, "[2001:db8::1]:7400", "[2001:db8::1]:7400"},
		{v6, "10.0.0.1:7400", ""},
		{both, "10.0.0.1:7400", "10.0.0.1:7400"},
		{both, "[2001:db8::1]:7400", "[2001:db8::1]:7400"},
		{v4, "localhost:7400", "127.0.0.1:7400"},
		{v4, "10.0.0.1", ""},
		{v4, "10.0.0.1:0", ""},
		{v4, "10.0.0.1:65536", ""},
		{v4, ":7400", ""},
	} {
		got, err := resolve(within(t), tc.local, tc.addr, 3)
		if (err == nil) != (tc.want != "") || err == nil && got.String() != tc.want {
			t.Errorf("%s from %s: %s, %v; want %q", tc.addr, tc.local, got, err, tc.want)
		}
	}
}
