package terraform

import (
	"math"
	"testing"
)

// sized is a region by what docs/capacity.md makes of it.
type sized struct {
	Provider string   `json:"provider"`
	Zones    []string `json:"zones"`
	CIDR     string   `json:"cidr"`
	Origins  int      `json:"origins"`
	Edges    int      `json:"edges"`
	Gbps     float64  `json:"edge_gbps"`
	Cores    float64  `json:"edge_cores"`
}

// The prices are the test's own, so that an edited table does not fail it.
const sizeRoot = `
locals { cases = jsondecode(file("${path.module}/cases.json")) }
module "plan" {
  for_each    = local.cases
  source      = "../modules/plan"
  cluster     = "live"
  regions     = each.value.regions
  viewer_mbps = each.value.mbps
  prices      = { dear = { egress_gb = 0.08, host_month = 100 }, aws = { egress_gb = 0.08, host_month = 100 }, local = { egress_gb = 0.002, host_month = 40 } }
}
output "sizes" { value = { for k, p in module.plan : k => { capacity = p.capacity, cost = p.cost } } }
`

type sizeCase struct {
	Regions map[string]sized `json:"regions"`
	MBPS    float64          `json:"mbps"`
}

// viewersOf is what an edge carries, by the manual: the network is filled to 90 %, each
// core but one gives 80 % of its time, of which a viewer takes 100 us a second for each
// 2 Mbit/s or less, and a descriptor each.
func viewersOf(r sized, mbps float64) float64 {
	network := math.Floor(r.Gbps*1e9*0.9/(mbps*1e6) + 1e-6)
	micros := max(r.Cores-1, 1) * 0.8e6
	cpu := math.Floor(micros/(100*max(mbps/2, 1)) + 1e-6)
	return min(network, cpu, 1048576-16384)
}

// The outputs of modules/plan are what docs/capacity.md says, calculated another way.
func TestCapacity(t *testing.T) {
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	region := func(provider, cidr string, edges int, gbps, cores float64) sized {
		return sized{provider, []string{"a"}, cidr, 3, edges, gbps, cores}
	}
	cases := map[string]sizeCase{
		"cpu":         {map[string]sized{"eu": region("aws", "10.1.0.0/20", 2, 25, 2)}, 2},
		"network":     {map[string]sized{"eu": region("aws", "10.1.0.0/20", 4, 10, 8)}, 4},
		"descriptors": {map[string]sized{"eu": region("local", "10.1.0.0/20", 1, 10000, 200)}, 0.5},
		"two":         {map[string]sized{"eu": region("aws", "10.1.0.0/20", 3, 10, 4), "us": region("local", "10.2.0.0/20", 5, 20, 8)}, 2},
	}
	tf.root(t, "sizes", sizeRoot, map[string]any{"cases.json": cases})
	var got map[string]struct {
		Capacity struct{ Viewers, Gbps float64 }
		Cost     struct {
			Egress float64 `json:"egress_per_hour"`
			Hosts  float64 `json:"hosts_per_month"`
		}
	}
	tf.outputs(t, "sizes", "sizes", &got)
	price := map[string][2]float64{"aws": {0.08, 100}, "local": {0.002, 40}}
	for name, c := range cases {
		var viewers, bits, egress, hosts float64
		for _, r := range c.Regions {
			n := float64(r.Edges) * viewersOf(r, c.MBPS)
			viewers += n
			bits += n * c.MBPS * 1e6
			egress += n * c.MBPS * 1e6 / 8 * 3600 / 1e9 * price[r.Provider][0]
			hosts += float64(r.Origins+r.Edges) * price[r.Provider][1]
		}
		g := got[name]
		if g.Capacity.Viewers != viewers || math.Abs(g.Capacity.Gbps-bits/1e9) > 1e-6*bits/1e9 {
			t.Errorf("%s: %v viewers, %v Gbit/s, want %v, %v", name, g.Capacity.Viewers, g.Capacity.Gbps, viewers, bits/1e9)
		}
		if math.Abs(g.Cost.Egress-egress) > 1e-3 || g.Cost.Hosts != hosts {
			t.Errorf("%s: %v an hour, hosts %v a month, want %v, %v", name, g.Cost.Egress, g.Cost.Hosts, egress, hosts)
		}
	}
}
