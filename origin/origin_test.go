package origin_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/rtmp"
	"tmms/origin"
)

// metric sums the samples of a name, over all labels.
func (n *node) metric(name string) float64 {
	n.t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
		return sum
	}
	n.t.Fatalf("no metric %s", name)
	return 0
}

func TestMetrics(t *testing.T) {
	n := newNode(t, nil)
	addr := n.listen()
	c := dial(t, addr, "rtmp://h/live/test", rtmp.OrderFFmpeg).ready()
	c.send(media.TypeVideo, 0, videoDelta) // before a keyframe
	n.waitPackets("test", c.publish(0, 1000))
	c.send(media.TypeVideo, 9_000_000, videoKey) // a jump
	n.waitPackets("test", 79)
	for name, want := range map[string]float64{
		"tmms_origin_publishers": 1, "tmms_origin_streams": 1, "tmms_origin_timeline_rebases_total": 1,
		"tmms_origin_dropped_packets_total": 1, "tmms_origin_refused_connections_total": 0,
	} {
		if v := n.metric(name); v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	if v := n.metric("tmms_origin_ingest_bytes_total"); v < 3000 || v > 20000 {
		t.Errorf("%v bytes received", v)
	}
	c.quit()
	waitFor(t, "no publisher", func() bool { return n.metric("tmms_origin_publishers") == 0 })
}

// CASES: 10^6 distinct stream names leave memory, goroutines and fds where they
// were; here a few hundred over real sockets (session has the rest).
func TestDistinctNames(t *testing.T) {
	n := newNode(t, nil)
	addr := n.listen()
	for i := range 300 {
		c := dial(t, addr, fmt.Sprintf("rtmp://h/live/s%d", i), rtmp.OrderMinimal).ready()
		c.quit()
	}
	waitFor(t, "end of all streams", func() bool {
		return len(n.Streams()) == 0 && n.hub.Len() == 0 && n.claims.len() == 0
	})
}

// Run ends what is there: live streams, those in the grace, and their goroutines.
func TestRunEnds(t *testing.T) {
	n := newNode(t, nil)
	addr := n.listen()
	c := dial(t, addr, "rtmp://h/live/one", rtmp.OrderFFmpeg).ready()
	n.waitPackets("one", c.publish(0, 1000))
	c2 := dial(t, addr, "rtmp://h/live/two", rtmp.OrderFFmpeg).ready()
	n.waitPackets("two", c2.publish(0, 1000))
	c2.quit()
	idle := dial(t, addr, "rtmp://h/live/three", rtmp.OrderFFmpeg).ready()
	life := n.live("one")
	n.stop() // checks that nothing is left
	if life.State() != relay.StateEnded {
		t.Errorf("the life is %v after Run, want ended", life.State())
	}
	c.closed()
	idle.closed()
}

func TestNew(t *testing.T) {
	ok := origin.Deps{
		Hub: relay.NewHub(), Claims: &claims{}, Apps: apps{}, Budget: rtmp.NewBudget(1),
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
	if _, err := origin.New(origin.DefaultConfig(), ok); err != nil {
		t.Error(err)
	}
	if _, err := origin.New(origin.DefaultConfig(), origin.Deps{}); err == nil {
		t.Error("empty Deps are accepted")
	}
	if _, err := origin.New(origin.Config{}, ok); err == nil {
		t.Error("an empty Config is accepted")
	} else if msg := err.Error(); !strings.Contains(msg, "MaxConns") || !strings.Contains(msg, "MaxStreams") ||
		!strings.Contains(msg, "StopTimeout") {
		t.Errorf("error %v, want the faults of all parts", err)
	}
	ok.Registerer = prometheus.NewRegistry()
	if _, err := origin.New(origin.DefaultConfig(), ok); err != nil {
		t.Error(err)
	}
	var already prometheus.AlreadyRegisteredError
	if _, err := origin.New(origin.DefaultConfig(), ok); !errors.As(err, &already) {
		t.Errorf("error %v on the second registration", err)
	}
}
