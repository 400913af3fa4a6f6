package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"go.uber.org/goleak"

	"tmms/cluster/fabric"
	"tmms/cluster/pki"
)

// A raid is an attack by a process of its own, this test's program again, so that
// what the attacker holds is not taken for the node's. Its environment says what
// it is to do.
const (
	raidName     = "TMMS_RAID"
	raidTo       = "TMMS_RAID_TO"       // HOST:PORT
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
	out, err := cmd.CombinedOutput()
	if ctx.Err() == nil || len(out) > 0 { // it ends only by being killed
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
	to, err := net.ResolveUDPAddr("udp", os.Getenv(raidTo))
	if err != nil {
		return err
	}
	ctx := context.Background()
	var wg sync.WaitGroup
	faults := make(chan error, sessions)
	for range sessions {
		wg.Go(func() {
			c, err := invade(ctx, id, to)
			if err != nil {
				faults <- err
				return
			}
			attack(ctx, c)
			faults <- nil
		})
	}
	for range sessions {
		err = errors.Join(err, <-faults)
	}
	if err != nil {
		return err
	}
	select {} // what was opened stays open until the process is killed
}

// invade opens a session from a port of its own and waits until it is served.
func invade(ctx context.Context, id *pki.Identity, to net.Addr) (*quic.Conn, error) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	transport := &quic.Transport{Conn: socket}
	conn, err := transport.Dial(ctx, to, id.TLS(string(fabric.ALPNRelay)), &quic.Config{
		MaxIncomingUniStreams: 1 << 12, KeepAlivePeriod: 500 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	greeting, err := conn.AcceptUniStream(ctx)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, greeting)
	return conn, err
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
