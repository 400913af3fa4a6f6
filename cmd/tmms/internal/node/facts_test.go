package node

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cmd/tmms/internal/nodeconfig"
)

func TestFacts(t *testing.T) {
	n := &Node{registry: prometheus.NewRegistry(), opt: Options{Version: "v7"}}
	n.cfg.Node.Name, n.cfg.Node.Zone, n.cfg.Node.Roles = "o1", "b", []nodeconfig.Role{nodeconfig.RoleOrigin, nodeconfig.RoleEdge}
	n.told.Store(51)
	if err := n.newFacts(t.Context()); err != nil {
		t.Fatal(err)
	}
	families, err := n.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got, labels := map[string]float64{}, map[string]string{}
	for _, f := range families {
		got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
	}
	if got["tmms_node_info"] != 1 || got["tmms_node_load_ratio"] != 0.2 {
		t.Errorf("got %v", got)
	}
	if at := got["tmms_node_time_seconds"]; at < float64(time.Now().Add(-time.Minute).Unix()) || at > float64(time.Now().Unix()+1) {
		t.Errorf("its clock says %v", at)
	}
	if labels["name"] != "o1" || labels["zone"] != "b" || labels["roles"] != "origin,edge" || labels["version"] != "v7" {
		t.Errorf("labels %v", labels)
	}
	if err := n.newFacts(t.Context()); err == nil {
		t.Error("registered twice")
	}
}
