package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"strings"

	"tmms/cmd/tmms/internal/logging"
	"tmms/cmd/tmms/internal/node"
	"tmms/cmd/tmms/internal/nodeconfig"
)

func runCommand() command {
	return command{
		name: "run", args: "[--config FILE] [--set KEY=VALUE]...",
		summary: "Run a node with the roles of its configuration.", run: runRun,
	}
}

func runRun(ctx context.Context, c console, args []string) error {
	fs := newFlags("run")
	src := nodeconfig.Sources{Environ: c.environ}
	configFlags(fs, &src)
	if _, err := parseFlags(c, fs, args, 0); err != nil {
		return err
	}
	cfg, err := loadConfig(src)
	if err != nil {
		return err
	}
	n, log, err := build(ctx, c, cfg, node.Options{Version: version()})
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings() {
		log.Warn("config", slog.String("warning", w))
	}
	return errors.Join(n.Run(ctx), log.Close())
}

// configFlags are the flags of every command that reads a node's configuration.
func configFlags(fs *flag.FlagSet, src *nodeconfig.Sources) {
	fs.StringVar(&src.File, "config", "", "node.yaml, the `FILE` to read")
	fs.Var((*listFlag)(&src.Set), "set", "`KEY=VALUE` over file and environment, such as log.level=debug; may be repeated")
}

// loadConfig is nodeconfig.Load with the exit code in mind: what only the
// command line got wrong is a matter of usage.
func loadConfig(src nodeconfig.Sources) (*nodeconfig.Config, error) {
	cfg, err := nodeconfig.Load(src)
	if err == nil {
		return cfg, nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil, err
	}
	for _, e := range joined.Unwrap() {
		var f nodeconfig.FaultError
		if !errors.As(e, &f) || !strings.HasPrefix(f.Source, "--") {
			return nil, err
		}
	}
	return nil, &usageError{err}
}

// build fits the runtime, and makes the logger and the node; the ports are
// bound, nothing runs.
func build(
	ctx context.Context, c console, cfg *nodeconfig.Config, opt node.Options,
) (*node.Node, *logging.Logger, error) {
	node.Tune(c.getenv)
	log, err := logging.New(logging.Config{
		Level: cfg.Log.Level, Format: cfg.Log.Format, File: cfg.Log.File,
		MaxSizeMB: cfg.Log.Rotate.MaxSizeMB, MaxBackups: cfg.Log.Rotate.MaxBackups, MaxAgeDays: cfg.Log.Rotate.MaxAgeDays,
	}, c.stderr)
	if err != nil {
		return nil, nil, err
	}
	opt.Log, opt.Level = log.Logger, log.Level
	n, err := node.New(ctx, *cfg, opt)
	if err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	return n, log, nil
}
