package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"tmms/bench/history"
)

const (
	admin = "http://127.0.0.1:8090" // in each node's network
	// askTimeout bounds a question to a node; an apply may take longer.
	askTimeout   = 3 * time.Second
	applyTimeout = 15 * time.Second
	maxAnswer    = 8 << 20
)

// newClient asks in the node's network.
func (n *Node) newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: n.Dial, MaxIdleConnsPerHost: 4}}
}

// statusError is an answer that is no success.
type statusError struct {
	status int
	body   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("faults: status %d: %.300s", e.status, e.body)
}

// ask sends a request and decodes the answer; stale: it says that it may be out of date.
func (n *Node) ask(ctx context.Context, method, path string, body, reply any) (stale bool, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return false, fmt.Errorf("faults: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, admin+path, bytes.NewReader(b))
	if err != nil {
		return false, fmt.Errorf("faults: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := n.client.Do(req)
	if err != nil {
		return false, fmt.Errorf("faults: %w", err)
	}
	defer answer.Body.Close()
	b, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case err != nil:
		return false, fmt.Errorf("faults: %w", err)
	case answer.StatusCode != http.StatusOK:
		return false, &statusError{answer.StatusCode, string(b)}
	case reply != nil:
		err = json.Unmarshal(b, reply)
	}
	return answer.Header.Get("X-Tmms-Stale") != "", err //nolint:wrapcheck // json's own
}

// get is ask for what is there.
func (n *Node) get(ctx context.Context, path string, reply any) (stale bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return n.ask(ctx, http.MethodGet, path, nil, reply)
}

func (n *Node) ready(ctx context.Context) bool {
	_, err := n.get(ctx, "/readyz", nil)
	return err == nil
}

// member is a node as another one lists it.
type member struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	State  string `json:"state"`
	Self   bool   `json:"self"`
	Leader bool   `json:"leader"`
}

// members are the nodes that this one lists, by its own copy.
func (n *Node) members(ctx context.Context) (list []member, err error) {
	var reply struct {
		Nodes []member `json:"nodes"`
	}
	_, err = n.get(ctx, "/api/v1/nodes?consistency=local", &reply)
	return reply.Nodes, err
}

// sees tells whether the node sees so many alive.
func (n *Node) sees(ctx context.Context, alive int) bool {
	list, err := n.members(ctx)
	if err != nil {
		return false
	}
	for _, m := range list {
		if m.State == "alive" {
			alive--
		}
	}
	return alive == 0
}

// leads tells whether the node itself says that it leads.
func (n *Node) leads(ctx context.Context) bool {
	list, err := n.members(ctx)
	if err != nil {
		return false
	}
	for _, m := range list {
		if m.Self && m.Leader {
			return true
		}
	}
	return false
}

// Leader is the node that leads, among those that are there.
func (c *Cluster) Leader(ctx context.Context) (*Node, bool) {
	return c.leaderOf(ctx, c.Origins())
}

func (c *Cluster) leaderOf(ctx context.Context, nodes []*Node) (*Node, bool) {
	for _, n := range nodes {
		if n.there() && n.leads(ctx) {
			return n, true
		}
	}
	return nil, false
}

// Placement is who owns a stream.
type Placement struct {
	Epoch     uint64 `json:"epoch"`
	OwnerName string `json:"owner_name"` // "" of one that has lost its owner
	Standby   string `json:"standby"`    // name
	InSync    bool   `json:"in_sync"`
	LostBy    string `json:"lost_by"` // name
}

// Placed is a stream's placement as the node knows it; local: by its own copy, else
// by what the leader has committed, unless it is stale. nil: there is none.
func (n *Node) Placed(ctx context.Context, stream string, local bool) (p *Placement, stale bool, err error) {
	query := url.Values{"key": {key(stream)}, "local": {"true"}}
	if local {
		query.Set("consistency", "local")
	}
	var reply struct {
		Placement *Placement `json:"placement"`
	}
	stale, err = n.get(ctx, "/api/v1/why?"+query.Encode(), &reply)
	return reply.Placement, stale, err
}

// key is that of a stream of app live.
func key(stream string) string { return "default/live/" + stream }

// held is a stream that a node has.
type held struct {
	Key       string `json:"key"`
	State     string `json:"state"`
	Epoch     uint64 `json:"epoch"`
	Run       uint32 `json:"run"`
	Pulled    bool   `json:"pulled"`
	Publisher *struct {
		Remote string `json:"remote"`
	} `json:"publisher"`
}

// holds are the streams that are on the node.
func (n *Node) holds(ctx context.Context) (list []held, err error) {
	var reply struct {
		Streams []held `json:"streams"`
	}
	_, err = n.get(ctx, "/api/v1/streams?local=true&consistency=local", &reply)
	return reply.Streams, err
}

// document is the config: one app for the streams, and one whose name is a value.
type document struct {
	Base    *uint64      `json:"base_revision,omitempty"`
	Domains []domainText `json:"domains"`
}

type domainText struct {
	Name    string    `json:"name"`
	Aliases []string  `json:"aliases,omitempty"`
	Apps    []appText `json:"apps"`
}

type appText struct {
	Name  string `json:"name"`
	Grace string `json:"grace,omitempty"`
}

// valueDomain is the domain whose app's name is the value.
const valueDomain = "value.test"

func newDocument(base *uint64, value string) document {
	return document{Base: base, Domains: []domainText{
		{Name: "default", Aliases: []string{"*"}, Apps: []appText{{Name: "live", Grace: grace.String()}}},
		{Name: valueDomain, Apps: []appText{{Name: value}}},
	}}
}

// apply puts a value in force over a base revision; nil is any.
func (n *Node) apply(ctx context.Context, base *uint64, value string) (o history.Outcome, revision uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	var reply struct {
		Revision uint64 `json:"revision"`
	}
	_, err = n.ask(ctx, http.MethodPut, "/api/v1/config", newDocument(base, value), &reply)
	var refused *statusError
	switch {
	case err == nil:
		return history.Applied, reply.Revision, nil
	case errors.As(err, &refused) && refused.status == http.StatusConflict:
		return history.Conflict, 0, err
	}
	return history.Unknown, 0, err
}

// config reads the value in force; stale: it may have been replaced.
func (n *Node) config(ctx context.Context) (revision uint64, value string, stale bool, err error) {
	var reply struct {
		Revision uint64       `json:"revision"`
		Domains  []domainText `json:"domains"`
	}
	stale, err = n.get(ctx, "/api/v1/config", &reply)
	for _, d := range reply.Domains {
		if d.Name == valueDomain && len(d.Apps) == 1 {
			value = d.Apps[0].Name
		}
	}
	return reply.Revision, value, stale, err
}
