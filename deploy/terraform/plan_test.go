package terraform

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// region is what modules/plan takes as one.
type region struct {
	Provider string          `json:"provider"`
	Zones    []string        `json:"zones"`
	CIDR     string          `json:"cidr,omitempty"`
	Origins  int             `json:"origins"`
	Edges    int             `json:"edges"`
	Hosts    map[string]host `json:"hosts,omitempty"`
}

type host struct {
	Address string `json:"address"`
	Zone    string `json:"zone,omitempty"`
}

type planCase struct {
	Regions map[string]region `json:"regions"`
	Voters  int               `json:"voters"`
	Pinned  []string          `json:"pinned_voters"`
}

// plannedNode is one of the output nodes.
type plannedNode struct {
	Name, Region, Zone, Kind, Address string
	Voter                             bool
}

type planned struct {
	Nodes      map[string]plannedNode
	VoterNames []string `json:"voter_names"`
	Voters     []string
	Join       []string
	Survives   struct{ Zone, Region bool }
}

const planRoot = `
locals { cases = jsondecode(file("${path.module}/cases.json")) }
module "plan" {
  for_each      = local.cases
  source        = "../modules/plan"
  cluster       = "live"
  regions       = each.value.regions
  voters        = each.value.voters
  pinned_voters = coalesce(each.value.pinned_voters, [])
}
output "plans" {
  value = { for name, p in module.plan : name => {
    nodes = p.nodes, voter_names = p.voter_names, voters = p.voters, join = p.join, survives = p.survives
  } }
}
`

// plans runs modules/plan over many cases in one apply.
func plans(t *testing.T, tf *terraform, name string, cases map[string]planCase) (all map[string]planned) {
	t.Helper()
	tf.root(t, name, planRoot, map[string]any{"cases.json": cases})
	tf.outputs(t, name, "plans", &all)
	if len(all) != len(cases) {
		t.Fatalf("%d plans of %d", len(all), len(cases))
	}
	return all
}

// anyRegion draws a region; n keeps networks and hosts apart.
func anyRegion(rng *rand.Rand, name string, n int) region {
	r := region{Provider: "local", Origins: rng.IntN(5), Edges: rng.IntN(6)}
	for i := range 1 + rng.IntN(4) {
		r.Zones = append(r.Zones, string(rune('a'+i)))
	}
	if rng.IntN(3) > 0 {
		r.CIDR = fmt.Sprintf("10.%d.0.0/%d", n, 16+rng.IntN(9))
		return r
	}
	r.Provider, r.Hosts = "ssh", map[string]host{}
	for i := range r.Origins + r.Edges {
		node := fmt.Sprintf("%s-o%d", name, i+1)
		if i >= r.Origins {
			node = fmt.Sprintf("%s-e%d", name, i+1-r.Origins)
		}
		r.Hosts[node] = host{fmt.Sprintf("203.0.%d.%d", n, i+1), r.Zones[rng.IntN(len(r.Zones))]}
	}
	return r
}

func origins(c planCase) (n int) {
	for _, r := range c.Regions {
		n += r.Origins
	}
	return n
}

// anyPlan draws a plan with enough origins for its voters.
func anyPlan(rng *rand.Rand) planCase {
	for {
		c := planCase{Regions: map[string]region{}, Voters: []int{1, 3, 3, 5}[rng.IntN(4)]}
		for i := range 1 + rng.IntN(4) {
			name := fmt.Sprintf("r%d", rng.IntN(10)*10+i)
			c.Regions[name] = anyRegion(rng, name, i+1)
		}
		if origins(c) >= c.Voters {
			return c
		}
	}
}

