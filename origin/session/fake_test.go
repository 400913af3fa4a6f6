package session

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/bytelog"
	"tmms/media/rtmp"
)

// cluster is a Claimer in memory.
type cluster struct {
	mu      sync.Mutex
	epoch   uint64
	held    map[media.StreamKey]uint64
	err     error         // what Claim answers
	refuse  int           // releases that fail
	resumed int           // calls of Resume that did not
	waiting chan struct{} // Claim waits for it to be closed
	t0      time.Time     // when an earlier owner began the streams; zero: there was none

	placed    map[media.StreamKey]state.Placement // what the view of the node shows
	changed   chan struct{}
	proposals []state.SetStandby
	moves     int
	mute      error // what SetStandby and Move answer
}

func newCluster() *cluster {
	return &cluster{
		held: map[media.StreamKey]uint64{}, epoch: 100,
		placed: map[media.StreamKey]state.Placement{}, changed: make(chan struct{}),
	}
}

// place shows a placement; one without an epoch takes it away.
func (c *cluster) place(key media.StreamKey, p state.Placement) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(key, p)
}

// set is place while mu is held.
func (c *cluster) set(key media.StreamKey, p state.Placement) {
	if c.placed[key] = p; p.Epoch == 0 {
		delete(c.placed, key)
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *cluster) Placement(key media.StreamKey) (state.Placement, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.placed[key]
	return p, ok
}

func (c *cluster) PlacedAt(node string) (list []state.PlacedStream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, p := range c.placed {
		if p.Owner == node || p.Standby == node {
			list = append(list, state.PlacedStream{Key: key, Placement: p})
		}
	}
	return list
}

func (c *cluster) WatchPlacements() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func (c *cluster) SetStandby(_ context.Context, s state.SetStandby) (state.Placement, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proposals = append(c.proposals, s)
	p := c.placed[media.StreamKey(s.Key)]
	switch {
	case c.mute != nil:
		return state.Placement{}, c.mute
	case p.Epoch != s.Epoch:
		return state.Placement{}, &state.StaleEpochError{}
	case p.Standby != s.From:
		return state.Placement{}, &state.StandbyError{}
	}
	p.Standby, p.InSync = s.To, s.InSync
	c.set(media.StreamKey(s.Key), p)
	return p, nil
}

// setMute sets what SetStandby and Move answer.
func (c *cluster) setMute(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mute = err
}

// proposed counts the proposals on standbys.
func (c *cluster) proposed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.proposals)
}

func (c *cluster) Move(_ context.Context, key media.StreamKey, epoch uint64, to string) (state.Placement, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.placed[key]
	c.moves++
	if c.mute != nil {
		return state.Placement{}, c.mute
	}
	if p.Epoch != epoch || p.Standby != to || !p.InSync {
		return state.Placement{}, &state.NotInSyncError{}
	}
	c.epoch++
	p = state.Placement{Epoch: c.epoch, Owner: to, T0MS: p.T0MS, ClaimedAtMS: time.Now().UnixMilli()}
	c.set(key, p)
	return p, nil
}

func (c *cluster) Claim(ctx context.Context, key media.StreamKey) (state.Placement, error) {
	if c.waiting != nil {
		select {
		case <-c.waiting:
		case <-ctx.Done():
			return state.Placement{}, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return state.Placement{}, c.err
	}
	c.epoch++
	c.held[key] = c.epoch
	p := state.Placement{Epoch: c.epoch, Owner: thisNode, ClaimedAtMS: time.Now().UnixMilli(), T0MS: time.Now().UnixMilli()}
	if !c.t0.IsZero() {
		p.T0MS = c.t0.UnixMilli()
	}
	c.set(key, p)
	return p, nil
}

func (c *cluster) Release(_ context.Context, key media.StreamKey, epoch uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse > 0 {
		c.refuse--
		return context.DeadlineExceeded
	}
	if c.held[key] == epoch {
		delete(c.held, key)
	}
	if c.placed[key].Epoch == epoch {
		c.set(key, state.Placement{})
	}
	return nil
}

func (c *cluster) Resume(_ context.Context, key media.StreamKey, epoch uint64) (state.Placement, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return state.Placement{}, c.err
	}
	c.resumed++
	c.held[key] = epoch
	return state.Placement{Epoch: epoch}, nil
}

func (c *cluster) Disown(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	clear(c.held)
	return nil
}

func (c *cluster) placements() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.held)
}

// thisNode is the id of the node under test.
const thisNode = "self"

// rig is a registry with what it stands on.
type rig struct {
	*Registry

	t       *testing.T
	hub     *relay.Hub
	cluster *cluster
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWith(t, func(*Deps) {})
}

