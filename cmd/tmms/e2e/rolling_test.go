package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rollingRounds is how often TestRollingUpgrade replaces every node.
var rollingRounds = flag.Int("rolling", 1, "how often the rolling upgrade replaces every node")

// rollingNodes are the nodes in the order in which they are replaced: the voters
// first, as docs/operations.md has it.
var rollingNodes = []string{"o1", "o2", "o3", "e1", "e2", "e3"}

// upgrade is one node's replacement.
type upgrade struct {
	node     string
	from, to time.Time // from the drain on, until it is in service again
}

// TestRollingUpgrade replaces three origins and three edges one by one, as
// docs/operations.md says it, while publishers push to each origin, viewers watch at
// each edge by each protocol, and configs are put in force: no viewer and no publisher
// loses more than one connection for each node that goes away, none sees another
// error, and no config is lost that was acknowledged.
//
// Requirement: C5 C6
func TestRollingUpgrade(t *testing.T) {
	sh := startCluster(t)
	sh.run("cp run/tmms run/tmms.next") // the next version
	r := &rolling{t: t, sh: sh, writer: startWriter(t)}
	r.startAudience()
	for range *rollingRounds {
		for _, name := range rollingNodes {
			r.replace(name)
		}
	}
	r.page.check(t, r.upgrades[len(r.upgrades)-len(edgeNames)])
	r.settle()
	r.writer.check(t)
	for _, p := range r.publishers {
		p.check(t, r.upgrades)
	}
	for _, v := range r.viewers {
		v.check(t, r.upgrades)
	}
	sh.run("kill $(cat run/[oe]?.pid)")
}

// rolling is a cluster whose nodes are replaced one by one.
type rolling struct {
	t          *testing.T
	sh         *shell
	writer     *writer
	publishers []*encoder
	viewers    []*spectator
	page       *rollingPage // at the first edge, from its last replacement on
	upgrades   []upgrade
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

// replace drains a node, ends its process, starts the next version and takes it into
// service, as an operator does it.
func (r *rolling) replace(name string) {
	r.t.Helper()
	if name == edgeNames[0] {
		r.page = startRollingPage(r.t, r.publishers[0].stream)
	}
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
	if name == edgeNames[0] {
		r.page.waitElsewhere(r.t)
	}
	r.sh.signal(name, syscall.SIGTERM)
	if code := r.sh.exit(name); code != 0 {
		r.t.Errorf("%s exited with %d", name, code)
	}
	if name == edgeNames[0] {
		<-time.After(pageAway)
	}
	r.sh.run(fmt.Sprintf("run/tmms.next run --config docs/samples/cluster/%[1]s.yaml >> run/%[1]s.log 2>&1 & echo $! > run/%[1]s.pid", name))
	waitFor(r.t, 30*time.Second, name+" to be there, still drained", func() bool {
		code, body := get(r.t, "http://127.0.0.1:"+adminPort[name]+"/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(string(body), "drained")
	})
	r.sh.run("run/tmms drain " + name + " --off" + api)
	r.sh.waitReady(name)
	u.to = time.Now()
	r.upgrades = append(r.upgrades, u)
	r.t.Logf("%s was replaced in %v: %s", name, u.to.Sub(u.from).Round(10*time.Millisecond), strings.ReplaceAll(said, "\n", "; "))
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
