package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"tmms/cluster/state"
	"tmms/cmd/tmms/internal/nodeconfig"
	"tmms/media"
	"tmms/media/rtmp"
)

// open is a config with one app that everybody may publish to.
func open() *state.Document {
	on := true
	return &state.Document{Domains: []state.DomainDoc{{
		Name: "default", Aliases: []string{"*"}, Apps: []state.AppDoc{{Name: "live", RTMP: &on}},
	}}}
}

// startNode runs a node that is alone; end is what ends it, and its answer.
func startNode(t *testing.T, roles string) (n *Node, end func() error) {
	t.Helper()
	listen := map[string]string{
		"node.name": "solo", "node.data_dir": "", "node.roles": roles, "listen.rtmp": "127.0.0.1:0", "listen.admin": "",
	}
	if roles != "origin" {
		listen["listen.http"] = "127.0.0.1:0"
	}
	cfg, err := nodeconfig.Load(nodeconfig.Sources{Defaults: listen})
	if err != nil {
		t.Fatal(err)
	}
	n, err = New(t.Context(), *cfg, Options{
		Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar), Version: "test", FirstConfig: open(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	select {
	case <-n.Ready():
	case err := <-done:
		t.Fatalf("ended with %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("not ready")
	}
	return n, func() error { cancel(); return <-done }
}

// publisher sends sound to a node.
type publisher struct {
	conn  *rtmp.ClientConn
	nc    net.Conn
	goes  bool          // when it is asked to reconnect
	ready chan struct{} // closed when it publishes
	asked chan bool     // whether it was asked, once the connection is over
}

func publish(t *testing.T, n *Node, caps rtmp.Caps, goes bool) *publisher {
	t.Helper()
	addr := n.Addresses().RTMP.String()
	u, err := rtmp.ParseURL("rtmp://" + addr + "/live/a")
	if err != nil {
		t.Fatal(err)
	}
	nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p := &publisher{
		conn: rtmp.NewClientConn(rtmp.ClientConfig{URL: u, Role: rtmp.RolePublish, Caps: caps}), nc: nc, goes: goes,
		ready: make(chan struct{}), asked: make(chan bool, 1),
	}
	go p.run()
	return p
}

// run publishes until the connection is over.
func (p *publisher) run() {
	defer p.nc.Close()
	var publishing, asked bool
	defer func() { p.asked <- asked }()
	b := make([]byte, 4096)
	for at := uint32(0); ; at += 23 {
		if publishing {
			p.conn.Publish(rtmp.Message{Type: media.TypeAudio, Timestamp: at, Body: []byte("\x2f\xff\xfb\x90\xc4")})
		}
		if _, err := p.nc.Write(p.conn.Output()); err != nil {
			return
		}
		p.conn.Sent(len(p.conn.Output()))
		if p.nc.SetReadDeadline(time.Now().Add(23*time.Millisecond)) != nil {
			return
		}
		n, err := p.nc.Read(b)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		for in := b[:n]; len(in) > 0; {
			used, ev, err := p.conn.Feed(in)
			in = in[used:]
			switch {
			case err != nil:
				return
			case ev.Kind == rtmp.EventReady:
				publishing = true
				close(p.ready)
			case ev.Kind == rtmp.EventReconnect:
				if asked = true; p.goes {
					return
				}
			}
		}
	}
}

// CASES: ertmp-reconnect. A node that is told to end asks the publishers that can
// reconnect to do so, and waits for them, but not for ever; those that can't are
// closed as ever.
func TestEndDrains(t *testing.T) {
	for _, c := range []struct {
		name, roles string
		caps        rtmp.Caps
		goes        bool
	}{
		{"ertmp-reconnect", "origin,edge", rtmp.CapsReconnect, true},
		{"ertmp-reconnect at an origin", "origin", rtmp.CapsReconnect, true},
		{"could and does not", "origin,edge", rtmp.CapsReconnect, false},
		{"can't", "origin,edge", 0, false},
		{"can't, at an origin", "origin", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, end := startNode(t, c.roles)
			p := publish(t, n, c.caps, c.goes)
			select {
			case <-p.ready:
			case <-p.asked:
				t.Fatal("the publisher was closed")
			}
			able := c.caps != 0
			if got := n.reconnectable(); (got == 1) != able {
				t.Errorf("%d can reconnect, want it to be %v", got, able)
			}
			began := time.Now()
			if err := end(); err != nil {
				t.Errorf("the node ended with %v", err)
			}
			if lasted := time.Since(began); able && !c.goes && lasted < media.ReconnectTimeout {
				t.Errorf("it ended after %v, the publisher has %v", lasted, media.ReconnectTimeout)
			}
			if asked := <-p.asked; asked != able {
				t.Errorf("the publisher was asked to reconnect: %v, want %v", asked, able)
			}
			if got := n.reconnectable(); got != 0 {
				t.Errorf("%d can still reconnect", got)
			}
		})
	}
}
