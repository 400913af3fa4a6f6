package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what takes seconds on an idle machine.
const patience = 90 * time.Second

// lab is a cluster that local/ has made: 3 origins and 4 edges in two regions.
type lab struct {
	t       *testing.T
	tf      *terraform
	cluster string
	dir     string            // of what the lab needs; the cluster's folder is dir/cluster
	vars    map[string]string // of terraform
	nodes   map[string]labNode
}

type labNode struct {
	Namespace, Region, Zone, Kind, Address string
	Voter                                  bool
}

// labDomains tells the regions by the networks of their clients.
const labDomains = `
domains: [{name: default, aliases: ['*'], apps: [{name: live}]}]
regions:
- {name: eu, networks: [10.81.0.0/16]}
- {name: us, networks: [10.82.0.0/16]}
`

// newLab applies local/, and destroys it at the end of the test, whatever happens.
func newLab(t *testing.T) (*lab, bool) {
	t.Helper()
	tf, ok := newTerraform(t)
	if !ok {
		return nil, false
	}
	dir := t.TempDir()
	l := &lab{t: t, tf: tf, cluster: fmt.Sprintf("t%d", os.Getpid()), dir: dir}
	command(t, "cp", binary(t), filepath.Join(dir, "tmms"))
	command(t, "go", "build", "-o", filepath.Join(dir, "tmms-bench"), "tmms/cmd/tmms-bench")
	l.vars = map[string]string{
		"cluster": l.cluster, "folder": filepath.Join(dir, "cluster"),
		"tmms": filepath.Join(dir, "tmms"), "bench": filepath.Join(dir, "tmms-bench"),
		"domains": write(t, dir, "domains.yaml", labDomains),
	}
	tf.run(t, "local", "init")
	t.Cleanup(l.destroy)
	l.must("apply")
	return l, true
}

func (l *lab) args(command string, more ...string) []string {
	args := []string{command}
	if command != "plan" {
		args = append(args, "-auto-approve")
	}
	for _, name := range slices.Sorted(maps.Keys(l.vars)) {
		args = append(args, "-var", name+"="+l.vars[name])
	}
	return append(args, more...)
}

// must is change for what has to succeed.
func (l *lab) must(command string, more ...string) {
	l.t.Helper()
	if err := l.change(command, more...); err != nil {
		l.t.Fatal(err)
	}
}

// change applies what the variables say, or destroys, and learns which nodes there are.
func (l *lab) change(command string, more ...string) error {
	l.t.Helper()
	out, err := l.tf.try(l.t, "local", l.args(command, more...)...)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	raw := l.tf.run(l.t, "local", "output", "-json", "nodes")
	l.nodes = nil
	return json.Unmarshal([]byte(raw), &l.nodes)
}

// planned counts what an apply would do to resources of a name: create, delete, update.
func (l *lab) planned(resource string) map[string]int {
	l.t.Helper()
	l.tf.run(l.t, "local", l.args("plan", "-out=plan.tfplan")...)
	raw := l.tf.run(l.t, "local", "show", "-json", "plan.tfplan")
	var plan struct {
		Changes []struct {
			Name   string
			Change struct{ Actions []string }
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal([]byte(raw), &plan); err != nil {
		l.t.Fatal(err)
	}
	counts := map[string]int{}
	for _, c := range plan.Changes {
		if (resource == "" || c.Name == resource) && !slices.Contains(c.Change.Actions, "no-op") {
			for _, action := range c.Change.Actions {
				counts[action]++
			}
		}
	}
	return counts
}

// destroy ends the cluster and holds it to leave nothing.
func (l *lab) destroy() {
	// The test's context has ended by now.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.tf.path, l.args("destroy")...)
	cmd.Dir, cmd.Env = filepath.Join(l.tf.dir, "local"), l.tf.env
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Errorf("terraform destroy: %v\n%s", err, out)
	}
	if _, err := os.Stat(l.vars["folder"]); !errors.Is(err, os.ErrNotExist) {
		l.t.Errorf("destroy has left %s: %v", l.vars["folder"], err)
	}
	if left, err := filepath.Glob("/run/netns/" + l.cluster + "-*"); err != nil || len(left) > 0 {
		l.t.Errorf("destroy has left the namespaces %q, %v", left, err)
	}
	if left := l.processes(); len(left) > 0 {
		l.t.Errorf("destroy has left the processes %q", left)
	}
}

// processes are the command lines with the lab's folder in them.
func (l *lab) processes() (left []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		raw, err := os.ReadFile(path)
		if err == nil && bytes.Contains(raw, []byte(l.dir)) {
			left = append(left, string(bytes.ReplaceAll(raw, []byte{0}, []byte(" "))))
		}
	}
	return left
}

// in makes a command that runs in the network of a node or a region.
func (l *lab) in(ctx context.Context, place string, argv ...string) *exec.Cmd {
	network := fmt.Sprintf("--net=/run/netns/%s-%s", l.cluster, place)
	return exec.CommandContext(ctx, "nsenter", append([]string{network, "--"}, argv...)...)
}

