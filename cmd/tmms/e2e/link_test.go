package e2e

import (
	"context"
	endian "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tmms/bench/shape"
)

// linkAddresses are those of both ends, IPv4 and IPv6.
var linkAddresses = [2][]string{{"10.99.0.1/24", "fd99::1/64"}, {"10.99.0.2/24", "fd99::2/64"}}

// wire is a link with a socket at each end: what is sent at A is sent back at B.
type wire struct {
	t    *testing.T
	link *shape.Process
	a, b net.PacketConn
}

// startWire starts a link, by IP version 4 or 6, and an echo at B.
func startWire(t *testing.T, version int) *wire {
	t.Helper()
	cfg := shape.Config{AtoB: shape.DefaultParams(), BtoA: shape.DefaultParams(), Seed: 5}
	var sockets [2]net.PacketConn
	var spaces [2]*shape.Namespace
	for i, end := range []*shape.End{&cfg.A, &cfg.B} {
		ns, err := shape.NewNamespace(t.Context(), fmt.Sprint("wire", i))
		if err != nil {
			t.Fatalf("a network, which only root can make: %v", err)
		}
		t.Cleanup(func() {
			if err := ns.Close(); err != nil {
				t.Error(err)
			}
		})
		for _, a := range linkAddresses[i] {
			end.Addresses = append(end.Addresses, netip.MustParsePrefix(a))
		}
		end.Namespace, spaces[i] = ns.Name(), ns
	}
	w := &wire{t: t}
	var err error
	if w.link, err = shape.StartProcess(context.Background(), benchBinary, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := w.link.Stop(); err != nil {
			t.Error(err)
		}
	})
	which := map[int]int{4: 0, 6: 1}[version]
	for i, ns := range spaces {
		addr := netip.AddrPortFrom(netip.MustParsePrefix(linkAddresses[i][which]).Addr(), 0)
		err := ns.Do(func() (err error) {
			sockets[i], err = new(net.ListenConfig).ListenPacket(t.Context(), "udp", addr.String())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sockets[i].Close() })
	}
	w.a, w.b = sockets[0], sockets[1]
	go w.echo()
	return w
}

func (w *wire) echo() {
	b := make([]byte, 2048)
	for {
		n, from, err := w.b.ReadFrom(b)
		if err != nil {
			return // the test is over
		}
		_, _ = w.b.WriteTo(b[:n], from)
	}
}

