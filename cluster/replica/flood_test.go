package replica_test

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tmms/cluster/fabric"
	"tmms/media"
)

func inUse() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// A node of the cluster that has turned hostile begins large requests without
// end: the voter takes few of them, refuses what is too much, and answers others.
//
// CASES.md, hostile input; issue 6, line 7.
func TestControlFlood(t *testing.T) {
	c := newCluster(t, "a")
	defer c.dump()
	voter := c.start("a", options{}).waitReady()
	hostile := c.start("h", options{replica: true})
	to := fabric.Target{Name: "a", Addr: c.addr("a")}
	s, err := hostile.fabric.Session(t.Context(), to, fabric.ALPNControl)
	if err != nil {
		t.Fatal(err)
	}
	before := inUse()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	head := binary.BigEndian.AppendUint32(nil, media.MaxControlFrame)
	filler := make([]byte, 32<<10)
	var refused atomic.Int32
	var writers sync.WaitGroup
	for range media.MaxFabricStreams {
		stream, full := s.Open(ctx)
		if full != nil {
			break // as many as there may be are open
		}
		writers.Go(func() {
			_ = stream.SetWriteDeadline(time.Now().Add(time.Second))
			_, fault := stream.Write(head)
			for range 4 {
				if fault == nil {
					_, fault = stream.Write(filler)
				}
			}
			if reset, ok := errors.AsType[*fabric.StreamError](fault); ok && reset.Remote {
				refused.Add(1)
			}
		})
	}
	e := c.start("e", edge()).waitReady()
	if _, err = e.client.Hello(t.Context(), to); err != nil {
		t.Errorf("another node is not answered: %v", err)
	}
	if grown := inUse() - before; grown > 64<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	writers.Wait()
	if refused.Load() == 0 {
		t.Error("nothing is refused")
	}
	hostile.kill()
	if _, err = voter.node.ReadIndex(t.Context()); err != nil {
		t.Error(err)
	}
}
