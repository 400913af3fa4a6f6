package terraform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tmms/bench/shape"
)

// cloudURL is what every host has of its cloud here: the instance's metadata as AWS has
// them at this address, and beside them the release and the way to the API.
const cloudURL = "http://169.254.169.254"

// rehearsal is the cluster that user data describes, its hosts network namespaces.
type rehearsal struct {
	*lab
	aws   *awsExample
	hosts map[string]*awsHost
}

// awsHost is an instance, as far as a namespace can be one.
type awsHost struct {
	t       *testing.T
	name    string // of the node
	address string
	zone    string
	root    string // the folder that its files are below
	config  cloudConfig
	binary  string // of the release
	api     string // of AWS
	mu      sync.Mutex
	// Guarded by mu.
	state string     // what the autoscaling group wants of it
	ended url.Values // how it said that it may be ended
	alive bool       // whether the node ran then
}

// rehearse starts the nodes as user data says, streams through them over both regions,
// and lets an autoscaled edge come and go.
func (a *awsExample) rehearse(t *testing.T) {
	t.Helper()
	t.Setenv("TMMS_TOKEN", awsToken)
	r := a.newRehearsal(t)
	all := a.userData(t)
	var wg sync.WaitGroup
	for name, node := range a.nodes {
		r.place(name, node.labNode, node.Private, all[name])
		h := r.hosts[name]
		wg.Go(func() { h.boot(r.lab, name) })
	}
	wg.Wait()
	for name := range a.nodes {
		r.ready(name)
		r.checkSecrets(t, name)
	}
	domains := write(t, r.dir, "domains.yaml", "domains: [{name: default, aliases: ['*'], apps: [{name: live}]}]\n")
	if _, err := r.tmms("us-o1", "apply", "-f", domains); err != nil {
		t.Fatal(err)
	}
	for region, origin := range map[string]string{"us": "us-o1", "eu": "eu-o2"} {
		at := "rtmp://" + r.nodes[origin].Address + ":1935"
		r.publishAt(region, region, func(context.Context) ([]string, error) { return []string{at}, nil })
	}
	for edge, stream := range map[string]string{"eu-e1": "us", "us-e1": "eu"} {
		if err := r.plays(edge, stream); err != nil {
			t.Errorf("%s of the other region: %v", edge, err)
		}
	}
	r.scaled(all["scaled-eu"])
}

// newRehearsal makes the regions' networks, joined as the peering's routes say.
func (a *awsExample) newRehearsal(t *testing.T) *rehearsal {
	t.Helper()
	dir := t.TempDir()
	r := &rehearsal{aws: a, hosts: map[string]*awsHost{}, lab: &lab{
		t: t, cluster: fmt.Sprintf("w%d", os.Getpid()), dir: dir, nodes: map[string]labNode{},
		vars: map[string]string{"tmms": binary(t), "bench": filepath.Join(dir, "tmms-bench")},
	}}
	command(t, "go", "build", "-o", r.vars["bench"], "tmms/cmd/tmms-bench")
	command(t, "mkdir", "-p", filepath.Join(dir, "run"), filepath.Join(dir, "nodes"))
	r.sh("no-region", "region", "REGION=eu", "CIDR=10.1.0.0/16")
	r.sh("no-region", "region", "REGION=us", "CIDR=10.2.0.0/16")
	r.sh("no-link", "link", "A=eu", "CIDR_A=10.1.0.0/16", "B=us", "CIDR_B=10.2.0.0/16", "DEVICE=x"+r.cluster, "DELAY=40ms")
	return r
}

// sh runs a command of local/local.sh, and at the end of the test the one that undoes it.
func (r *rehearsal) sh(undo, do string, env ...string) {
	r.t.Helper()
	script := func(ctx context.Context, what string) error {
		cmd := exec.CommandContext(ctx, "bash", "local/local.sh", what)
		cmd.Env = append(append(os.Environ(), env...), "CLUSTER="+r.cluster, "FOLDER="+r.dir, "TMMS="+r.vars["tmms"], "BENCH="+r.vars["bench"])
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("local.sh %s %q: %w\n%s", what, env, err, out)
		}
		return nil
	}
	r.t.Cleanup(func() {
		if err := script(context.Background(), undo); err != nil {
			r.t.Error(err)
		}
	})
	if err := script(r.t.Context(), do); err != nil {
		r.t.Fatal(err)
	}
}

