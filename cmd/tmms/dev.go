package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"syscall"

	"tmms/cluster/state"
	"tmms/cmd/tmms/internal/demo"
	"tmms/cmd/tmms/internal/logging"
	"tmms/cmd/tmms/internal/node"
	"tmms/cmd/tmms/internal/nodeconfig"
)

func devCommand() command {
	return command{
		name: "dev", args: "[--demo] [--data DIR] [--rtmp ADDR] [--http ADDR] [--admin ADDR]",
		summary: "Run everything in one process, open for publishing; --demo shows a picture.", run: runDev,
	}
}

func runDev(ctx context.Context, c console, args []string) error {
	fs := newFlags("dev")
	withDemo := fs.Bool("demo", false, "publish a built-in moving picture with sound as live/demo")
	fs.String("data", "", "keep the state in this `DIR`; without it everything is in memory")
	fs.String("rtmp", ":1935", "listen for RTMP at this `ADDR`")
	fs.String("http", ":8080", "listen for HTTP viewers at this `ADDR`")
	fs.String("admin", "127.0.0.1:8090", "listen for API and console at this `ADDR`")
	src := nodeconfig.Sources{
		Environ:  c.environ,
		Defaults: map[string]string{"node.name": "dev", "node.data_dir": "", "log.level": "warn"},
	}
	configFlags(fs, &src)
	if _, err := parseFlags(c, fs, args, 0); err != nil {
		return err
	}
	keys := map[string]string{
		"data": "node.data_dir", "rtmp": "listen.rtmp", "http": "listen.http", "admin": "listen.admin",
	}
	fs.Visit(func(f *flag.Flag) {
		if key := keys[f.Name]; key != "" {
			src.Flags = append(src.Flags, nodeconfig.Flag{Name: f.Name, Key: key, Value: f.Value.String()})
		}
	})
	cfg, err := loadConfig(src)
	if err != nil {
		return err
	}
	n, log, err := build(ctx, c, cfg, node.Options{Version: version(), FirstConfig: devConfig()})
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; --rtmp, --http and --admin choose other ports", err)
	}
	if err != nil {
		return err
	}
	d := dev{node: n, log: log, memory: cfg.Node.DataDir == "", demo: *withDemo, stdout: c.stdout}
	return errors.Join(d.run(ctx), log.Close())
}

// devConfig is the first config of dev: one app that everybody may publish to.
func devConfig() *state.Document {
	on := true
	return &state.Document{Domains: []state.DomainDoc{{
		Name: "default", Aliases: []string{"*"},
		Apps: []state.AppDoc{{Name: "live", RTMP: &on, FLV: &on, HLS: &state.HLSDoc{Enabled: &on}}},
	}}}
}

// dev is a node with a greeting, and maybe a demo.
type dev struct {
	node   *node.Node
	log    *logging.Logger
	memory bool // nothing is kept on disk
	demo   bool
	stdout io.Writer
}

// run ends when the node does.
func (d *dev) run(ctx context.Context) error {
	return node.Supervise(ctx, node.Part{Name: "node", Run: d.node.Run}, node.Part{Name: "demo", Run: d.greet})
}

// greet says where the node is once it serves, and plays the demo.
func (d *dev) greet(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.node.Ready():
	}
	w := welcome{bound: d.node.Addresses(), memory: d.memory, demo: d.demo, open: openApps(d.node.Domains())}
	fmt.Fprint(d.stdout, w.String())
	if !d.demo || w.bound.RTMP == nil {
		<-ctx.Done()
		return nil
	}
	p, err := demo.New(demo.Config{URL: w.rtmpURL("live/demo"), Log: d.log.Logger})
	if err != nil {
		return err
	}
	return p.Run(ctx)
}

// openApps are the apps that everybody may publish to, as domain/app.
func openApps(domains []*state.Domain) []string {
	var open []string
	for _, d := range domains {
		for _, a := range d.Apps() {
			if a.Open() {
				open = append(open, d.Name+"/"+a.Name)
			}
		}
	}
	return open
}
