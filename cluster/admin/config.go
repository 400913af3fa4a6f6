package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
)

// DefaultAddr is where the admin port listens if nothing else is said.
const DefaultAddr = "127.0.0.1:8090"

// Config of a [Server].
type Config struct {
	// Addr is host:port to listen on; DefaultAddr if empty. Anything but
	// loopback needs a TokensFile.
	Addr string
	// TokensFile is a YAML list of {name, role, token} or {name, role, hash}; a change
	// of it is followed.
	// Empty means no tokens: whoever reaches the port may do everything.
	TokensFile string
	// Hosts are the names, beside IP literals and localhost, that a browser may
	// call this server by. With tokens and no Hosts any name is taken.
	Hosts []string
}

// Deps are where a [Server] gets its data from.
type Deps struct {
	Log      *slog.Logger        // required
	Level    *slog.LevelVar      // the level of the node's log; required
	Gatherer prometheus.Gatherer // required
	Streams  StreamSource        // required
	Viewers  ViewerSource        // required
	Why      WhySource           // required
	Nodes    NodeSource          // required
	Configs  ConfigStore         // required
	// Placements are who owns which stream; required.
	Placements Placements
	Group      RaftGroup  // required
	Keys       KeyRotator // required
	Tokens     TokenStore // by which nodes get certificates; required
	// Revocations are the certificates of nodes that are not good any more; required.
	Revocations RevocationSource
	// Drains are the nodes that are being drained; required.
	Drains Drains
	// Peers are asked for their streams and viewers; nil: this node is alone.
	Peers Peers
	// Ready says why the node cannot serve yet, nil if it can; required.
	Ready func() error
	// Version of the program, for the API document.
	Version string
}

func (d *Deps) validate() error {
	var faults []error
	for _, need := range []struct {
		name    string
		missing bool
	}{
		{"Log", d.Log == nil},
		{"Level", d.Level == nil},
		{"Gatherer", d.Gatherer == nil},
		{"Streams", d.Streams == nil},
		{"Viewers", d.Viewers == nil},
		{"Why", d.Why == nil},
		{"Nodes", d.Nodes == nil},
		{"Placements", d.Placements == nil},
		{"Configs", d.Configs == nil},
		{"Group", d.Group == nil},
		{"Keys", d.Keys == nil},
		{"Tokens", d.Tokens == nil},
		{"Revocations", d.Revocations == nil},
		{"Drains", d.Drains == nil},
		{"Ready", d.Ready == nil},
	} {
		if need.missing {
			faults = append(faults, fmt.Errorf("admin: Deps.%s is missing", need.name))
		}
	}
	return errors.Join(faults...)
}

// isLoopback reports whether only this machine can reach addr.
func isLoopback(addr string) (bool, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false, fmt.Errorf("admin: address %q: %w", addr, err)
	}
	if host == "localhost" {
		return true, nil
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback(), nil
}
