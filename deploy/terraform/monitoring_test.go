package terraform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// The node that is scraped, and who scrapes it, at loopback addresses of their own.
const (
	watchedNode = "127.78.0.1"
	watchedPort = "18090"
	watcher     = "127.78.0.9:19090"
)

const monitoringRoot = `
module "plan" {
  source  = "../modules/plan"
  cluster = "live"
  regions = { for i, k in ["eu", "us"] : k => {
    provider = "local", cidr = "10.${i + 1}.0.0/16", zones = ["a", "b"], origins = 3, edges = 40
  } }
}
module "scraped" {
  source       = "../modules/monitoring"
  cluster_name = "live"
  nodes        = { for name, n in module.plan.nodes : name => n if name == "eu-o1" }
  addresses    = { eu-o1 = "` + watchedNode + `" }
  admin_port   = ` + watchedPort + `
}
module "whole" {
  source        = "../modules/monitoring"
  cluster_name  = "live"
  nodes         = module.plan.nodes
  autoscaled    = ["eu-central-1", "us-east-1"]
  alertmanagers = ["alerts.example.com:9093"]
  grafana       = { url = "https://example.com/grafana_1_amd64.deb", sha256 = sha256("") }
  secrets       = { method = "command", command = "fetch \"$TOKEN\" 'x'" }
}
output "hosts" { value = { scraped = module.scraped, whole = module.whole } }
`

// monitoringFiles puts what is below /etc/prometheus/tmms on a host into a folder.
func monitoringFiles(t *testing.T, h rendered) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for path, content := range h.Files {
		if name, ok := strings.CutPrefix(path, "/etc/prometheus/tmms/"); ok {
			write(t, dir, name, content)
		}
	}
	write(t, dir, "token", "a-token-that-may-only-read")
	return dir
}

// TestMonitoring holds what is rendered for a monitoring host to the programs that read it
// there, and lets Prometheus scrape a node by it.
func TestMonitoring(t *testing.T) {
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	tf.root(t, "monitoring", monitoringRoot, nil)
	var all map[string]rendered
	tf.outputs(t, "monitoring", "hosts", &all)
	for name, h := range all {
		command(t, "promtool", "check", "config", filepath.Join(monitoringFiles(t, h), "prometheus.yaml"))
		checkCloudInit(t, name, h)
		checkDropIns(t, h)
	}
	scraped := all["scraped"]
	beside(t, t.TempDir(), binary(t), "dev", "--rtmp", watchedNode+":0", "--http", watchedNode+":0", "--admin", watchedNode+":"+watchedPort)
	dir := monitoringFiles(t, scraped)
	raw := regexp.MustCompile(`(scrape_interval|scrape_timeout|evaluation_interval)"?: "?\w+"?`).ReplaceAllString(
		scraped.Files["/etc/prometheus/tmms/prometheus.yaml"], `$1": "1s"`)
	write(t, dir, "prometheus.yaml", raw)
	beside(t, dir, "prometheus", prometheusArgs(t, scraped, dir)...)
	comes(t, "the node to be scraped", func() bool {
		return answers(`up{job="tmms", cluster="live", region="eu", node="eu-o1", role="origin"} == 1`)
	})
	comes(t, "the rules to be at work", func() bool { return answers("tmms:viewers:sum") })
}

// beside runs a program until the test ends.
func beside(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &log, &log
	cmd.Env = environment()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it says that it was killed
		if t.Failed() {
			t.Logf("%s %q:\n%s", filepath.Base(name), args, log.Bytes())
		}
	})
}

