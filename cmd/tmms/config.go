package main

import (
	"context"
	"fmt"

	"tmms/cmd/tmms/internal/nodeconfig"
)

func configCommand() command {
	return command{
		name: "config", args: "check [--config FILE] [--set KEY=VALUE]... | sample",
		summary: "Check a node's configuration, or print a sample with every key.", run: runConfig,
	}
}

func runConfig(_ context.Context, c console, args []string) error {
	fs := newFlags("config")
	var src nodeconfig.Sources
	configFlags(fs, &src)
	words, err := parseFlags(c, fs, args, 1)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return usagef("want \"check\" or \"sample\"")
	}
	switch words[0] {
	case "sample":
		fmt.Fprint(c.stdout, nodeconfig.Sample())
		return nil
	case "check":
		src.Environ = c.environ
		cfg, err := loadConfig(src)
		if err != nil {
			return err
		}
		for _, w := range cfg.Warnings() {
			fmt.Fprintln(c.stderr, "warning:", w)
		}
		fmt.Fprintf(c.stdout, "ok: node %s, roles %v\n", cfg.Node.Name, cfg.Node.Roles)
		return nil
	}
	return usagef("want \"check\" or \"sample\", not %q", words[0])
}
