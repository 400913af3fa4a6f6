package followers

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/pki"
)

// Voter is an origin that is a cluster's only voter, and so leads: followers and
// their leases all come to it. It is a process of its own.
type Voter struct {
	fabric, admin string // HOST:PORT
	ca            *pki.CA
	cmd           *exec.Cmd
	ended         chan struct{}
}

// Voters are those of the cluster.
func (v *Voter) Voters() []consensus.Voter { return []consensus.Voter{{Name: "o1", Address: v.fabric}} }

// CA is the cluster's.
func (v *Voter) CA() *pki.CA { return v.ca }

// PID is the process.
func (v *Voter) PID() int { return v.cmd.Process.Pid }

// Admin is the address of its admin port.
func (v *Voter) Admin() string { return v.admin }

// StartVoter starts the program tmms with all its files in dir, and waits until it
// is ready.
func StartVoter(ctx context.Context, program, dir string) (*Voter, error) {
	v := &Voter{ended: make(chan struct{})}
	var err error
	for _, at := range []*string{&v.fabric, &v.admin} {
		if *at, err = freeAddr(ctx); err != nil {
			return nil, err
		}
	}
	for _, args := range [][]string{
		{"cert", "init", "--dir", dir}, {"cert", "node", "o1", "--roles", "origin", "--dir", dir},
	} {
		msg, fault := exec.CommandContext(ctx, program, args...).CombinedOutput()
		if fault != nil {
			return nil, fmt.Errorf("followers: tmms %s: %w\n%s", strings.Join(args, " "), fault, msg)
		}
	}
	if v.ca, err = loadCA(dir); err != nil {
		return nil, err
	}
	if err = v.start(program, dir); err != nil {
		return nil, err
	}
	if err = v.ready(ctx); err != nil {
		v.Stop()
		return nil, err
	}
	return v, nil
}

func loadCA(dir string) (*pki.CA, error) {
	cert, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("followers: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, fmt.Errorf("followers: %w", err)
	}
	return pki.LoadCA(cert, key)
}

func (v *Voter) start(program, dir string) error {
	settings := map[string]string{
		"node.name": "o1", "node.roles": "origin", "node.data_dir": filepath.Join(dir, "data"),
		"listen.rtmp": "127.0.0.1:0", "listen.http": "", "listen.admin": v.admin, "listen.fabric": v.fabric,
		"listen.gossip": "127.0.0.1:0", "cluster.voters": "o1@" + v.fabric,
		"cluster.gossip_key_file": filepath.Join(dir, "gossip.key"), "cluster.ca_file": filepath.Join(dir, "ca.crt"),
		"cluster.cert_file": filepath.Join(dir, "o1.crt"), "cluster.key_file": filepath.Join(dir, "o1.key"),
		"log.level": "warn",
	}
	args := make([]string, 0, 1+2*len(settings))
	args = append(args, "run")
	for key, value := range settings {
		args = append(args, "--set", key+"="+value)
	}
	v.cmd = exec.CommandContext(context.Background(), program, args...)
	v.cmd.Stdout, v.cmd.Stderr = os.Stderr, os.Stderr
	if err := v.cmd.Start(); err != nil {
		return fmt.Errorf("followers: %w", err)
	}
	go func() {
		_ = v.cmd.Wait()
		close(v.ended)
	}()
	return nil
}

// startTimeout bounds the start of the voter, stopTimeout its end.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 15 * time.Second
)

func (v *Voter) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if v.answers(ctx) {
			return nil
		}
		select {
		case <-tick.C:
		case <-v.ended:
			return fmt.Errorf("followers: the voter has ended: %s", v.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("followers: the voter is not ready: %w", ctx.Err())
		}
	}
}

// answers tells whether the voter says that it is ready.
func (v *Voter) answers(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+v.admin+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// Stop ends the voter.
func (v *Voter) Stop() {
	_ = v.cmd.Process.Signal(os.Interrupt)
	kill := time.AfterFunc(stopTimeout, func() { _ = v.cmd.Process.Kill() })
	defer kill.Stop()
	<-v.ended
}

func freeAddr(ctx context.Context) (string, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("followers: a free port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
