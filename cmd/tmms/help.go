package main

import (
	"context"
	"fmt"
)

func helpCommand() command {
	return command{name: "help", args: "[COMMAND]", summary: "Show the commands, or how to use one.", run: runHelp}
}

func runHelp(ctx context.Context, c console, args []string) error {
	words, err := parseFlags(c, newFlags("help"), args, 1)
	if err != nil {
		return err
	}
	if len(words) == 1 {
		cmd, ok := findCommand(words[0])
		if !ok {
			return usagef("unknown command %q; \"tmms help\" lists them", words[0])
		}
		return cmd.run(ctx, c, []string{"-h"})
	}
	fmt.Fprintln(c.stdout, "tmms serves live video: push RTMP, watch by RTMP, HTTP-FLV, HTTP-TS, WebSocket-FLV and HLS.")
	fmt.Fprintln(c.stdout)
	for _, cmd := range commands() {
		fmt.Fprintf(c.stdout, "  tmms %-8s %s\n", cmd.name, cmd.summary)
	}
	fmt.Fprintln(c.stdout, "\nTry \"tmms dev --demo\" and open http://localhost:8080/ in a browser.")
	return nil
}
