package watch

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	unit "github.com/grafana/grafana-foundation-sdk/go/units"
)

// units are those that the dashboards use, by Grafana's own names.
var units = []string{
	unit.Short, unit.Seconds, unit.BitsPerSecondSI, unit.BytesPerSecondSI, unit.BytesIEC, unit.OpsPerSecond,
	unit.PacketsPerSecond, unit.RequestsPerSecond, unit.PercentUnit,
}

// What our dashboards have in common. Grafana itself has not read them here, only its model
// has, see TestDashboardsInGrafanasModel.
func TestDashboards(t *testing.T) {
	titles := map[string]bool{}
	for name, d := range dashboards(t) {
		if d.UID != name || len(d.UID) > 40 || d.Title == "" || d.Description == "" || titles[d.Title] {
			t.Errorf("%s: uid %q, title %q, description %q", name, d.UID, d.Title, d.Description)
		}
		titles[d.Title] = true
		if d.SchemaVersion < 36 || !slices.Contains(d.Tags, "tmms") {
			t.Errorf("%s: schema version %d, tags %q", name, d.SchemaVersion, d.Tags)
		}
		var variables []string
		for _, v := range d.Templating.List {
			variables = append(variables, v.Type+" "+v.Name)
		}
		if want := []string{"datasource datasource", "query cluster", "query region", "query node"}; !slices.Equal(variables, want) {
			t.Errorf("%s: variables %q, want %q", name, variables, want)
		}
		for _, a := range d.Annotations.List {
			checkSource(t, name+", annotations", a.Datasource)
		}
		checkPanels(t, name, d.Panels)
		raw := read(t, "../grafana/dashboards/"+name+".json")
		for _, word := range []string{"localhost", "127.0.0.1", "http://", "https://"} {
			if bytes.Contains(raw, []byte(word)) {
				t.Errorf("%s has %q", name, word)
			}
		}
	}
	if len(titles) != 4 {
		t.Errorf("%d dashboards", len(titles))
	}
}

func checkSource(t *testing.T, where string, s source) {
	t.Helper()
	if s.Type != "prometheus" || s.UID != "${datasource}" {
		t.Errorf("%s: the data source is %+v, want the variable", where, s)
	}
}

func checkPanels(t *testing.T, name string, panels []panel) {
	t.Helper()
	ids, cells := map[int]bool{}, map[string]string{}
	shown := 0
	for _, p := range panels {
		where := fmt.Sprintf("%s %q", name, p.Title)
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("%s: id %d, or no title", where, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				cell := fmt.Sprint(x, " ", y)
				if other, taken := cells[cell]; taken || x >= 24 {
					t.Fatalf("%s lies on %q, or beside the grid, at %s", where, other, cell)
				}
				cells[cell] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		shown++
		if !slices.Contains([]string{"timeseries", "stat"}, p.Type) || !slices.Contains(units, p.FieldConfig.Defaults.Unit) {
			t.Errorf("%s: type %q, unit %q", where, p.Type, p.FieldConfig.Defaults.Unit)
		}
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%s has no description or asks nothing", where)
		}
		checkSource(t, where, p.Datasource)
		for _, q := range p.Targets {
			checkTarget(t, where, p.Type, q)
		}
	}
	if shown < 10 {
		t.Errorf("%s has %d panels", name, shown)
	}
}

func checkTarget(t *testing.T, where, kind string, q target) {
	t.Helper()
	checkSource(t, where+" "+q.RefID, q.Datasource)
	if q.Expr == "" || !strings.Contains(q.Expr, `cluster=~"$cluster"`) {
		t.Errorf("%s does not ask for $cluster: %s", where, q.Expr)
	}
	if kind == "timeseries" && q.LegendFormat == "" {
		t.Errorf("%s: its lines have no names", where)
	}
	for _, used := range []string{"[1m]", "[5m]"} {
		if strings.Contains(q.Expr, used) {
			t.Errorf("%s: %s in place of $__rate_interval", where, used)
		}
	}
}