// place gives an instance its network, its cloud and the files of its user data.
func (r *rehearsal) place(name string, node labNode, address, userData string) {
	r.t.Helper()
	node.Address = address
	r.nodes[name] = node
	cidr := map[string]string{"eu": "10.1.0.0/16", "us": "10.2.0.0/16"}[node.Region]
	r.sh("no-node", "node", "NODE="+name, "REGION="+node.Region, "ADDRESS="+address, "CIDR="+cidr, fmt.Sprintf("DEVICE=n%d%s", len(r.hosts), r.cluster))
	h := &awsHost{
		t: r.t, name: name, address: address, zone: node.Zone, root: filepath.Join(r.dir, "nodes", name),
		config: parsed(r.t, userData), binary: r.vars["tmms"], api: r.aws.api.url, state: "InService",
	}
	r.hosts[name] = h
	r.t.Cleanup((&machine{dir: h.root}).kill)
	h.serve(r.cluster + "-" + name)
	for _, f := range h.config.Files {
		path := write(r.t, h.root, f.Path, h.below(f.Path, f.Content))
		if f.Permissions == "0755" {
			command(r.t, "chmod", "0755", path)
		}
	}
	stand := write(r.t, h.root, "bin/systemctl", strings.ReplaceAll(systemctl, "ROOT", h.root))
	command(r.t, "chmod", "0755", stand)
}

// systemctl is what an instance's scripts may ask of its init system here.
const systemctl = `#!/usr/bin/env bash
set -eu
case $* in
"enable --now "*)
    line=$(sed -n 's/^ExecStart=//p' "ROOT/etc/systemd/system/$3.service")
    setsid $line >"ROOT/run/$3.log" 2>&1 </dev/null &
    echo $! >"ROOT/run/$3.pid"
    ;;
"stop tmms")
    pid=$(cat ROOT/run/tmms.pid)
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    ;;
*) echo "systemctl $*: not here" >&2; exit 1 ;;
esac
`

// below is a file's content for a host that is a folder and has no init system; the
// install script is told so by its own settings.
func (h *awsHost) below(path, content string) string {
	if filepath.Base(path) != "install.sh" {
		return strings.NewReplacer("/etc/tmms", h.root+"/etc/tmms", "/var/lib/tmms", h.root+"/var/lib/tmms", "/usr/local/lib/tmms", h.root+"/usr/local/lib/tmms").Replace(content)
	}
	lines := strings.Split(content, "\n")
	told := 0
	for i, line := range lines {
		for setting, value := range map[string]string{"INIT": "none", "ROOT": h.root, "DISK": ""} {
			if strings.HasPrefix(line, setting+"='") {
				lines[i] = setting + "='" + value + "'"
				told++
			}
		}
	}
	if told != 3 {
		h.t.Fatalf("%s: the install script has %d of its settings INIT, ROOT and DISK", h.name, told)
	}
	return strings.Join(lines, "\n")
}

// serve answers as the cloud does in the host's network, until the test ends.
func (h *awsHost) serve(namespace string) {
	h.t.Helper()
	command(h.t, "ip", "-n", namespace, "addr", "replace", "169.254.169.254/32", "dev", "lo")
	space, err := shape.OpenNamespace(h.t.Context(), namespace)
	if err != nil {
		h.t.Fatal(err)
	}
	var l net.Listener
	err = space.Do(func() (err error) {
		l, err = (&net.ListenConfig{}).Listen(h.t.Context(), "tcp", "169.254.169.254:80")
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	api, err := url.Parse(h.api)
	if err != nil {
		h.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /tmms", func(w http.ResponseWriter, q *http.Request) { http.ServeFile(w, q, h.binary) })
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "session") })
	mux.HandleFunc("GET /latest/meta-data/", h.metadata)
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(api) }}
	mux.HandleFunc("POST /", func(w http.ResponseWriter, q *http.Request) {
		if strings.Contains(q.Header.Get("Authorization"), "/autoscaling/") { // the emulator has no such action
			h.complete(w, q)
			return
		}
		proxy.ServeHTTP(w, q)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: patience}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			h.t.Errorf("%s: its cloud: %v", h.name, err)
		}
	}()
	h.t.Cleanup(func() { closing(server); <-done })
}

