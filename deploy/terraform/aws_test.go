package terraform

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// awsExample is examples/aws-two-regions, applied to an emulator of the AWS API.
type awsExample struct {
	tf    *terraform
	api   *emulator
	dir   string // of the example in the copy
	pki   string // the operator's folder of certificates
	zone  string // of DNS
	nodes map[string]awsNode
}

// awsNode is one of the plan's nodes.
type awsNode struct {
	labNode
	Private string `json:"private_address"`
	Public  string `json:"public_address"`
}

// awsRegions are the regions' names at AWS.
var awsRegions = map[string]string{"eu": "eu-central-1", "us": "us-east-1"}

// awsToken is one of the admin API.
const awsToken = "a-long-random-word"

// TestAWS applies examples/aws-two-regions to an emulator of the AWS API with the genuine
// provider, reads back from the API what it has made, rehearses the life of the nodes so
// described, and destroys it all. Secrets go the way they go on AWS: from tmms cert by
// push-secrets.sh into the parameter store, and from there by the command in each node's
// user data.
//
// Requirement: C7.
func TestAWS(t *testing.T) {
	if !*full {
		return
	}
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	if _, ok = mirror(); !ok {
		leftOut(t, "the mirror of providers is missing: TMMS_TF_PLUGINS")
		return
	}
	api, ok := newEmulator(t)
	if !ok {
		return
	}
	a := &awsExample{tf: tf, api: api, dir: "examples/aws-two-regions"}
	tf.env = append(tf.env, clientEnv(api.url)...)
	a.zone = api.newZone(t)
	before := a.counts(t)
	a.apply(t)
	for _, check := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"instances", a.checkInstances},
		{"firewall", a.checkFirewall},
		{"peering", a.checkPeering},
		{"dns", a.checkDNS},
		{"autoscaling", a.checkScaling},
		{"tags", a.checkTags},
		{"user data", a.checkUserData},
		{"again", a.checkAgain},
		{"scale up", a.checkScaleUp},
	} {
		t.Run(check.name, check.do)
	}
	a.pushSecrets(t)
	t.Run("secrets", a.checkLeaks)
	t.Run("rehearsal", a.rehearse)
	tf.run(t, a.dir, "destroy", "-auto-approve", "-parallelism=30")
	if after := a.counts(t); !maps.Equal(before, after) {
		t.Errorf("after destroy there is %v, before apply there was %v", after, before)
	}
}

// newZone makes the DNS zone that the example expects to be there.
func (aws *emulator) newZone(t *testing.T) string {
	t.Helper()
	made := aws.ask(t, "route53", "us-east-1", "POST", "/2013-04-01/hostedzone",
		`<CreateHostedZoneRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Name>live.example.com</Name><CallerReference>test</CallerReference></CreateHostedZoneRequest>`)
	return filepath.Base(made.text("HostedZone>Id"))
}

