package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/consensus"
	"tmms/cluster/state"
	"tmms/media"
)

// far is another node with what it has and how it answers.
type far struct {
	name    string
	streams []StreamInfo
	viewers []ViewerInfo
	why     NodeWhy
	runs    uint64                                                               // the config revision
	answer  func(ctx context.Context, local *Local, what string) ([]byte, error) // nil: as it should
}

func (f *far) Why(media.StreamKey) NodeWhy { return f.why }

func (f *far) Config() *state.Config {
	cfg, err := state.NewConfig(f.runs, &state.Document{})
	if err != nil {
		panic(err)
	}
	return cfg
}

func (f *far) Streams() []StreamInfo { return f.streams }

func (f *far) Viewers(key string, limit int) (list []ViewerInfo, total int) {
	for _, v := range f.viewers {
		if key == "" || v.Key == key {
			list = append(list, v)
		}
	}
	return list[:min(limit, len(list))], len(list)
}

// fleet is this node, the first, among others.
type fleet struct {
	nodes   []*far
	placed  *state.Placement // of every stream; nil: none
	drained string           // id of a node
	cfg     *state.Config    // nil: that of a node which has just begun
	dead    string           // name of a node that gossip calls dead
	asked   atomic.Int32
}

func (f *fleet) Peers() (list []Peer) {
	for _, n := range f.nodes[1:] {
		if n.name != f.dead {
			list = append(list, Peer{ID: "id-" + n.name, Name: n.name})
		}
	}
	return list
}

func (f *fleet) Query(ctx context.Context, id, what string) ([]byte, error) {
	f.asked.Add(1)
	i := slices.IndexFunc(f.nodes, func(n *far) bool { return "id-"+n.name == id })
	if i < 0 {
		return nil, fmt.Errorf("no node %s", id)
	}
	n := f.nodes[i]
	local := NewLocal(n, n, n, n)
	if n.answer != nil {
		return n.answer(ctx, local, what)
	}
	return local.Answer(what)
}

func (f *fleet) Nodes() (list []NodeInfo) {
	for i, n := range f.nodes {
		info := NodeInfo{ID: "id-" + n.name, Name: n.name, Self: i == 0, State: "alive"}
		if n.name == f.dead {
			info.State = "dead"
		}
		list = append(list, info)
	}
	return list
}

func (f *fleet) Placement(media.StreamKey) (state.Placement, bool) {
	if f.placed == nil {
		return state.Placement{}, false
	}
	return *f.placed, true
}

func (f *fleet) Draining(node string) bool { return node == f.drained }

// configured is a node with the fleet's config.
type configured struct {
	*consensus.Node

	cfg *state.Config
}

func (c configured) Config() *state.Config {
	if c.cfg == nil {
		return c.Node.Config()
	}
	return c.cfg
}

// get asks the first node's API, without a network.
func (f *fleet) get(t *testing.T, path string, out any) {
	t.Helper()
	configs, err := consensus.New(consensus.Config{}, consensus.Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{}, Deps{
		Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar), Gatherer: prometheus.NewRegistry(),
		Streams: f.nodes[0], Viewers: f.nodes[0], Why: f.nodes[0], Nodes: f, Placements: f, Configs: configured{configs, f.cfg},
		Group: configs, Keys: new(node), Tokens: &raftGroup{Node: configs}, Revocations: configs, Drains: new(drains), Peers: f, Ready: func() error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1"+path, nil)
	s.handler().ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), out); err != nil {
		t.Fatal(err)
	}
}

// mixed is an owner, two edges and the streams a (everywhere), b (whose owner is
// not there) and c (with its owner alone).
func mixed() *fleet {
	owned := func(key string, viewers map[string]int) StreamInfo {
		return StreamInfo{
			Key: key, State: "live", Epoch: 7, Owner: "id-o1", Codecs: []string{"h264"}, Width: 640, Viewers: viewers,
			Publisher: &PublisherInfo{Remote: "192.0.2.1:1"},
		}
	}
	pulled := func(key, owner string, viewers map[string]int) StreamInfo {
		return StreamInfo{Key: key, State: "live", Epoch: 7, Owner: owner, Viewers: viewers, Pulled: true}
	}
	viewer := func(id, key string) ViewerInfo { return ViewerInfo{ID: id, Key: key, Proto: "flv"} }
	return &fleet{nodes: []*far{
		{
			name: "e1", streams: []StreamInfo{
				pulled("d/l/b", "id-gone", map[string]int{"flv": 1}), pulled("d/l/a", "id-o1", map[string]int{"flv": 2, "hls": 1}),
			},
			viewers: []ViewerInfo{viewer("1", "d/l/a"), viewer("2", "d/l/b")},
		},
		{
			name: "o1", streams: []StreamInfo{owned("d/l/c", nil), owned("d/l/a", map[string]int{"rtmp": 1})},
			viewers: []ViewerInfo{viewer("3", "d/l/a")},
		},
		{name: "e2", streams: []StreamInfo{pulled("d/l/a", "id-o1", nil)}, viewers: []ViewerInfo{viewer("4", "d/l/a")}},
	}}
}

