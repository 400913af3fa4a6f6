package enroll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/state"
	"tmms/media"
)

// Cluster has the tokens; a member's View and Writes together are one.
type Cluster interface {
	JoinToken(id string) (state.JoinToken, bool)
	UseToken(ctx context.Context, c state.UseToken) (state.JoinToken, error)
	Nodes() []state.Node
}

// Deps are what a [Server] works with; all are required.
type Deps struct {
	Log     *slog.Logger
	Cluster Cluster
	// Issuer gives the CA that signs, anew for each request; [ErrNoIssuer] if there is
	// none here.
	Issuer func() (*pki.CA, error)
	// Bundle is the CAs that nodes are to trust, as PEM.
	Bundle     func() []byte
	GossipKeys func() ([][]byte, error)
	Now        func() time.Time
}

// ErrNoIssuer says that a node has not the key of a CA.
var ErrNoIssuer = errors.New("this node has not the key of a CA (cluster.ca_key_file)")

// Server gives certificates. It may be used from any goroutine.
type Server struct {
	deps Deps
	rate *rate
}

// NewServer gives a server.
func NewServer(deps Deps) *Server { return &Server{deps: deps, rate: newRate()} }

// refusal is an error with its code on the wire.
type refusal struct {
	code string
	err  error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(code, format string, args ...any) error {
	return &refusal{code, fmt.Errorf(format, args...)}
}

// Serve answers a stranger: it is a fabric's handler of guests.
func (s *Server) Serve(ctx context.Context, remote netip.AddrPort, request []byte) []byte {
	if !s.rate.allow(remote.Addr(), s.deps.Now()) {
		return answer{Fault: &fault{codeBusy, "too many requests"}}.encode()
	}
	r, err := decodeRequest(request)
	if err != nil {
		return answer{Fault: &fault{codeRefused, err.Error()}}.encode()
	}
	a, err := s.enroll(ctx, r, remote)
	if err == nil {
		return a.encode()
	}
	s.deps.Log.Warn("a node was not let in", slog.String("node", r.Node), slog.String("token", r.Token),
		slog.String("remote", remote.String()), slog.Any("err", err))
	f := &fault{codeBusy, err.Error()}
	if known, ok := errors.AsType[*refusal](err); ok {
		f.Code = known.code
	}
	return answer{Fault: f}.encode()
}

// enroll lets a node in whose token is good.
func (s *Server) enroll(ctx context.Context, r request, remote netip.AddrPort) (answer, error) {
	use := state.UseToken{
		ID: r.Token, Hash: hashOf(r.Secret), Node: r.Node, Roles: r.Roles, Region: r.Region,
		AtUnixMS: s.deps.Now().UnixMilli(),
	}
	csr, err := s.known(&use, r.CSR)
	if err != nil {
		return answer{}, err
	}
	ca, err := s.issuer()
	if err != nil {
		return answer{}, err
	}
	cert, err := ca.Sign(csr, pki.Grant{Name: r.Node, Roles: r.Roles, Life: media.JoinedLife}, s.deps.Now())
	if err != nil {
		return answer{}, refuse(codeRefused, "%w", err)
	}
	keys, err := s.deps.GossipKeys()
	if err != nil {
		return answer{}, err
	}
	token, err := s.deps.Cluster.UseToken(ctx, use)
	switch {
	case errors.Is(err, state.ErrToken), errors.Is(err, member.ErrInvalid), errors.Is(err, member.ErrLevel):
		return answer{}, refuse(codeRefused, "%w", err)
	case err != nil:
		return answer{}, refuse(codeBusy, "the cluster does not answer: %w", err)
	}
	s.deps.Log.Info("a node was let in", slog.String("node", r.Node), slog.Any("roles", r.Roles),
		slog.String("token", r.Token), slog.Int("uses_left", token.Uses), slog.String("remote", remote.String()),
		slog.String("serial", serialOf(cert)))
	return answer{Certificate: cert, CA: s.deps.Bundle(), GossipKeys: keys}, nil
}

// known refuses what the local copy of the state knows to be in vain, before anything
// else costs anything. Who has not the secret does not learn whether the id is one.
func (s *Server) known(use *state.UseToken, csr []byte) (*pki.Request, error) {
	t, ok := s.deps.Cluster.JoinToken(use.ID)
	if !ok || t.Hash != use.Hash { // hashes: what is compared is no secret
		return nil, refuse(codeRefused, "the token is not known: it was revoked, has ended, or is another cluster's")
	}
	r, err := pki.ParseRequest(csr)
	if err == nil {
		use.Key, err = r.KeyHash()
	}
	if err == nil {
		err = t.Admits(*use)
	}
	if err != nil {
		return nil, refuse(codeRefused, "%w", err)
	}
	return r, nil
}

// issuer gives the CA that signs, or names the nodes that have one.
func (s *Server) issuer() (*pki.CA, error) {
	ca, err := s.deps.Issuer()
	if !errors.Is(err, ErrNoIssuer) {
		return ca, err
	}
	return nil, refuse(codeNoIssuer, "%w; %s", err, Issuers(s.deps.Cluster.Nodes()))
}

// Issuers names the nodes that give certificates, in words.
func Issuers(nodes []state.Node) string {
	var names []string
	for _, n := range nodes {
		if n.Issues && !slices.Contains(names, n.Name) {
			names = append(names, n.Name)
		}
	}
	if len(names) == 0 {
		return "no node says that it has one"
	}
	return strings.Join(names, ", ") + " says that it has one"
}

// Renew gives a node a certificate for a new key, with the name and the roles that it
// has: peer is who has shown its certificate just now.
func (s *Server) Renew(peer pki.Peer, csr []byte) (Renewed, error) {
	ca, err := s.issuer()
	if err != nil {
		return Renewed{}, err
	}
	r, err := pki.ParseRequest(csr)
	if err != nil {
		return Renewed{}, fmt.Errorf("%w: %w", member.ErrInvalid, err)
	}
	cert, err := ca.Sign(r, pki.Grant{Name: peer.Name, Roles: peer.Roles, Life: media.JoinedLife}, s.deps.Now())
	if err != nil {
		return Renewed{}, fmt.Errorf("%w: %w", member.ErrForbidden, err)
	}
	s.deps.Log.Info("a certificate was renewed", slog.String("node", peer.Name), slog.String("serial", serialOf(cert)))
	return Renewed{Certificate: cert, CA: s.deps.Bundle(), Signer: ca.Fingerprint()}, nil
}

// Offer says what a certificate that is renewed now would come from: a node with
// another signer, or other CAs, is to renew its own though its time has not come.
func (s *Server) Offer() (Renewed, error) {
	ca, err := s.issuer()
	if err != nil {
		return Renewed{}, err
	}
	return Renewed{CA: s.deps.Bundle(), Signer: ca.Fingerprint()}, nil
}

// Renewed is a new certificate, with the CAs to trust now.
type Renewed struct {
	Certificate []byte `json:"certificate,omitempty"` // PEM; none in an offer
	CA          []byte `json:"ca"`                    // PEM, one or more
	Signer      string `json:"signer"`                // fingerprint of the CA that signs
}

func serialOf(certPEM []byte) string {
	p, err := pki.ParsePeer(certPEM)
	if err != nil {
		return ""
	}
	return p.Serial
}