// comes waits for as long as a machine with much else to do may take.
func comes(t *testing.T, what string, cond func() bool) {
	t.Helper()
	const patience = 90 * time.Second
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(patience); !cond(); <-ticker.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// prometheusArgs are those that the rendered unit starts Prometheus with, for other places.
func prometheusArgs(t *testing.T, h rendered, dir string) []string {
	t.Helper()
	unit := strings.ReplaceAll(h.Files["/etc/systemd/system/prometheus.service.d/10-tmms.conf"], "\\\n", " ")
	_, line, ok := strings.Cut(unit, "ExecStart=/usr/bin/prometheus ")
	if !ok {
		t.Fatalf("the unit starts something else:\n%s", unit)
	}
	line, _, _ = strings.Cut(line, "\n")
	return strings.Fields(strings.NewReplacer(
		"/etc/prometheus/tmms", dir, "/var/lib/prometheus/metrics2", filepath.Join(dir, "data"), "127.0.0.1:9090", watcher,
	).Replace(line))
}

// answers tells whether Prometheus has something to say to an expression.
func answers(expr string) bool {
	res, err := http.Get("http://" + watcher + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return false
	}
	defer res.Body.Close()
	var answer struct{ Data struct{ Result []any } }
	return json.NewDecoder(res.Body).Decode(&answer) == nil && len(answer.Data.Result) > 0
}

// checkDropIns lets systemd read what is added to the services' units, with a unit below
// it that stands for the package's.
func checkDropIns(t *testing.T, h rendered) {
	t.Helper()
	const below = "/etc/systemd/system/"
	dir := t.TempDir()
	for path, content := range h.Files {
		name, ok := strings.CutPrefix(path, below)
		if !ok {
			continue
		}
		write(t, dir, name, strings.ReplaceAll(content, "/usr/bin/prometheus", "/bin/true"))
		unit := write(t, dir, strings.TrimSuffix(filepath.Dir(name), ".d"), "[Unit]\nDescription=a\n[Service]\nExecStart=/bin/false\n")
		if out := command(t, "systemd-analyze", "verify", "--man=no", unit); strings.Contains(out, dir) {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// TestMonitoringFindsEdges has Prometheus ask an emulated EC2 for autoscaled edges, by the
// tags that modules/aws-region gives them.
func TestMonitoringFindsEdges(t *testing.T) {
	if !*full {
		return
	}
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	moto, ok := tool(t, "moto_server")
	if !ok {
		return
	}
	const endpoint = "127.78.0.2:15000"
	beside(t, t.TempDir(), moto, "-H", "127.78.0.2", "-p", "15000")
	comes(t, "moto", func() bool {
		res, err := http.Get("http://" + endpoint + "/moto-api/")
		return err == nil && res.Body.Close() == nil
	})
	for _, tags := range []map[string]string{
		{"Name": "live-eu-edges", "tmms:cluster": "live", "tmms:region": "eu"},
		{"Name": "live-eu-o1", "tmms:cluster": "live", "tmms:region": "eu"},
		{"Name": "other-eu-edges", "tmms:cluster": "other", "tmms:region": "eu"},
	} {
		runInstance(t, endpoint, tags)
	}
	tf.root(t, "monitoring", monitoringRoot, nil)
	var all map[string]rendered
	tf.outputs(t, "monitoring", "hosts", &all)
	dir := monitoringFiles(t, all["whole"])
	var config map[string]any
	if err := yaml.Unmarshal([]byte(all["whole"].Files["/etc/prometheus/tmms/prometheus.yaml"]), &config); err != nil {
		t.Fatal(err)
	}
	job := config["scrape_configs"].([]any)[0].(map[string]any)
	delete(job, "file_sd_configs")
	for _, c := range job["ec2_sd_configs"].([]any) {
		ec2 := c.(map[string]any)
		ec2["endpoint"], ec2["access_key"], ec2["secret_key"] = "http://"+endpoint, "a", "b"
	}
	raw, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "promtool", "check", "service-discovery", "--timeout=20s",
		write(t, dir, "prometheus.yaml", string(raw)), "tmms").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var found []struct {
		Labels map[string]string `json:"labels"`
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(found) != 1 {
		t.Fatalf("found %d instances, want the edge alone:\n%s", len(found), out)
	}
	got := found[0].Labels
	if got["cluster"] != "live" || got["region"] != "eu" || got["role"] != "edge" || !strings.HasPrefix(got["node"], "ip-") ||
		!strings.HasSuffix(got["__address__"], ":8090") && !strings.HasSuffix(got["instance"], ":8090") {
		t.Errorf("the edge is %v", got)
	}
}

// runInstance starts an instance with tags on the emulated EC2 of eu-central-1.
func runInstance(t *testing.T, endpoint string, tags map[string]string) {
	t.Helper()
	form := url.Values{
		"Action": {"RunInstances"}, "Version": {"2016-11-15"}, "ImageId": {"ami-12345678"}, "MinCount": {"1"}, "MaxCount": {"1"},
		"TagSpecification.1.ResourceType": {"instance"},
	}
	i := 0
	for k, v := range tags {
		i++
		form.Set(fmt.Sprintf("TagSpecification.1.Tag.%d.Key", i), k)
		form.Set(fmt.Sprintf("TagSpecification.1.Tag.%d.Value", i), v)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/20260101/eu-central-1/ec2/aws4_request, SignedHeaders=host, Signature=c")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("RunInstances: %s", res.Status)
	}
}
