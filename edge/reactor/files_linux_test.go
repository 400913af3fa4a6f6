package reactor

import (
	"io"
	"net"
	"testing"
)

// repeater sends numbered bytes by the batch, one for each call of next.
type repeater struct {
	conn *Conn
	sent byte
}

func (r *repeater) next() {
	r.conn.SendLater([]byte{r.sent}, r)
	r.conn.loop.Submit()
}

func (r *repeater) OnSent(n, _ int, _ error) { r.sent += byte(n) }

// A socket that has sent often goes by the ring's table, which neither keeps it
// from closing nor gives its place to the wrong peer: the next connections have
// the same descriptors.
func TestSocketsOfTheTable(t *testing.T) {
	for _, which := range engines(t) {
		t.Run(string(which), func(t *testing.T) {
			var open *repeater
			cfg := testConfig()
			cfg.Engine = which
			g := start(t, cfg, func(c *Conn) Protocol {
				open = &repeater{conn: c}
				return &hooked{data: func(c *Conn, b []byte) {
					if b[0] == 'q' {
						c.Close(io.EOF)
						return
					}
					fd, err := c.Detach()
					if err != nil {
						t.Error(err)
					}
					closeSocket(fd)
				}}
			})
			for round := range 6 {
				peer := g.dial()
				eventually(t, "the connection", func() bool { return g.loop().Stats().Conns == 1 })
				const sends = 3 * fixAfter
				for range sends {
					onLoop(t, g.loop(), func() { open.next() })
				}
				b := make([]byte, sends)
				if _, err := io.ReadFull(peer, b); err != nil {
					t.Fatal(err)
				}
				for i, got := range b {
					if int(got) != i {
						t.Fatalf("round %d: byte %d is %d", round, i, got)
					}
				}
				send(t, peer, []byte{"qd"[round%2]})
				if n, err := peer.Read(b); n != 0 || err == nil {
					t.Errorf("round %d: got %d bytes, %v, want the end", round, n, err)
				}
				closePeer(t, peer)
				eventually(t, "the end", func() bool { return g.loop().Stats().Conns == 0 })
			}
			if u, ok := g.loop().engine.(*uring); ok && len(u.files.sends) == 0 {
				t.Error("the ring has no table")
			}
		})
	}
}

func closePeer(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
