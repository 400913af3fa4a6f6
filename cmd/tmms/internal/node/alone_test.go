package node

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"tmms/cmd/tmms/internal/nodeconfig"
)

// A node that is alone makes an identity of its own, and has its fabric and its
// gossip within the machine.
//
// Requirement: C2
func TestAlone(t *testing.T) {
	cfg, err := nodeconfig.Load(nodeconfig.Sources{Defaults: map[string]string{
		"node.name": "solo", "node.data_dir": "", "listen.rtmp": "127.0.0.1:0", "listen.http": "127.0.0.1:0",
		"listen.admin": "127.0.0.1:0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(t.Context(), *cfg, Options{
		Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	select {
	case <-n.Ready():
	case err := <-done:
		t.Fatalf("ended with %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("not ready")
	}
	fabric, ok := n.Addresses().Fabric.(*net.UDPAddr)
	if !ok || !fabric.IP.IsLoopback() || !n.backbone.gossip.Addr().Addr().IsLoopback() {
		t.Errorf("fabric at %v, gossip at %v, want both within the machine", n.Addresses().Fabric, n.backbone.gossip.Addr())
	}
	if id := n.backbone.identity; id.Name() != "solo" || len(id.Roles()) != 2 {
		t.Errorf("identity of %q with the roles %v", id.Name(), id.Roles())
	}
	if list := (view{n}).Nodes(); len(list) != 1 || !list[0].Self || !list[0].Leader || !list[0].Voter || list[0].State != "alive" {
		t.Errorf("nodes %+v", list)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
