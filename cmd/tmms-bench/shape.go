package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"tmms/bench/shape"
)

// shapeBench is a link that runs by itself.
type shapeBench struct {
	link     shape.Config
	duration time.Duration // 0: until interrupted
	format   string        // text or json
}

func shapeCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	b, err := shapeFlags(flags, args)
	if err != nil {
		return err
	}
	if b.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.duration)
		defer cancel()
	}
	if err = shape.Prioritize(); err != nil {
		return err //nolint:wrapcheck // it says where it comes from
	}
	return b.run(ctx, os.Stdin, out)
}

func shapeFlags(flags *flag.FlagSet, args []string) (*shapeBench, error) {
	b := &shapeBench{link: shape.Config{AtoB: shape.DefaultParams(), BtoA: shape.DefaultParams()}}
	device := flags.String("device", "shape0", "name of the TUN devices")
	for name, end := range map[string]*shape.End{"a": &b.link.A, "b": &b.link.B} {
		flags.StringVar(&end.Namespace, name, "", "network `namespace`; one that is not there is made, and goes at the end")
		flags.Func("addr-"+name, "address with its subnet, several times for more (default 10.99.0.1/24 and 10.99.0.2/24)",
			func(s string) error {
				p, err := netip.ParsePrefix(s)
				end.Addresses = append(end.Addresses, p)
				return err //nolint:wrapcheck // the flag's name goes before it
			})
	}
	shapeParams(flags, &b.link.AtoB, &b.link.BtoA)
	flags.IntVar(&b.link.MTU, "mtu", 1500, "of the devices, in bytes")
	flags.Uint64Var(&b.link.Seed, "seed", 1, "of the losses; the same gives the same")
	flags.DurationVar(&b.duration, "duration", 0, "end after this time (default: when interrupted)")
	flags.StringVar(&b.format, "o", "text", "output: text or json, where the end of the input ends the link")
	if err := parse(flags, args); err != nil {
		return nil, err
	}
	if fault := b.check(); fault != nil {
		fmt.Fprintln(flags.Output(), "tmms-bench shape:", fault)
		return nil, errUsage
	}
	for i, end := range []*shape.End{&b.link.A, &b.link.B} {
		end.Device = *device
		if end.Addresses == nil {
			end.Addresses = []netip.Prefix{defaultAddresses()[i]}
		}
	}
	return b, nil
}

// shapeParams makes the flags of what the link does.
func shapeParams(flags *flag.FlagSet, there, back *shape.Params) {
	for name, what := range map[string]string{
		"delay": "one way", "jitter": "how far the delay wanders up and down", "loss": "share of packets lost, such as 1%",
		"burst": "packets lost in a row", "rate": "bit/s, with k, M or G; 0 for no limit",
		"queue": "packets that wait for the rate",
	} {
		flags.Func(name, what+", in both directions", func(s string) error {
			return errors.Join(there.Set(name+" "+s), back.Set(name+" "+s))
		})
	}
	for name, p := range map[string]*shape.Params{"ab": there, "ba": back} {
		flags.Func(name, `"NAME VALUE ..." of these, in one direction; the order of the flags counts`, p.Set)
	}
}

func (b *shapeBench) check() error {
	switch {
	case b.link.A.Namespace == "" || b.link.B.Namespace == "" || b.link.A.Namespace == b.link.B.Namespace:
		return fmt.Errorf("-a %q and -b %q are not two namespaces", b.link.A.Namespace, b.link.B.Namespace)
	case b.duration < 0:
		return fmt.Errorf("-duration %s is negative", b.duration)
	case b.format != "text" && b.format != "json":
		return fmt.Errorf("-o %q is neither text nor json", b.format)
	}
	return nil
}

// defaultAddresses are those of A and B.
func defaultAddresses() [2]netip.Prefix {
	return [2]netip.Prefix{netip.MustParsePrefix("10.99.0.1/24"), netip.MustParsePrefix("10.99.0.2/24")}
}

// run carries packets until ctx ends, and obeys the lines of in.
func (b *shapeBench) run(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	for _, end := range []shape.End{b.link.A, b.link.B} {
		namespace, fault := shape.OpenNamespace(ctx, end.Namespace)
		if fault != nil {
			return fault //nolint:wrapcheck // it says where it comes from
		}
		defer func() { err = errors.Join(err, namespace.Close()) }()
	}
	link, err := shape.Open(ctx, b.link)
	if err != nil {
		return err //nolint:wrapcheck // it says where it comes from
	}
	defer func() { err = errors.Join(err, link.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- link.Run(ctx) }()
	b.say(out, link, nil)
	lines := linesFrom(ctx, in)
	for {
		select {
		case err = <-done:
			b.say(out, link, nil)
			return err
		case line, ok := <-lines:
			switch {
			case ok:
				b.say(out, link, link.Do(line))
			case b.format == "json":
				cancel()
			}
			if !ok {
				lines = nil
			}
		}
	}
}

// linesFrom reads lines. Its goroutine ends with the process at the latest: a
// terminal can't be woken.
func linesFrom(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// say prints how the link is, or why a line was refused.
func (b *shapeBench) say(out io.Writer, link *shape.Link, refused error) {
	status, err := link.Status()
	if refused = errors.Join(refused, err); refused != nil {
		status.Error = refused.Error()
	}
	switch {
	case b.format == "json":
		_ = json.NewEncoder(out).Encode(status) // whoever reads no more closes the input too
	case refused != nil:
		fmt.Fprintln(out, "refused:", refused)
	default:
		fmt.Fprintln(out, status)
	}
}
