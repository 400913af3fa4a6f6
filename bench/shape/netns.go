package shape

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const netnsDir = "/run/netns"

// ownPrefix begins the names of namespaces that this package makes: then come the
// process, a random number and a word.
const ownPrefix = "tmms-"

// Namespace is a named network namespace, as "ip netns" has them.
type Namespace struct {
	name string
	made bool // by us, to be removed
}

// NewNamespace makes a namespace with its loopback up and a name that nobody else
// uses; word is a part of it. Namespaces that a process left which is no more are
// removed on that occasion.
func NewNamespace(ctx context.Context, word string) (*Namespace, error) {
	if err := sweep(ctx); err != nil {
		return nil, err
	}
	return makeNamespace(ctx, fmt.Sprintf("%s%d-%08x-%s", ownPrefix, os.Getpid(), rand.Uint32(), word))
}

// OpenNamespace takes the namespace of that name, and makes it if there is none.
func OpenNamespace(ctx context.Context, name string) (*Namespace, error) {
	if _, err := os.Stat(filepath.Join(netnsDir, name)); err == nil {
		return &Namespace{name: name}, nil
	}
	return makeNamespace(ctx, name)
}

func makeNamespace(ctx context.Context, name string) (*Namespace, error) {
	if err := IP(ctx, "netns", "add", name); err != nil {
		return nil, err
	}
	n := &Namespace{name: name, made: true}
	if err := IP(ctx, "-n", name, "link", "set", "lo", "up"); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// sweep removes the namespaces of processes that have ended.
func sweep(ctx context.Context) error {
	list, err := filepath.Glob(filepath.Join(netnsDir, ownPrefix+"*-*-*"))
	if err != nil {
		return fmt.Errorf("shape: %w", err)
	}
	for _, path := range list {
		name := filepath.Base(path)
		pid, err := strconv.Atoi(strings.Split(name, "-")[1])
		if err != nil || pid <= 0 {
			continue
		}
		if err = unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
			continue
		}
		if err = IP(ctx, "netns", "del", name); err != nil && !errors.Is(statFault(path), os.ErrNotExist) {
			return err // nobody else has removed it meanwhile
		}
	}
	return nil
}

func statFault(path string) error {
	_, err := os.Stat(path)
	return err //nolint:wrapcheck // compared only
}

// Name is as "ip netns" lists it.
func (n *Namespace) Name() string { return n.name }

// Close removes the namespace if it was made here. Processes in it go on in a
// network without a name.
func (n *Namespace) Close() error {
	if !n.made {
		return nil
	}
	n.made = false
	return IP(context.Background(), "netns", "del", n.name)
}

// Command is [exec.CommandContext] for a process in the namespace.
func (n *Namespace) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	argv := append([]string{"--net=" + filepath.Join(netnsDir, n.name), "--", name}, args...)
	return exec.CommandContext(ctx, "nsenter", argv...)
}

// Do runs f on a thread in the namespace: sockets that f opens stay there. What f
// starts as a goroutine runs elsewhere.
func (n *Namespace) Do(f func() error) error { return within(n.name, f) }

// within runs f on a thread of its own in a namespace; "" is the process's.
func within(name string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := enter(name)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// enter moves the thread into a namespace.
func enter(name string) error {
	if name == "" {
		return nil
	}
	f, err := os.Open(filepath.Join(netnsDir, name))
	if err != nil {
		return fmt.Errorf("shape: %w", err)
	}
	if err = errors.Join(unix.Setns(int(f.Fd()), unix.CLONE_NEWNET), f.Close()); err != nil {
		return fmt.Errorf("shape: namespace %s: %w", name, err)
	}
	return nil
}

// IP runs "ip" of iproute2.
func IP(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("shape: ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
