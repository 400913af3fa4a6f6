package fabric

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"tmms/cluster/pki"
	"tmms/media"
)

// host lets guests in, who get back what they have said.
func host(t *testing.T, id *pki.Identity, serve func(ctx context.Context, remote netip.AddrPort, request []byte) []byte) *node {
	t.Helper()
	n := startWith(t, id, "127.0.0.1:0", fast(), func(f *Fabric) {
		f.Handle(ALPNControl, echo)
		f.HandleGuests(serve)
	})
	<-n.running
	return n
}

func repeatBack(_ context.Context, _ netip.AddrPort, request []byte) []byte { return request }

// A guest asks once and is answered, by the node that its pin means alone, and can
// have nothing else.
func TestGuest(t *testing.T) {
	ca, other := newCA(t, time.Now()), newCA(t, time.Now())
	id := issue(t, ca, "o1")
	n := host(t, id, repeatBack)
	request := bytes.Repeat([]byte("x"), media.MaxJoinRequest)
	answer, err := AskAsGuest(within(t), n.target(), pki.PinnedTLS(string(ALPNJoin), "o1", id.CAPin()), request)
	if err != nil || !bytes.Equal(answer, request) {
		t.Fatalf("%d bytes, %v", len(answer), err)
	}
	for name, cfg := range map[string]*tls.Config{
		"another cluster": pki.PinnedTLS(string(ALPNJoin), "o1", issue(t, other, "o1").CAPin()),
		"another node":    pki.PinnedTLS(string(ALPNJoin), "o2", id.CAPin()),
	} {
		_, err = AskAsGuest(within(t), n.target(), cfg, []byte("secret"))
		if d, ok := errors.AsType[*DialError](err); !ok || d.Failure != Untrusted || !errors.Is(err, pki.ErrUntrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	pinned := func() *tls.Config { return pki.PinnedTLS(string(ALPNControl), "o1", id.CAPin()) }
	both := pinned()
	both.NextProtos = []string{string(ALPNJoin), string(ALPNControl)}
	for name, cfg := range map[string]*tls.Config{"control": pinned(), "join and control": both} {
		conn, fault := dialRaw(within(t), t, n, cfg)
		if fault == nil { // in TLS 1.3 the refusal comes after the client's end of the handshake
			_, fault = conn.AcceptUniStream(within(t))
		}
		if fault == nil {
			t.Errorf("%s: served without a certificate", name)
		}
	}
	n.HandleGuests(nil)
	if _, err = AskAsGuest(within(t), n.target(), pki.PinnedTLS(string(ALPNJoin), "o1", id.CAPin()), nil); err == nil {
		t.Error("a node that lets no guests in lets one in")
	}
}

// Hostile guests are closed: those that say too much, or on two streams; and there
// are so many at once, of all and of an address. Peers don't notice.
func TestHostileGuests(t *testing.T) {
	ca := newCA(t, time.Now())
	id := issue(t, ca, "o1")
	hold := make(chan struct{})
	entered := make(chan struct{}, media.MaxJoinGuests)
	n := host(t, id, func(ctx context.Context, _ netip.AddrPort, request []byte) []byte {
		if string(request) == "hold" {
			entered <- struct{}{}
			select {
			case <-hold:
			case <-ctx.Done():
			}
		}
		return request
	})
	cfg := func() *tls.Config { return pki.PinnedTLS(string(ALPNJoin), "o1", id.CAPin()) }
	for name, do := range map[string]func(*quic.Conn){
		"long": func(c *quic.Conn) { writeStream(c, make([]byte, media.MaxJoinRequest+1)) },
		"two":  func(c *quic.Conn) { writeStream(c, []byte("a")); writeStream(c, []byte("b")) },
		"uni": func(c *quic.Conn) {
			writeStream(c, []byte("a"))
			if u, err := c.OpenUniStream(); err == nil {
				_, _ = u.Write([]byte("b"))
			}
		},
	} {
		conn, err := dialRaw(within(t), t, n, cfg())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		do(conn)
		select {
		case <-conn.Context().Done():
		case <-time.After(patience):
			t.Errorf("%s: is not closed", name)
		}
	}
	var asking sync.WaitGroup
	for range media.MaxJoinGuestsPerIP {
		asking.Go(func() {
			if a, err := AskAsGuest(context.Background(), n.target(), cfg(), []byte("hold")); err != nil || string(a) != "hold" {
				t.Errorf("%q, %v", a, err)
			}
		})
	}
	for range media.MaxJoinGuestsPerIP {
		<-entered
	}
	if _, err := AskAsGuest(within(t), n.target(), cfg(), []byte("one more")); err == nil || !strings.Contains(err.Error(), "of 127.0.0.1 are here, the limit") {
		t.Errorf("one guest more of an address: %v", err)
	}
	peer := start(t, issue(t, ca, "e1"))
	if got := ask(t, connect(t, peer, n.target(), ALPNControl), "hello"); got != "hello" {
		t.Errorf("a peer is answered %q", got)
	}
	close(hold)
	asking.Wait()
	waitFor(t, "guest has left", func() bool {
		n.guests.mu.Lock()
		defer n.guests.mu.Unlock()
		return n.guests.all == 0 && len(n.guests.perIP) == 0
	})
	var g guests
	g.perIP = map[netip.Addr]int{}
	for i := range media.MaxJoinGuests {
		if err := g.enter(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})); err != nil {
			t.Fatal(err)
		}
	}
	if g.enter(netip.AddrFrom4([4]byte{10, 1, 0, 0})) == nil {
		t.Error("one guest more than all")
	}
}

func writeStream(c *quic.Conn, b []byte) {
	s, err := c.OpenStream()
	if err != nil {
		return
	}
	_, _ = s.Write(b)
	go func() { _, _ = io.Copy(io.Discard, s) }()
}
