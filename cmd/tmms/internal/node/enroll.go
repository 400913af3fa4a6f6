package node

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"tmms/cluster/admin"
	"tmms/cluster/control"
	"tmms/cluster/enroll"
	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cmd/tmms/internal/nodeconfig"
	"tmms/media"
)

// newEnroll lets an origin answer nodes that have a token and no certificate. One
// without the key of a CA says so.
func (n *Node) newEnroll() {
	if n.alone() || !n.cfg.Node.Has(nodeconfig.RoleOrigin) {
		return
	}
	b := n.backbone
	b.enroll = enroll.NewServer(enroll.Deps{
		Log: n.opt.Log, Cluster: n.group, Issuer: n.issuer, Bundle: b.identity.Bundle, Now: time.Now,
		GossipKeys: func() ([][]byte, error) { return nodeconfig.LoadGossipKeys(n.cfg.Cluster.GossipKeyFile) },
	})
	b.fabric.HandleGuests(b.enroll.Serve)
}

// issuer is the CA whose key this node has, as the files are now.
func (n *Node) issuer() (*pki.CA, error) {
	if n.cfg.Cluster.CAKeyFile == "" {
		return nil, enroll.ErrNoIssuer
	}
	key, err := readSmall(n.cfg.Cluster.CAKeyFile)
	if err != nil {
		return nil, fmt.Errorf("cluster.ca_key_file: %w", err)
	}
	ca, err := pki.LoadCA(n.backbone.identity.Bundle(), key)
	if err != nil {
		return nil, fmt.Errorf("cluster.ca_key_file: %w", err)
	}
	return ca, nil
}

// readSmall reads a file of at most [media.MaxCertificateFile] bytes.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, media.MaxCertificateFile+1))
	if err == nil && len(b) > media.MaxCertificateFile {
		err = fmt.Errorf("%s: more than %d bytes", path, media.MaxCertificateFile)
	}
	return b, err
}

