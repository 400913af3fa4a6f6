package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tmms/cluster/admin"
	"tmms/cluster/consensus"
)

func raftCommand() command {
	return command{
		name: "raft",
		args: "status [-o table|json] [--local] | add NAME ADDRESS | remove NAME|ID | transfer [NAME|ID] | " +
			"snapshot [FILE] | restore [--foreign] FILE | level [-o table|json] [LEVEL]  [--api URL]",
		summary: "Show and change which nodes vote on the cluster's state, save it and bring it back.", run: runRaft,
	}
}

func runRaft(ctx context.Context, c console, args []string) error {
	const want = "want \"status\", \"add\", \"remove\", \"transfer\", \"snapshot\", \"restore\" or \"level\""
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if _, err := parseFlags(c, newFlags("raft"), args, 0); err != nil {
			return err
		}
		return usagef(want)
	}
	run := map[string]func(context.Context, console, []string) error{
		"status": runRaftStatus, "add": runRaftAdd, "remove": runRaftRemove, "transfer": runRaftTransfer,
		"snapshot": runRaftSnapshot, "restore": runRaftRestore, "level": runRaftLevel,
	}[args[0]]
	if run == nil {
		return usagef(want+", not %q", args[0])
	}
	return run(ctx, c, args[1:])
}

func runRaftStatus(ctx context.Context, c console, args []string) error {
	q, err := newQuestion(c, "raft status", "table", args, 0)
	if err != nil {
		return err
	}
	info, raw, err := get[admin.RaftInfo](ctx, q.client, "/api/v1/raft")
	if err != nil {
		return err
	}
	if q.json {
		return printJSON(c.stdout, raw)
	}
	fmt.Fprintf(c.stdout, "cluster %s, term %d, entry %d of %d is committed, feature level %d\n\n",
		printable(info.ClusterID), info.Term, info.Committed, info.LastIndex, info.Level)
	if info.Trouble != "" {
		fmt.Fprintf(c.stdout, "the node that was asked takes no part in it now: %s\n\n", printable(info.Trouble))
	}
	return raftTable(info).print(c.stdout)
}

func raftTable(info admin.RaftInfo) *table {
	t := &table{head: []string{"SERVER", "ROLE", "HEARD", "ADDRESS", "ID"}}
	for _, s := range info.Servers {
		role, heard := "voter", "now"
		switch {
		case s.Leader:
			role = "leader"
		case !s.Voter:
			role = "catching up"
		}
		if s.SilentSeconds > 0 {
			heard = time.Duration(s.SilentSeconds*float64(time.Second)).Round(100*time.Millisecond).String() + " ago"
		}
		t.add(s.Name, role, heard, s.Address, s.ID)
	}
	return t
}

func runRaftAdd(ctx context.Context, c console, args []string) error {
	fs := newFlags("raft add")
	api := clientFlags(c, fs)
	words, err := parseFlags(c, fs, args, 2)
	if err != nil {
		return err
	}
	if len(words) != 2 {
		return usagef("want the NAME of the node and the ADDRESS of its fabric")
	}
	body := struct {
		Name    string `json:"name"`
		Address string `json:"address"`
	}{words[0], words[1]}
	if err = change(ctx, c, *api, http.MethodPost, "/api/v1/raft/servers", body); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s is a member; it votes when it has caught up, see \"tmms raft status\"\n", body.Name)
	return nil
}

func runRaftRemove(ctx context.Context, c console, args []string) error {
	fs := newFlags("raft remove")
	api := clientFlags(c, fs)
	words, err := parseFlags(c, fs, args, 1)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usagef("want the NAME or the ID of the member")
	}
	path := "/api/v1/raft/servers/" + url.PathEscape(words[0])
	if err = change(ctx, c, *api, http.MethodDelete, path, nil); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s is no member any more; stop it, or take it out of its own cluster.voters and restart it\n",
		words[0])
	return nil
}

// runRaftTransfer hands the leadership over.
func runRaftTransfer(ctx context.Context, c console, args []string) error {
	fs := newFlags("raft transfer")
	api := clientFlags(c, fs)
	words, err := parseFlags(c, fs, args, 1)
	if err != nil {
		return err
	}
	cl, err := newClient(c, *api)
	if err != nil {
		return err
	}
	cl.http.Timeout = changeTimeout
	var body struct {
		Name string `json:"name"`
	}
	if len(words) == 1 {
		body.Name = words[0]
	}
	leader, err := ask[struct{ Name string }](ctx, cl, http.MethodPost, "/api/v1/raft/transfer", body)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s leads\n", printable(leader.Name))
	return nil
}

// runRaftLevel shows which feature levels the nodes know, or raises the cluster's.
func runRaftLevel(ctx context.Context, c console, args []string) error {
	q, err := newQuestion(c, "raft level", "table", args, 1)
	if err != nil {
		return err
	}
	method, body := http.MethodGet, any(nil)
	if len(q.words) == 1 {
		level, fault := strconv.Atoi(q.words[0])
		if fault != nil || level < 1 {
			return usagef("LEVEL is %q, it must be a number from 1", q.words[0])
		}
		method, body = http.MethodPut, struct {
			Level int `json:"level"`
		}{level}
	}
	q.client.http.Timeout = changeTimeout
	raw, err := q.client.call(ctx, method, "/api/v1/raft/level", body)
	if err != nil {
		return err
	}
	if q.json {
		return printJSON(c.stdout, raw)
	}
	var levels consensus.Levels
	if err = json.Unmarshal(raw, &levels); err != nil {
		return fmt.Errorf("the answer of %s is not understood: %w", q.client.base, err)
	}
	fmt.Fprintf(c.stdout, "the cluster is at feature level %d\n\n", levels.Level)
	t := &table{head: []string{"NODE", "VERSION", "KNOWS", "ID"}}
	for _, d := range levels.Nodes {
		knows := strconv.Itoa(d.Level)
		if !d.Answers {
			knows += " (does not answer)"
		}
		t.add(d.Name, d.Version, knows, d.ID)
	}
	return t.print(c.stdout)
}

// change asks for something that many nodes take part in.
func change(ctx context.Context, c console, api, method, path string, body any) error {
	cl, err := newClient(c, api)
	if err != nil {
		return err
	}
	cl.http.Timeout = changeTimeout
	_, err = cl.call(ctx, method, path, body)
	return err
}
