package fabric

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/pki"
)

// register is a raft state machine: the last command.
type register struct {
	mu   sync.Mutex
	last string // guarded by mu
}

func (r *register) get() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Apply implements raft.FSM.
func (r *register) Apply(l *raft.Log) any {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = string(l.Data)
	return nil
}

// Snapshot implements raft.FSM.
func (r *register) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("none") }

// Restore implements raft.FSM.
func (r *register) Restore(io.ReadCloser) error { return errors.New("none") }

// voter is a raft node over a fabric.
type voter struct {
	*node
	raft *raft.Raft
	fsm  *register
	net  *raft.NetworkTransport
}

func (v *voter) end(t *testing.T) {
	t.Helper()
	if v.raft.State() == raft.Shutdown {
		return
	}
	if err := v.raft.Shutdown().Error(); err != nil {
		t.Error(err)
	}
	v.net.CloseStreams()
	_ = v.net.Close()
}

// TestRaft: three voters elect a leader over the fabric and replicate, and do
// so again when the leader is gone.
//
// Requirement: C2 (raft's messages go over quic-go).
func TestRaft(t *testing.T) {
	ca := newCA(t, time.Now())
	var voters []*voter
	var book sync.Map // name -> Target
	lookup := func(addr raft.ServerAddress) (Target, bool) {
		to, ok := book.Load(string(addr))
		if !ok {
			return Target{}, false
		}
		return to.(Target), true
	}
	var servers []raft.Server
	for i := range 3 {
		name := fmt.Sprintf("n%d", i)
		servers = append(servers, raft.Server{ID: raft.ServerID("id-" + name), Address: raft.ServerAddress(name)})
	}
	for i := range 3 {
		v := &voter{fsm: &register{}}
		var layer raft.StreamLayer
		v.node = startWith(t, issue(t, ca, fmt.Sprintf("n%d", i), pki.RoleOrigin), "127.0.0.1:0", fast(), func(f *Fabric) {
			layer = f.RaftLayer(lookup)
		})
		book.Store(v.Name(), v.target())
		v.net = raft.NewNetworkTransport(layer, 3, 2*time.Second, io.Discard)
		if string(v.net.LocalAddr()) != v.Name() {
			t.Errorf("raft's own address is %q", v.net.LocalAddr())
		}
		cfg := raft.DefaultConfig()
		cfg.LocalID, cfg.LogOutput = servers[i].ID, io.Discard
		cfg.HeartbeatTimeout, cfg.ElectionTimeout = 300*time.Millisecond, 300*time.Millisecond
		cfg.LeaderLeaseTimeout, cfg.CommitTimeout = 200*time.Millisecond, 5*time.Millisecond
		store := raft.NewInmemStore()
		if err := raft.BootstrapCluster(cfg, store, store, raft.NewInmemSnapshotStore(), v.net, raft.Configuration{Servers: servers}); err != nil {
			t.Fatal(err)
		}
		r, err := raft.NewRaft(cfg, v.fsm, store, store, raft.NewInmemSnapshotStore(), v.net)
		if err != nil {
			t.Fatal(err)
		}
		v.raft = r
		t.Cleanup(func() { v.end(t) })
		voters = append(voters, v)
	}
	first := leader(t, voters)
	replicate(t, first, voters, "one")
	first.end(t)
	var rest []*voter
	for _, v := range voters {
		if v != first {
			rest = append(rest, v)
		}
	}
	replicate(t, leader(t, rest), rest, "two")
}

func leader(t *testing.T, voters []*voter) (found *voter) {
	t.Helper()
	waitFor(t, "leader", func() bool {
		for _, v := range voters {
			if v.raft.State() == raft.Leader && v.raft.VerifyLeader().Error() == nil {
				found = v
				return true
			}
		}
		return false
	})
	return found
}

func replicate(t *testing.T, leader *voter, voters []*voter, text string) {
	t.Helper()
	if err := leader.raft.Apply([]byte(text), patience).Error(); err != nil {
		t.Fatal(err)
	}
	for _, v := range voters {
		waitFor(t, text+" at "+v.Name(), func() bool { return v.fsm.get() == text })
	}
}

