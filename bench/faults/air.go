package faults

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"tmms/bench/publish"
	"tmms/bench/signal"
	"tmms/bench/witness"
)

// Air is a stream with its publisher and an audience at every edge. Its methods
// are for one goroutine.
type Air struct {
	Stream  string
	cluster *Cluster

	cancel    context.CancelFunc
	running   sync.WaitGroup
	witnesses []*witness.Witness
	edges     []string // of the witnesses, by name

	mu sync.Mutex
	// Guarded by mu.
	at   string // the origin that the publisher is at; "": none
	told []string
}

// airSignal is what is published.
func airSignal() signal.Config { return signal.Config{BitrateBPS: 300_000, FPS: 25, GOP: 25} }

// protos are what viewers come by.
func protos() []string { return []string{"flv", "rtmp", "hls"} }

// StartAir publishes a stream at an origin, whose publisher goes on to the next one
// of the list when it is lost, and lets viewers watch by each of the protocols at
// each edge. It waits until all have a picture.
func (c *Cluster) StartAir(ctx context.Context, stream string, origins, by []string) (*Air, error) {
	a := &Air{Stream: stream, cluster: c}
	ctx, a.cancel = context.WithCancel(ctx)
	a.publish(ctx, origins, 0)
	taken := func() bool { return a.PublisherAt() != "" }
	if err := c.until(ctx, startTimeout, "an origin takes "+stream, taken); err != nil {
		a.Stop()
		return nil, err
	}
	host := c.Network.Host(World)
	for _, e := range c.Edges() {
		for _, proto := range by {
			address := map[string]string{
				"flv":  "http://" + e.Address + ":8080/live/" + stream + ".flv",
				"rtmp": "rtmp://" + e.Address + "/live/" + stream,
				"hls":  "http://" + e.Address + ":8080/live/" + stream + ".m3u8",
			}[proto]
			w := witness.Start(ctx, witness.Config{Name: stream + " " + proto + "@" + e.Name, URL: address, Dial: host.Dial})
			a.witnesses, a.edges = append(a.witnesses, w), append(a.edges, e.Name)
		}
	}
	if err := a.Playing(ctx, startTimeout); err != nil {
		a.Stop()
		return nil, err
	}
	return a, nil
}

// publish starts one more publisher of the stream, whose frames have numbers from
// another thousand million on.
func (a *Air) publish(ctx context.Context, origins []string, publisher uint32) {
	r := publish.Roaming{
		Config: publish.Config{Signal: airSignal(), Due: true}, Pause: encoderPause, Number: publisher * signal.SourceStep,
		OnReady: func(url string) { a.tell(url, nil) }, OnLost: a.tell,
	}
	for _, o := range origins {
		r.URLs = append(r.URLs, "rtmp://"+a.cluster.Network.Host(o).Address+"/live/"+a.Stream)
	}
	host := a.cluster.Network.Host(World)
	a.running.Go(func() {
		_ = host.space.Do(func() error { return r.Run(ctx) }) // its config is ours
	})
}

// tell notes where the publisher is.
func (a *Air) tell(url string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	name := ""
	for _, o := range a.cluster.Origins() {
		if strings.HasPrefix(url, "rtmp://"+o.Address+"/") {
			name = o.Name
		}
	}
	line := time.Now().Format("15:04:05.000") + " at " + name
	if a.at = name; err != nil {
		a.at, line = "", line+": "+err.Error()
	}
	a.told = append(a.told, line)
}

// PublisherAt is the origin that has the publisher's connection.
func (a *Air) PublisherAt() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at
}

// PublisherTold is what became of the publisher's connections since it was asked last.
func (a *Air) PublisherTold() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	told := a.told
	a.told = nil
	return told
}

// Stop ends publishers and viewers, and waits for them.
func (a *Air) Stop() {
	a.cancel()
	for _, w := range a.witnesses {
		w.Wait()
	}
	a.running.Wait()
}

// fresh is how old a picture may be of a viewer that plays: a segment of HLS comes
// when it is whole.
func fresh(w *witness.Witness) time.Duration {
	if w.HLS() {
		return 6 * time.Second
	}
	return time.Second
}

// Playing waits until all viewers have a fresh picture.
func (a *Air) Playing(ctx context.Context, limit time.Duration) error {
	var behind []string
	err := a.cluster.until(ctx, limit, "viewers of "+a.Stream+" play", func() bool {
		behind = nil
		for _, w := range a.witnesses {
			if time.Since(w.Since()) > fresh(w) {
				behind = append(behind, w.Name())
			}
		}
		return behind == nil
	})
	if err != nil {
		return fmt.Errorf("%w: not %q; the publisher: %q", err, behind, a.PublisherTold())
	}
	return nil
}

// Sight is what one viewer got.
type Sight struct {
	witness.Sight

	Name string
	Edge string
	HLS  bool // it plays by HLS, which is seconds behind
}

// Cut gives what all viewers got since the last cut.
func (a *Air) Cut() (list []Sight) {
	for i, w := range a.witnesses {
		list = append(list, Sight{Sight: w.Cut(), Name: w.Name(), Edge: a.edges[i], HLS: w.HLS()})
	}
	return list
}
