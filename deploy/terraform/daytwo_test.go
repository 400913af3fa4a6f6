package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// longestPause bounds how long a viewer may be without a picture on a machine that is
// full: players of RTMP wait until their edge is there again.
const longestPause = time.Minute

// TestDayTwo does to a cluster that is streaming what docs/operations.md has under
// "Deployed with Terraform", by the commands that it has there. A stream is published in
// each region, and viewers of each protocol are at edges of both.
//
// Requirement: C5 C7.
func TestDayTwo(t *testing.T) {
	if !*full {
		return
	}
	l, ok := newLab(t)
	if !ok {
		return
	}
	l.vars["drain_wait"] = "5s"
	d := &days{lab: l, manual: readManual(t)}
	d.audience()
	for _, step := range []struct {
		name               string
		do                 func() error
		viewer, publishers int // connections that each may lose
	}{
		{"one origin at a time", d.oneAtATime, 0, 1},
		{"rotate the gossip's key", d.rotateGossip, 0, 0},
		{"scale up", d.scaleUp, 0, 0},
		{"add a region", d.addRegion, 0, 0},
		{"replace a voter", d.replaceVoter, 0, 1},
		{"rotate certificates", d.rotateCertificates, 0, 0},
		{"restore a backup", d.restoreBackup, 0, 0},
		{"upgrade", d.upgrade, 1, 1},
		{"scale down", d.scaleDown, 1, 0}, // the edges that go have viewers since the upgrade
	} {
		if err := d.under(step.do, step.viewer, step.publishers); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		t.Logf("%s: no viewer was without a picture for more than %v", step.name, d.pause)
	}
	if err := d.manual.check(); err != nil {
		t.Error(err)
	}
}

// days are what a cluster goes through.
type days struct {
	*lab

	manual    manual
	streamers []*streamer
	viewers   []*watch
	pause     time.Duration // the longest of a viewer in the last step
}

func (d *days) audience() {
	d.t.Helper()
	regions := []string{"eu", "us"}
	for _, region := range regions {
		d.streamers = append(d.streamers, d.publish(region, region))
	}
	for i, region := range regions {
		for n, edge := range d.of("edge", region) {
			for _, proto := range []string{"rtmp", "flv", "hls"} {
				d.viewers = append(d.viewers, d.view(proto, edge, regions[(i+n)%2]))
			}
		}
	}
	d.playOn(200_000)
}

// playOn waits until every viewer has got so many bytes more.
func (d *days) playOn(more int64) {
	d.t.Helper()
	for _, w := range d.viewers {
		w.goesOn(d.lab, more)
	}
}

// under does something, after which all play on, and holds viewers and streamers to the
// connections that each may lose meanwhile.
func (d *days) under(do func() error, viewer, streamer int) error {
	before := make([]int, 0, len(d.viewers)+len(d.streamers))
	for _, w := range d.viewers {
		n, _ := w.since()
		before = append(before, n)
	}
	for _, s := range d.streamers {
		before = append(before, s.losses())
	}
	err := do()
	d.playOn(100_000)
	d.pause = 0
	for i, w := range d.viewers {
		n, longest := w.since()
		if d.pause = max(d.pause, longest); longest > longestPause {
			err = errors.Join(err, fmt.Errorf("%s was without a picture for %v: want %v at most", w.name, longest, longestPause)) //nolint:err113 // for the test's log
		}
		if lost := n - before[i]; lost > viewer {
			err = errors.Join(err, fmt.Errorf("%s has lost %d connections: want %d at most", w.name, lost, viewer)) //nolint:err113 // for the test's log
		}
	}
	for i, s := range d.streamers {
		if lost := s.losses() - before[len(d.viewers)+i]; lost > streamer {
			err = errors.Join(err, fmt.Errorf("a streamer has lost %d connections: want %d at most", lost, streamer)) //nolint:err113 // for the test's log
		}
	}
	return err
}

// pids are the processes of all nodes.
func (l *lab) pids() map[string]int {
	l.t.Helper()
	pids := map[string]int{}
	for name := range l.nodes {
		raw, err := os.ReadFile(filepath.Join(l.vars["folder"], "nodes", name, "run/tmms.pid"))
		if err != nil {
			l.t.Fatal(err)
		}
		if pids[name], err = strconv.Atoi(strings.TrimSpace(string(raw))); err != nil {
			l.t.Fatal(err)
		}
	}
	return pids
}

// untouched holds the processes that were there before to be there still.
func (l *lab) untouched(before map[string]int, but ...string) error {
	l.t.Helper()
	now := l.pids()
	for name, pid := range before {
		if now[name] != pid && !slices.Contains(but, name) {
			return fmt.Errorf("%s was process %d, is %d", name, pid, now[name]) //nolint:err113 // for the test's log
		}
	}
	return nil
}

