package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"tmms/cluster/state"
	"tmms/cmd/tmms/internal/nodeconfig"
)

func applyCommand() command {
	return command{
		name: "apply", args: "-f domains.yaml [--dry-run] [--base-revision N] [--api URL]",
		summary: "Put the domains and apps of a file in force in the whole cluster.", run: runApply,
	}
}

// applyRequest is the body of PUT /api/v1/config.
type applyRequest struct {
	BaseRevision *uint64           `json:"base_revision,omitempty"`
	DryRun       bool              `json:"dry_run"`
	Domains      []state.DomainDoc `json:"domains"`
}

func runApply(ctx context.Context, c console, args []string) error {
	fs := newFlags("apply")
	file := fs.String("f", "", "domains.yaml, the `FILE` to apply")
	dryRun := fs.Bool("dry-run", false, "only check, change nothing")
	base := fs.Int64("base-revision", -1, "refuse if another revision than `N` is in force; -1 is any")
	api := clientFlags(c, fs)
	if _, err := parseFlags(c, fs, args, 0); err != nil {
		return err
	}
	if *file == "" {
		return usagef("-f FILE is missing")
	}
	if *base < -1 {
		return usagef("--base-revision %d: want a revision or -1", *base)
	}
	cl, err := newClient(c, *api)
	if err != nil {
		return err
	}
	doc, err := nodeconfig.LoadDomains(*file)
	if err != nil {
		return err
	}
	req := applyRequest{DryRun: *dryRun, Domains: doc.Domains}
	if req.Domains == nil {
		req.Domains = []state.DomainDoc{}
	}
	if *base >= 0 {
		req.BaseRevision = new(uint64(*base))
	}
	b, err := cl.call(ctx, http.MethodPut, "/api/v1/config", req)
	if err != nil {
		return err
	}
	var reply struct {
		Revision uint64 `json:"revision"`
		Changed  bool   `json:"changed"`
	}
	if err := json.Unmarshal(b, &reply); err != nil {
		return fmt.Errorf("the answer of %s is not understood: %w", *api, err)
	}
	fmt.Fprintln(c.stdout, applied(*dryRun, reply.Changed, reply.Revision))
	return nil
}

func applied(dryRun, changed bool, revision uint64) string {
	switch {
	case dryRun && changed:
		return fmt.Sprintf("valid; applying it would change revision %d", revision)
	case !changed:
		return fmt.Sprintf("no change; revision %d is in force", revision)
	}
	return fmt.Sprintf("applied; revision %d is in force", revision)
}
