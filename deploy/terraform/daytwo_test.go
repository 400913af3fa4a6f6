package terraform

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestDayTwo does to a cluster that is streaming what docs/operations.md has under
// "Deployed with Terraform". A viewer plays on meanwhile.
//
// Requirement: C7.
func TestDayTwo(t *testing.T) {
	if !*full {
		return
	}
	l, ok := newLab(t)
	if !ok {
		return
	}
	l.publish("us", "cam")
	w := l.view("eu-e1", "cam")
	for _, step := range []struct {
		name string
		do   func(*lab, *watch) error
	}{
		{"kill an origin", (*lab).killOrigin},
		{"rotate the gossip's key", (*lab).rotateGossip},
		{"scale up", (*lab).scaleUp},
		{"scale down", (*lab).scaleDown},
		{"add a region", (*lab).addRegion},
		{"replace a voter", (*lab).replaceVoter},
		{"rotate certificates", (*lab).rotateCertificates},
		{"restore a backup", (*lab).restoreBackup},
		{"upgrade", (*lab).upgrade},
	} {
		w.since()
		if err := step.do(l, w); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		w.goesOn(l, 100_000)
		_, _, longest := w.since()
		t.Logf("%s: the viewer was without a picture for %v at most", step.name, longest)
	}
}

// unbroken holds the viewer to the connection that it has while something is done.
func (w *watch) unbroken(do func() error) error {
	before, _, _ := w.since()
	err := do()
	if after, _, _ := w.since(); after != before {
		err = errors.Join(err, fmt.Errorf("the viewer has lost its connection %d times", after-before)) //nolint:err113 // for the test's log
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
	for _, name := range but {
		delete(before, name)
	}
	for name, pid := range before {
		if now[name] != pid {
			return fmt.Errorf("%s was process %d, is %d", name, pid, now[name]) //nolint:err113 // for the test's log
		}
	}
	return nil
}

// regions sets how many nodes the regions have, and adds ap with edges if there are any.
func (l *lab) regions(euEdges, apEdges int) {
	all := map[string]region{
		"eu": {CIDR: "10.81.0.0/16", Zones: []string{"a", "b"}, Origins: 2, Edges: euEdges},
		"us": {CIDR: "10.82.0.0/16", Zones: []string{"a", "b"}, Origins: 1, Edges: 2},
	}
	if apEdges > 0 {
		all["ap"] = region{CIDR: "10.83.0.0/16", Zones: []string{"a"}, Edges: apEdges}
	}
	raw, err := json.Marshal(all)
	if err != nil {
		l.t.Fatal(err)
	}
	l.vars["regions"] = string(raw)
	l.vars["pinned_voters"] = `["eu-o1","eu-o2","us-o1"]`
}

// upgrade gives all nodes another binary, one by one.
func (l *lab) upgrade(w *watch) error {
	raw, err := os.ReadFile(l.vars["tmms"])
	if err != nil {
		return err
	}
	next := write(l.t, l.dir, "next", string(raw)+"another release")
	if err = errors.Join(os.Chmod(next, 0o700), os.Rename(next, l.vars["tmms"])); err != nil { //nolint:gosec // a program
		return err
	}
	before, connections := l.pids(), w.connected()
	l.apply()
	want := sumOf(l.t, l.vars["tmms"])
	for name, pid := range l.pids() {
		exe := fmt.Sprintf("/proc/%d/exe", pid)
		if sum := sumOf(l.t, exe); sum != want || pid == before[name] {
			return fmt.Errorf("%s, process %d before and %d now, runs %s: want %s", name, before[name], pid, sum, want) //nolint:err113 // for the test's log
		}
	}
	w.goesOn(l, 100_000)
	// A drain sends the viewer to another edge, whose turn may come later.
	if lost, edges := w.connected()-connections, len(l.of("edge", "")); lost > edges {
		return fmt.Errorf("the viewer has lost its connection %d times: want one at most for each of %d edges", lost, edges) //nolint:err113 // for the test's log
	}
	return nil
}

func (w *watch) connected() int {
	n, _, _ := w.since()
	return n
}

// killOrigin kills the origin that the publisher is at, and starts it again.
func (l *lab) killOrigin(w *watch) error {
	before := l.pids()
	return w.unbroken(func() error {
		if err := syscall.Kill(before["us-o1"], syscall.SIGKILL); err != nil {
			return err
		}
		w.goesOn(l, 500_000)
		l.apply(`-replace=terraform_data.voter["us-o1"]`)
		return l.untouched(before, "us-o1")
	})
}

func (l *lab) rotateGossip(w *watch) error {
	return w.unbroken(func() error {
		_, err := l.tmms("eu-o1", "gossip", "rotate-key")
		return err
	})
}

// scaleUp adds an edge; it gets the gossip's key that the cluster has by now.
func (l *lab) scaleUp(w *watch) error {
	before := l.pids()
	l.regions(3, 0)
	if plan := l.planned("node"); !maps.Equal(plan, map[string]int{"create": 1}) {
		return fmt.Errorf("another edge is planned as %v", plan) //nolint:err113 // for the test's log
	}
	return w.unbroken(func() error {
		l.apply()
		return errors.Join(l.plays("eu-e3", "cam"), l.untouched(before))
	})
}

func (l *lab) scaleDown(w *watch) error {
	before := l.pids()
	l.regions(2, 0)
	if plan := l.planned("node"); !maps.Equal(plan, map[string]int{"delete": 1}) {
		return fmt.Errorf("an edge less is planned as %v", plan) //nolint:err113 // for the test's log
	}
	return w.unbroken(func() error {
		l.apply()
		if err := syscall.Kill(before["eu-e3"], 0); err == nil {
			return fmt.Errorf("eu-e3 goes on as process %d", before["eu-e3"]) //nolint:err113 // for the test's log
		}
		return l.untouched(before, "eu-e3")
	})
}

func (l *lab) addRegion(w *watch) error {
	before := l.pids()
	l.regions(2, 1)
	return w.unbroken(func() error {
		l.apply()
		return errors.Join(l.plays("ap-e1", "cam"), l.untouched(before))
	})
}

// replaceVoter takes the host and the disk of a voter away, and makes a new one.
func (l *lab) replaceVoter(w *watch) error {
	before, ids := l.pids(), l.voterIDs()
	return w.unbroken(func() error {
		l.apply(`-replace=terraform_data.node["eu-o2"]`)
		err := l.eventually(func() error {
			now := l.voterIDs()
			if len(now) != 3 || now["eu-o2"] == "" || now["eu-o2"] == ids["eu-o2"] {
				return fmt.Errorf("the raft group was %v, is %v", ids, now) //nolint:err113 // for the test's log
			}
			return nil
		})
		return errors.Join(err, l.untouched(before, "eu-o2"))
	})
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
func (l *lab) rotateCertificates(w *watch) error {
	before := l.pids()
	old := map[string]float64{}
	for name := range l.nodes {
		var err error
		if old[name], err = l.expires(name); err != nil {
			return err
		}
	}
	l.vars["certificates"] = "2"
	return w.unbroken(func() error {
		l.apply()
		for name := range l.nodes {
			err := l.eventually(func() error {
				now, err := l.expires(name)
				if err == nil && now <= old[name] {
					err = fmt.Errorf("the certificate of %s ended at %.0f, ends at %.0f", name, old[name], now) //nolint:err113 // for the test's log
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return l.untouched(before)
	})
}

// restoreBackup undoes a change of the config by a backup from before.
func (l *lab) restoreBackup(w *watch) error {
	backup := filepath.Join(l.dir, "backup")
	other := write(l.t, l.dir, "other.yaml", strings.Replace(labDomains, "{name: live}", "{name: live}, {name: other}", 1))
	return w.unbroken(func() error {
		for _, args := range [][]string{{"raft", "snapshot", backup}, {"apply", "-f", other}} {
			if _, err := l.tmms("eu-o1", args...); err != nil {
				return err
			}
		}
		if out, err := l.tmms("us-o1", "diff", "-f", l.vars["domains"]); err == nil {
			return fmt.Errorf("the change is not in force: %s", out) //nolint:err113 // for the test's log
		}
		if _, err := l.tmms("eu-o2", "raft", "restore", backup); err != nil {
			return err
		}
		_, err := l.tmms("us-o1", "diff", "-f", l.vars["domains"])
		return err
	})
}