// regions are how many edges the regions have; ap is there only if it has any.
func regions(eu, us, ap int) map[string]string {
	all := map[string]region{
		"eu": {CIDR: "10.81.0.0/16", Zones: []string{"a", "b"}, Origins: 2, Edges: eu},
		"us": {CIDR: "10.82.0.0/16", Zones: []string{"a", "b"}, Origins: 1, Edges: us},
	}
	if ap > 0 {
		all["ap"] = region{CIDR: "10.83.0.0/16", Zones: []string{"a"}, Edges: ap}
	}
	raw, _ := json.Marshal(all) //nolint:errchkjson // numbers and texts
	return map[string]string{"regions": string(raw)}
}

// oneAtATime kills the origin of a publisher. Until it is there again no other one can be
// replaced.
func (d *days) oneAtATime() error {
	before := d.pids()
	if err := syscall.Kill(before["us-o1"], syscall.SIGKILL); err != nil {
		return err
	}
	d.playOn(500_000)
	err := d.follow(d.manual, "replace a node", nil, "NODE", "eu-o2")
	if err == nil || !strings.Contains(err.Error(), "eu-o2 stays: us-o1 does not run") {
		return fmt.Errorf("while us-o1 is dead eu-o2 can be replaced: %w", err)
	}
	return errors.Join(
		d.follow(d.manual, "start an origin that is dead", nil, "NODE", "us-o1"),
		d.untouched(before, "us-o1"),
	)
}

func (d *days) rotateGossip() error {
	return d.follow(d.manual, "rotate the gossip's key", nil, "", "")
}

// scaleUp adds edges, which get the gossip's key that the cluster has by now.
func (d *days) scaleUp() error {
	before := d.pids()
	maps.Copy(d.vars, regions(3, 3, 0))
	if plan := d.planned("node"); !maps.Equal(plan, map[string]int{"create": 2}) {
		return fmt.Errorf("two edges more are planned as %v", plan) //nolint:err113 // for the test's log
	}
	return errors.Join(
		d.follow(d.manual, "scale a region", regions(3, 3, 0), "", ""),
		d.plays("eu-e3", "us"), d.plays("us-e3", "eu"), d.untouched(before),
	)
}

