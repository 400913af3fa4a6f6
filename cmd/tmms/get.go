package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"tmms/cluster/admin"
)

func getCommand() command {
	return command{
		name: "get", args: "domains|streams|nodes|viewers [-o table|json] [--local] [--api URL]",
		summary: "List what a node knows.", run: runGet,
	}
}

func runGet(ctx context.Context, c console, args []string) error {
	q, err := newQuestion(c, "get", "table", args, 1)
	if err != nil {
		return err
	}
	if len(q.words) == 0 {
		return usagef("want domains, streams, nodes or viewers")
	}
	fetch, ok := map[string]func(context.Context, *client) (table, []byte, error){
		"domains": getDomains, "streams": getStreams, "nodes": getNodes, "viewers": getViewers,
	}[q.words[0]]
	if !ok {
		return usagef("want domains, streams, nodes or viewers, not %q", q.words[0])
	}
	t, raw, err := fetch(ctx, q.client)
	if err != nil {
		return err
	}
	if q.json {
		return printJSON(c.stdout, raw)
	}
	return t.print(c.stdout)
}

func printJSON(w io.Writer, raw []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(raw), "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

// table is rows under a head.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			if cell == "" {
				cell = "-"
			}
			end := "\t"
			if i == len(row)-1 {
				end = "\n"
			}
			fmt.Fprint(tw, printable(cell), end)
		}
	}
	return tw.Flush()
}

// printable keeps what a peer called itself from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7F && r < 0xA0 {
			return '?'
		}
		return r
	}, s)
}

func getDomains(ctx context.Context, cl *client) (table, []byte, error) {
	t := table{head: []string{"DOMAIN", "ALIASES", "APP", "PLAYS", "PUBLISH", "LATENCY", "GRACE"}}
	reply, raw, err := get[struct{ Domains []admin.DomainInfo }](ctx, cl, "/api/v1/domains")
	for _, d := range reply.Domains {
		if len(d.Apps) == 0 {
			t.add(d.Name, strings.Join(d.Aliases, " "), "", "", "", "", "")
		}
		for _, a := range d.Apps {
			publish := "open"
			if !a.Open {
				publish = fmt.Sprintf("%d keys", a.PublishKeys)
			}
			t.add(d.Name, strings.Join(d.Aliases, " "), a.Name, plays(a), publish, a.Latency.String(), a.Grace.String())
		}
	}
	return t, raw, err
}

func plays(a admin.AppInfo) string {
	var all []string
	for _, p := range []struct {
		name string
		on   bool
	}{{"rtmp", a.RTMP}, {"flv", a.FLV}, {"hls", a.HLS}} {
		if p.on {
			all = append(all, p.name)
		}
	}
	return strings.Join(all, " ")
}

func getStreams(ctx context.Context, cl *client) (table, []byte, error) {
	t := table{head: []string{"STREAM", "STATE", "CODECS", "SIZE", "KBIT/S", "OWNER", "EDGES", "VIEWERS", "UP", "FROM"}}
	reply, raw, err := get[struct{ Streams []admin.StreamInfo }](ctx, cl, "/api/v1/streams")
	for _, s := range reply.Streams {
		var size, rate, from string
		if s.Width > 0 {
			size = fmt.Sprintf("%dx%d", s.Width, s.Height)
		}
		if p := s.Publisher; p != nil {
			rate, from = strconv.FormatInt(p.BitrateBPS/1000, 10), p.Remote
		}
		up := time.Duration(s.UptimeSeconds) * time.Second
		edges := make([]string, len(s.Edges))
		for i, e := range s.Edges {
			edges[i] = e.Name
		}
		t.add(s.Key, s.State, strings.Join(s.Codecs, " "), size, rate, s.OwnerName, strings.Join(edges, " "),
			counts(s.Viewers), up.String(), from)
	}
	return t, raw, err
}

// counts renders viewers by protocol: "flv 2, hls 1".
func counts(byProto map[string]int) string {
	var all []string
	for _, proto := range slices.Sorted(maps.Keys(byProto)) {
		if n := byProto[proto]; n > 0 {
			all = append(all, fmt.Sprintf("%s %d", proto, n))
		}
	}
	if len(all) == 0 {
		return "0"
	}
	return strings.Join(all, ", ")
}

func getNodes(ctx context.Context, cl *client) (table, []byte, error) {
	t := table{head: []string{"NODE", "ROLES", "REGION", "ZONE", "STATE", "RAFT", "CONFIG", "VERSION", "ADDRESSES"}}
	reply, raw, err := get[struct{ Nodes []admin.NodeInfo }](ctx, cl, "/api/v1/nodes")
	for _, n := range reply.Nodes {
		addresses := make([]string, 0, len(n.Addresses))
		for _, name := range slices.Sorted(maps.Keys(n.Addresses)) {
			addresses = append(addresses, name+"="+n.Addresses[name])
		}
		raft := ""
		switch {
		case n.Leader:
			raft = "leader"
		case n.Voter:
			raft = "voter"
		}
		state := n.State
		if n.Draining {
			state += ", draining"
		}
		config := ""
		if n.ConfigRevision != nil {
			config = strconv.FormatUint(*n.ConfigRevision, 10)
		}
		t.add(n.Name, strings.Join(n.Roles, " "), n.Region, n.Zone, state, raft, config, n.Version,
			strings.Join(addresses, " "))
	}
	return t, raw, err
}

func getViewers(ctx context.Context, cl *client) (table, []byte, error) {
	t := table{head: []string{"STREAM", "PROTO", "NODE", "FROM", "SINCE", "SENT", "LAG"}}
	reply, raw, err := get[struct{ Viewers []admin.ViewerInfo }](ctx, cl, "/api/v1/viewers")
	for _, v := range reply.Viewers {
		t.add(v.Key, v.Proto, v.Node, v.Remote, v.Since.Format(time.RFC3339), strconv.FormatInt(v.SentBytes, 10),
			(time.Duration(v.LagMS) * time.Millisecond).String())
	}
	return t, raw, err
}
