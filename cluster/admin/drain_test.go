package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"tmms/cluster/member"
	"tmms/cluster/state"
)

// drains are those of a made-up cluster.
type drains struct {
	mu       sync.Mutex
	list     []state.Drain // guarded by mu
	behind   bool          // guarded by mu; list is not what is so now, that is
	next     []state.Drain // guarded by mu
	asked    []string      // guarded by mu
	left     Left          // guarded by mu
	released int           // guarded by mu
	refuse   error         // guarded by mu; of SetDrain
	silent   error         // guarded by mu; of Left
}

func (d *drains) Drains() []state.Drain {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.list)
}

func (d *drains) SetDrain(_ context.Context, node string, on bool, by string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, fmt.Sprint(node, " ", on, " by ", by))
	if d.refuse != nil {
		return d.refuse
	}
	if d.next = nil; on {
		d.next = []state.Drain{{Node: node, AtUnixMS: 1_700_000_000_000, By: by}}
	}
	if !d.behind {
		d.list = d.next
	}
	return nil
}

func (d *drains) Left(_ context.Context, _ string, release bool) (Left, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if release {
		d.released++
	}
	return d.left, d.silent
}

// set changes what they answer.
func (d *drains) set(change func(*drains)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func TestDrain(t *testing.T) {
	n := serve(t, Config{})
	const path = "/api/v1/nodes/one/drain"
	var got DrainInfo
	n.do("GET", path, "").want(t, 200, &got)
	if got.Draining || got.ID != "n1" || got.Name != "one" || !got.Answered || got.Empty || !got.Leader {
		t.Errorf("before: %+v", got)
	}
	n.drains.set(func(d *drains) { d.left = Left{Streams: 2, Publishers: 1, Viewers: map[string]int{"flv": 3}} })
	n.do("POST", path, `{}`).want(t, 200, &got)
	n.do("POST", path, `{"release":true}`).want(t, 200, &got)
	if !got.Draining || got.Since.UnixMilli() != 1_700_000_000_000 || got.Left.Streams != 2 || got.Left.Viewers["flv"] != 3 ||
		got.Empty || n.drains.released != 1 {
		t.Errorf("drained: %+v, released %d times", got, n.drains.released)
	}
	var list nodesReply
	n.do("GET", "/api/v1/nodes", "").want(t, 200, &list)
	if len(list.Nodes) != 1 || !list.Nodes[0].Draining {
		t.Errorf("nodes: %+v", list.Nodes)
	}
	n.do("DELETE", "/api/v1/nodes/n1/drain", "").want(t, 200, &got)
	n.do("DELETE", path, "").want(t, 200, &got)
	if got.Draining {
		t.Errorf("called off: %+v", got)
	}
	// Twice: only the cluster knows that it is so already.
	want := []string{"n1 true by local", "n1 true by local", "n1 false by local", "n1 false by local"}
	if !slices.Equal(n.drains.asked, want) {
		t.Errorf("asked for %q, want %q", n.drains.asked, want)
	}
}

// A node whose copy of the state is behind, as that of one which has just started is,
// changes what it does not see, and says what is so now.
func TestDrainBehind(t *testing.T) {
	n := serve(t, Config{})
	const path = "/api/v1/nodes/one/drain"
	n.drains.set(func(d *drains) { d.behind = true })
	n.group.read = func(context.Context) error { // the answer comes from what it brings
		n.drains.set(func(d *drains) { d.list = d.next })
		return nil
	}
	for _, on := range []bool{true, false} {
		method, body := "POST", `{}`
		if !on {
			method, body = "DELETE", ""
		}
		var got DrainInfo
		if a := n.do(method, path, body).want(t, 200, &got); got.Draining != on || a.Header.Get(staleHeader) != "" {
			t.Errorf("%s: %+v, stale %q", method, got, a.Header.Get(staleHeader))
		}
	}
	n.group.read = func(context.Context) error { return member.ErrNotLeader } // it stays behind
	var got DrainInfo
	if a := n.do("POST", path, `{}`).want(t, 200, &got); !got.Draining || a.Header.Get(staleHeader) == "" {
		t.Errorf("%+v, stale %q", got, a.Header.Get(staleHeader))
	}
	n.do("POST", "/api/v1/nodes/two/drain", `{}`).want(t, 503, nil) // it may have come since
	want := []string{"n1 true by local", "n1 false by local", "n1 true by local"}
	if !slices.Equal(n.drains.asked, want) {
		t.Errorf("asked for %q, want %q", n.drains.asked, want)
	}
}

// A node that does not answer is not empty, though nothing of it is known.
func TestDrainOfASilentNode(t *testing.T) {
	n := serve(t, Config{})
	n.drains.set(func(d *drains) { d.silent = errors.New("no answer") })
	var got DrainInfo
	n.do("POST", "/api/v1/nodes/one/drain", `{}`).want(t, 200, &got)
	if got.Answered || got.Empty || !got.Draining {
		t.Errorf("%+v", got)
	}
}

func TestDrainRefused(t *testing.T) {
	n := serve(t, Config{})
	for _, c := range []struct {
		name, method, path, body string
		refuse                   error
		status                   int
	}{
		{"nobody", "POST", "/api/v1/nodes/two/drain", `{}`, nil, 404},
		{"nobody", "DELETE", "/api/v1/nodes/two/drain", "", nil, 404},
		{"nobody", "GET", "/api/v1/nodes/two/drain", "", nil, 404},
		{"no body", "POST", "/api/v1/nodes/one/drain", "", nil, 415},
		{"what is not known", "POST", "/api/v1/nodes/one/drain", `{"wait":1}`, nil, 422},
		{"an edge", "POST", "/api/v1/nodes/one/drain", `{}`, fmt.Errorf("drain: %w", member.ErrForbidden), 403},
		{"not in the state", "POST", "/api/v1/nodes/one/drain", `{}`, fmt.Errorf("drain: %w", state.ErrUnknownNode), 404},
		{"no leader", "POST", "/api/v1/nodes/one/drain", `{}`, fmt.Errorf("drain: %w", member.ErrNotLeader), 503},
		{"another method", "PUT", "/api/v1/nodes/one/drain", `{}`, nil, 405},
	} {
		t.Run(c.name+" "+c.method, func(t *testing.T) {
			n.drains.set(func(d *drains) { d.refuse = c.refuse })
			n.do(c.method, c.path, c.body).want(t, c.status, nil)
		})
	}
}
