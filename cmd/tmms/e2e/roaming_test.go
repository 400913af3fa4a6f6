package e2e

import (
	"context"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/bench/faults"
	"tmms/bench/signal"
)

const (
	// roamingPath is each way between the regions.
	roamingPath = "delay 40ms rate 100M queue 1000"
	// roamingSegment is how long the app's segments are, which a GOP of both streams is.
	roamingSegment = time.Second
	// roamingPause is until a publisher that has lost its server tries the next one.
	roamingPause = 2 * time.Second
	// roamingResume is by when viewers of a killed owner have a picture again.
	roamingResume = 6 * time.Second
	// roamingStep is how far the clock may go over a seam beyond the frames that are
	// missing there: the outage is left out of it.
	roamingStep = 100 * time.Millisecond
	// roamingSlack is what a busy machine may add to a stall.
	roamingSlack = time.Second
)

const roamingDomains = `domains:
  - name: default
    aliases: ["*"]
    apps: [{name: live, grace: 30s, hls: {segment: 1s}}]
`

// TestRoaming is the story of a stream that two regions watch, while its owner is
// killed and its publisher comes back to a third origin, with its clock at 0; then
// the new owner is drained. Viewers by RTMP, HTTP-FLV and HLS at every edge, and
// hls.js in Chromium in both regions, stay connected to one stream with one clock.
//
//	eu: o1 o2 e1 e2  == 40 ms each way ==  us: o3 e3
//
// Case: kill-origin.
// Requirement: S6 C5 C6
func TestRoaming(t *testing.T) {
	r := startRoaming(t)
	r.killOwner()
	r.drainOwner()
	r.end()
}

// roaming is the cluster of the story, and who watches. Frames are accounted for on
// the stream "roam"; "show" has a picture that browsers can decode. Both have their
// publishers at the same origins.
type roaming struct {
	t       *testing.T
	cluster *faults.Cluster
	world   *faults.Host

	owner, standby, third *faults.Node // of the beginning
	air                   *faults.Air
	camera                *camera
	pages                 map[string]*chrome // by edge
	outages               *outages           // of the show
	tour                  *tour
	touring               sync.WaitGroup
	stop                  context.CancelFunc // the tour and the outages

	killed, drained outage
}

// outage is the time around a change of the owner.
type outage struct {
	from, to time.Time     // until all viewers of HLS are behind it
	dark     time.Duration // the longest without a message of the show
}

