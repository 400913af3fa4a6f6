// Command tmms-bench is the load generator of tmms: publishers and viewers that
// know nothing of the server but its protocols.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: tmms-bench COMMAND [flags]

  publish   push synthetic streams by RTMP
  play      open many viewers of a stream and check what they get
  hlsplay   open many HLS players of a stream
  compare   2,000 viewers of a 2 Mbit/s stream: tmms beside the C floor
  peers     viewers of nginx-rtmp beside tmms at equal delay
  hls       serving of HLS beside nginx, and thousands of HLS players
  latency   added delay and time to the first picture of a few viewers
  scale     how many viewers one processor carries, and what each costs
  tls       viewers by HTTPS-FLV beside viewers by HTTP-FLV
  streams   many streams of few viewers beside one stream of all of them
  ingest    what it costs to take streams in that nobody watches
  glass     delay from a clock in the picture to a browser's screen
  accepts   thousands of connections a second beside running viewers
  attack    hostile input of every kind beside healthy viewers
  slow      what viewers that read too slowly cost the server and the others
  relay     what it costs to carry streams from one node to another
  crowd     10,000 viewers at once on the edges of a cluster, ahead of their stream
  watch     what nodes that follow the state cost the voter that they follow
  faults    a cluster whose nodes, networks, disks and clocks are broken
  path      the relay across long, lossy and narrow paths
  shape     a link with delay, loss, rate and queue between two network namespaces
  mtu       run a command in a network whose loopback has a smaller MTU

"tmms-bench COMMAND -h" lists the flags.
`

// errUsage marks a mistake in the command line; what was wrong is printed already.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "tmms-bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	commands := map[string]func(context.Context, *flag.FlagSet, []string, io.Writer) error{
		"publish":      publishCommand,
		"play":         playCommand,
		"compare":      compareCommand,
		"latency":      latencyCommand,
		"scale":        scaleCommand,
		"streams":      streamsCommand,
		"ingest":       ingestCommand,
		"glass":        glassCommand,
		"peers":        peersCommand,
		"slow":         slowCommand,
		"slow-readers": slowReadersCommand,
		"tls":          tlsCommand,
		"shape":        shapeCommand,
		"watch":        watchCommand,
		"path":         pathCommand,
		"relay":        relayCommand,
		"relay-end":    relayEndCommand,
		"crowd":        crowdCommand,
		"faults":       faultsCommand,
		"accepts":      acceptsCommand,
		"attack":       attackCommand,
		"hostile":      hostileCommand,
		"mtu":          mtuCommand,
		"hls":          hlsCommand,
		"hlsplay":      hlsplayCommand,

		"mtu-inside": mtuInsideCommand,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(errOut, usage)
		return errUsage
	}
	flags := flag.NewFlagSet("tmms-bench "+args[0], flag.ContinueOnError)
	flags.SetOutput(errOut)
	return commands[args[0]](ctx, flags, args[1:], out)
}

// parse parses flags and refuses what is left over.
func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err //nolint:wrapcheck // the sentinel itself is wanted
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(flags.Output(), "%s: unexpected argument %q\n", flags.Name(), flags.Arg(0))
		return errUsage
	}
	return nil
}
