package admin

import (
	"context"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tmms/cluster/state"
)

var update = flag.Bool("update", false, "write the texts that tmms why gives")

const whyYAML = `domains:
- {name: tv.example.com, aliases: [cdn.example.net, "*.example.org"], apps: [{name: live, grace: 20s, auth: {publish: {keys: [very-secret-key]}}}]}
- {name: default, aliases: ["*"], apps: [{name: radio, hls: {enabled: false}}]}
`

// whyFleet is an owner, a shield and an edge behind it.
func whyFleet(t *testing.T) *fleet {
	t.Helper()
	doc, err := state.ParseYAML([]byte(whyYAML))
	if err != nil {
		t.Fatal(err)
	}
	doc.HashKeys(nil, func() []byte { return make([]byte, 16) })
	cfg, err := state.NewConfig(1, doc)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	stream := &StreamInfo{
		Key: "tv.example.com/live/one", State: "live", Epoch: 7, Run: 2, Owner: "id-o1", Codecs: []string{"h264", "aac"},
		Width: 1280, Height: 720, FPS: 30, UptimeSeconds: 3661, Viewers: map[string]int{},
		Publisher: &PublisherInfo{Remote: "192.0.2.9:5000", Encoder: "obs", Since: at, BitrateBPS: 2_500_000},
	}
	way := func(node string) PeerWhy {
		return PeerWhy{
			Node: node, Connected: true, RTTMS: 98.4, Loss: 0.0123, InBPS: 2_600_000, OutBPS: 12_000, GroupsReset: 1, GroupsDropped: 2,
			Repair: &Repair{OverheadRatio: 0.15, RepairedRatio: 0.011},
		}
	}
	return &fleet{
		cfg:    cfg,
		placed: &state.Placement{Epoch: 7, Owner: "id-o1", ClaimedAtMS: at.UnixMilli()},
		nodes: []*far{
			{name: "o2"},
			{name: "o1", why: NodeWhy{Epoch: 7, Stream: stream, Subscriptions: []SubscriptionWhy{
				{Node: "e1", Since: at, HLS: true, Version: 2, BehindMS: 12},
			}, Peers: []PeerWhy{way("e1")}}},
			{name: "e1", why: NodeWhy{
				Epoch: 7, Viewers: map[string]int{"flv": 3, "hls": 1},
				Subscriptions: []SubscriptionWhy{{Node: "e2", Since: at, Shield: true, Version: 2, Pending: true}},
				Pull: &PullWhy{
					State: "live", Source: "o1", Hop: 1, Reason: "this node is the shield of region eu", Version: 2,
					Way: &DelayWhy{MS: 49.2, BoundMS: 0.3, Corrected: true}, Lag: &DelayWhy{MS: 61, BoundMS: 0.3, Corrected: true},
				},
				Peers: []PeerWhy{way("o1")},
			}},
			{name: "e2", why: NodeWhy{
				Epoch: 7, Viewers: map[string]int{"rtmp": 1},
				Pull: &PullWhy{
					State: "live", Source: "e1", Shield: true, Hop: 2, Reason: "first of the region that is fit", Version: 2,
					Lag: &DelayWhy{MS: 70}, Interrupts: 1, Hedges: 2, Moves: 3, Error: "the owner sends nothing", ErrorAt: at,
					Candidates: []CandidateWhy{
						{Node: "e1", RTTMS: 1, Verdict: "ok"}, {Node: "e2", Self: true, Verdict: "ok"}, {Node: "o1", Owner: true, Verdict: "ok"},
					},
				},
				Peers: []PeerWhy{{Node: "e1"}},
			}},
		},
	}
}

