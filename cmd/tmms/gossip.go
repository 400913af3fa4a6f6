package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"tmms/cluster/gossip"
)

func gossipCommand() command {
	return command{
		name: "gossip", args: "rotate-key [--skip-absent] [--api URL]",
		summary: "Replace the key that encrypts the gossip between nodes.", run: runGossip,
	}
}

func runGossip(ctx context.Context, c console, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if _, err := parseFlags(c, newFlags("gossip"), args, 0); err != nil {
			return err
		}
		return usagef("want \"rotate-key\"")
	}
	if args[0] != "rotate-key" {
		return usagef("want \"rotate-key\", not %q", args[0])
	}
	return runRotateKey(ctx, c, args[1:])
}

func runRotateKey(ctx context.Context, c console, args []string) error {
	fs := newFlags("gossip rotate-key")
	skip := fs.Bool("skip-absent", false,
		"leave out nodes that are known and not there; copy them a key file before they start")
	api := clientFlags(c, fs)
	if _, err := parseFlags(c, fs, args, 0); err != nil {
		return err
	}
	cl, err := newClient(c, *api)
	if err != nil {
		return err
	}
	cl.http.Timeout = changeTimeout
	b, err := cl.call(ctx, http.MethodPost, "/api/v1/gossip/key/rotate", map[string]bool{"skip_absent": *skip})
	if err != nil {
		return err
	}
	var report gossip.Report
	if err = json.Unmarshal(b, &report); err != nil {
		return fmt.Errorf("the answer of %s is not understood: %w", *api, err)
	}
	printRotation(c.stdout, report)
	return nil
}

func printRotation(w io.Writer, report gossip.Report) {
	for _, r := range report.Rounds {
		what := r.Action
		switch r.Action {
		case "settle":
			what = "went back to one key, which an earlier rotation had not"
		case "add":
			what = "added the new key"
		case "use":
			what = "use the new key"
		case "keep":
			what = "forgot the old key"
		}
		fmt.Fprintf(w, "%d nodes %s\n", r.Nodes, printable(what))
	}
	fmt.Fprintf(w, "the key was rotated on %d nodes: %s\n", len(report.Nodes), printable(strings.Join(report.Nodes, " ")))
	if len(report.Skipped) > 0 {
		fmt.Fprintf(w, "not on %s: copy the key file of another node there before a start\n",
			printable(strings.Join(report.Skipped, " ")))
	}
	fmt.Fprintln(w, "a new node needs the key file of one of these, not the gossip.key of before")
}
