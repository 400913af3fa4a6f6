package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	"tmms/cluster/state"
	"tmms/cmd/tmms/internal/nodeconfig"
)

// configTimeout is for changes of the config: 10,000 publish keys take a while to hash.
const configTimeout = 130 * time.Second

func applyCommand() command {
	return command{
		name: "apply", args: "-f domains.yaml [--dry-run] [--base REV] [--api URL]",
		summary: "Put the domains, apps and regions of a file in force in the whole cluster.", run: runApply,
	}
}

// applyRequest is the body of PUT /api/v1/config.
type applyRequest struct {
	*state.Document

	BaseRevision *uint64 `json:"base_revision,omitempty"`
	DryRun       bool    `json:"dry_run"`
}

// applyReply is the answer to it, and to a rollback.
type applyReply struct {
	Revision uint64
	Changed  bool
	DryRun   bool `json:"dry_run"`
	Diff     *state.Diff
}

// changeFlags are those of a command that changes the config.
type changeFlags struct {
	dryRun *bool
	base   *int64
	api    *string
}

func newChangeFlags(c console, fs *flag.FlagSet) changeFlags {
	return changeFlags{
		dryRun: fs.Bool("dry-run", false, "only check and show what would change"),
		base:   fs.Int64("base", -1, "refuse if another revision than `REV` is in force; -1 is any"),
		api:    clientFlags(c, fs),
	}
}

// baseRevision is what --base says, nil without.
func (f changeFlags) baseRevision() (*uint64, error) {
	switch {
	case *f.base < -1:
		return nil, usagef("--base %d: want a revision or -1", *f.base)
	case *f.base == -1:
		return nil, nil //nolint:nilnil // any
	}
	return new(uint64(*f.base)), nil
}

func runApply(ctx context.Context, c console, args []string) error {
	fs := newFlags("apply")
	file := fs.String("f", "", "domains.yaml, the `FILE` to apply")
	flags := newChangeFlags(c, fs)
	if _, err := parseFlags(c, fs, args, 0); err != nil {
		return err
	}
	if *file == "" {
		return usagef("-f FILE is missing")
	}
	base, err := flags.baseRevision()
	if err != nil {
		return err
	}
	cl, err := newClient(c, *flags.api)
	if err != nil {
		return err
	}
	doc, err := loadDomains(*file)
	if err != nil {
		return err
	}
	reply, _, err := cl.changeConfig(ctx, http.MethodPut, "/api/v1/config",
		applyRequest{BaseRevision: base, DryRun: *flags.dryRun, Document: doc})
	if err != nil {
		return err
	}
	printApplied(c.stdout, reply, "applied")
	return nil
}

// loadDomains reads a domains.yaml; a file without domains means to remove all.
func loadDomains(file string) (*state.Document, error) {
	doc, err := nodeconfig.LoadDomains(file)
	if err != nil {
		return nil, err
	}
	if doc.Domains == nil {
		doc.Domains = []state.DomainDoc{}
	}
	return doc, nil
}

// changeConfig asks for a change of the config.
func (cl *client) changeConfig(
	ctx context.Context, method, path string, body any,
) (r applyReply, raw []byte, err error) {
	cl.http.Timeout = configTimeout
	raw, err = cl.call(ctx, method, path, body)
	if err != nil {
		return r, nil, err
	}
	if err = json.Unmarshal(raw, &r); err != nil {
		return r, nil, fmt.Errorf("the answer of %s is not understood: %w", cl.base, err)
	}
	return r, raw, nil
}

// printApplied says what was done, in a dry run with all that would change.
func printApplied(w io.Writer, r applyReply, done string) {
	summary := ""
	if r.Diff != nil {
		summary = ": " + r.Diff.Summary()
	}
	switch {
	case !r.Changed:
		fmt.Fprintf(w, "no change; revision %d is in force\n", r.Revision)
	case r.DryRun:
		printDiff(w, r.Diff)
		fmt.Fprintf(w, "valid; this would change revision %d%s\n", r.Revision, summary)
	default:
		fmt.Fprintf(w, "%s; revision %d is in force%s\n", done, r.Revision, summary)
	}
}

// printDiff prints a change on each line.
func printDiff(w io.Writer, d *state.Diff) {
	if d == nil {
		return
	}
	for _, c := range d.Changes {
		fmt.Fprintln(w, printable(c.String()))
	}
	if d.More > 0 {
		fmt.Fprintf(w, "... and %d more\n", d.More)
	}
}