func edges(s StreamInfo) string {
	var all []string
	for _, e := range s.Edges {
		all = append(all, fmt.Sprintf("%s%v", e.Name, e.Viewers))
	}
	return strings.Join(all, " ")
}

// Requirement: C1 (the streams, viewers and nodes of the whole cluster from any node).
func TestClusterStreams(t *testing.T) {
	f := mixed()
	for range f.nodes { // from each node in turn
		var reply streamsReply
		f.get(t, "/api/v1/streams", &reply)
		if reply.Total != 3 || len(reply.Streams) != 3 || reply.Incomplete != nil {
			t.Fatalf("got %+v", reply)
		}
		a, b, c := reply.Streams[0], reply.Streams[1], reply.Streams[2]
		if a.Key != "d/l/a" || a.OwnerName != "o1" || a.Pulled || a.Width != 640 || a.Publisher == nil ||
			!maps.Equal(a.Viewers, map[string]int{"flv": 2, "hls": 1, "rtmp": 1}) {
			t.Errorf("a is %+v", a)
		}
		parts := strings.Split(strings.ReplaceAll(edges(a), "] ", "]|"), "|")
		slices.Sort(parts)
		if got := strings.Join(parts, " "); got != "e1map[flv:2 hls:1] e2map[] o1map[rtmp:1]" {
			t.Errorf("a is served by %s", got)
		}
		if b.Key != "d/l/b" || !b.Pulled || b.Owner != "id-gone" || b.OwnerName != "" || b.Viewers["flv"] != 1 {
			t.Errorf("b is %+v", b)
		}
		if c.Key != "d/l/c" || len(c.Edges) != 0 || c.Viewers == nil {
			t.Errorf("c is %+v", c)
		}
		f.get(t, "/api/v1/streams?limit=2", &reply)
		if len(reply.Streams) != 2 || reply.Total != 3 || reply.Streams[1].Key != "d/l/b" {
			t.Errorf("two of them: %+v", reply)
		}
		f.nodes = append(f.nodes[1:], f.nodes[0])
	}
}

