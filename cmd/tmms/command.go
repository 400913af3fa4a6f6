package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// console is what a command sees of its surroundings.
type console struct {
	stdout, stderr io.Writer
	environ        []string // as os.Environ gives it
}

// getenv gives the value of an environment variable, "" if it is not set.
func (c console) getenv(name string) string {
	for _, kv := range slices.Backward(c.environ) {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			return v
		}
	}
	return ""
}

// command is a subcommand.
type command struct {
	name    string
	args    string // after the name, for the usage line
	summary string
	run     func(ctx context.Context, c console, args []string) error
}

func commands() []command {
	return []command{
		devCommand(), runCommand(), configCommand(), certCommand(), applyCommand(), diffCommand(),
		rollbackCommand(), historyCommand(), getCommand(), whyCommand(),
		drainCommand(), raftCommand(), tokenCommand(), gossipCommand(), versionCommand(), helpCommand(),
	}
}

func findCommand(name string) (command, bool) {
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		return command{}, false
	}
	return all[i], true
}

// usageError says that the command line is wrong: exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// exitError is the end of a command with a code of its own.
type exitError struct {
	code int
	err  error // nil: all is said
}

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d: %v", e.code, e.err) }
func (e *exitError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// execute runs the command that args name and gives the exit code. A fault is
// reported in one line each on stderr.
func execute(ctx context.Context, c console, args []string) int {
	name, rest := "help", args
	if len(args) > 0 {
		name, rest = strings.TrimLeft(args[0], "-"), args[1:]
	}
	if name == "h" {
		name = "help"
	}
	cmd, ok := findCommand(name)
	if !ok {
		return report(c, "tmms", usagef("unknown command %q; \"tmms help\" lists them", args[0]))
	}
	return report(c, "tmms "+cmd.name, cmd.run(ctx, c, rest))
}

// report prints what went wrong and gives the exit code.
func report(c console, name string, err error) int {
	failed, own := exitFailed, false
	if e, ok := errors.AsType[*exitError](err); ok {
		failed, own, err = e.code, true, e.err
	}
	switch {
	case own && err == nil:
		return failed
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, context.Canceled): // Ctrl-C
		return exitOK
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(c.stderr, "%s: %s\n", name, strings.TrimRight(line, "\n"))
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return failed
}

// newFlags makes the flag set of a command; parseFlags reports its faults.
func newFlags(cmd string) *flag.FlagSet {
	fs := flag.NewFlagSet(cmd, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// parseFlags parses args and gives the words between the flags, at most limit
// of them. -h prints the command's help and gives flag.ErrHelp.
func parseFlags(c console, fs *flag.FlagSet, args []string, limit int) (words []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				printHelp(c, fs)
				return nil, err
			}
			return nil, usagef("%w (\"tmms %s -h\" lists the flags)", err, fs.Name())
		}
		if fs.NArg() == 0 {
			return words, nil
		}
		if len(words) == limit {
			return nil, usagef("unexpected argument %q", fs.Arg(0))
		}
		words, args = append(words, fs.Arg(0)), fs.Args()[1:]
	}
}

// printHelp prints the usage of a command with its flags.
func printHelp(c console, fs *flag.FlagSet) {
	name, _, _ := strings.Cut(fs.Name(), " ")
	cmd, _ := findCommand(name)
	fmt.Fprintf(c.stdout, "usage: tmms %s %s\n\n%s\n", cmd.name, cmd.args, cmd.summary)
	first := true
	fs.VisitAll(func(f *flag.Flag) {
		if first {
			fmt.Fprint(c.stdout, "\n")
			first = false
		}
		kind, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(c.stdout, "  --%s %s\n        %s", f.Name, kind, usage)
		if f.DefValue != "" && f.DefValue != "false" {
			fmt.Fprintf(c.stdout, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(c.stdout)
	})
}

// listFlag is a flag that may be given more than once.
type listFlag []string

func (l *listFlag) String() string { return strings.Join(*l, " ") }

// Set appends a value.
func (l *listFlag) Set(v string) error {
	*l = append(*l, v)
	return nil
}