func (d *days) scaleDown() error {
	before := d.pids()
	if err := d.follow(d.manual, "scale a region", regions(2, 2, 1), "", ""); err != nil {
		return err
	}
	for _, gone := range []string{"eu-e3", "us-e3"} {
		err := d.eventually(func() error {
			if syscall.Kill(before[gone], 0) == nil {
				return fmt.Errorf("%s goes on as process %d", gone, before[gone]) //nolint:err113 // for the test's log
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return d.untouched(before, "eu-e3", "us-e3")
}

func (d *days) addRegion() error {
	before := d.pids()
	vars := regions(3, 3, 1)
	vars["pinned_voters"] = strings.TrimSpace(d.tf.run(d.t, "local", "output", "-json", "voter_names"))
	return errors.Join(d.follow(d.manual, "add a region", vars, "", ""), d.plays("ap-e1", "eu"), d.untouched(before))
}

// replaceVoter takes the host and the disk of a voter away, and makes a new one.
func (d *days) replaceVoter() error {
	before, ids := d.pids(), d.voterIDs()
	if err := d.follow(d.manual, "replace a node", nil, "NODE", "eu-o2"); err != nil {
		return err
	}
	err := d.eventually(func() error {
		now := d.voterIDs()
		if len(now) != 3 || now["eu-o2"] == "" || now["eu-o2"] == ids["eu-o2"] {
			return fmt.Errorf("the raft group was %v, is %v", ids, now) //nolint:err113 // for the test's log
		}
		return nil
	})
	return errors.Join(err, d.untouched(before, "eu-o2"))
}

// voterIDs are the ids of the members with a vote.
func (l *lab) voterIDs() map[string]string {
	out, err := l.tmms("eu-o1", "raft", "status")
	if err != nil {
		return nil
	}
	ids := map[string]string{}
	for line := range strings.SplitSeq(out, "\n") {
		f := strings.Fields(line)
		if len(f) >= 5 && (f[1] == "voter" || f[1] == "leader") {
			ids[f[0]] = f[len(f)-1]
		}
	}
	return ids
}

const expiry = "tmms_fabric_certificate_expiry_timestamp_seconds"

// expires reads when the certificate ends that a node shows.
func (l *lab) expires(node string) (float64, error) {
	out, err := l.in(l.t.Context(), node, "curl", "-sf", "-m", "5", "http://127.0.0.1:8090/metrics").Output()
	if err != nil {
		return 0, fmt.Errorf("metrics of %s: %w", node, err)
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if strings.HasPrefix(line, expiry) {
			f := strings.Fields(line)
			return strconv.ParseFloat(f[len(f)-1], 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", node, expiry) //nolint:err113 // for the test's log
}

// rotateCertificates gives every node a new certificate while it runs.
func (d *days) rotateCertificates() error {
	before := d.pids()
	old := map[string]float64{}
	for name := range d.nodes {
		var err error
		if old[name], err = d.expires(name); err != nil {
			return err
		}
	}
	if err := d.follow(d.manual, "rotate certificates", map[string]string{"certificates": "2"}, "", ""); err != nil {
		return err
	}
	for name := range d.nodes {
		err := d.eventually(func() error {
			now, err := d.expires(name)
			if err == nil && now <= old[name] {
				err = fmt.Errorf("the certificate of %s ended at %.0f, ends at %.0f", name, old[name], now) //nolint:err113 // for the test's log
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return d.untouched(before)
}

// restoreBackup undoes a change of the config by a backup from before.
func (d *days) restoreBackup() error {
	backup := filepath.Join(d.dir, "backup")
	other := write(d.t, d.dir, "other.yaml", strings.Replace(labDomains, "{name: live}", "{name: live}, {name: other}", 1))
	if err := d.follow(d.manual, "back up", nil, "FILE", backup); err != nil {
		return err
	}
	if _, err := d.tmms("eu-o1", "apply", "-f", other); err != nil {
		return err
	}
	if out, err := d.tmms("us-o1", "diff", "-f", d.vars["domains"]); err == nil {
		return fmt.Errorf("the change is not in force: %s", out) //nolint:err113 // for the test's log
	}
	if err := d.follow(d.manual, "restore a backup", nil, "FILE", backup); err != nil {
		return err
	}
	_, err := d.tmms("us-o1", "diff", "-f", d.vars["domains"])
	return err
}

// upgrade gives all nodes another binary, one by one, while configs are put in force.
func (d *days) upgrade() error {
	for _, s := range d.streamers {
		s.anew() // each is in its own region again, and one origin has no publisher
	}
	d.playOn(200_000)
	raw, err := os.ReadFile(d.vars["tmms"])
	if err != nil {
		return err
	}
	next := write(d.t, d.dir, "next", string(raw)+"another release")
	if err = errors.Join(os.Chmod(next, 0o700), os.Rename(next, d.vars["tmms"])); err != nil { //nolint:gosec // a program
		return err
	}
	before := d.pids()
	acked := d.writes(func() { err = d.follow(d.manual, "upgrade", map[string]string{"tmms": d.vars["tmms"]}, "", "") })
	if err != nil {
		return err
	}
	want := sumOf(d.t, d.vars["tmms"])
	for name, pid := range d.pids() {
		exe := fmt.Sprintf("/proc/%d/exe", pid)
		if sum := sumOf(d.t, exe); sum != want || pid == before[name] {
			return fmt.Errorf("%s, process %d before and %d now, runs %s: want %s", name, before[name], pid, sum, want) //nolint:err113 // for the test's log
		}
	}
	return d.kept(acked)
}

// writes puts configs in force while do runs, and gives the revisions that were acked.
func (d *days) writes(do func()) (acked []uint64) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	origins := d.of("origin", "")
	clients := make([]*http.Client, len(origins))
	for i, o := range origins {
		clients[i] = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: d.dialer(o), DisableKeepAlives: true}}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ctx.Err() == nil; n++ {
			if revision, err := putConfig(ctx, clients[n%len(clients)], n); err == nil {
				acked = append(acked, revision)
			}
			select {
			case <-ctx.Done():
			case <-time.After(writePause):
			}
		}
	}()
	do()
	cancel()
	<-done
	return acked
}

// writePause is the time between two configs: the history keeps 64.
const writePause = 5 * time.Second

// putConfig asks the origin that a client reaches to put a config in force that differs
// from the one before, and gives its revision.
func putConfig(ctx context.Context, client *http.Client, n int) (uint64, error) {
	doc := fmt.Sprintf(`{"domains":[{"name":"default","aliases":["*"],"apps":[{"name":"live","grace":"%ds"}]}],
"regions":[{"name":"eu","networks":["10.81.0.0/16"]},{"name":"us","networks":["10.82.0.0/16"]}]}`, 20+n%9)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://127.0.0.1:8090/api/v1/config", bytes.NewReader([]byte(doc)))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var reply struct{ Revision uint64 }
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%w: %s", errStatus, resp.Status)
	}
	return reply.Revision, json.NewDecoder(resp.Body).Decode(&reply)
}

// kept holds every origin to have the revisions in its history.
func (d *days) kept(acked []uint64) error {
	if len(acked) < 5 {
		return fmt.Errorf("the acknowledged revisions are %v: want 5 at least", acked) //nolint:err113 // for the test's log
	}
	for _, origin := range d.of("origin", "") {
		out, err := d.tmms(origin, "history")
		if err != nil {
			return err
		}
		has := map[string]bool{}
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) > 0 {
				has[f[0]] = true
			}
		}
		for _, revision := range acked {
			if !has[strconv.FormatUint(revision, 10)] {
				return fmt.Errorf("%s has lost revision %d of %v:\n%s", origin, revision, acked, out) //nolint:err113 // for the test's log
			}
		}
	}
	return nil
}
