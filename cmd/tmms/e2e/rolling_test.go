package e2e

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rollingRounds is how often TestRollingUpgrade replaces every node.
var rollingRounds = flag.Int("rolling", 1, "how often the rolling upgrade replaces every node")

// The releases, by the names of their binaries: what is under test, and the same
// tree with what one more release adds (ADR 11).
const (
	released    = "tmms"
	nextRelease = "tmms.next"
)

// upgrade is one node's replacement.
type upgrade struct {
	node     string
	from, to time.Time // from the drain on, until it is in service again
}

// TestRollingUpgrade replaces three origins and three edges one by one by those of the
// next release, as docs/operations.md says it, two of them back and forth, while
// publishers push to each origin, viewers watch at each edge by each protocol, and
// configs are put in force: no viewer and no publisher loses more than one connection
// for each node that goes away, none sees another error, and no config is lost that was
// acknowledged. What the next release adds is refused until all nodes have it and the
// level is raised; from then on the release before is.
//
// Requirement: C5 C6
func TestRollingUpgrade(t *testing.T) {
	sh := startCluster(t)
	sh.run(fmt.Sprintf("cp %q run/%s", nextBinary, nextRelease))
	r := &rolling{t: t, sh: sh, writer: startWriter(t), runs: map[string]string{}, hops: map[[2]string]bool{}}
	for name := range adminPort {
		r.runs[name] = released
	}
	r.startAudience()
	r.mix()
	for range *rollingRounds - 1 {
		for _, name := range slices.Sorted(maps.Keys(adminPort)) {
			r.replace(name, nextRelease)
		}
	}
	r.raise()
	r.settle()
	r.writer.check(t)
	for _, p := range r.publishers {
		p.check(t, r.upgrades)
	}
	for _, v := range r.viewers {
		v.check(t, r.upgrades)
	}
	r.refuseOld()
	sh.run("kill $(cat run/[oe]?.pid)")
}

// mix replaces all nodes, and looks at what the two releases are to each other.
func (r *rolling) mix() {
	r.t.Helper()
	r.replace("o1", nextRelease)
	r.replace("e1", nextRelease)
	r.mixed() // an owner of the release before, an edge of the next
	r.replace("o2", nextRelease)
	r.replace("o2", released) // back, to a snapshot that the next release wrote
	r.mixed()
	r.replace("o2", nextRelease)
	r.replace("o3", nextRelease)
	r.replace("e1", released) // back, to what the next release sends: a snapshot too
	r.mixed()                 // owners of the next release, edges of the one before
	r.page = startRollingPage(r.t, r.publishers[0].stream)
	for _, name := range edgeNames {
		r.replace(name, nextRelease)
	}
	r.page.check(r.t, r.upgrades[len(r.upgrades)-len(edgeNames)])
	r.page = nil
	for _, hop := range [][2]string{{released, nextRelease}, {nextRelease, released}} {
		if !r.hops[hop] {
			r.t.Errorf("nothing was relayed from %s to %s", hop[0], hop[1])
		}
	}
}

// rolling is a cluster whose nodes are replaced one by one.
type rolling struct {
	t          *testing.T
	sh         *shell
	writer     *writer
	publishers []*encoder
	viewers    []*spectator
	page       *rollingPage // at the first edge while the edges are replaced; nil: there is none
	upgrades   []upgrade
	runs       map[string]string  // node -> release
	hops       map[[2]string]bool // from which release to which streams were seen to go
}

// startAudience puts a stream at each origin on the air, and a viewer of each
// protocol at each edge.
func (r *rolling) startAudience() {
	r.t.Helper()
	tags := readFLV(r.t, "av.flv")
	for i, origin := range []string{"o1", "o2", "o3"} {
		p := startEncoder(r.t, origin, fmt.Sprint("roll", i+1), tags)
		r.publishers = append(r.publishers, p)
		waitFor(r.t, 30*time.Second, p.stream+" to be published", p.publishes)
	}
	for i := range edgeHTTP {
		stream := r.publishers[i].stream
		for _, proto := range []string{"flv", "rtmp", "hls"} {
			r.viewers = append(r.viewers, startSpectator(r.t, proto, stream, i, tags))
		}
	}
	for _, v := range r.viewers {
		waitFor(r.t, 30*time.Second, v.name+" to play", v.plays)
	}
}

// replace drains a node, ends its process, starts that of a release and takes it into
// service, as an operator does it.
func (r *rolling) replace(name, release string) {
	r.t.Helper()
	u := upgrade{node: name, from: time.Now()}
	api := " --api http://127.0.0.1:" + adminPort[another(name)]
	said := r.sh.run("run/tmms drain " + name + " --wait 3s" + api)
	if !strings.HasPrefix(said, name+": ") {
		r.t.Errorf("tmms drain %s says %q", name, said)
	}
	if list := r.sh.run("run/tmms get nodes" + api); !strings.Contains(list, "alive, draining") {
		r.t.Errorf("get nodes does not say that %s is drained:\n%s", name, list)
	}
	if got := leaderOf(r.t, adminPort[another(name)]); got == name {
		r.t.Errorf("%s leads after its drain", name)
	}
	if code, body := get(r.t, "http://127.0.0.1:"+adminPort[name]+"/readyz"); code != http.StatusServiceUnavailable {
		r.t.Errorf("%s is ready while it is drained: %d %s", name, code, body)
	}
	if r.page != nil && name == edgeNames[0] {
		r.page.waitElsewhere(r.t)
	}
	if strings.HasPrefix(name, "o") { // its successor begins with it, and edges follow from there
		r.sh.run("run/tmms raft snapshot --api http://127.0.0.1:" + adminPort[name])
	}
	r.sh.signal(name, syscall.SIGTERM)
	if code := r.sh.exit(name); code != 0 {
		r.t.Errorf("%s exited with %d", name, code)
	}
	if r.page != nil && name == edgeNames[0] {
		<-time.After(pageAway)
	}
	r.sh.launch(name, release)
	waitFor(r.t, 30*time.Second, name+" to be there, still drained", func() bool {
		code, body := get(r.t, "http://127.0.0.1:"+adminPort[name]+"/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(string(body), "drained")
	})
	r.sh.run("run/tmms drain " + name + " --off" + api)
	r.sh.waitReady(name)
	u.to = time.Now()
	r.runs[name] = release
	r.upgrades = append(r.upgrades, u)
	r.t.Logf("%s was replaced by %s in %v: %s", name, release, u.to.Sub(u.from).Round(10*time.Millisecond), strings.ReplaceAll(said, "\n", "; "))
}

// pageAway is for how long the edge of the page is away: hls.js gives an address up
// that answers nobody for some four seconds.
const pageAway = 6 * time.Second

// another is an origin to ask while a node is replaced.
func another(name string) string {
	if name == "o2" {
		return "o3"
	}
	return "o2"
}

// settle waits until all play after the last replacement, and ends all.
func (r *rolling) settle() {
	r.t.Helper()
	for _, v := range r.viewers {
		v.forget()
	}
	for _, v := range r.viewers {
		waitFor(r.t, 30*time.Second, v.name+" to play on", v.plays)
	}
	for _, v := range r.viewers {
		v.end()
	}
	for _, p := range r.publishers {
		p.end()
	}
	r.writer.end()
}

// during gives the replacement of a node that was under way at a time; false: none
// was. A node is away a little longer than it says so.
func during(all []upgrade, node string, at time.Time) (int, bool) {
	for i, u := range all {
		if (node == "" || u.node == node) && !at.Before(u.from) && !at.After(u.to) {
			return i, true
		}
	}
	return 0, false
}
