package fabric

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/quic-go/quic-go"
	"go.uber.org/goleak"

	"tmms/cluster/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 15 * time.Second

// fast has deadlines for tests; keep-alive and idle timeout stay long.
func fast() timing {
	t := defaultTiming()
	t.handshake, t.backoffMin, t.backoffMax = 2*time.Second, 50*time.Millisecond, 400*time.Millisecond
	return t
}

func newCA(tb testing.TB, at time.Time) *pki.CA {
	tb.Helper()
	ca, err := pki.NewCA(at)
	if err != nil {
		tb.Fatal(err)
	}
	return ca
}

func issue(tb testing.TB, ca *pki.CA, name string, roles ...string) *pki.Identity {
	tb.Helper()
	return issueAt(tb, ca, time.Now(), name, roles...)
}

func issueAt(tb testing.TB, ca *pki.CA, at time.Time, name string, roles ...string) *pki.Identity {
	tb.Helper()
	if len(roles) == 0 {
		roles = []string{pki.RoleOrigin, pki.RoleEdge}
	}
	certPEM, keyPEM, err := ca.Issue(name, roles, at)
	if err != nil {
		tb.Fatal(err)
	}
	id, err := pki.NewIdentity(certPEM, keyPEM, ca.CertPEM())
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// node is a fabric that runs.
type node struct {
	*Fabric
	log     *logBuffer
	metrics *prometheus.Registry
	cancel  context.CancelFunc
	done    chan error
}

func (n *node) target() Target { return Target{Name: n.Name(), Addr: n.Addr().String()} }

// stop ends the fabric as its owner does.
func (n *node) stop(tb testing.TB) {
	tb.Helper()
	n.cancel()
	select {
	case err := <-n.done:
		n.done <- nil // for the next who asks
		if err != nil {
			tb.Errorf("%s: %v", n.Name(), err)
		}
	case <-time.After(patience):
		tb.Fatalf("%s does not end", n.Name())
	}
}

// kill ends the fabric as SIGKILL does: nobody is told.
func (n *node) kill(t *testing.T) {
	t.Helper()
	_ = n.socket.Close()
	select {
	case err := <-n.done:
		n.done <- nil
		if err == nil {
			t.Errorf("%s ended without an error, though its socket is gone", n.Name())
		}
	case <-time.After(patience):
		t.Fatalf("%s does not end", n.Name())
	}
}

func start(t *testing.T, id *pki.Identity) *node {
	t.Helper()
	return startWith(t, id, "127.0.0.1:0", fast(), nil)
}

// startWith runs a fabric; setup is called before.
func startWith(tb testing.TB, id *pki.Identity, listen string, tm timing, setup func(*Fabric)) *node {
	tb.Helper()
	n := &node{log: &logBuffer{}, metrics: prometheus.NewRegistry(), done: make(chan error, 2)}
	var err error
	n.Fabric, err = newFabric(Config{Listen: listen}, id, Deps{
		Log: slog.New(slog.NewTextHandler(n.log, nil)), Registerer: n.metrics,
	}, tm)
	if err != nil {
		tb.Fatal(err)
	}
	if setup != nil {
		setup(n.Fabric)
	}
	var ctx context.Context
	ctx, n.cancel = context.WithCancel(context.Background())
	go func() { n.done <- n.Run(ctx) }()
	tb.Cleanup(func() { n.stop(tb) })
	return n
}

// logBuffer is a log to look into.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// within is a context that outlasts what a test should take.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// waitFor polls a condition that has no channel.
func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no %s within %s", what, patience)
		}
	}
}

// echo answers each stream with its bytes, and each session with a stream that
// says who is there.
func echo(ctx context.Context, s *Session) {
	var streams sync.WaitGroup
	defer streams.Wait()
	if u, err := s.OpenUni(ctx); err == nil {
		_, _ = io.WriteString(u, "hello "+s.Peer().Name)
		_ = u.Close()
	}
	streams.Go(func() {
		for {
			u, err := s.AcceptUni(ctx)
			if err != nil {
				return
			}
			streams.Go(func() { _, _ = io.Copy(io.Discard, u) })
		}
	})
	for {
		b, err := s.Accept(ctx)
		if err != nil {
			return
		}
		streams.Go(func() {
			_, _ = io.Copy(b, b)
			_ = b.Close()
		})
	}
}

// ask sends text on a stream of its own and gives the answer.
func ask(t *testing.T, s *Session, text string) string {
	t.Helper()
	ctx := within(t)
	b, err := s.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.WriteString(b, text); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	deadline, _ := ctx.Deadline()
	_ = b.SetReadDeadline(deadline)
	answer, err := io.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func connect(t *testing.T, from *node, to Target, alpn ALPN) *Session {
	t.Helper()
	s, err := from.Session(within(t), to, alpn)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// value reads a metric with its labels in the order of their names, 0 if it is not there.
func (n *node) value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var got []string
			for _, l := range m.GetLabel() {
				got = append(got, l.GetValue())
			}
			if len(got) == len(labels) && equal(got, labels) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func equal(a, b []string) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// rawTransport is a UDP port without a fabric; it ends with the test, which
// those of quic.DialAddr and quic.ListenAddr do some time later.
func rawTransport(tb testing.TB) *quic.Transport {
	tb.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket}
	tb.Cleanup(func() {
		_ = transport.Close()
		_ = socket.Close()
	})
	return transport
}

func dialRaw(ctx context.Context, t *testing.T, to *node, cfg *tls.Config) (*quic.Conn, error) {
	t.Helper()
	return rawTransport(t).Dial(ctx, net.UDPAddrFromAddrPort(to.Addr()), cfg, nil)
}

func listenRaw(t *testing.T, cfg *tls.Config) *quic.Listener {
	t.Helper()
	l, err := rawTransport(t).Listen(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
