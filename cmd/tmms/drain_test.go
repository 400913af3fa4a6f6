package main

import (
	"net/http"
	"os"
	"strings"
	"syscall"
)

// drained tells whether a node is listed as drained at another one.
func (f *fleet) drained(name, at string) bool {
	f.t.Helper()
	for line := range strings.Lines(f.tmms("get", "nodes", f.nodes[at].api())) {
		if strings.HasPrefix(line, name+" ") {
			return strings.Contains(line, "draining")
		}
	}
	f.t.Errorf("%s does not list %s", at, name)
	return false
}

// readyz is what a node says of its readiness; "" if it is ready or not there.
func (f *fleet) readyz(name string) string {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, "http://"+f.nodes[name].admin+"/readyz", http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	b := make([]byte, 512)
	n, _ := resp.Body.Read(b)
	if resp.StatusCode == http.StatusOK {
		return ""
	}
	return string(b[:n])
}

// leads is the node that leads, as another one knows it; "" if none does.
func (f *fleet) leads(at string) string {
	f.t.Helper()
	for line := range strings.Lines(f.tmms("raft", "status", f.nodes[at].api())) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == "leader" {
			return fields[0]
		}
	}
	return ""
}

// drainOwn empties e1 without saying its name: it is that of the node in whose
// environment the command runs, as a container's hook does. Without that it is told.
func (f *fleet) drainOwn() {
	f.t.Helper()
	args := []string{"drain", "--wait", "5s", f.nodes["o1"].api()}
	if r := runProgram(f.t, nil, args...); r.code != 2 || !strings.Contains(r.errOut, envNodeName) {
		f.t.Errorf("without a name it says %+v", r)
	}
	if r := runProgram(f.t, []string{envNodeName + "=e1"}, args...); r.code != 0 || r.out != "e1: is empty\n" {
		f.t.Errorf("of its own node it says %+v", r)
	}
	for _, name := range []string{"o1", "o2", "o3"} {
		if f.drained(name, "o1") {
			f.t.Errorf("%s is drained too", name)
		}
	}
}

// drain empties the leader and an edge; a node that is drained stays so.
func (f *fleet) drain() {
	f.refused("no node is called", "drain", "nobody", f.nodes["o1"].api())
	f.refused("role origin", "drain", "e1", f.nodes["e1"].api())

	leader := f.leads("e1")
	other := map[bool]string{true: "o1", false: "o2"}[leader != "o1"]
	if out := f.tmms("drain", leader, f.nodes[leader].api()); !strings.HasSuffix(out, leader+": is empty\n") {
		f.t.Errorf("of the leader it says %s", out)
	}
	waitFor(f.t, "another leader than "+leader, func() bool { l := f.leads(other); return l != "" && l != leader })
	if why := f.readyz(leader); !strings.Contains(why, "drained") {
		f.t.Errorf("%s says of its readiness %q", leader, why)
	}
	f.tmms("drain", leader, f.nodes[other].api()) // twice is as once
	f.tmms("drain", "--off", leader, f.nodes[other].api())
	f.ready(leader)

	f.drainOwn()
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		f.end("e1", sig)
		f.start("e1")
		waitFor(f.t, "e1 to be back, drained", func() bool { return strings.Contains(f.readyz("e1"), "drained") })
		if !f.drained("e1", "o3") {
			f.t.Errorf("after %v e1 is in service", sig)
		}
	}
	f.refused("role origin", "drain", "e1", "--off", f.nodes["e1"].api())
	own := []string{envNodeName + "=o3"} // the name that is said counts
	if r := runProgram(f.t, own, "drain", "e1", "--off", f.nodes["o2"].api()); r.code != 0 || r.out != "e1 is in service\n" {
		f.t.Errorf("it says %+v", r)
	}
	f.ready("e1")
	if f.drained("e1", "e1") {
		f.t.Error("e1 is drained after all")
	}
	f.alive("o1", "o2", "o3", "e1")
}