func TestClusterViewers(t *testing.T) {
	f := mixed()
	var reply viewersReply
	show := func() string {
		var all []string
		for _, v := range reply.Viewers {
			all = append(all, v.Node+":"+v.ID)
		}
		return strings.Join(all, " ")
	}
	for path, want := range map[string]string{
		"/api/v1/viewers":                           "4 e1:1 e1:2 o1:3 e2:4",
		"/api/v1/viewers?limit=3":                   "4 e1:1 e1:2 o1:3",
		"/api/v1/viewers?stream=d/l/a":              "3 e1:1 o1:3 e2:4",
		"/api/v1/viewers?stream=d%2Fl%2Fa&limit=2":  "3 e1:1 o1:3",
		"/api/v1/viewers?local=true&stream=d/l/a":   "1 e1:1",
		"/api/v1/viewers?limit=0":                   "4 ",
		"/api/v1/viewers?stream=nobody/watches/you": "0 ",
	} {
		f.get(t, path, &reply)
		if got := fmt.Sprintf("%d %s", reply.Total, show()); got != want || reply.Viewers == nil {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// The newer epoch's owner counts where two nodes take themselves for it.
func TestTwoOwners(t *testing.T) {
	f := mixed()
	old := f.nodes[1].streams[1]
	old.Epoch, old.Owner, old.Width = 6, "id-e2", 320
	f.nodes[2].streams = []StreamInfo{old}
	for range f.nodes {
		var reply streamsReply
		f.get(t, "/api/v1/streams", &reply)
		if a := reply.Streams[0]; a.Epoch != 7 || a.Width != 640 || a.Pulled {
			t.Errorf("got %+v", a)
		}
		f.nodes = append(f.nodes[1:], f.nodes[0])
	}
}

// One node hangs, others fail in their own ways: the rest is shown after a
// second, and who is missing.
func TestIncomplete(t *testing.T) {
	for name, answer := range map[string]func(context.Context, *Local, string) ([]byte, error){
		"hangs": func(ctx context.Context, _ *Local, _ string) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"hangs-on": func(context.Context, *Local, string) ([]byte, error) {
			time.Sleep(time.Minute)
			return []byte(`{}`), nil
		},
		"fails":   func(context.Context, *Local, string) ([]byte, error) { return nil, errors.New("no route") },
		"garbage": func(context.Context, *Local, string) ([]byte, error) { return []byte(`{"streams":7`), nil },
		"too-long": func(context.Context, *Local, string) ([]byte, error) {
			return []byte(`{"streams":[]` + strings.Repeat(" ", media.MaxPeerAnswer) + `}`), nil
		},
		"cut": func(context.Context, *Local, string) ([]byte, error) { return []byte(`{"truncated":true}`), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := mixed()
				f.nodes[2].answer = answer
				began := time.Now()
				var streams streamsReply
				f.get(t, "/api/v1/streams", &streams)
				var viewers viewersReply
				f.get(t, "/api/v1/viewers", &viewers)
				if d := time.Since(began); d > 2*peerTimeout {
					t.Errorf("it took %s", d)
				}
				want := []string{"e2"}
				if !slices.Equal(streams.Incomplete, want) || !slices.Equal(viewers.Incomplete, want) {
					t.Errorf("incomplete: %v, %v", streams.Incomplete, viewers.Incomplete)
				}
				if len(streams.Streams) != 3 || streams.Streams[0].OwnerName != "o1" || len(viewers.Viewers) != 3 {
					t.Errorf("got %+v, %+v", streams, viewers)
				}
				time.Sleep(time.Minute) // the late answers come, and go nowhere
				synctest.Wait()
			})
		})
	}
}

// However many nodes there are, so many are asked at a time.
func TestAskingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{nodes: []*far{{name: "me"}}}
		var running, most atomic.Int32
		for i := range 3 * media.MaxPeerQueries {
			f.nodes = append(f.nodes, &far{
				name: fmt.Sprintf("n%d", i), streams: []StreamInfo{{Key: fmt.Sprintf("d/l/%d", i)}},
				answer: func(_ context.Context, l *Local, what string) ([]byte, error) {
					most.Store(max(most.Load(), running.Add(1)))
					defer running.Add(-1)
					time.Sleep(peerTimeout / 10)
					return l.Answer(what)
				},
			})
		}
		var reply streamsReply
		f.get(t, "/api/v1/streams", &reply)
		if reply.Total != 3*media.MaxPeerQueries || reply.Incomplete != nil || most.Load() != media.MaxPeerQueries {
			t.Errorf("%d streams, %v, %d at a time", reply.Total, reply.Incomplete, most.Load())
		}
	})
}

// What is answered for another node comes from this one alone.
func TestAnswerDoesNotFanOut(t *testing.T) {
	f := mixed()
	var reply streamsReply
	f.get(t, "/api/v1/streams?local=true", &reply)
	if f.asked.Load() != 0 || len(reply.Streams) != 2 {
		t.Errorf("local: %d nodes were asked, %+v", f.asked.Load(), reply)
	}
	f.get(t, "/api/v1/streams", &reply)
	if f.asked.Load() != 2 {
		t.Errorf("%d nodes were asked, want each of 2 once", f.asked.Load())
	}
	b, err := NewLocal(f.nodes[0], f.nodes[0], nil, f.nodes[0]).Answer("streams")
	if err != nil || f.asked.Load() != 2 || strings.Contains(string(b), "d/l/c") {
		t.Errorf("%s, %v, %d", b, err, f.asked.Load())
	}
}

func TestAnswer(t *testing.T) {
	f := mixed()
	l := NewLocal(f.nodes[0], f.nodes[0], nil, f.nodes[0])
	for what, ok := range map[string]bool{
		"streams": true, "streams?limit=0": true, "node": true, "viewers?stream=d/l/a": true, query{list: listViewers, key: "d/l/a@b+c"}.String(): true,
		"": false, "nodes": false, "streams?limit=-1": false, "viewers?stream=x": false, "http://h/streams": false, "%zz": false,
	} {
		if b, err := l.Answer(what); (err == nil) != ok || json.Valid(b) != ok {
			t.Errorf("%q: %s, %v, want ok = %v", what, b, err, ok)
		}
	}
	for _, q := range []query{{listStreams, "", 3}, {listViewers, "d/l/a@b+c", 0}} {
		if got, err := parseQuery(q.String()); err != nil || got != q {
			t.Errorf("%s became %+v, %v", q, got, err)
		}
	}
}

