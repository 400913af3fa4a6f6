package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"tmms/bench/shape"
)

// shapeBench is a link that runs by itself.
type shapeBench struct {
	names     [2]string
	addresses [2]netip.Prefix
	params    [2]shape.Params // A to B, B to A
	mtu       int
	seed      uint64
	duration  time.Duration // 0: until interrupted
}

func shapeCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	b, fault := parseShape(flags, args)
	if fault != nil {
		return fault
	}
	if b.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.duration)
		defer cancel()
	}
	return b.run(ctx, os.Stdin, out)
}

func parseShape(flags *flag.FlagSet, args []string) (*shapeBench, error) {
	b := &shapeBench{
		addresses: defaultAddresses(), params: [2]shape.Params{shape.DefaultParams(), shape.DefaultParams()},
	}
	flags.StringVar(&b.names[0], "a", "", "network `namespace` of side A, made if there is none; removed at the end if it was made")
	flags.StringVar(&b.names[1], "b", "", "`namespace` of side B")
	for i, side := range []string{"a", "b"} {
		flags.Func("addr-"+side, fmt.Sprintf("address with its subnet (default %s)", b.addresses[i]), func(s string) (err error) {
			b.addresses[i], err = netip.ParsePrefix(s)
			return err //nolint:wrapcheck // the flag's name goes before it
		})
	}
	for name, what := range map[string]string{
		"delay": "one way", "jitter": "how far the delay wanders up and down", "loss": "share of packets lost, such as 1%",
		"burst": "packets lost in a row", "rate": "bit/s, with k, M or G; 0 for no limit", "queue": "packets that wait for the rate",
	} {
		flags.Func(name, what+", in both directions", func(s string) error {
			return errors.Join(b.params[0].Set(name+" "+s), b.params[1].Set(name+" "+s))
		})
	}
	for d, name := range []string{"ab", "ba"} {
		flags.Func(name, `"NAME VALUE ..." of these, in one direction; the order of the flags counts`, func(s string) error {
			return b.params[d].Set(s) //nolint:wrapcheck // it says what is wrong
		})
	}
	flags.IntVar(&b.mtu, "mtu", 1500, "of the devices, in bytes")
	flags.Uint64Var(&b.seed, "seed", uint64(time.Now().UnixNano()), "of the losses; the same gives the same")
	flags.DurationVar(&b.duration, "duration", 0, "end after this time (default: when interrupted)")
	if err := parse(flags, args); err != nil {
		return nil, err
	}
	if b.names[0] == "" || b.names[1] == "" || b.names[0] == b.names[1] || b.duration < 0 {
		fmt.Fprintln(flags.Output(), "tmms-bench shape: -a and -b are two namespaces, -duration is not negative")
		return nil, errUsage
	}
	return b, nil
}

// defaultAddresses are those of A and B.
func defaultAddresses() [2]netip.Prefix {
	return [2]netip.Prefix{netip.MustParsePrefix("10.99.0.1/24"), netip.MustParsePrefix("10.99.0.2/24")}
}

// run carries packets until ctx ends, and obeys the lines of in.
func (b *shapeBench) run(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	ends := [2]shape.End{}
	for i, name := range b.names {
		namespace, fault := shape.OpenNamespace(ctx, name)
		if fault != nil {
			return fault //nolint:wrapcheck // it says where it comes from
		}
		defer func() { err = errors.Join(err, namespace.Close()) }()
		ends[i] = shape.End{Namespace: name, Addresses: []netip.Prefix{b.addresses[i]}}
	}
	link, err := shape.Open(ctx, shape.Config{
		A: ends[0], B: ends[1], AtoB: b.params[0], BtoA: b.params[1], MTU: b.mtu, Seed: b.seed,
	})
	if err != nil {
		return err //nolint:wrapcheck // it says where it comes from
	}
	defer func() { err = errors.Join(err, link.Close()) }()
	fmt.Fprintf(out, "%s %s <-> %s %s\nab %s\nba %s\n", b.names[0], b.addresses[0], b.names[1], b.addresses[1],
		b.params[0], b.params[1])
	go obey(ctx, link, in, out) // ends with the process at the latest: a terminal can't be woken
	err = link.Run(ctx)
	printCounters(out, link)
	return err //nolint:wrapcheck // it says where it comes from
}

// obey does what lines ask for: "[ab|ba] NAME VALUE ..." changes the link at
// once, "counters" prints them.
func obey(ctx context.Context, link *shape.Link, in io.Reader, out io.Writer) {
	for lines := bufio.NewScanner(in); lines.Scan() && ctx.Err() == nil; {
		line := strings.TrimSpace(lines.Text())
		switch line {
		case "":
		case "counters":
			printCounters(out, link)
		default:
			if err := change(link, line); err != nil {
				fmt.Fprintln(out, "refused:", err)
			} else {
				fmt.Fprintf(out, "ab %s\nba %s\n", link.Params(shape.AtoB), link.Params(shape.BtoA))
			}
		}
	}
}

// change sets parameters of one direction, or of both.
func change(link *shape.Link, line string) error {
	directions := []shape.Direction{shape.AtoB, shape.BtoA}
	if rest, ok := strings.CutPrefix(line, "ab "); ok {
		directions, line = directions[:1], rest
	} else if rest, ok = strings.CutPrefix(line, "ba "); ok {
		directions, line = directions[1:], rest
	}
	for _, d := range directions {
		p := link.Params(d)
		if err := p.Set(line); err != nil {
			return err //nolint:wrapcheck // it says what is wrong
		}
		if err := link.Set(d, p); err != nil {
			return err //nolint:wrapcheck // it says what is wrong
		}
	}
	return nil
}

func printCounters(out io.Writer, link *shape.Link) {
	fmt.Fprintf(out, "A to B: %s\nB to A: %s\n", link.Counters(shape.AtoB), link.Counters(shape.BtoA))
}
