package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"tmms/cluster/admin"
)

func historyCommand() command {
	return command{
		name: "history", args: "[-o table|json] [--local] [--api URL]",
		summary: "List the config revisions that are kept: when, by whom, what each changed. The last is in force.",
		run:     runHistory,
	}
}

func runHistory(ctx context.Context, c console, args []string) error {
	q, err := newQuestion(c, "history", "table", args, 0)
	if err != nil {
		return err
	}
	reply, raw, err := get[struct{ Revisions []admin.RevisionInfo }](ctx, q.client, "/api/v1/history")
	if err != nil {
		return err
	}
	if q.json {
		return printJSON(c.stdout, raw)
	}
	t := table{head: []string{"REVISION", "AT", "BY", "CHANGES"}}
	for _, r := range reply.Revisions {
		t.add(strconv.FormatUint(r.Revision, 10), r.At.Format(time.RFC3339), r.By, revisionText(r))
	}
	return t.print(c.stdout)
}

func revisionText(r admin.RevisionInfo) string {
	if r.SameAs == 0 {
		return r.Summary
	}
	text := fmt.Sprintf("back to revision %d", r.SameAs)
	if r.Summary != "" {
		text += ": " + r.Summary
	}
	return text
}

func rollbackCommand() command {
	return command{
		name: "rollback", args: "REV [--dry-run] [--base REV] [--api URL]",
		summary: "Put the content of an earlier revision in force, as a new revision. \"tmms history\" lists them.",
		run:     runRollback,
	}
}

// rollbackRequest is the body of POST /api/v1/rollback.
type rollbackRequest struct {
	Revision     uint64  `json:"revision"`
	BaseRevision *uint64 `json:"base_revision,omitempty"`
	DryRun       bool    `json:"dry_run"`
}

func runRollback(ctx context.Context, c console, args []string) error {
	fs := newFlags("rollback")
	flags := newChangeFlags(c, fs)
	words, err := parseFlags(c, fs, args, 1)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return usagef("want the REVISION to go back to")
	}
	revision, err := strconv.ParseUint(words[0], 10, 64)
	if err != nil {
		return usagef("%q is no revision; \"tmms history\" lists them", words[0])
	}
	base, err := flags.baseRevision()
	if err != nil {
		return err
	}
	cl, err := newClient(c, *flags.api)
	if err != nil {
		return err
	}
	reply, _, err := cl.changeConfig(ctx, http.MethodPost, "/api/v1/rollback",
		rollbackRequest{Revision: revision, BaseRevision: base, DryRun: *flags.dryRun})
	if err != nil {
		return err
	}
	printApplied(c.stdout, reply, fmt.Sprintf("back to what revision %d had", revision))
	return nil
}
