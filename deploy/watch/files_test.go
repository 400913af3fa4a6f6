package watch

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	rulesFile  = "../prometheus/alerts.yaml"
	configFile = "../prometheus/prometheus.yaml"
)

type rule struct {
	Alert, Record, Expr, For string
	Labels, Annotations      map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	if err := yaml.Unmarshal(read(t, rulesFile), &file); err != nil {
		t.Fatalf("%s: %v", rulesFile, err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

type dashboard struct {
	UID, Title, Description string
	SchemaVersion           int
	Tags                    []string
	Panels                  []panel
	Templating              struct{ List []variable }
	Annotations             struct {
		List []struct {
			Expr       string
			Datasource source
		}
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               source
	Targets                  []target
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
}

type target struct {
	RefID, Expr, LegendFormat string
	Datasource                source
}

type source struct{ Type, UID string }

type variable struct {
	Name, Type string
	Query      any
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob("../grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	all := map[string]dashboard{}
	for _, name := range files {
		var d dashboard
		if err := json.Unmarshal(read(t, name), &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".json")] = d
	}
	return all
}

// filled is an expression of a dashboard with what Grafana puts in for its variables.
func filled(expr string) string {
	return strings.NewReplacer(
		"$__rate_interval", "1m", "$cluster", ".*", "$region", ".*", "$node", ".*",
	).Replace(expr)
}

// expressions are all that is asked of Prometheus, by where it stands.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, r := range rules(t) {
		all[rulesFile+" "+r.Alert+r.Record] = r.Expr
	}
	for name, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				all[fmt.Sprintf("%s %q %s", name, p.Title, q.RefID)] = filled(q.Expr)
			}
		}
		for _, a := range d.Annotations.List {
			all[name+" annotation"] = filled(a.Expr)
		}
	}
	return all
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// write puts a file into a folder, with the folders above it, and gives its path.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// promtool runs Prometheus's own judge, of Debian's package prometheus ("make deps").
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
