package watch

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Prometheus itself reads the rules, the config and every expression.
func TestSyntax(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{rulesFile, configFile} {
		write(t, dir, filepath.Base(name), string(read(t, name)))
	}
	write(t, dir, "token", "secret")
	targets := string(read(t, "../prometheus/targets/example.yaml"))
	write(t, dir, "targets/example.yaml", targets)
	promtool(t, "check", "config", filepath.Join(dir, filepath.Base(configFile)))

	type record struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var records []record
	all := expressions(t)
	for _, expr := range all {
		records = append(records, record{"tmms:expression", expr})
	}
	if len(records) < 100 {
		t.Errorf("%d expressions were found", len(records))
	}
	file, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "all", "rules": records}}})
	if err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", "--lint=none", write(t, dir, "all.yaml", string(file)))
}

// Every alert has a severity, a text, and a place in the manual, which has no others.
func TestRunbooks(t *testing.T) {
	manual := string(read(t, "../../docs/operations.md"))
	_, section, found := strings.Cut(manual, "\n## Alerts\n")
	if !found {
		t.Fatal(`docs/operations.md has no section "Alerts"`)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for _, m := range regexp.MustCompile(`(?m)^### (Tmms\w+)$`).FindAllStringSubmatch(section, -1) {
		documented = append(documented, m[1])
	}
	var alerts []string
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		alerts = append(alerts, r.Alert)
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s has the severity %q", r.Alert, r.Labels["severity"])
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s says nothing", r.Alert)
		}
		if want := "docs/operations.md#" + strings.ToLower(r.Alert); r.Annotations["runbook"] != want {
			t.Errorf("%s: runbook %q, want %q", r.Alert, r.Annotations["runbook"], want)
		}
	}
	for _, name := range alerts {
		if n := count(alerts, name); n > 1 {
			t.Errorf("there are %d alerts %s", n, name)
		}
		if count(documented, name) != 1 {
			t.Errorf("docs/operations.md has %s %d times", name, count(documented, name))
		}
	}
	for _, name := range documented {
		if !slices.Contains(alerts, name) {
			t.Errorf("docs/operations.md has %s, which is no alert", name)
		}
	}
}

func count(list []string, name string) (n int) {
	for _, s := range list {
		if s == name {
			n++
		}
	}
	return n
}

// Each alert fires when it has to, and only then: Prometheus runs the rules over series
// that are made up.
func TestAlerts(t *testing.T) {
	type series struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	}
	type sample struct {
		Labels string `yaml:"labels"`
		Value  int    `yaml:"value"`
	}
	type query struct {
		Expr    string   `yaml:"expr"`
		At      string   `yaml:"eval_time"`
		Samples []sample `yaml:"exp_samples"`
	}
	type test struct {
		Interval string   `yaml:"interval"`
		Input    []series `yaml:"input_series"`
		Queries  []query  `yaml:"promql_expr_test"`
	}
	var tests []test
	tried := map[string]bool{}
	for _, c := range alertCases {
		tried[c.alert] = true
		for _, fires := range []bool{true, false} {
			made := test{Interval: "1m"}
			text, want := c.calm, []sample(nil)
			if fires {
				text, want = c.fires, []sample{{`{alertname="` + c.alert + `"}`, 1}}
			}
			for line := range strings.Lines(text) {
				if name, values, ok := strings.Cut(strings.TrimSpace(line), " | "); ok {
					made.Input = append(made.Input, series{name, values})
				}
			}
			if len(made.Input) == 0 {
				t.Errorf("%s, fires: %v: no series", c.alert, fires)
			}
			at := c.at
			if at == "" {
				at = "30m"
			}
			made.Queries = []query{{
				`count by (alertname) (ALERTS{alertname="` + c.alert + `", alertstate="firing"})`, at, want,
			}}
			tests = append(tests, made)
		}
	}
	for _, r := range rules(t) {
		if r.Alert != "" && !tried[r.Alert] {
			t.Errorf("%s has no case", r.Alert)
		}
	}
	rulesPath, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	file, err := yaml.Marshal(map[string]any{
		"rule_files": []string{rulesPath}, "evaluation_interval": "1m", "tests": tests,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "alerts_test.yaml")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", path)
}