// do changes the link.
func (w *wire) do(line string) shape.Status {
	w.t.Helper()
	s, err := w.link.Do(line)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// ping sends packets of a size evenly over a time, and gives the round trip of
// those that come back until limit after the last.
func (w *wire) ping(n, size int, d, limit time.Duration) (trips []time.Duration) {
	w.t.Helper()
	sent := make([]time.Time, n)
	began := time.Now()
	deadline := began.Add(d + limit)
	if err := w.a.SetReadDeadline(deadline); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	arrived := map[uint32]time.Time{}
	go func() {
		defer close(done)
		b := make([]byte, 2048)
		for len(arrived) < n {
			if _, _, err := w.a.ReadFrom(b); err != nil {
				return
			}
			arrived[endian.BigEndian.Uint32(b)] = time.Now()
		}
	}()
	b := make([]byte, size)
	for i := range sent {
		<-time.After(time.Until(began.Add(d * time.Duration(i) / time.Duration(n))))
		endian.BigEndian.PutUint32(b, uint32(i))
		sent[i] = time.Now()
		if _, err := w.a.WriteTo(b, w.b.LocalAddr()); err != nil {
			w.t.Fatal(err)
		}
	}
	<-done
	for i, at := range arrived {
		trips = append(trips, at.Sub(sent[i]))
	}
	slices.Sort(trips)
	return trips
}

// TestLink looks whether the link between two networks does what it is told.
// Bounds are for a busy machine; docs/bench.md has how exact it is.
func TestLink(t *testing.T) {
	for _, version := range []int{4, 6} {
		t.Run(fmt.Sprint("IPv", version), func(t *testing.T) {
			w := startWire(t, version)
			waitFor(t, 10*time.Second, "a first packet", func() bool { return len(w.ping(1, 100, time.Millisecond, time.Second)) == 1 })
			w.do("delay 30ms")
			trips := w.ping(100, 1000, time.Second, 10*time.Second)
			if len(trips) != 100 {
				t.Fatalf("%d of 100 came back", len(trips))
			}
			if least, half := trips[0], trips[50]; least < 60*time.Millisecond || half > 80*time.Millisecond {
				t.Errorf("the round trip of 60 ms takes %v at least, %v in the middle", least, half)
			}
		})
	}
	t.Run("loss", func(t *testing.T) {
		w := startWire(t, 4)
		w.do("ab loss 20%")
		const n = 4000
		came := len(w.ping(n, 100, 2*time.Second, time.Second))
		c := w.do("").Counters[shape.AtoB]
		if share := float64(c.Lost) / float64(c.Offered); math.Abs(share-0.2) > 0.035 || came > int(c.Forwarded) {
			t.Errorf("%+v, %d came back", c, came)
		}
	})
	t.Run("rate and queue", func(t *testing.T) {
		w := startWire(t, 4)
		w.do("ab rate 1M queue 20")
		trips := w.ping(100, 972, time.Millisecond, 2*time.Second) // all at once; each takes 8 ms
		c := w.do("").Counters[shape.AtoB]
		if c.Offered != 100 || c.Dropped < 60 || c.Dropped > 79 || c.Forwarded+c.Dropped != 100 {
			t.Errorf("%+v", c)
		}
		if most := trips[len(trips)-1]; most < 15*8*time.Millisecond {
			t.Errorf("the last of a full queue is back after %v", most)
		}
	})
	t.Run("partition", func(t *testing.T) {
		w := startWire(t, 4)
		w.do("ba loss 100%")
		if trips := w.ping(10, 100, 100*time.Millisecond, 300*time.Millisecond); len(trips) > 0 {
			t.Errorf("%d came back", len(trips))
		}
		w.do("ba loss 0")
		if trips := w.ping(10, 100, 100*time.Millisecond, 10*time.Second); len(trips) != 10 {
			t.Errorf("%d came back after it was healed", len(trips))
		}
	})
	t.Run("refused", func(t *testing.T) {
		w := startWire(t, 4)
		if _, err := w.link.Do("ab loss 200%"); err == nil {
			t.Error("a loss of 200 % is taken")
		}
		if s := w.do(""); s.Params[shape.AtoB].Loss != 0 {
			t.Errorf("%v", s)
		}
	})
}

// TestNamespacesOfTheDead: what a process left that is no more is removed.
func TestNamespacesOfTheDead(t *testing.T) {
	const name = "tmms-2000000000-0-left" // no process has such a number
	if err := shape.IP(t.Context(), "netns", "add", name); err != nil {
		t.Fatal(err)
	}
	ns, err := shape.NewNamespace(t.Context(), "fresh")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/run/netns/" + name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", name, err)
	}
	if err := ns.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("/run/netns/" + ns.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", ns.Name(), err)
	}
}

// TestPathBench runs the bench of long paths in short, and that of fairness.
func TestPathBench(t *testing.T) {
	dir := t.TempDir()
	bench := func(args ...string) error {
		args = append([]string{"path", "-streams", "2", "-bitrate", "500k", "-warmup", "1s", "-duration", "1s", "-results", dir}, args...)
		out, err := exec.CommandContext(t.Context(), benchBinary, args...).CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	if err := bench("-cases", "loss-0"); err != nil {
		t.Error(err)
	}
	var path struct {
		Cases []struct {
			Delivered int64   `json:"frames_delivered"`
			P50       float64 `json:"delay_p50_ms"`
		} `json:"cases"`
	}
	readJSON(t, filepath.Join(dir, "path.json"), &path)
	if len(path.Cases) != 1 || path.Cases[0].Delivered < 2*73 || path.Cases[0].P50 < 50 {
		t.Errorf("%+v", path)
	}
	var exit *exec.ExitError
	if err := bench("-fairness"); err != nil && !errors.As(err, &exit) { // a second says nothing of fairness
		t.Error(err)
	}
	var fair struct {
		UDP   float64 `json:"tcp_beside_udp_bits_per_second"`
		Relay float64 `json:"tcp_beside_relay_bits_per_second"`
	}
	readJSON(t, filepath.Join(dir, "fairness.json"), &fair)
	if fair.UDP < 1e6 || fair.Relay < 1e6 {
		t.Errorf("%+v", fair)
	}
}

func readJSON(t *testing.T, file string, to any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}