// grown is c with another node, edge or region, and the voters pinned.
func grown(rng *rand.Rand, c planCase, voters []string) planCase {
	next := planCase{Regions: maps.Clone(c.Regions), Voters: c.Voters, Pinned: voters}
	name := slices.Sorted(maps.Keys(c.Regions))[rng.IntN(len(c.Regions))]
	r := c.Regions[name]
	if r.Provider == "ssh" {
		r.Hosts = maps.Clone(r.Hosts)
	}
	added := host{"203.0.200.1", r.Zones[0]}
	switch {
	case rng.IntN(3) == 0 || r.CIDR != "" && r.Origins+r.Edges >= 12:
		other := []string{"a0", "r55x", "z0"}[rng.IntN(3)]
		next.Regions[other] = anyRegion(rng, other, 100)
	case rng.IntN(2) == 0:
		r.Origins++
		if r.Provider == "ssh" {
			r.Hosts[fmt.Sprintf("%s-o%d", name, r.Origins)] = added
		}
		next.Regions[name] = r
	default:
		r.Edges++
		if r.Provider == "ssh" {
			r.Hosts[fmt.Sprintf("%s-e%d", name, r.Edges)] = added
		}
		next.Regions[name] = r
	}
	return next
}

// best counts how many voters a plan could have with share at most in each group.
func best(p planned, share int, group func(plannedNode) string) (n int) {
	of := map[string]int{}
	for _, node := range p.Nodes {
		if node.Kind == "origin" {
			of[group(node)]++
		}
	}
	for _, count := range of {
		n += min(count, share)
	}
	return n
}

// TestPlans draws plans and lets each grow by one: what every plan must keep.
//
// Requirement: C7.
func TestPlans(t *testing.T) {
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	rng := rand.New(rand.NewPCG(8, 8))
	before := map[string]planCase{}
	for i := range 40 {
		before[fmt.Sprintf("c%03d", i)] = anyPlan(rng)
	}
	old := plans(t, tf, "before", before)
	after := map[string]planCase{}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		after[name] = grown(rng, before[name], old[name].VoterNames)
	}
	now := plans(t, tf, "after", after)
	for name := range before {
		raw, err := json.Marshal(after[name])
		if err != nil {
			t.Fatal(err)
		}
		checkPlan(t, string(raw), before[name], old[name])
		checkGrowth(t, string(raw), old[name], now[name])
	}
}

// checkPlan holds a plan to what is promised of it alone.
func checkPlan(t *testing.T, where string, c planCase, p planned) {
	t.Helper()
	addresses := map[string]string{}
	for name, n := range p.Nodes {
		if other, taken := addresses[n.Address]; taken {
			t.Errorf("%s: %s and %s have the address %s", where, name, other, n.Address)
		}
		addresses[n.Address] = name
		if n.Voter != slices.Contains(p.VoterNames, name) || n.Voter && n.Kind != "origin" {
			t.Errorf("%s: %s, %s, voter %v, of %q", where, name, n.Kind, n.Voter, p.VoterNames)
		}
	}
	if len(p.VoterNames) != c.Voters || len(p.Voters) != c.Voters || len(p.Join) != c.Voters {
		t.Errorf("%s: %d voters: %q %q %q", where, c.Voters, p.VoterNames, p.Voters, p.Join)
	}
	share := (c.Voters - 1) / 2
	zones := best(p, share, func(n plannedNode) string { return n.Region + "/" + n.Zone }) >= c.Voters
	regions := best(p, share, func(n plannedNode) string { return n.Region }) >= c.Voters
	if p.Survives.Zone != zones || p.Survives.Region != regions {
		t.Errorf("%s: voters %q survive zone %v, region %v; it can be %v, %v",
			where, p.VoterNames, p.Survives.Zone, p.Survives.Region, zones, regions)
	}
}

// checkGrowth holds a plan that has grown to the one before: nothing that ran has moved.
func checkGrowth(t *testing.T, where string, old, now planned) {
	t.Helper()
	for name, n := range old.Nodes {
		if now.Nodes[name] != n {
			t.Errorf("%s: %s was %+v, is %+v", where, name, n, now.Nodes[name])
		}
	}
	if len(now.Nodes) < len(old.Nodes) {
		t.Errorf("%s: %d nodes became %d", where, len(old.Nodes), len(now.Nodes))
	}
	if !reflect.DeepEqual(old.Voters, now.Voters) || !reflect.DeepEqual(old.Join, now.Join) {
		t.Errorf("%s: voters %q, join %q became %q, %q", where, old.Voters, old.Join, now.Voters, now.Join)
	}
}

