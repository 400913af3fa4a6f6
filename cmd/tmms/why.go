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
	q, err := newQuestion(c, "why", "text", args, 1)
	if err != nil {
		return err
	}
	if len(q.words) == 0 {
		return usagef("want a stream: DOMAIN/APP/STREAM or APP/STREAM")
	}
	query := url.Values{"key": {q.words[0]}}
	reply, raw, err := get[admin.WhyReply](ctx, q.client, "/api/v1/why?"+query.Encode())
	if err != nil {
		return err
	}
	if q.json {
		return printJSON(c.stdout, raw)
	}
	for _, line := range reply.Text() {
		fmt.Fprintln(c.stdout, printable(line))
	}
	return nil
}