// apply applies the example with an autoscaled edge and a load balancer in each region.
func (a *awsExample) apply(t *testing.T) {
	t.Helper()
	const image = "ami-03cf127a" // the emulator has it in each region
	values, err := json.Marshal(map[string]any{
		"domain": "live.example.com", "zone_id": a.zone,
		"binary":          map[string]string{"url": cloudURL + "/tmms", "sha256": sumOf(t, binary(t))},
		"amis":            map[string]string{"eu": image, "us": image},
		"operators_cidrs": []string{"192.0.2.0/24"},
		"autoscaled":      map[string]int{"min": 1, "max": 3},
		"load_balancer":   true,
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(a.tf.dir, a.dir), "test.auto.tfvars.json", string(values))
	a.tf.run(t, a.dir, "init")
	a.tf.run(t, a.dir, "apply", "-auto-approve", "-parallelism=30")
	if err := json.Unmarshal([]byte(a.tf.run(t, a.dir, "output", "-json", "nodes")), &a.nodes); err != nil {
		t.Fatal(err)
	}
}

// counts is what there is at the API, by region and kind.
func (a *awsExample) counts(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, region := range awsRegions {
		for what, n := range a.api.counts(t, region) {
			counts[region+" "+what] = n
		}
	}
	counts["health checks"] = len(a.healthChecks(t))
	counts["records"] = len(a.records(t))
	return counts
}

// lost is what the emulator does not give back as it was told: the changes that every
// plan wants because of it, by type and attribute.
var lost = map[string][]string{
	"aws_ec2_subnet_cidr_reservation": {"description", "id", "owner_id"},
	"aws_launch_template":             {"default_version", "latest_version", "tag_specifications"},
	"aws_autoscaling_group":           {"capacity_reservation_specification", "default_instance_warmup", "launch_template"},
	"aws_autoscaling_policy":          {"enabled", "predictive_scaling_configuration"},
}

// changes gives address to actions of what a plan would do, but for what is lost.
func (a *awsExample) changes(t *testing.T, args ...string) map[string]string {
	t.Helper()
	a.tf.run(t, a.dir, append([]string{"plan", "-out=test.tfplan"}, args...)...)
	var plan struct {
		Changes []struct {
			Address, Type string
			Change        struct {
				Actions       []string
				Before, After map[string]any
			}
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal([]byte(a.tf.run(t, a.dir, "show", "-json", "test.tfplan")), &plan); err != nil {
		t.Fatal(err)
	}
	changes := map[string]string{}
	for _, c := range plan.Changes {
		actions := strings.Join(c.Change.Actions, " ")
		changed := differing(c.Change.Before, c.Change.After)
		changed = slices.DeleteFunc(changed, func(name string) bool { return slices.Contains(lost[c.Type], name) })
		if actions == "no-op" || actions == "read" || len(changed) == 0 {
			continue
		}
		changes[c.Address] = actions
	}
	return changes
}

// differing names the attributes that differ, those that are not known any more too.
func differing(before, after map[string]any) (names []string) {
	for name := range before {
		if fmt.Sprint(before[name]) != fmt.Sprint(after[name]) {
			names = append(names, name)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

func (a *awsExample) checkAgain(t *testing.T) {
	t.Helper()
	if changes := a.changes(t); len(changes) > 0 {
		t.Errorf("a second plan wants %v: want nothing", changes)
	}
}

// checkScaleUp plans an edge more in a region: nothing but what is that edge's comes.
func (a *awsExample) checkScaleUp(t *testing.T) {
	t.Helper()
	changes := a.changes(t, "-var", "edges={eu=2,us=1}")
	for address, actions := range changes {
		if actions != "create" || !strings.Contains(address, "eu-e2") {
			t.Errorf("an edge more: %s of %s", actions, address)
		}
	}
	for _, want := range []string{
		`module.eu.aws_instance.node["eu-e2"]`, `module.eu.aws_eip.node["eu-e2"]`, `module.dns.aws_route53_record.node["eu-e2.live.example.com A"]`,
		`module.dns.aws_route53_record.pool["edge.eu.live.example.com AAAA eu-e2"]`, `module.eu.aws_lb_target_group_attachment.edge["eu-e2 8080"]`,
	} {
		if changes[want] != "create" {
			t.Errorf("an edge more: %s is not made, but %q", want, slices.Sorted(maps.Keys(changes)))
		}
	}
}

// pushSecrets makes the nodes' certificates and an issuer, and puts them into the
// parameter store.
func (a *awsExample) pushSecrets(t *testing.T) {
	t.Helper()
	tmms := binary(t)
	a.pki = filepath.Join(t.TempDir(), "pki")
	command(t, tmms, "cert", "init", "--dir", a.pki)
	command(t, tmms, "cert", "issuer", "--dir", a.pki)
	args := []string{"live", a.pki}
	for _, name := range slices.Sorted(maps.Keys(a.nodes)) {
		command(t, tmms, "cert", "node", name, "--roles", a.nodes[name].Kind, "--dir", a.pki)
		args = append(args, name+":"+awsRegions[a.nodes[name].Region])
	}
	write(t, a.pki, "tokens.yaml", "- {name: a, role: admin, token: "+awsToken+"}\n")
	a.push(t, args...)
}

// push runs push-secrets.sh as the operator does.
func (a *awsExample) push(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{"bin/push-secrets.sh"}, args...)...)
	cmd.Env = append(append(os.Environ(), clientEnv(a.api.url)...), "TOKENS="+filepath.Join(a.pki, "tokens.yaml"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("push-secrets.sh %q: %v\n%s", args, err, out)
	}
}

// checkLeaks looks for the bytes of private keys, of the gossip's key and of tokens in
// what terraform keeps, user data in it.
func (a *awsExample) checkLeaks(t *testing.T) {
	t.Helper()
	kept := map[string]string{"state": a.tf.run(t, a.dir, "state", "pull")}
	a.tf.run(t, a.dir, "plan", "-out=leaks.tfplan")
	kept["plan"] = a.tf.run(t, a.dir, "show", "-json", "leaks.tfplan")
	for name, data := range a.userData(t) {
		kept["user data of "+name] = data
	}
	keys, err := filepath.Glob(filepath.Join(a.pki, "*.key"))
	if err != nil || len(keys) != len(a.nodes)+3 {
		t.Fatalf("keys %v, %v: want those of the nodes, the CA's, the issuer's and the gossip's", keys, err)
	}
	secret := []string{"PRIVATE KEY", awsToken}
	for _, path := range keys {
		for line := range strings.Lines(text(t, path)) {
			if line = strings.TrimSpace(line); len(line) >= 16 && !strings.HasPrefix(line, "-----") {
				secret = append(secret, line)
			}
		}
	}
	for where, what := range kept {
		if len(what) < 10_000 {
			t.Fatalf("the %s has %d bytes: want the cluster in it", where, len(what))
		}
		for _, s := range secret {
			if strings.Contains(what, s) {
				t.Errorf("the %s has a key or a token in it: %s...", where, s[:8])
			}
		}
	}
}

// text is a file without its last line's end.
func text(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}