// startRoaming starts all, and waits until everybody has a picture and both streams
// have a standby in sync.
func startRoaming(t *testing.T) *roaming {
	t.Helper()
	r := &roaming{t: t, pages: map[string]*chrome{}}
	r.startCluster(context.Background()) // it is stopped by the cleanups, after t.Context
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	t.Cleanup(stop)
	leader, ok := r.cluster.Leader(ctx)
	if !ok {
		t.Fatal("no leader")
	}
	// A leader's death is another story, which takes longer.
	r.owner, r.standby, r.third = r.cluster.Node("o1"), r.cluster.Node("o2"), r.cluster.Node("o3")
	if r.owner == leader {
		r.owner, r.standby = r.standby, r.owner
	}
	origins := []string{r.owner.Name, r.third.Name}
	r.camera = startCamera(t, r.world, "rtmp://"+r.owner.Address+"/live/show", "rtmp://"+r.third.Address+"/live/show")
	r.until("the show is on the air", func() bool { return r.placed("show").OwnerName == r.owner.Name })
	for _, edge := range []string{"e1", "e3"} {
		page := "http://" + r.cluster.Node(edge).Address + ":8080/?stream=live/show&by=hls"
		r.pages[edge] = runChrome(t, r.world.Command(ctx, "node", "keep.mjs", page))
	}
	var err error
	if r.air, err = r.cluster.StartAir(ctx, "roam", origins, []string{"flv", "rtmp", "hls"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.air.Stop)
	r.outages = followOutages(ctx, r.world, "http://"+r.cluster.Node("e1").Address+":8080/live/show.flv")
	r.startTour(ctx)
	for _, c := range r.pages {
		c.waitPlaying(t)
	}
	r.inSync(r.owner, r.standby)
	return r
}

// startCluster starts the nodes, and puts the links between the regions in.
func (r *roaming) startCluster(ctx context.Context) {
	r.t.Helper()
	var err error
	r.cluster, err = faults.Start(ctx, binary, benchBinary, r.t.TempDir())
	r.t.Cleanup(func() {
		var logs strings.Builder
		r.cluster.Logs(&logs)
		if fault := r.cluster.Stop(); fault != nil {
			r.t.Error(fault)
		}
		if r.t.Failed() {
			r.t.Log(logs.String())
		}
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.world = r.cluster.Network.Host(faults.World)
	nodes := append(r.cluster.Origins(), r.cluster.Edges()...)
	for i, a := range nodes {
		for _, b := range nodes[i+1:] {
			if a.Region == b.Region {
				continue
			}
			way, err := r.cluster.Detour(ctx, a, b, roamingPath, 1)
			if err != nil {
				r.t.Fatal(err)
			}
			r.t.Cleanup(func() {
				if err := way.Close(); err != nil {
					r.t.Error(err)
				}
			})
		}
	}
	r.tmms(r.cluster.Node("o1"), "apply", "-f", writeFile(r.t, "domains.yaml", roamingDomains))
}

// startTour lets somebody at each edge fetch all playlists and segments of the
// stream, for the sake of comparison.
func (r *roaming) startTour(ctx context.Context) {
	r.tour = newTour(r.t, "roam")
	client := newHostClient(r.t, r.world)
	r.tour.get = func(url string) (int, []byte) { return client.get(ctx, url) }
	for _, e := range r.cluster.Edges() {
		r.touring.Go(func() { r.tour.run(ctx, []string{e.Address + ":8080"}) })
	}
}

// tmms runs a client command on a node.
func (r *roaming) tmms(n *faults.Node, args ...string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	out, err := n.Command(ctx, binary, args...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("tmms %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// until waits for a condition.
func (r *roaming) until(what string, cond func() bool) {
	r.t.Helper()
	waitFor(r.t, 45*time.Second, what, cond)
}

// placed is a stream's placement as the third origin knows it.
func (r *roaming) placed(stream string) faults.Placement {
	p, _, err := r.third.Placed(r.t.Context(), stream, true)
	if err != nil || p == nil {
		return faults.Placement{}
	}
	return *p
}

// inSync waits until both streams have an owner and a standby in sync: those.
func (r *roaming) inSync(owner, standby *faults.Node) {
	r.t.Helper()
	for _, stream := range []string{"roam", "show"} {
		var p faults.Placement
		r.until("a standby in sync", func() bool {
			p = r.placed(stream)
			return p.InSync
		})
		if p.OwnerName != owner.Name || p.Standby != standby.Name {
			r.t.Fatalf("%s is at %s with %s as its standby, want %s and %s", stream, p.OwnerName, p.Standby, owner.Name, standby.Name)
		}
	}
}

// killOwner kills the owner of both streams, and waits until the third origin's
// publishers are seen everywhere.
func (r *roaming) killOwner() {
	r.t.Helper()
	r.air.Cut()
	r.through(&r.killed, func() {
		if err := r.owner.Kill(); err != nil {
			r.t.Fatal(err)
		}
	})
	r.inSync(r.standby, r.third) // nobody else is left
	if at := r.air.PublisherAt(); at != r.third.Name {
		r.t.Errorf("the publisher is at %q: %q", at, r.air.PublisherTold())
	}
	list := r.air.Cut()
	r.judge("the owner is killed", list)
	if err := r.cluster.Restart(r.t.Context(), r.owner); err != nil {
		r.t.Fatal(err)
	}
	r.air.PublisherTold()
}

// drainOwner drains the owner that came after, whose standby has the publishers.
func (r *roaming) drainOwner() {
	r.t.Helper()
	r.air.Cut()
	r.through(&r.drained, func() {
		r.t.Log(r.tmms(r.third, "drain", r.standby.Name, "--wait", "10s"))
	})
	for _, stream := range []string{"roam", "show"} {
		if p := r.placed(stream); p.OwnerName != r.third.Name {
			r.t.Errorf("%s is at %q after the drain of %s", stream, p.OwnerName, r.standby.Name)
		}
	}
	if told := r.air.PublisherTold(); len(told) > 2 { // lost, and back
		r.t.Errorf("the publisher reconnects more than once: %q", told)
	}
	list := r.air.Cut()
	r.judge("the new owner is drained", list)
	for _, v := range list {
		if lost := v.Tracks[signal.Video].Lost + v.Tracks[signal.Audio].Lost; lost > 0 {
			r.t.Errorf("%s: a hand-over costs %d frames: %v", v.Name, lost, v.Seams)
		}
	}
}

// through does something that gives the streams another owner, and waits until all
// viewers are well behind it.
func (r *roaming) through(o *outage, change func()) {
	r.t.Helper()
	epochs, before := r.tour.epochs(), r.tour.segments()
	r.outages.take()
	o.from = time.Now()
	change()
	if err := r.air.Playing(r.t.Context(), 30*time.Second); err != nil {
		r.t.Fatal(err)
	}
	r.until("segments of the next owner", func() bool { return r.tour.epochs() > epochs && r.tour.segments() >= before+8 })
	<-time.After(time.Until(o.from.Add(hlsBehind)))
	o.to, o.dark = time.Now(), r.outages.take()
}

// hlsBehind is when hls.js has played what is on the air at a moment, an outage
// included: it stays three segments behind.
const hlsBehind = 14 * time.Second

// judge wants viewers to have been kept, with a picture again in time, on one clock.
func (r *roaming) judge(what string, list []faults.Sight) {
	r.t.Helper()
	result := &faults.Result{Name: what}
	result.Resumed(list, roamingResume)
	for result.Close(); len(result.Faults) > 0; result.Faults = result.Faults[1:] {
		r.t.Errorf("%s: %s", what, result.Faults[0])
	}
	for _, v := range list {
		for _, seam := range v.Seams {
			missing := time.Duration(seam.Lost) * frameTimes[seam.Track]
			if seam.Forward > missing+roamingStep {
				r.t.Errorf("%s: %s: the clock takes a step: %v", what, v.Name, seam)
			}
		}
		r.t.Logf("%s: %s: dark for %v, %d lost, %v; %d playlists, %d segments, %d discontinuities", what, v.Name,
			v.Silence.Round(time.Millisecond), v.Lost(), v.Seams, v.List.Playlists, v.List.Segments, v.List.Discontinuities)
	}
}

// frameTimes is how long a frame of each of the signal's tracks lasts, at most.
var frameTimes = [2]time.Duration{signal.Audio: 24 * time.Millisecond, signal.Video: frame * time.Millisecond}

// end ends all, and looks at the whole.
func (r *roaming) end() {
	r.t.Helper()
	for edge, c := range r.pages {
		r.played(edge, c.end(r.t))
	}
	r.stop()
	r.touring.Wait()
	r.tour.check()
	if got := r.tour.epochs(); got != roamingOwners {
		r.t.Errorf("the segments are of %d owners, want %d", got, roamingOwners)
	}
	if lost := r.camera.end(); lost > 2 {
		r.t.Errorf("the camera lost its server %d times, want once, and once more at most", lost)
	}
}

// roamingOwners is how many owners each stream has had at the end.
const roamingOwners = 3

// played wants hls.js to have played through both seams, and to have stood still for
// no longer than it was dark.
func (r *roaming) played(edge string, s screening) {
	r.t.Helper()
	for what, o := range map[string]outage{"the owner's death": r.killed, "the drain": r.drained} {
		_, longest := s.stood(o.from, o.to)
		r.t.Logf("hls.js at %s stood still for at most %v around %s; it was dark for %v", edge, longest, what, o.dark)
		if limit := o.dark + roamingSegment + roamingSlack; longest > limit {
			r.t.Errorf("hls.js at %s stood still for %v around %s, want at most %v", edge, longest, what, limit)
		}
		s.check(r.t, o.from, o.to)
	}
	if s.back() {
		r.t.Errorf("hls.js at %s went back: %v", edge, s.Samples)
	}
	names := []string{}
	owners := map[string]bool{}
	for _, address := range s.Segments {
		name := path.Base(address)
		epoch, _, _ := strings.Cut(name, "-")
		names, owners[epoch] = append(names, name), true
	}
	if !slices.IsSorted(names) || len(slices.Compact(names)) != len(s.Segments) || len(owners) != roamingOwners {
		r.t.Errorf("hls.js at %s played %q, want rising numbers of %d owners", edge, names, roamingOwners)
	}
	r.t.Logf("hls.js at %s: %d segments, errors %+v", edge, len(names), s.Errors)
}