// metadata are the instance's.
func (h *awsHost) metadata(w http.ResponseWriter, q *http.Request) {
	h.mu.Lock()
	state := h.state
	h.mu.Unlock()
	answer, ok := map[string]string{
		"local-ipv4": h.address, "placement/availability-zone": h.zone,
		"instance-id": "i-" + h.name, "autoscaling/target-lifecycle-state": state,
	}[strings.TrimPrefix(q.URL.Path, "/latest/meta-data/")]
	switch {
	case q.Header.Get("X-Aws-Ec2-Metadata-Token") != "session":
		w.WriteHeader(http.StatusUnauthorized)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	default:
		fmt.Fprint(w, answer)
	}
}

// complete notes that the instance may be ended, and whether its node had been.
func (h *awsHost) complete(w http.ResponseWriter, q *http.Request) {
	if err := q.ParseForm(); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	pid, err := (&machine{dir: h.root}).process()
	alive := err != nil || syscall.Kill(pid, 0) == nil
	h.mu.Lock()
	h.ended, h.alive = q.Form, alive
	h.mu.Unlock()
	fmt.Fprint(w, `<CompleteLifecycleActionResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><CompleteLifecycleActionResult/></CompleteLifecycleActionResponse>`)
}

// boot does what cloud-init does with the commands of user data. What systemd gives the
// node from instance.env the shell gives it here.
func (h *awsHost) boot(l *lab, hostname string) {
	env := append(h.envOf(), "HOST="+hostname, "ETC="+h.root+"/etc/tmms", "PKI="+h.root+"/etc/tmms/pki", "LIB="+h.root+"/usr/local/lib/tmms")
	for _, argv := range h.config.Run {
		script := `hostname "$HOST"; mkdir -p "$PKI"; if [ -e "$LIB/instance-env" ]; then [ -e "$ETC/instance.env" ] || bash -e "$LIB/fetch-secrets"; set -a; . "$ETC/instance.env"; fi; exec "$@"`
		argv = append([]string{"unshare", "--uts", "--", "bash", "-ec", script, "-"}, argv...)
		for i, arg := range argv {
			argv[i] = strings.Replace(arg, "/usr/local/lib/tmms", h.root+"/usr/local/lib/tmms", 1)
		}
		ctx, cancel := context.WithTimeout(h.t.Context(), 5*time.Minute)
		cmd := l.in(ctx, h.name, argv...)
		cmd.Env = append(os.Environ(), env...)
		out, err := os.Create(filepath.Join(h.root, "boot.log"))
		if err != nil {
			h.t.Error(err)
		}
		cmd.Stdout, cmd.Stderr = out, out
		err = cmd.Run()
		cancel()
		closing(out)
		if err != nil {
			said, _ := os.ReadFile(out.Name())
			h.t.Errorf("%s: %q: %v\n%s", h.name, argv, err, said)
		}
	}
}

// endWatch ends the watch on the group's wish, as systemd would, if it still runs.
func (h *awsHost) endWatch() {
	raw, _ := os.ReadFile(filepath.Join(h.root, "run/tmms-drain-watch.pid"))
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return
	}
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && strings.Contains(string(line), h.root) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// envOf is what processes of the host have in their environment.
func (h *awsHost) envOf() []string {
	return append(clientEnv(cloudURL), "PATH="+h.root+"/bin:"+os.Getenv("PATH"))
}

// ready waits until a node is.
func (r *rehearsal) ready(name string) {
	r.t.Helper()
	err := r.eventually(func() error {
		out, err := r.in(r.t.Context(), name, "curl", "-s", "-m", "5", "-w", "%{http_code}", "http://127.0.0.1:8090/readyz").Output()
		if err == nil && !strings.HasSuffix(string(out), "200") {
			err = fmt.Errorf("%s", out) //nolint:err113 // for the test's log
		}
		return err
	})
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(r.hosts[name].root, "run/tmms.log"))
		r.t.Fatalf("%s is not ready: %v\n%s", name, err, log)
	}
}

