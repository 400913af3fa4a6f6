package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tmms/cluster/fabric"
	"tmms/cluster/pki"
)

// A raid is an attack by a process of its own, this test's program again, so that
// what the attacker holds is not taken for the node's. Its environment says what
// it is to do.
const (
	raidName     = "TMMS_RAID"
	raidTo       = "TMMS_RAID_TO"       // HOST:PORT of the node a
	raidDir      = "TMMS_RAID_DIR"      // with the files of a certificate
	raidSessions = "TMMS_RAID_SESSIONS" // at once
)

// raid runs an attack as a node of the cluster until ctx ends.
func (s *siege) raid(ctx context.Context, name string, sessions int) {
	s.t.Helper()
	cert, key, err := s.world.ca.Issue("raider-"+name, []string{pki.RoleOrigin, pki.RoleEdge}, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	dir := s.t.TempDir()
	for file, text := range map[string][]byte{"crt": cert, "key": key, "ca": s.world.ca.CertPEM()} {
		if err = os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", raidName+"="+name, raidTo+"="+s.owner.fabric.Addr().String(),
		raidDir+"="+dir, raidSessions+"="+strconv.Itoa(sessions))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it says farewell
	cmd.WaitDelay = 5 * time.Second                                          // else it is killed
	out, err := cmd.CombinedOutput()
	if ctx.Err() == nil || len(out) > 0 {
		s.t.Errorf("the raider ended: %v, %s", err, out)
	}
}

// raiding is the main function of a raider.
func raiding(name string) error {
	attack, ok := raids()[name]
	sessions, err := strconv.Atoi(os.Getenv(raidSessions))
	if !ok || err != nil {
		return fmt.Errorf("raid %q: %w", name, err)
	}
	dir := os.Getenv(raidDir)
	id, err := pki.LoadIdentity(filepath.Join(dir, "crt"), filepath.Join(dir, "key"), filepath.Join(dir, "ca"))
	if err != nil {
		return err
	}
	to := fabric.Target{Name: "a", Addr: os.Getenv(raidTo)}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	faults := make(chan error, sessions)
	for range sessions {
		f, fault := fabric.New(fabric.Config{Listen: "127.0.0.1:0"}, id, fabric.Deps{Log: slog.New(slog.DiscardHandler)})
		if fault != nil {
			stop()
			return fault
		}
		wg.Go(func() { _ = f.Run(ctx) })
		wg.Go(func() {
			c, lost := f.Session(ctx, to, fabric.ALPNRelay)
			if lost == nil {
				attack(ctx, c)
			}
			if ctx.Err() != nil {
				lost = nil
			}
			faults <- lost
		})
	}
	for range sessions {
		err = errors.Join(err, <-faults)
	}
	if err == nil {
		<-ctx.Done() // what was opened stays open
	}
	stop()
	return err
}

// TestMain runs the tests, or a raid for one of them.
func TestMain(m *testing.M) {
	if name := os.Getenv(raidName); name != "" {
		if err := raiding(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