// pipe makes the two ends of a raft connection.
func pipe(t *testing.T) (dialed, accepted net.Conn, stop func()) {
	t.Helper()
	ca := newCA(t, time.Now())
	var la, lb raft.StreamLayer
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), func(f *Fabric) {
		lb = f.RaftLayer(func(raft.ServerAddress) (Target, bool) { return Target{}, false })
	})
	startWith(t, issue(t, ca, "a"), "127.0.0.1:0", fast(), func(f *Fabric) {
		la = f.RaftLayer(func(addr raft.ServerAddress) (Target, bool) { return b.target(), addr == "b" })
	})
	dialed, err := la.Dial("b", patience)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = lb.Accept() // before a word was said
	if err != nil {
		t.Fatal(err)
	}
	return dialed, accepted, func() { _, _ = la.Close(), lb.Close() }
}

func TestRaftConn(t *testing.T) {
	t.Run("addresses", func(t *testing.T) {
		a, b, _ := pipe(t)
		if a.RemoteAddr().String() != b.LocalAddr().String() || b.RemoteAddr().String() != a.LocalAddr().String() {
			t.Errorf("%s-%s and %s-%s", a.LocalAddr(), a.RemoteAddr(), b.LocalAddr(), b.RemoteAddr())
		}
	})
	t.Run("read-deadline", func(t *testing.T) {
		a, b, _ := pipe(t)
		_ = b.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		var timeout net.Error
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("past the deadline: %v", err)
		}
		_ = b.SetDeadline(time.Time{})
		if _, err := io.WriteString(a, "late"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(b, got); err != nil || string(got) != "late" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("write-deadline", func(t *testing.T) {
		a, b, _ := pipe(t)
		big := make([]byte, 8<<20) // nobody reads it
		_ = a.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := a.Write(big)
		if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == len(big) {
			t.Errorf("wrote %d: %v", n, err)
		}
		_ = b.Close()
	})
	t.Run("close-frees-read", func(t *testing.T) {
		a, b, _ := pipe(t)
		done := make(chan error)
		go func() {
			_, err := b.Read(make([]byte, 1))
			done <- err
		}()
		_ = b.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("read: %v", err)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the other end: %v", err)
		}
	})
	t.Run("close-frees-write", func(t *testing.T) {
		a, _, _ := pipe(t)
		done := make(chan error)
		go func() {
			_, err := a.Write(make([]byte, 8<<20))
			done <- err
		}()
		_ = a.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("write: %v", err)
		}
		if _, err := a.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write after close: %v", err)
		}
		if err := a.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("close again: %v", err)
		}
		if err := a.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("deadline after close: %v", err)
		}
	})
	t.Run("close-delivers", func(t *testing.T) {
		a, b, _ := pipe(t)
		want := make([]byte, 100_000)
		if _, err := a.Write(want); err != nil {
			t.Fatal(err)
		}
		_ = a.Close()
		if got, err := io.ReadAll(b); err != nil || len(got) != len(want) {
			t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
		}
	})
	t.Run("layer-close", func(t *testing.T) {
		a, b, stop := pipe(t)
		stop()
		for _, c := range []net.Conn{a, b} {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("a connection outlives its layer")
			}
		}
	})
}

func TestRaftLayer(t *testing.T) {
	ca := newCA(t, time.Now())
	var layer raft.StreamLayer
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), func(f *Fabric) {
		layer = f.RaftLayer(func(raft.ServerAddress) (Target, bool) { return Target{}, false })
	})
	if _, err := layer.Dial("x", time.Second); err == nil {
		t.Error("an unknown address was dialed")
	}
	s := connect(t, start(t, issue(t, ca, "a")), b.target(), ALPNRaft)
	stream, err := s.Open(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.WriteString(stream, "GET / HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err = stream.Read(make([]byte, 1)); err == nil {
		t.Error("a stream that is no raft's was taken")
	}
	done := make(chan error)
	go func() {
		_, closed := layer.Accept()
		done <- closed
	}()
	if err = errors.Join(layer.Close(), layer.Close()); err != nil {
		t.Error(err)
	}
	if err = <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if _, err = layer.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if _, err = layer.Dial("x", time.Second); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Dial after Close: %v", err)
	}
	<-s.Context().Done() // the peers are told
	_, err = start(t, issue(t, ca, "c")).Session(within(t), b.target(), ALPNRaft)
	var d *DialError
	if !errors.As(err, &d) || d.Failure != Refused {
		t.Errorf("raft is still served: %v", err)
	}
	var lost *SessionError
	if err := context.Cause(s.Context()); !errors.As(err, &lost) || !lost.Remote {
		t.Errorf("the session ended with %v", err)
	}
}
