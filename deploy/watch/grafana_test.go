package watch

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	model "github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// readStrictly reads a dashboard by Grafana's own model of dashboards, its two kinds of
// panels and the queries to Prometheus: no field is unknown, none that it wants is missing,
// no value is of another type or out of its range.
func readStrictly(raw []byte) error {
	var d model.Dashboard //nolint:staticcheck // files that are provisioned are of this model, not of the newer one
	err := d.UnmarshalJSONStrict(raw)
	if list, ok := errors.AsType[cog.BuildErrors](err); ok && len(list) == 0 {
		err = nil // that is how it says that there are none
	}
	if err != nil {
		return err
	}
	return d.Validate()
}

var variableUsed = regexp.MustCompile(`\$\{?([A-Za-z_]+)`)

func TestDashboardsInGrafanasModel(t *testing.T) {
	known := cog.NewRuntime()
	known.RegisterPanelcfgVariant(timeseries.VariantConfig())
	known.RegisterPanelcfgVariant(stat.VariantConfig())
	known.RegisterDataqueryVariant(prometheus.VariantConfig())
	for name, d := range dashboards(t) {
		raw := read(t, "../grafana/dashboards/"+name+".json")
		if err := readStrictly(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		has := []string{"__rate_interval", "__all"} // Grafana's own
		for _, v := range d.Templating.List {
			has = append(has, v.Name)
		}
		for _, m := range variableUsed.FindAllSubmatch(raw, -1) {
			if !slices.Contains(has, string(m[1])) {
				t.Errorf("%s uses the variable %s, which nobody sets", name, m[1])
			}
		}
		// What it is held to is wrong if a slip passes.
		for _, slip := range [][2]string{
			{`"showLegend"`, `"showLegent"`},
			{`"legendFormat"`, `"legend"`},
			{`"lineWidth": 1`, `"lineWidth": "1"`},
			{`"schemaVersion": `, `"schemaVersion": 0.`},
			{`"fillOpacity"`, `"fillOpacy"`},
		} {
			wrong := bytes.Replace(raw, []byte(slip[0]), []byte(slip[1]), 1)
			if bytes.Equal(wrong, raw) || readStrictly(wrong) == nil {
				t.Errorf("%s: %s in place of %s is not found", name, slip[1], slip[0])
			}
		}
	}
}
