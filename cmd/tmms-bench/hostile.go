package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"tmms/bench/hostile"
	"tmms/bench/lab"
)

// hostileCommand is the attacker of "attack" and "accepts", a process of its own.
func hostileCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	cfg := hostile.Config{}
	flags.StringVar(&cfg.Case, "case", "", "name of the attack")
	flags.StringVar(&cfg.Target.RTMP, "rtmp", "127.0.0.1:1935", "HOST:PORT")
	flags.StringVar(&cfg.Target.HTTP, "http", "127.0.0.1:8080", "HOST:PORT")
	flags.StringVar(&cfg.Target.Stream, "stream", "bench", "a stream of app live")
	flags.DurationVar(&cfg.Duration, "duration", 5*time.Second, "how long")
	flags.IntVar(&cfg.Conns, "conns", 0, "connections at once; 0: the attack's own")
	flags.IntVar(&cfg.Rate, "rate", 0, "new connections a second; 0: the attack's own")
	flags.IntVar(&cfg.Sources, "sources", 100, "local addresses 127.0.0.x to connect from")
	if err := parse(flags, args); err != nil {
		return err
	}
	r, err := hostile.Run(ctx, cfg)
	if err != nil {
		return err
	}
	if err = json.NewEncoder(out).Encode(r); err != nil {
		return fmt.Errorf("hostile: %w", err)
	}
	return nil
}

// attacker is how an attack is run against a server of the lab.
type attacker struct {
	lab     *lab.Lab
	server  *lab.Server
	seconds float64
	rate    int // 0: the attack's own
}

// run attacks, by a process with less right to the processor than the healthy
// viewers beside it, so that their delays are the server's and not its own.
func (a *attacker) run(ctx context.Context, kind string) (r hostile.Result, err error) {
	const niceness = "15"
	path := a.lab.Path("tmms-bench")
	cmd := a.lab.Command(ctx, lab.GeneratorCPU, "nice", "-n", niceness, path, "hostile", "-case", kind,
		"-rtmp", a.server.RTMP, "-http", a.server.HTTP, "-rate", strconv.Itoa(a.rate),
		"-duration", time.Duration(a.seconds*float64(time.Second)).String())
	var out bytes.Buffer
	cmd.Stdout = &out
	if err = cmd.Run(); err != nil {
		return r, fmt.Errorf("attack %s: %w", kind, err)
	}
	if err = json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("attack %s: %w", kind, err)
	}
	return r, nil
}