// tmms runs a command of an operator on a node.
func (l *lab) tmms(node string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	out, err := l.in(ctx, node, append([]string{l.vars["tmms"]}, args...)...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("tmms %s on %s: %w: %s", strings.Join(args, " "), node, err, out)
	}
	return string(out), nil
}

// of names the nodes of a kind in a region; "" is any.
func (l *lab) of(kind, region string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(l.nodes)) {
		if n := l.nodes[name]; (kind == "" || n.Kind == kind) && (region == "" || n.Region == region) {
			names = append(names, name)
		}
	}
	return names
}

// askAt is where a publisher of a region asks for the origins that it is to go to: at any
// edge there.
func (l *lab) askAt(region string) (urls []string) {
	for _, edge := range l.of("edge", region) {
		urls = append(urls, fmt.Sprintf("http://%s:8080/nearest?role=origin&format=text", l.nodes[edge].Address))
	}
	return urls
}

// nearest asks from a region until one answers, and gives the best origin first.
func (l *lab) nearest(ctx context.Context, region string, urls []string) ([]string, error) {
	var last error
	for _, url := range urls {
		out, err := l.in(ctx, region, "curl", "-sf", "-m", "5", url).Output()
		if err == nil {
			return strings.Fields(string(out)), nil
		}
		last = fmt.Errorf("%s: %w", url, err)
	}
	return nil, last
}

// plays holds an edge to serve a stream by every protocol to a client of its region.
func (l *lab) plays(edge, stream string) error {
	at := l.nodes[edge]
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i, url := range []string{
		"rtmp://" + at.Address + ":1935/live/" + stream,
		"http://" + at.Address + ":8080/live/" + stream + ".flv",
		"http://" + at.Address + ":8080/live/" + stream + ".m3u8",
	} {
		wg.Go(func() {
			play := l.bench
			if strings.HasSuffix(url, ".m3u8") {
				play = l.probe
			}
			errs[i] = l.eventually(func() error { return play(at.Region, url) })
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// eventually tries something again until it works.
func (l *lab) eventually(f func() error) error {
	end := time.Now().Add(patience)
	for {
		err := f()
		if err == nil || time.Now().After(end) {
			return err
		}
		select {
		case <-l.t.Context().Done():
			return err
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// bench watches a stream and looks at every packet.
func (l *lab) bench(region, url string) error {
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	out, err := l.in(ctx, region, l.vars["bench"], "play", "-url", url, "-viewers", "1", "-verify", "1",
		"-warmup", "500ms", "-duration", "2s", "-o", "json").Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", url, err, out)
	}
	var r struct {
		Lost    int
		Frames  int64 `json:"verified_frames"`
		Gaps    int64
		Damaged int64
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return fmt.Errorf("%s: %w: %s", url, err, out)
	}
	if r.Lost > 0 || r.Frames < 10 || r.Gaps > 0 || r.Damaged > 0 {
		return fmt.Errorf("%s: %+v", url, r) //nolint:err113 // for the test's log
	}
	return nil
}

// probe reads a playlist and its segments as a player would.
func (l *lab) probe(region, url string) error {
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	out, err := l.in(ctx, region, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", url).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "h264") || !strings.Contains(string(out), "aac") {
		return fmt.Errorf("%s: %w: %s", url, errors.Join(err, errNoPicture), out)
	}
	return nil
}

var errNoPicture = errors.New("want h264 and aac")

// TestLocal brings up 3 origins and 4 edges in two regions, streams in each, plays each
// stream at each edge by all protocols, and destroys it all.
//
// Requirement: C7.
func TestLocal(t *testing.T) {
	l, ok := newLab(t)
	if !ok {
		return
	}
	l.checkStreaming()
	if changes := l.planned(""); len(changes) > 0 {
		t.Errorf("a second plan wants %v: want nothing", changes)
	}
}

// checkStreaming publishes at the nearest origin of each region and plays everywhere.
func (l *lab) checkStreaming() {
	l.t.Helper()
	if o, e := len(l.of("origin", "")), len(l.of("edge", "")); o != 3 || e != 4 {
		l.t.Fatalf("%d origins and %d edges: want 3 and 4", o, e)
	}
	for _, region := range []string{"eu", "us"} {
		err := l.eventually(func() error { // once gossip has told of all
			near, err := l.nearest(l.t.Context(), region, l.askAt(region))
			host := strings.TrimSuffix(strings.TrimPrefix(strings.Join(near[:min(1, len(near))], ""), "rtmp://"), ":1935")
			if err != nil || slices.ContainsFunc(l.of("origin", region), func(o string) bool { return l.nodes[o].Address == host }) {
				return err
			}
			return fmt.Errorf("it is %q: want one of %q", near, l.of("origin", region)) //nolint:err113 // for the test's log
		})
		if err != nil {
			l.t.Errorf("the nearest origin in %s: %v", region, err)
		}
		l.publish(region, region)
	}
	var wg sync.WaitGroup
	for _, edge := range l.of("edge", "") {
		for _, stream := range []string{"eu", "us"} {
			wg.Go(func() {
				if err := l.plays(edge, stream); err != nil {
					l.t.Errorf("%s of %s: %v", stream, edge, err)
				}
			})
		}
	}
	wg.Wait()
}
