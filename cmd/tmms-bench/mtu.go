package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// mtuCommand runs another command in a network of its own whose loopback has
// the MTU of a real link. The network goes with its last process.
func mtuCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	if len(args) < 2 {
		fmt.Fprintln(flags.Output(), "usage: tmms-bench mtu BYTES COMMAND [flags]")
		return errUsage
	}
	if n, err := strconv.Atoi(args[0]); err != nil || n < 576 || n > 65536 {
		return fmt.Errorf("mtu: %q is not in 576..65536", args[0])
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("mtu: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"mtu-inside"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	cmd.Stdout, cmd.Stderr = out, flags.Output()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("mtu: only root can make a network: %w", err)
	}
	return err //nolint:wrapcheck // the command has said what was wrong
}

// mtuInsideCommand is mtu's other half, in the new network.
func mtuInsideCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	link := exec.CommandContext(ctx, "ip", "link", "set", "lo", "mtu", args[0], "up")
	if msg, err := link.CombinedOutput(); err != nil {
		return fmt.Errorf("mtu: %s: %w: %s", link, err, msg)
	}
	return run(ctx, args[1:], out, flags.Output())
}