// TestPlanFaults holds each message of a faulty plan to its value and its rule.
func TestPlanFaults(t *testing.T) {
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	const good = `{ provider = "local", cidr = "10.1.0.0/16", origins = 3 }`
	cases := []struct{ args, want string }{
		{`cluster = "Live", regions = { eu = ` + good + ` }`, `cluster "Live": want 1 to 20`},
		{`domain = "live.example.com.", regions = { eu = ` + good + ` }`, `domain "live.example.com.": want a name`},
		{`regions = {}`, `0 regions: want 1 to 32`},
		{`regions = { Eu = ` + good + ` }`, `regions ["Eu"]: want 1 to 31`},
		{`regions = { eu = { provider = "gcp", cidr = "10.1.0.0/16", origins = 3 } }`, `provider {"eu":"gcp"}: want aws`},
		{`regions = { eu = { provider = "local", cidr = "10.1.0.0/16", origins = 21 } }`, `origins {"eu":21}: want a whole number from 0 to 20`},
		{`regions = { eu = { provider = "local", cidr = "10.1.0.0/16", origins = 3, edges = 2.5 } }`, `edges {"eu":2.5}: want a whole number from 0 to 200`},
		{
			`regions = { eu = { provider = "local", cidr = "10.1.0.0/16", origins = 3, autoscaled = { min = 3, max = 2 } } }`,
			`autoscaled {"eu":{"max":2,"min":3}}: want whole numbers, 0 <= min <= max <= 200`,
		},
		{`regions = { eu = { provider = "local", cidr = "10.1.0.0/16", origins = 3, zones = ["a", "a"] } }`, `zones {"eu":["a","a"]}: want 1 to 8`},
		{`regions = { eu = { provider = "local", cidr = "10.1.0.1/16", origins = 3 } }`, `cidr {"eu":"10.1.0.1/16"}: want an IPv4 network of /16 to /24`},
		{`regions = { eu = { provider = "local", origins = 3 } }`, `cidr {"eu":null}: want an IPv4 network`},
		{
			`regions = { eu = ` + good + `, us = { provider = "aws", cidr = "10.1.64.0/20" } }`,
			`cidr ["10.1.0.0/16 and 10.1.64.0/20"]: want networks apart`,
		},
		{
			`regions = { eu = { provider = "local", cidr = "10.1.0.0/24", origins = 3, edges = 10 } }`,
			`cidr {"eu":"10.1.0.0/24 has room for 12 nodes, not 13"}: want a wider network`,
		},
		{
			`voters = 1, regions = { eu = { provider = "ssh", origins = 2, edges = 1, hosts = { eu-o2 = { address = "192.0.2.1" } } } }`,
			`hosts ["eu-e1","eu-o1"]: missing; want a host for each`,
		},
		{
			`regions = { eu = ` + good + `, us = { provider = "ssh", edges = 1, hosts = { us-e1 = { address = "192.0.2.1" }, us-e2 = { address = "192.0.2.2" } } } }`,
			`hosts ["us-e2"]: no nodes of their regions`,
		},
		{
			`voters = 1, regions = { eu = { provider = "local", cidr = "10.1.0.0/16", origins = 1, hosts = { eu-o1 = { address = "192.0.2.1" } } } }`,
			`hosts ["eu-o1"]: no nodes of their regions, or the provider is not ssh`,
		},
		{
			`voters = 1, regions = { eu = { provider = "ssh", origins = 1, hosts = { eu-o1 = { address = "192.0.2.1:22" } } }, us = { provider = "ssh", edges = 1, hosts = { us-e1 = { address = "a b" } } } }`,
			`"us-e1":{"address":"a b"`,
		},
		{
			`domain = "example.com", voters = 1, regions = { eu = { provider = "ssh", origins = 1, hosts = { eu-o1 = { address = "host.example.com" } } } }`,
			`"eu-o1":{"address":"host.example.com"`,
		},
		{
			`voters = 1, regions = { eu = { provider = "ssh", origins = 2, hosts = { eu-o1 = { address = "192.0.2.1" }, eu-o2 = { address = "192.0.2.1" } } } }`,
			`hosts {"192.0.2.1":["eu-o1","eu-o2"]}: one address for several nodes`,
		},
		{`voters = 1, regions = { eu = { provider = "ssh", origins = 1, hosts = { eu-o1 = { address = "192.0.2.1", zone = "q" } } } }`, `hosts {"eu-o1":"q"}: want a zone`},
		{`regions = { eu = { provider = "local", cidr = "10.1.0.0/16", origins = 3, edge_cores = 0 } }`, `"edge_cores":0`},
		{`voters = 4, regions = { eu = ` + good + ` }`, `voters 4: want 1, 3 or 5`},
		{`voters = 5, regions = { eu = ` + good + ` }`, `voters 5: the plan has 3 origins`},
		{`pinned_voters = ["eu-o1", "eu-o1", "eu-o2"], regions = { eu = ` + good + ` }`, `pinned_voters ["eu-o1","eu-o1","eu-o2"]: want none, 1, 3 or 5`},
		{`pinned_voters = ["eu-o4"], regions = { eu = ` + good + ` }`, `pinned_voters ["eu-o4"]: no origins of the plan`},
		{`addresses = { eu-e1 = "192.0.2.1" }, regions = { eu = ` + good + ` }`, `addresses ["eu-e1"]: no nodes of the plan`},
		{`public_addresses = { eu-e2 = "192.0.2.1" }, regions = { eu = ` + good + ` }`, `public_addresses ["eu-e2"]: no nodes of the plan`},
		{`viewer_mbps = 0, regions = { eu = ` + good + ` }`, `viewer_mbps 0: want 0.05 to 200`},
		{`prices = { local = { egress_gb = -1, host_month = 0 } }, regions = { eu = ` + good + ` }`, `prices [{"egress_gb":-1,"host_month":0}]: want 0 or more`},
		{`prices = {}, regions = { eu = ` + good + ` }`, `prices: regions {"eu":"local"} name none of []`},
	}
	calls := map[string]string{}
	for _, c := range cases {
		cluster := `cluster = "live", `
		if strings.HasPrefix(c.args, "cluster") {
			cluster = ""
		}
		calls[c.want] = arguments(cluster + c.args)
	}
	if len(calls) != len(cases) {
		t.Fatalf("%d messages for %d cases: want one each", len(calls), len(cases))
	}
	faults(t, tf, "plan", calls)
}

