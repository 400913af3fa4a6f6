package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tmms/cluster/pki"
)

// The files of a certDir; each node has NAME.crt and NAME.key.
const (
	certSuffix = ".crt"
	keySuffix  = ".key"
	caCert     = "ca" + certSuffix // one CA, or while it is replaced two, the new one first; and their issuers
	caKey      = "ca" + keySuffix
	gossipKey  = "gossip" + keySuffix
	issuerKey  = "issuer" + keySuffix
)

// certDir is the folder in which an operator keeps the certificates of a cluster.
type certDir string

func (d certDir) path(name string) string { return filepath.Join(string(d), name) }

// init makes the CA and the gossip key. It overwrites nothing.
func (d certDir) init(now time.Time) error {
	if err := d.absent(caCert, caKey, gossipKey); err != nil {
		return err
	}
	ca, err := pki.NewCA(now)
	if err != nil {
		return err
	}
	gossip, err := pki.NewGossipKey()
	if err != nil {
		return err
	}
	if err = os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	return errors.Join(
		d.put(caKey, ca.KeyPEM(), false), d.put(caCert, ca.CertPEM(), false), d.put(gossipKey, []byte(gossip+"\n"), false))
}

// issue makes the certificate and the key of a node; replace says whether there
// may be some already.
func (d certDir) issue(name string, roles []string, now time.Time, replace bool) error {
	if !replace {
		if err := d.absent(name+certSuffix, name+keySuffix); err != nil {
			return fmt.Errorf("%w (tmms cert rotate %s renews it)", err, name)
		}
	}
	ca, _, err := d.ca()
	if err != nil {
		return err
	}
	certPEM, keyPEM, err := ca.Issue(name, roles, now)
	if err != nil {
		return err
	}
	return errors.Join(d.put(name+keySuffix, keyPEM, replace), d.put(name+certSuffix, certPEM, replace))
}

// ca loads the CA, with the bundle that it is in.
func (d certDir) ca() (ca *pki.CA, bundle []byte, err error) {
	bundle, err = os.ReadFile(d.path(caCert))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w (tmms cert init makes it)", err)
	}
	if err != nil {
		return nil, nil, err
	}
	key, err := os.ReadFile(d.path(caKey))
	if err != nil {
		return nil, nil, err
	}
	ca, err = pki.LoadCA(bundle, key)
	return ca, bundle, err
}

// rotateCA puts a new CA before the old one, and its key in place of the old.
func (d certDir) rotateCA(now time.Time) error {
	old, bundle, err := d.ca()
	if err != nil {
		return err
	}
	_, roots, err := old.ChainedTo(bundle)
	if err != nil {
		return err
	}
	if roots > 1 {
		return fmt.Errorf("%s has %d CAs: the last rotation is not over, --drop-old ends it", d.path(caCert), roots)
	}
	ca, err := pki.NewCA(now)
	if err != nil {
		return err
	}
	// The bundle first: whatever comes between, the key belongs to one in it.
	if err = d.put(caCert, bytes.Join([][]byte{ca.CertPEM(), bundle}, nil), true); err != nil {
		return err
	}
	return d.put(caKey, ca.KeyPEM(), true)
}

// dropOldCA leaves the CA that the key belongs to, if it has signed all nodes.
func (d certDir) dropOldCA() error {
	ca, bundle, err := d.ca()
	if err != nil {
		return err
	}
	names, err := d.nodes()
	if err != nil {
		return err
	}
	var left []string
	for _, name := range names {
		certPEM, fault := os.ReadFile(d.path(name + certSuffix))
		if fault != nil {
			return fault
		}
		if !ca.Signed(certPEM) {
			left = append(left, name)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("the old CA has signed %s: renew them first by tmms cert rotate --all", strings.Join(left, ", "))
	}
	kept, _, err := ca.ChainedTo(bundle)
	if err != nil {
		return err
	}
	return d.put(caCert, kept, true)
}

// issuer makes a CA for origins to give certificates by, beside those that are there,
// and tells when it ends. Issuers that have ended leave the bundle; with only, all do.
func (d certDir) issuer(roles []string, only bool, now time.Time) (until time.Time, err error) {
	ca, bundle, err := d.ca()
	if err != nil {
		return until, err
	}
	issuer, err := ca.NewIssuer(roles, now)
	if err != nil {
		return until, err
	}
	kept, err := pki.WithoutIssuers(bundle, func(until time.Time) bool { return only || !now.Before(until) })
	if err != nil {
		return until, err
	}
	if err = d.put(caCert, append(kept, issuer.CertPEM()...), true); err != nil {
		return until, err
	}
	return issuer.NotAfter(), d.put(issuerKey, issuer.KeyPEM(), true)
}

// nodes lists the nodes that have a certificate here, ordered.
func (d certDir) nodes() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), certSuffix); ok && e.Name() != caCert && checkCertName(name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// peer is what a node's certificate says now.
func (d certDir) peer(name string) (p pki.Peer, err error) {
	certPEM, err := os.ReadFile(d.path(name + certSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("%w (tmms cert node makes it)", err)
	}
	if err != nil {
		return p, err
	}
	if p, err = pki.ParsePeer(certPEM); err != nil {
		return p, fmt.Errorf("%s: %w", d.path(name+certSuffix), err)
	}
	if p.Name != name {
		return p, fmt.Errorf("%s is for the node %q", d.path(name+certSuffix), p.Name)
	}
	return p, nil
}

// absent reports the first of the files that is there.
func (d certDir) absent(names ...string) error {
	for _, name := range names {
		if _, err := os.Lstat(d.path(name)); err == nil {
			return fmt.Errorf("%s is there already and is not overwritten", d.path(name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// put writes a file whole or not at all; keys are for their owner alone. Unless
// it may replace one, a file that is there stays.
func (d certDir) put(name string, text []byte, replace bool) error {
	temp, err := os.CreateTemp(string(d), "."+name+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	mode := os.FileMode(0o600)
	if strings.HasSuffix(name, certSuffix) {
		mode = 0o644
	}
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if replace {
		return os.Rename(temp.Name(), d.path(name))
	}
	return os.Link(temp.Name(), d.path(name))
}