// enroll gets the node its certificate, if it has none and a token for it, or if the
// one that it got by a token has ended.
func (n *Node) enroll(ctx context.Context) error {
	c := n.cfg.Cluster
	if c.JoinTokenFile == "" {
		return nil
	}
	if err := finishRenewal(c); err != nil {
		return err
	}
	if !c.Joins() && !ended(c) {
		return forgetAsking(c)
	}
	text, err := readSmall(c.JoinTokenFile)
	if err != nil {
		return fmt.Errorf("cluster.join_token_file: %w", err)
	}
	token, err := enroll.ParseToken(string(text))
	if err != nil {
		return fmt.Errorf("cluster.join_token_file %s: %w", c.JoinTokenFile, err)
	}
	key, err := askingKey(c, n.cfg.Node.Name)
	if err != nil {
		return err
	}
	n.opt.Log.Info("this node has no certificate, and asks for one",
		slog.String("node", n.cfg.Node.Name), slog.Any("token", token))
	got, err := enroll.Join(ctx, n.opt.Log, enroll.Applicant{
		Token: token, Name: n.cfg.Node.Name, Roles: n.roles(), Region: n.cfg.Node.Region, Key: key,
		Origins: control.Targets(n.configuredVoters(), nil),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", token, err)
	}
	if err = saveCredentials(c, got); err != nil {
		return err
	}
	return forgetAsking(c)
}

// askingKey is the key with which this node asks for its certificate. It is on the disk
// before a token is shown: a node that ends before it has written the answer asks with
// the same one again, which is the same use of the token.
func askingKey(c nodeconfig.Cluster, name string) ([]byte, error) {
	key, err := readSmall(c.KeyFile + next)
	if err == nil {
		_, err = pki.RequestFor(name, key)
	}
	if err == nil {
		return key, nil
	}
	if _, key, err = pki.NewRequest(name); err != nil {
		return nil, err
	}
	return key, nodeconfig.WriteSecret(c.KeyFile+next, key)
}

// forgetAsking removes the key of a question that was answered.
func forgetAsking(c nodeconfig.Cluster) error {
	if err := os.Remove(c.KeyFile + next); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (n *Node) roles() []string {
	roles := make([]string, len(n.cfg.Node.Roles))
	for i, r := range n.cfg.Node.Roles {
		roles[i] = string(r)
	}
	return roles
}

// ended tells of a certificate whose time is over.
func ended(c nodeconfig.Cluster) bool {
	id, err := pki.LoadIdentity(c.CertFile, c.KeyFile, c.CAFile)
	return err == nil && time.Now().After(id.NotAfter())
}

// saveCredentials writes the certificate last: with it the node is done.
func saveCredentials(c nodeconfig.Cluster, got enroll.Credentials) error {
	var keys []byte
	for _, k := range got.GossipKeys {
		keys = append(base64.StdEncoding.AppendEncode(keys, k), '\n')
	}
	return errors.Join(
		nodeconfig.WriteSecret(c.KeyFile, got.Key), nodeconfig.WriteSecret(c.GossipKeyFile, keys),
		nodeconfig.WriteSecret(c.CAFile, got.CA), nodeconfig.WriteSecret(c.CertFile, got.Cert),
	)
}

// next is what comes behind the name of a file for the one that replaces it.
const next = ".next"

// saveRenewed replaces key and certificate, the certificate last; what is left undone by
// a crash between both finishRenewal does.
func saveRenewed(c nodeconfig.Cluster, key []byte, r enroll.Renewed) error {
	if err := nodeconfig.WriteSecret(c.CAFile, r.CA); err != nil {
		return err
	}
	if err := nodeconfig.WriteSecret(c.CertFile+next, r.Certificate); err != nil {
		return err
	}
	if err := nodeconfig.WriteSecret(c.KeyFile, key); err != nil {
		return err
	}
	return os.Rename(c.CertFile+next, c.CertFile)
}

// finishRenewal takes a new certificate whose key is in place already.
func finishRenewal(c nodeconfig.Cluster) error {
	if _, err := pki.LoadIdentity(c.CertFile+next, c.KeyFile, c.CAFile); err != nil {
		return nil //nolint:nilerr // there is none, or it belongs to a key that was not put in place
	}
	return os.Rename(c.CertFile+next, c.CertFile)
}

// renewQuery is the kind of the queries by which a node renews its certificate.
const renewQuery = "renew-certificate"

// renewArgs is its argument.
type renewArgs struct {
	CSR []byte `json:"csr,omitempty"` // DER; none: only an offer is asked for
}

// answerRenew gives a node a certificate like the one that it has shown.
func (n *Node) answerRenew(from pki.Peer, args json.RawMessage) (json.RawMessage, error) {
	if n.backbone.enroll == nil {
		return nil, fmt.Errorf("%w: this node is no origin", member.ErrForbidden)
	}
	a, err := decodeArgs[renewArgs](args)
	if err != nil {
		return nil, err
	}
	renew := n.backbone.enroll.Offer
	if len(a.CSR) > 0 {
		renew = func() (enroll.Renewed, error) { return n.backbone.enroll.Renew(from, a.CSR) }
	}
	r, err := renew()
	if err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// Of renewals: how often it is looked whether one is due, and how long one may take.
const (
	renewInterval = 30 * time.Second
	renewTimeout  = 20 * time.Second
)

// renewIdentity renews the certificate of a node that has it by a token, until ctx ends.
func (n *Node) renewIdentity(ctx context.Context) error {
	if n.cfg.Cluster.JoinTokenFile == "" || n.alone() {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(renewInterval)
	defer ticker.Stop()
	for last := ""; ; {
		renewed, err := n.renewIfDue(ctx)
		switch {
		case err == nil:
			last = ""
		case err.Error() != last && ctx.Err() == nil:
			last = err.Error()
			n.opt.Log.Error("certificate was not renewed",
				slog.Time("not_after", n.backbone.identity.NotAfter()), slog.Any("err", err))
		}
		if renewed {
			n.backbone.fabric.Recheck()
			n.opt.Log.Info("certificate was renewed", slog.Time("not_after", n.backbone.identity.NotAfter()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// renewIfDue renews the certificate when its time has come, or when the origins have
// other CAs, or sign by another one. That nobody answers is an error only in the first case.
func (n *Node) renewIfDue(ctx context.Context) (renewed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	id := n.backbone.identity
	due := enroll.Due(id.NotBefore(), id.NotAfter(), time.Now())
	if !due {
		offer, fault := n.eachOrigin(ctx, renewArgs{})
		if fault != nil || offer.Signer == id.Signer() && string(offer.CA) == string(id.Bundle()) {
			return false, nil // its time has not come
		}
	}
	csr, key, err := pki.NewRequest(n.cfg.Node.Name)
	if err != nil {
		return false, err
	}
	r, err := n.eachOrigin(ctx, renewArgs{csr})
	if err == nil {
		err = n.goOverTo(key, r)
	}
	return err == nil, err
}

var errNotRenewed = errors.New("no origin renews it")

// eachOrigin asks the origins in turn, until one answers.
func (n *Node) eachOrigin(ctx context.Context, a renewArgs) (r enroll.Renewed, err error) {
	args, err := json.Marshal(a)
	if err != nil {
		return r, err
	}
	var faults []string
	for _, to := range n.voters() {
		if r, err = n.askRenewal(ctx, to, args); err == nil {
			return r, nil
		}
		faults = append(faults, to.Name+": "+err.Error())
	}
	return r, fmt.Errorf("%w: %s", errNotRenewed, strings.Join(faults, "; "))
}

// askRenewal asks one; a node that has the key of a CA may renew its own.
func (n *Node) askRenewal(ctx context.Context, to fabric.Target, args json.RawMessage) (r enroll.Renewed, err error) {
	var b []byte
	if to.Name == n.cfg.Node.Name {
		b, err = n.answerRenew(n.backbone.identity.Peer(), args)
	} else {
		b, err = n.backbone.control.Query(ctx, to, control.Query{Kind: renewQuery, Args: args})
	}
	if err != nil {
		return r, err
	}
	if err = json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("its answer is not understood: %w", err)
	}
	return r, nil
}

// goOverTo takes a new certificate, if it is this node's.
func (n *Node) goOverTo(key []byte, r enroll.Renewed) error {
	id, err := pki.NewIdentity(r.Certificate, key, r.CA)
	if err != nil {
		return err
	}
	if now := n.backbone.identity.Peer(); id.Peer().String() != now.String() {
		return fmt.Errorf("the certificate that was given is for %s, this node is %s", id.Peer(), now)
	}
	if err = saveRenewed(n.cfg.Cluster, key, r); err != nil {
		return err
	}
	return n.backbone.identity.Reload()
}

// JoinInfo is what operators' tokens need. It implements admin.TokenStore with the group.
func (o operator) JoinInfo() (admin.JoinInfo, error) {
	if o.n.alone() {
		return admin.JoinInfo{}, errAlone
	}
	pin := o.n.backbone.identity.CAPin()
	info := admin.JoinInfo{Pin: base64.RawURLEncoding.EncodeToString(pin[:])}
	for _, d := range o.group.Nodes() {
		if d.Issues {
			return info, nil
		}
	}
	info.Issuers = "no origin has the key of a CA (cluster.ca_key_file): nobody gives certificates for it"
	return info, nil
}
