package watch

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// server is a Prometheus that scrapes the cluster by the shipped config and rules.
type server struct{ base string }

// startPrometheus starts it with the shipped files, of which only the times are changed:
// a scrape a second, and alerts after a few seconds.
func startPrometheus(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	copyFile(t, dir, configFile, func(s string) string {
		s = regexp.MustCompile(`(scrape_interval|evaluation_interval|scrape_timeout): \w+`).ReplaceAllString(s, "$1: 1s")
		return strings.Replace(s, "refresh_interval: 30s", "refresh_interval: 1s", 1)
	})
	copyFile(t, dir, rulesFile, func(s string) string {
		return regexp.MustCompile(`(?m)^        for: \w+$`).ReplaceAllString(s, "        for: 3s")
	})
	write(t, dir, "token", token)
	var targets strings.Builder
	for name, n := range nodes {
		fmt.Fprintf(&targets, "- targets: [%q]\n  labels: {cluster: live, region: %s, node: %s, role: %s}\n",
			n.address+adminPort, n.region, name, n.role)
	}
	write(t, dir, "targets/live.yaml", targets.String())
	const listen = "127.77.0.9:19090"
	begin(t, dir, "prometheus", "--config.file="+filepath.Base(configFile), "--storage.tsdb.path=data",
		"--web.listen-address="+listen, "--log.level=warn")
	return &server{base: "http://" + listen}
}

type series struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

// ask gives the answer to an expression now.
func (s *server) ask(expr string) ([]series, error) {
	res, err := http.Get(s.base + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var answer struct {
		Error    string
		Warnings []string
		Data     struct{ Result []series }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" || len(answer.Warnings) > 0 {
		return nil, fmt.Errorf("%s %s", answer.Error, answer.Warnings)
	}
	return answer.Data.Result, nil
}

// some reports whether an expression has an answer that is not empty.
func (s *server) some(expr string) bool {
	got, err := s.ask(expr)
	return err == nil && len(got) > 0
}

// TestLive has Debian's Prometheus watch a real cluster by the shipped files: every metric,
// label and value that dashboards, alerts and the manual name is there, every expression has
// an answer, nothing that must not is on fire; and the death of a node is.
func TestLive(t *testing.T) {
	running := startCluster(t)
	prom := startPrometheus(t)
	waitFor(t, "all nodes to be scraped", func() bool { return prom.some(`count(up{job="tmms"} == 1) == 4`) })
	waitFor(t, "the stream to have a standby in sync", func() bool { return prom.some(`tmms_cluster_standbys{in_sync="true"} > 0`) })
	waitFor(t, "the way of the stream", func() bool { return prom.some(`rate(tmms_hop_latency_seconds_count[30s]) > 0`) })

	t.Run("names", func(t *testing.T) { checkNames(t, prom) })
	t.Run("expressions", func(t *testing.T) {
		for where, expr := range expressions(t) {
			if _, err := prom.ask(expr); err != nil {
				t.Errorf("%s: %v\n%s", where, err, expr)
			}
		}
	})
	t.Run("panels", func(t *testing.T) { checkPanelsShow(t, prom) })
	t.Run("calm", func(t *testing.T) { checkCalm(t, prom) })

	running["o3"].kill()
	waitFor(t, "the alert of a node that is down", func() bool {
		return prom.some(`ALERTS{alertname="TmmsNodeDown", alertstate="firing", node="o3", region="us", severity="critical"}`)
	})
	waitFor(t, "the alert of a quorum without a margin", func() bool {
		return prom.some(`ALERTS{alertname="TmmsQuorumMarginLost", alertstate="firing", cluster="live"}`)
	})
	running["o2"].kill()
	waitFor(t, "the alert of a group without a leader", func() bool {
		return prom.some(`ALERTS{alertname="TmmsNoLeader", alertstate="firing", cluster="live"}`)
	})
}

var (
	metricName = regexp.MustCompile(`\b(tmms|process)_[a-z0-9_]*[a-z0-9]\b`)
	selector   = regexp.MustCompile(`\b((?:tmms|process)_[a-z0-9_]+|up)(\{[^}]*\})?`)
	grouping   = regexp.MustCompile(`\b(?:by|on|group_left) \(([a-z_, ]+)\)`)
)

// checkNames asks for each selector as it stands, so that a label or a value that no node
// has is found, too; and for the labels that expressions group by.
func checkNames(t *testing.T, prom *server) {
	t.Helper()
	asked := map[string]bool{}
	for where, expr := range expressions(t) {
		for _, m := range selector.FindAllString(expr, -1) {
			if asked[m] {
				continue
			}
			asked[m] = true
			if got, err := prom.ask("count(" + m + ")"); err != nil || len(got) == 0 {
				t.Errorf("%s: no node has %s (%v)", where, m, err)
			}
		}
		checkGrouping(t, prom, where, expr)
	}
	if len(asked) < 60 {
		t.Errorf("%d selectors were found", len(asked))
	}
	manual := string(read(t, "../../docs/operations.md")) + string(read(t, "../../docs/capacity.md")) + string(read(t, "../../docs/cluster.md"))
	for _, name := range metricName.FindAllString(manual, -1) {
		if strings.HasPrefix(name, "tmms_") && !prom.some(fmt.Sprintf(`{__name__=~"%s(_count)?"}`, name)) {
			t.Errorf("the manual has %s, which no node has", name)
		}
	}
}

// checkGrouping wants each label that an expression groups by on one of its metrics.
func checkGrouping(t *testing.T, prom *server, where, expr string) {
	t.Helper()
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(m[1], ", ") {
			found := slices.ContainsFunc(selector.FindAllStringSubmatch(expr, -1), func(s []string) bool {
				return prom.some(fmt.Sprintf(`count(%s{%s!=""})`, s[1], label))
			})
			if !found {
				t.Errorf("%s: none of its metrics has the label %s: %s", where, label, expr)
			}
		}
	}
}

// checkPanelsShow wants something to be seen on nearly every panel.
func checkPanelsShow(t *testing.T, prom *server) {
	t.Helper()
	for name, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				if !prom.some(filled(q.Expr)) {
					t.Errorf("%s %q shows nothing: %s", name, p.Title, q.Expr)
				}
			}
		}
	}
}

// checkCalm wants no alert that says that something is wrong with the cluster itself. What
// a busy machine brings about, delays and the like, is not looked at.
func checkCalm(t *testing.T, prom *server) {
	t.Helper()
	for _, name := range []string{
		"TmmsNoLeader", "TmmsTwoLeaders", "TmmsQuorumMarginLost", "TmmsNodeDown", "TmmsNodeRestarts", "TmmsDiskStuck",
		"TmmsCertificateExpires", "TmmsCertificateEnds", "TmmsClockSkew", "TmmsConfigBehind", "TmmsDrainedLong",
		"TmmsDescriptorsRunOut", "TmmsViewersNearLimit", "TmmsViewersRefused", "TmmsAcceptErrors", "TmmsPublishersRefused",
	} {
		if got, err := prom.ask(fmt.Sprintf(`ALERTS{alertname=%q, alertstate="firing"}`, name)); err != nil || len(got) > 0 {
			t.Errorf("%s is on fire: %v, %v", name, got, err)
		}
	}
}
