package node

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// newFacts shows in the metrics what node this is, how busy it tells others to be,
// and its clock, which the scraper compares with its own.
func (n *Node) newFacts(context.Context) error {
	about := n.cfg.Node
	roles := make([]string, 0, len(about.Roles))
	for _, r := range about.Roles {
		roles = append(roles, string(r))
	}
	for _, c := range []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tmms_node_info", Help: "1; the labels say which node this is.",
			ConstLabels: prometheus.Labels{
				"name": about.Name, "roles": strings.Join(roles, ","), "zone": about.Zone, "version": n.opt.Version,
			},
		}, func() float64 { return 1 }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tmms_node_time_seconds", Help: "Unix time by this node's clock.",
		}, func() float64 { return float64(time.Now().UnixMicro()) / 1e6 }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tmms_node_load_ratio", Help: "How busy this node tells the others to be, 0 to 1.",
		}, func() float64 { return float64(n.told.Load()) / math.MaxUint8 }),
	} {
		if err := n.registry.Register(c); err != nil {
			return fmt.Errorf("node: register metrics: %w", err)
		}
	}
	return nil
}