// watching is a rig of a cluster, which looks at the placements until stop.
func watching(t *testing.T, app *state.App) (g *rig, stop func()) {
	t.Helper()
	g = newRigWith(t, func(d *Deps) {
		d.Placements, d.Node = d.Claims.(*cluster), thisNode
		d.App = func(media.StreamKey) (*state.App, error) { return app, nil }
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Watch(ctx)
	}()
	return g, func() {
		cancel()
		<-done
	}
}

func newRigWith(t *testing.T, change func(*Deps)) *rig {
	t.Helper()
	g := &rig{t: t, hub: relay.NewHub(), cluster: newCluster()}
	deps := Deps{Hub: g.hub, Claims: g.cluster, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	change(&deps)
	r, err := New(DefaultConfig(), deps)
	if err != nil {
		t.Fatal(err)
	}
	g.Registry = r
	return g
}

// empty fails the test unless nothing is left of any stream.
func (g *rig) empty() {
	g.t.Helper()
	if n, h, p := g.Len(), g.hub.Len(), g.cluster.placements(); n+h+p != 0 {
		g.t.Errorf("%d streams, %d feeds, %d placements are left", n, h, p)
	}
}

func testKey() media.StreamKey {
	return media.StreamKey{Domain: "default", App: "live", Stream: "test"}
}

// testApp is an app with the usual numbers and HLS off.
func testApp() *state.App {
	return &state.App{
		Domain: "default", Name: "live", RTMP: true, FLV: true, Latency: 3 * time.Second,
		HLS:      state.HLS{Segment: 2 * time.Second, Window: 6},
		GOPCache: state.GOPCache{Bytes: 32 << 20, Time: 60 * time.Second},
		Grace:    20 * time.Second, IdleTimeout: 30 * time.Second, BusyPolicy: state.BusyReplaceSameToken,
	}
}

// closer remembers why a connection was closed.
type closer struct {
	mu    sync.Mutex
	cause error
}

func (c *closer) close(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = err
	}
}

func (c *closer) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

func (g *rig) attach(app *state.App, token string) (*Publisher, *closer) {
	g.t.Helper()
	c := &closer{}
	p, err := g.Attach(g.t.Context(), testKey(), app, PublisherInfo{Remote: "192.0.2.1:1", Token: token, Close: c.close})
	if err != nil {
		g.t.Fatal(err)
	}
	return p, c
}

func (g *rig) live() *relay.Live {
	g.t.Helper()
	for _, l := range g.hub.Lives() {
		if l.Key() == testKey() {
			return l
		}
	}
	g.t.Fatal("the hub has no life of the stream")
	return nil
}

// logged is a packet as it lies in the log.
type logged struct {
	bytelog.Entry

	body string
}

func entries(t *testing.T, l *relay.Live) []logged {
	t.Helper()
	var list []logged
	r := l.Log().Reader(l.Log().Tail())
	for {
		e, raw, ok := r.Next()
		if !ok {
			return list
		}
		list = append(list, logged{e, string(e.Body(raw))})
	}
}

// Bodies of messages.
const (
	videoConfig  = "\x17\x00\x00\x00\x00"
	videoKey     = "\x17\x01\x00\x00\x00\x00\x00\x00\x02\x65\x88"
	videoDelta   = "\x27\x01\x00\x00\x00\x00\x00\x00\x02\x41\x9a"
	audioConfig  = "\xaf\x00\x12\x10" // AAC LC, 44.1 kHz, stereo
	audioConfig2 = "\xaf\x00\x11\x90" // AAC LC, 48 kHz, stereo
	audioFrame   = "\xaf\x01\x21\x10"
	onMetaData   = "\x02\x00\x0aonMetaData\x03\x00\x05width\x00\x40\x94\x00\x00\x00\x00\x00\x00\x00\x00\x09"
	onCuePoint   = "\x02\x00\x0aonCuePoint\x05"
)

func (p *Publisher) video(t *testing.T, ts uint32, body string) {
	t.Helper()
	p.send(t, media.TypeVideo, ts, body)
}

func (p *Publisher) audio(t *testing.T, ts uint32, body string) {
	t.Helper()
	p.send(t, media.TypeAudio, ts, body)
}

func (p *Publisher) send(t *testing.T, typ media.Type, ts uint32, body string) {
	t.Helper()
	if err := p.Write(rtmp.Message{Type: typ, Timestamp: ts, Body: []byte(body)}, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// headers sends what an encoder sends first.
func (p *Publisher) headers(t *testing.T, ts uint32) {
	t.Helper()
	p.send(t, media.TypeData, ts, onMetaData)
	p.video(t, ts, videoConfig)
	p.audio(t, ts, audioConfig)
}

// Clip is what publish sends: 25 pictures a second with a keyframe each second,
// and 50 audio frames a second.
const (
	videoStep = 40
	audioStep = 20
	gop       = 25
)

// publish sends ms of audio and video, headers first, with timestamps from start.
func (p *Publisher) publish(t *testing.T, start uint32, ms int) {
	t.Helper()
	p.headers(t, start)
	for at := 0; at < ms; at += audioStep {
		if at%videoStep == 0 {
			body := videoDelta
			if at/videoStep%gop == 0 {
				body = videoKey
			}
			p.video(t, start+uint32(at), body)
		}
		p.audio(t, start+uint32(at), audioFrame)
	}
}
