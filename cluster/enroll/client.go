package enroll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/pki"
	"tmms/media"
)

// Pauses between two rounds of questions.
const (
	firstPause = 250 * time.Millisecond
	maxPause   = 5 * time.Second
)

// Applicant is a node without a certificate.
type Applicant struct {
	Token  Token
	Name   string
	Roles  []string
	Region string
	// Key is the node's own, as PEM. Asked with the same one again, by a node that has
	// not got the answer, the cluster takes no other use off the token, unless another
	// node has come by it meanwhile.
	Key []byte
	// Origins are asked in turn; one of them has the key of a CA.
	Origins []fabric.Target
}

// Credentials are what a node needs in a cluster, as its files have them: PEM, and the
// keys of the gossip.
type Credentials struct {
	Cert, Key, CA []byte
	GossipKeys    [][]byte
}

// ErrRefused is wrapped when an origin has said no: asking again is in vain.
var ErrRefused = errors.New("the cluster refuses to let this node in")

// Join gets a node its certificate. It asks each origin until one gives it, in rounds
// for [media.JoinPatience]; the error wraps [ErrRefused] at once if one says no and none
// says yes. No error shows the token's secret.
func Join(ctx context.Context, log *slog.Logger, a Applicant) (Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, media.JoinPatience)
	defer cancel()
	csr, err := pki.RequestFor(a.Name, a.Key)
	if err != nil {
		return Credentials{}, err
	}
	b, err := json.Marshal(request{
		Version: version, Token: a.Token.ID, Secret: a.Token.Secret[:],
		Node: a.Name, Roles: a.Roles, Region: a.Region, CSR: csr,
	})
	if err != nil {
		return Credentials{}, fmt.Errorf("enroll: %w", err)
	}
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		got, err := a.round(ctx, b)
		if err == nil || errors.Is(err, ErrRefused) {
			return got, err
		}
		log.Warn("no certificate yet", slog.String("node", a.Name), slog.Any("token", a.Token), slog.Any("err", err))
		select {
		case <-ctx.Done():
			return got, fmt.Errorf("no origin gave this node a certificate in %s: %w", media.JoinPatience, err)
		case <-time.After(pause):
		}
	}
}

// round asks each origin once.
func (a Applicant) round(ctx context.Context, request []byte) (Credentials, error) {
	var faults []string
	kind := errors.New("no certificate")
	for _, to := range a.Origins {
		got, err := a.ask(ctx, to, request)
		if err == nil {
			return got, nil
		}
		if errors.Is(err, ErrRefused) {
			kind = ErrRefused
		}
		faults = append(faults, to.Name+": "+err.Error())
	}
	return Credentials{}, fmt.Errorf("%w: %s", kind, strings.Join(faults, "; "))
}

func (a Applicant) ask(ctx context.Context, to fabric.Target, request []byte) (got Credentials, err error) {
	b, err := fabric.AskAsGuest(ctx, to, pki.PinnedTLS(string(fabric.ALPNJoin), to.Name, a.Token.Pin), request)
	if err != nil {
		return got, err
	}
	reply, err := decodeAnswer(b)
	switch {
	case err != nil:
		return got, err
	case reply.Fault != nil && reply.Fault.Code == codeRefused:
		return got, fmt.Errorf("%w: %.512s", ErrRefused, reply.Fault.Message)
	case reply.Fault != nil:
		return got, fmt.Errorf("%.512s", reply.Fault.Message)
	}
	if err = pki.CheckPinned(reply.CA, a.Token.Pin); err != nil {
		return got, err
	}
	got = Credentials{Cert: reply.Certificate, Key: a.Key, CA: reply.CA, GossipKeys: reply.GossipKeys}
	return got, got.check(a.Name)
}

// check refuses credentials that this node could not begin with.
func (c Credentials) check(name string) error {
	id, err := pki.NewIdentity(c.Cert, c.Key, c.CA)
	if err == nil && id.Name() != name {
		err = fmt.Errorf("enroll: the certificate is for %q, this node is %q", id.Name(), name)
	}
	return err
}

// Due reports whether a certificate that was given by a token is to be renewed: two
// thirds of its life have passed.
func Due(from, until, now time.Time) bool { return now.After(from.Add(until.Sub(from) * 2 / 3)) }