// whyCases are questions with what is different from whyFleet.
func whyCases() map[string]struct {
	key    string
	change func(f *fleet)
} {
	node := func(f *fleet, name string) *far {
		return f.nodes[slices.IndexFunc(f.nodes, func(n *far) bool { return n.name == name })]
	}
	nothing := func(f *fleet) {
		for _, n := range f.nodes {
			n.why = NodeWhy{}
		}
		f.placed = nil
	}
	return map[string]struct {
		key    string
		change func(f *fleet)
	}{
		"playing": {"cdn.example.net/live/one", func(*fleet) {}},
		"standby": {"tv.example.com/live/one", func(f *fleet) { f.placed.Standby = "id-o2" }},
		"standby in sync": {"tv.example.com/live/one", func(f *fleet) {
			f.placed.Standby, f.placed.InSync, f.drained = "id-o2", true, "id-o1"
		}},
		"no placement": {"www.example.org/live/one", nothing},
		"with a standby": {"tv.example.com/live/one", func(f *fleet) {
			f.placed.Standby, f.placed.InSync = "id-o2", true
			o1 := node(f, "o1")
			o1.why.Standby = &StandbyWhy{Node: "o2", InSync: true, BehindMS: 41}
			o1.why.Subscriptions = append(o1.why.Subscriptions, SubscriptionWhy{
				Node: "o2", Since: o1.why.Subscriptions[0].Since, Standby: true, HLS: true, Version: 2,
			})
		}},
		"unknown app": {"tv.example.com/nothing/one", nothing},
		"viewers wait": {"tv.example.com/live/one", func(f *fleet) {
			nothing(f)
			node(f, "e1").why.Viewers = map[string]int{"rtmp": 2}
		}},
		"unknown domain": {"tv.example.com/live/one", func(f *fleet) {
			nothing(f)
			doc, err := state.ParseYAML([]byte("domains: [{name: other, apps: [{name: live}]}]"))
			if err == nil {
				f.cfg, err = state.NewConfig(2, doc)
			}
			if err != nil {
				panic(err)
			}
		}},
		"no publisher": {"tv.example.com/live/one", func(f *fleet) {
			s := node(f, "o1").why.Stream
			s.State, s.Publisher = "grace", nil
			node(f, "e1").why.Pull.State = "grace"
		}},
		"owner dead": {"tv.example.com/live/one", func(f *fleet) {
			f.dead = "o1"
			p := node(f, "e1").why.Pull
			p.State, p.Error = "connecting", "fabric: dial o1 at 192.0.2.1:7400 for tmms-relay/1: unreachable: timeout"
			p.Way, p.Lag = nil, nil
			node(f, "e1").why.Peers = []PeerWhy{{Node: "o1"}}
		}},
		"orphan": {"tv.example.com/live/one", func(f *fleet) {
			f.placed.LostBy, f.placed.Owner = "id-o1", ""
			f.placed.LostAtMS = time.Now().Add(-time.Minute).UnixMilli()
			node(f, "o1").why = NodeWhy{}
			for _, e := range []string{"e1", "e2"} {
				node(f, e).why.Pull = &PullWhy{State: "waiting"}
				node(f, e).why.Peers = nil
			}
		}},
		"epoch not confirmed": {"tv.example.com/live/one", func(f *fleet) {
			f.placed.Epoch = 8
			p := node(f, "e1").why.Pull
			p.State, p.Error = "connecting", "the placement does not confirm the epoch: o1 has 7, the placement 8"
		}},
		"refused": {"tv.example.com/live/one", func(f *fleet) {
			node(f, "o1").why.HLSError = "no room for its segments"
			p := node(f, "e2").why.Pull
			p.State, p.Error, p.Source = "connecting", "refused: full, owner \"\"", "o1"
		}},
		"nothing told": {"default/radio/one", func(f *fleet) {
			node(f, "o1").why = NodeWhy{}
			node(f, "e2").answer = nil
		}},
	}
}

// ages are what changes from one run to the next.
func ages(text string) string {
	now := time.Now().UTC()
	for _, day := range []time.Time{now, now.AddDate(0, 0, -1)} {
		text = replaceStamps(text, day.Format("2006-01-02T"))
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if at := strings.Index(l, "since 2026-01-02T03:04:05Z ("); at >= 0 && strings.HasPrefix(l, "placement") {
			end := strings.Index(l[at:], ")")
			lines[i] = l[:at] + "since 2026-01-02T03:04:05Z (AGE" + l[at+end:]
		}
		lines[i] = strings.ReplaceAll(lines[i], "1m1s ago", "1m0s ago")
	}
	return strings.Join(lines, "\n")
}

func replaceStamps(text, day string) string {
	for {
		at := strings.Index(text, day)
		if at < 0 {
			return text
		}
		text = text[:at] + "TODAY" + text[at+len("2006-01-02T15:04:05Z"):]
	}
}

// TestWhyText: what an operator reads, case by case.
func TestWhyText(t *testing.T) {
	for name, c := range whyCases() {
		t.Run(name, func(t *testing.T) {
			f := whyFleet(t)
			c.change(f)
			var reply WhyReply
			f.get(t, "/api/v1/why?key="+c.key, &reply)
			got := ages(strings.Join(reply.Text(), "\n") + "\n")
			path := filepath.Join("testdata", "why", strings.ReplaceAll(name, " ", "-")+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if strings.Contains(got, "very-secret") {
				t.Error("it tells a secret")
			}
		})
	}
}

// TestWhyOfAnOldNode: a node that does not know the question is named.
func TestWhyOfAnOldNode(t *testing.T) {
	f := whyFleet(t)
	f.nodes[3].answer = func(context.Context, *Local, string) ([]byte, error) { return nil, errUnknownQuery }
	var reply WhyReply
	f.get(t, "/api/v1/why?key=tv.example.com/live/one", &reply)
	if !slices.Equal(reply.Incomplete, []string{"e2"}) || !reply.Playing || len(reply.Nodes) != 2 || reply.Nodes[0].Name != "o1" {
		t.Errorf("%+v", reply)
	}
}

func TestWhyRefuses(t *testing.T) {
	n := serve(t, Config{})
	for _, key := range []string{"", "a", "a/", "/a", "a/b/c/d", "d/a/..", "d/a/" + strings.Repeat("x", 300)} {
		n.do(http.MethodGet, "/api/v1/why?key="+key, "").want(t, http.StatusBadRequest, nil)
	}
	n.do(http.MethodPost, "/api/v1/why?key=a/b", "").want(t, http.StatusMethodNotAllowed, nil)
	if _, err := parseQuery("why?limit=1&stream=bad"); err == nil {
		t.Error("a bad key is taken from another node")
	}
	if b, err := NewLocal(n, n, nil, n).Answer("why?stream=d/a/s"); err != nil || !strings.Contains(string(b), `"viewers"`) {
		t.Errorf("without a source: %s, %v", b, err)
	}
}
