package main

import (
	"context"
	"fmt"
	"net/url"

	"tmms/cluster/admin"
)

func whyCommand() command {
	return command{
		name: "why", args: "KEY [-o text|json] [--local] [--api URL]",
		summary: "Say where a stream comes from and goes to, and why it does not play. " +
			"KEY is DOMAIN/APP/STREAM or APP/STREAM.",
		run: runWhy,
	}
}

func runWhy(ctx context.Context, c console, args []string) error {
	fs := newFlags("why")
	format := fs.String("o", "text", "output: `text` or json")
	local := localFlag(fs)
	api := clientFlags(c, fs)
	words, err := parseFlags(c, fs, args, 1)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return usagef("want a stream: DOMAIN/APP/STREAM or APP/STREAM")
	}
	if *format != "text" && *format != "json" {
		return usagef("-o %q: want text or json", *format)
	}
	cl, err := newClient(c, *api)
	if err != nil {
		return err
	}
	query := url.Values{"key": {words[0]}}
	if *local {
		query.Set("consistency", "local")
	}
	reply, raw, err := get[admin.WhyReply](ctx, cl, "/api/v1/why?"+query.Encode())
	if err != nil {
		return err
	}
	if *format == "json" {
		return printJSON(c.stdout, raw)
	}
	for _, line := range reply.Text() {
		fmt.Fprintln(c.stdout, printable(line))
	}
	return nil
}