// checkSecrets holds what a host has fetched to what the operator has pushed.
func (r *rehearsal) checkSecrets(t *testing.T, name string) {
	t.Helper()
	etc := filepath.Join(r.hosts[name].root, "etc/tmms")
	files := map[string]string{"pki/ca.crt": "ca.crt", "pki/gossip.key": "gossip.key", "pki/node.crt": name + ".crt", "pki/node.key": name + ".key", "tokens.yaml": "tokens.yaml"}
	if r.nodes[name].Kind == "origin" {
		files["pki/issuer.key"] = "issuer.key"
	}
	for got, want := range files {
		path := filepath.Join(etc, got)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %s: %v, %v: want it for its owner alone", name, got, info, err)
		} else if a, b := text(t, path), text(t, filepath.Join(r.aws.pki, want)); a != b {
			t.Errorf("%s: %s has %d bytes on the host, %s has %d", name, got, len(a), want, len(b))
		}
	}
	if kept, err := filepath.Glob(filepath.Join(etc, "pki/*")); err != nil || len(kept) != len(files)-1 {
		t.Errorf("%s has %q, %v: want nothing but %v", name, kept, err, files)
	}
}

// scaled lets an autoscaled edge come by its token, play, and be ended by its group.
func (r *rehearsal) scaled(userData string) {
	t := r.t
	t.Helper()
	token, err := r.tmms("eu-o1", "token", "join", "--roles", "edge", "--region", "eu", "--ttl", "1h")
	if err != nil {
		t.Fatal(err)
	}
	r.aws.push(t, "--join", "live", "eu:eu-central-1", write(t, r.dir, "token", token))
	i := r.aws.instances(t, "eu-central-1")[""]
	name := "ip-" + strings.ReplaceAll(i.text("privateIpAddress"), ".", "-")
	node := labNode{Region: "eu", Zone: i.text("placement>availabilityZone"), Kind: "edge"}
	r.place(name, node, i.text("privateIpAddress"), userData)
	h := r.hosts[name]
	t.Cleanup(h.endWatch)
	h.boot(r.lab, name+".eu-central-1.compute.internal")
	r.ready(name)
	if err = r.plays(name, "us"); err != nil {
		t.Errorf("an autoscaled edge: %v", err)
	}
	if got := r.members()[name]; got != "alive in "+node.Zone {
		t.Errorf("%s is %q: want it alive in %s", name, got, node.Zone)
	}
	viewer := r.view("flv", name, "eu")
	h.mu.Lock()
	h.state = "Terminated"
	h.mu.Unlock()
	err = r.eventually(func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.ended == nil {
			return errNotEnded
		}
		if h.alive || h.ended.Get("Action") != "CompleteLifecycleAction" || h.ended.Get("LifecycleActionResult") != "CONTINUE" ||
			h.ended.Get("AutoScalingGroupName") != "live-eu-edges" || h.ended.Get("LifecycleHookName") != "drain" || h.ended.Get("InstanceId") != "i-"+name {
			t.Errorf("the group was told %v; the node still ran: %v", h.ended, h.alive)
		}
		return nil
	})
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(h.root, "run/tmms-drain-watch.log"))
		t.Fatalf("%v\n%s", err, log)
	}
	if got := r.members()[name]; got != "" && got != "left" { // a node that is killed is dead
		t.Errorf("%s is %s: want it to have left the others", name, got)
	}
	if connections, _ := viewer.since(); connections != 1 {
		t.Errorf("the viewer has had %d connections, want the one until the drain", connections)
	}
}

var errNotEnded = errors.New("the edge has not ended")

// members gives the nodes' states by name, and the zones of those that live.
func (r *rehearsal) members() map[string]string {
	out, err := r.tmms("eu-o1", "get", "nodes", "-o", "json")
	var answer struct {
		Nodes []struct{ Name, Zone, State string }
	}
	if err == nil {
		err = json.Unmarshal([]byte(out), &answer)
	}
	if err != nil {
		r.t.Fatalf("%v: %s", err, out)
	}
	members := map[string]string{}
	for _, n := range answer.Nodes {
		members[n.Name] = n.State
		if n.State == "alive" {
			members[n.Name] += " in " + n.Zone
		}
	}
	return members
}
