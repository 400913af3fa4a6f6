//go:build linux

package reactor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childEnv makes the test binary be the server of TestNoFilesLeft.
const childEnv = "TMMS_REACTOR_NOFILE_CHILD"

// TestNoFilesChild is not a test: it is the process that runs out of
// descriptors. It prints its address, then for each line on its input how many
// turns its loop took and how many accepts failed.
func TestNoFilesChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		t.Skip("runs only as the child of TestNoFilesLeft")
	}
	limit := unix.Rlimit{Cur: 40, Max: 40}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	r, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	addr, err := r.Listen("127.0.0.1:0", echo)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- r.Run(ctx) }()
	fmt.Fprintln(os.Stdout, addr)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		s := r.Loops()[0].Stats()
		fmt.Fprintln(os.Stdout, s.Turns, s.AcceptErrors, s.Conns)
	}
	cancel()
	if err = <-result; err != nil {
		t.Fatal(err)
	}
}

// Out of descriptors, accept pauses and comes back; the loop neither spins nor
// ends, and the connections it has are served.
func TestNoFilesLeft(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoFilesChild$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the child says nothing")
	}
	addr := lines.Text()
	ask := func() (turns, failures, conns int) {
		send(t, in, []byte("\n"))
		if !lines.Scan() {
			t.Fatal("the child is gone")
		}
		if _, serr := fmt.Sscan(lines.Text(), &turns, &failures, &conns); serr != nil {
			t.Fatalf("the child says %q", lines.Text())
		}
		return turns, failures, conns
	}

	dial := func() net.Conn {
		c, derr := net.Dial("tcp", addr)
		if derr != nil {
			t.Fatal(derr)
		}
		if derr = c.SetDeadline(time.Now().Add(30 * time.Second)); derr != nil {
			t.Fatal(derr)
		}
		return c
	}
	first := dial()
	defer first.Close()
	send(t, first, []byte("a"))
	expect(t, first, "a")
	var crowd []net.Conn
	for range 100 {
		crowd = append(crowd, dial())
	}
	eventually(t, "accept fails", func() bool { _, failures, _ := ask(); return failures > 0 })
	before, failures, _ := ask()
	eventually(t, "three more retries", func() bool { _, now, _ := ask(); return now >= failures+3 })
	after, _, _ := ask()
	if after-before > 100 {
		t.Errorf("%d turns during three retries: the loop spins", after-before)
	}
	send(t, first, []byte("b"))
	expect(t, first, "b")
	for _, c := range crowd {
		c.Close()
	}
	eventually(t, "accept works again", func() bool {
		c := dial()
		defer c.Close()
		if _, werr := c.Write([]byte("c")); werr != nil {
			return false
		}
		_, rerr := io.ReadFull(c, make([]byte, 1))
		return rerr == nil
	})
	in.Close()
	for lines.Scan() { // "PASS"
	}
	if err = cmd.Wait(); err != nil {
		t.Errorf("the child: %v", err)
	}
}