// faults calls a module once for each message that its arguments must be refused with, in
// two plans: the rules that compare variables are only asked when no other is broken.
func faults(t *testing.T, tf *terraform, module string, calls map[string]string) {
	t.Helper()
	for _, round := range []string{"alone", "together"} {
		var main strings.Builder
		for i, want := range slices.Sorted(maps.Keys(calls)) {
			fmt.Fprintf(&main, "module \"c%d\" {\nsource = \"../modules/%s\"\n%s\n}\n", i, module, calls[want])
		}
		tf.root(t, "faults-"+round, main.String(), nil)
		out, err := tf.try(t, "faults-"+round, "plan", "-json")
		if err == nil {
			t.Fatalf("nothing is refused of %q", calls)
		}
		for _, said := range details(out) {
			found := false
			for want := range calls {
				if strings.Contains(said, want) {
					delete(calls, want)
					found = true
				}
			}
			if !found {
				t.Errorf("nobody wants to hear %q", said)
			}
		}
		if len(calls) == 0 {
			return
		}
	}
	for want, args := range calls {
		t.Errorf("nothing says %q of %s", want, args)
	}
}

// details gives what the errors in the output of terraform plan -json say.
func details(out string) (all []string) {
	for line := range strings.SplitSeq(out, "\n") {
		var d diagnostic
		if json.Unmarshal([]byte(line), &d) == nil && d.Diagnostic.Severity == "error" {
			all = append(all, d.Diagnostic.Detail)
		}
	}
	return all
}

type diagnostic struct {
	Diagnostic struct{ Severity, Detail string }
}

// arguments puts the arguments of a list on a line each: the commas outside of brackets
// and quotes become ends of lines.
func arguments(list string) string {
	depth, quoted := 0, false
	return strings.Map(func(r rune) rune {
		switch r {
		case '"':
			quoted = !quoted
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 && !quoted {
				return '\n'
			}
		}
		return r
	}, list)
}
