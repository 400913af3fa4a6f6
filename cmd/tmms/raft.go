package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tmms/cluster/admin"
)

func raftCommand() command {
	return command{
		name:    "raft",
		args:    "status [-o table|json] [--local] | add NAME ADDRESS | remove NAME|ID  [--api URL]",
		summary: "Show and change which nodes vote on the cluster's state.", run: runRaft,
	}
}

func runRaft(ctx context.Context, c console, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if _, err := parseFlags(c, newFlags("raft"), args, 0); err != nil {
			return err
		}
		return usagef("want \"status\", \"add\" or \"remove\"")
	}
	switch args[0] {
	case "status":
		return runRaftStatus(ctx, c, args[1:])
	case "add":
		return runRaftAdd(ctx, c, args[1:])
	case "remove":
		return runRaftRemove(ctx, c, args[1:])
	}
	return usagef("want \"status\", \"add\" or \"remove\", not %q", args[0])
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
	fmt.Fprintf(c.stdout, "cluster %s, term %d, entry %d of %d is committed\n\n",
		printable(info.ClusterID), info.Term, info.Committed, info.LastIndex)
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
