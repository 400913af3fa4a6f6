package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
)

func diffCommand() command {
	return command{
		name: "diff", args: "-f domains.yaml [-o text|json] [--api URL]",
		summary: "Show what applying a file would change. Exit code 0: nothing, 1: something, 2: that is not known.",
		run:     runDiff,
	}
}

// Exit codes of diff, as those of diff(1).
const (
	exitDiffers = 1
	exitTrouble = 2
)

// runDiff asks for a dry run, which validates too.
func runDiff(ctx context.Context, c console, args []string) error {
	differs, err := diff(ctx, c, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return &exitError{code: exitTrouble, err: err}
	case differs:
		return &exitError{code: exitDiffers}
	}
	return nil
}

func diff(ctx context.Context, c console, args []string) (differs bool, err error) {
	fs := newFlags("diff")
	file := fs.String("f", "", "domains.yaml, the `FILE` to compare with what is in force")
	format := fs.String("o", "text", "output: `text` or json")
	api := clientFlags(c, fs)
	if _, err = parseFlags(c, fs, args, 0); err != nil {
		return false, err
	}
	switch {
	case *file == "":
		return false, usagef("-f FILE is missing")
	case *format != "text" && *format != "json":
		return false, usagef("-o %q: want text or json", *format)
	}
	cl, err := newClient(c, *api)
	if err != nil {
		return false, err
	}
	doc, err := loadDomains(*file)
	if err != nil {
		return false, err
	}
	reply, raw, err := cl.changeConfig(ctx, http.MethodPut, "/api/v1/config", applyRequest{DryRun: true, Document: doc})
	if err != nil {
		return false, err
	}
	if *format == "json" {
		return reply.Changed, printJSON(c.stdout, raw)
	}
	printDiff(c.stdout, reply.Diff)
	if reply.Changed && reply.Diff != nil {
		fmt.Fprintf(c.stdout, "revision %d is in force; this is other: %s\n", reply.Revision, reply.Diff.Summary())
	}
	return reply.Changed, nil
}