// A list that is too long for an answer is cut, and says so.
func TestLongAnswerIsCut(t *testing.T) {
	f := &far{}
	for i := range maxLimit {
		f.streams = append(f.streams, StreamInfo{Key: fmt.Sprintf("d/l/%05d-%s", i, strings.Repeat("x", 200))})
		f.viewers = append(f.viewers, ViewerInfo{ID: strings.Repeat("x", 200)})
	}
	l := NewLocal(f, f, nil, f)
	for _, list := range []string{listStreams, listViewers} {
		b, err := l.Answer(query{list: list, limit: maxLimit}.String())
		if err != nil || len(b) > media.MaxPeerAnswer || len(b) < media.MaxPeerAnswer/4 {
			t.Fatalf("%s: %d bytes, %v", list, len(b), err)
		}
		var a struct {
			Truncated    bool
			Owned, Total int
			Streams      []StreamInfo
		}
		if err := json.Unmarshal(b, &a); err != nil || !a.Truncated || a.Owned+a.Total != maxLimit {
			t.Errorf("%s: %v, cut %v, %d of all", list, err, a.Truncated, a.Owned+a.Total)
		}
		if list == listStreams && a.Streams[0].Key[:9] != "d/l/00000" {
			t.Errorf("it begins with %.20s", a.Streams[0].Key)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, what := range []string{"streams?limit=2", "viewers?stream=d/l/a&limit=1", "node", "nodes", "streams?limit=%31"} {
		f.Add(what)
	}
	nodes := mixed().nodes
	l := NewLocal(nodes[0], nodes[0], nil, nodes[0])
	f.Fuzz(func(t *testing.T, what string) {
		if b, err := l.Answer(what); err == nil && !json.Valid(b) {
			t.Fatalf("%q: %s", what, b)
		}
	})
}

func TestMergeNodes(t *testing.T) {
	known := []state.Node{
		{ID: "3", Name: "e1", Roles: []string{"edge"}, Addresses: map[string]string{"http": "old:1", "x": "y"}, Version: "v1.2.3"},
		{ID: "1", Name: "o1", Roles: []string{"origin"}, Region: "eu"},
		{ID: "2", Name: "o2"},
		{ID: "0", Name: "e2"}, // replaced by another of its name
	}
	seen := []NodeInfo{
		{ID: "1", Name: "o1", Roles: []string{"origin"}, State: "alive", Region: "eu"},
		{ID: "3", Name: "e1", Roles: []string{"edge"}, Addresses: map[string]string{"http": "new:1"}, Version: "v1.2", State: "suspect", Load: 9},
		{ID: "4", Name: "e2", Roles: []string{"edge"}, State: "alive"},
		{ID: "5", Name: "e3", Roles: []string{"edge"}, State: "left"},
	}
	show := func(list []NodeInfo) string { // ID name : state, then whether it is self, leader, voter
		var all []string
		for _, n := range list {
			marks := map[bool]string{true: "+", false: "-"}
			all = append(all, fmt.Sprintf("%s%s:%s%s%s%s", n.ID, n.Name, n.State, marks[n.Self], marks[n.Leader], marks[n.Voter]))
		}
		return strings.Join(all, " ")
	}
	raft := RaftView{Self: "1", Leader: "2", Voters: []string{"1", "2"}}
	got := MergeNodes(known, seen, raft)
	if want := "3e1:suspect--- 0e2:dead--- 4e2:alive--- 5e3:left--- 1o1:alive+-+ 2o2:dead-++"; show(got) != want {
		t.Errorf("got  %s\nwant %s", show(got), want)
	}
	if e := got[0]; e.Load != 9 || e.Version != "v1.2.3" || !reflect.DeepEqual(e.Addresses, map[string]string{"http": "new:1", "x": "y"}) {
		t.Errorf("e1 is %+v", e)
	}
	if known[0].Addresses["http"] != "old:1" {
		t.Error("the state was modified")
	}
	alone := MergeNodes(known, nil, raft)
	if want := "3e1:unknown--- 0e2:unknown--- 1o1:alive+-+ 2o2:unknown-++"; show(alone) != want {
		t.Errorf("while nothing was heard: %s, want %s", show(alone), want)
	}
}
