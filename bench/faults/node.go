package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Node is a node of the cluster. Its methods are for one goroutine, but those of
// api.go.
type Node struct {
	Name, Role, Region, Zone string
	*Host

	dir    string // of all nodes
	log    string
	client *http.Client
	disk   disk

	process *process // the present one, or the last

	mu      sync.Mutex
	stopped time.Time // since when it is down or stands still; guarded by mu
}

// process is one run of a node.
type process struct {
	cmd    *exec.Cmd
	clock  *skewedClock
	exited chan struct{} // closed once it was waited for
	err    error         // of the end, once it was
}

// path is a file of the node's.
func (n *Node) path(ext string) string { return filepath.Join(n.dir, n.Name+"."+ext) }

// dataDir is where it keeps its state.
func (n *Node) dataDir() string { return filepath.Join(n.dir, n.Name) }

// start starts its process, which ends with this one at the latest.
func (n *Node) start(program string) error {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	defer func() { _ = log.Close() }() // the process has its own
	p := &process{exited: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), program, "run", "--config", n.path("yaml"))
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Ptrace: true}
	begun := make(chan error, 1)
	go func() {
		// The thread that starts it stays until it ends: Pdeathsig is about the thread.
		p.err = n.space.Do(func() error {
			err := p.begin()
			begun <- err
			if err != nil {
				return err
			}
			return p.cmd.Wait() //nolint:wrapcheck // how it ended
		})
		close(p.exited)
	}()
	if err := <-begun; err != nil {
		return fmt.Errorf("faults: start %s: %w", n.Name, err)
	}
	n.process = p
	n.away(false)
	return nil
}

// begin starts the process, on the thread that is to trace it.
func (p *process) begin() error {
	if err := p.cmd.Start(); err != nil {
		return err //nolint:wrapcheck // the caller does
	}
	var err error
	if p.clock, err = skewClock(p.cmd.Process.Pid); err != nil {
		return errors.Join(err, p.cmd.Process.Kill(), unix.PtraceDetach(p.cmd.Process.Pid), p.cmd.Wait())
	}
	return nil
}

// running tells whether there is a process.
func (n *Node) running() bool {
	if n.process == nil {
		return false
	}
	select {
	case <-n.process.exited:
		return false
	default:
		return true
	}
}

// Kill ends the process without a farewell.
func (n *Node) Kill() error {
	n.away(true)
	err := n.process.cmd.Process.Kill()
	<-n.process.exited
	if err != nil {
		return fmt.Errorf("faults: kill %s: %w", n.Name, err)
	}
	return nil
}

// Freeze lets the process stand still until Thaw.
func (n *Node) Freeze() error {
	n.away(true)
	return n.signal(syscall.SIGSTOP)
}

// Thaw lets it go on.
func (n *Node) Thaw() error {
	defer n.away(false)
	return n.signal(syscall.SIGCONT)
}

func (n *Node) signal(s syscall.Signal) error {
	if err := n.process.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("faults: %s to %s: %w", s, n.Name, err)
	}
	return nil
}

// away notes that the node is down or stands still.
func (n *Node) away(yes bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = time.Time{}
	if yes {
		n.stopped = time.Now()
	}
}

// said wants words in the node's log: what was done to it has reached it.
func (n *Node) said(words string) error {
	log, err := os.ReadFile(n.log)
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	if !bytes.Contains(log, []byte(words)) {
		return fmt.Errorf("faults: %s does not say %q", n.Name, words)
	}
	return nil
}

// there tells that the node runs, as far as we know.
func (n *Node) there() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopped.IsZero()
}

// endTimeout bounds the end of a node that was asked to.
const endTimeout = 15 * time.Second

// end asks the process to end, and kills it if it does not.
func (n *Node) end() error {
	if !n.running() {
		return nil
	}
	n.away(true)
	_ = n.process.cmd.Process.Signal(syscall.SIGCONT) // it may stand still
	_ = n.process.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(endTimeout, func() { _ = n.process.cmd.Process.Kill() })
	<-n.process.exited
	if !kill.Stop() {
		return fmt.Errorf("faults: %s did not end within %v of SIGTERM", n.Name, endTimeout)
	}
	if n.process.err != nil {
		return fmt.Errorf("faults: %s ended with %w", n.Name, n.process.err)
	}
	return nil
}
