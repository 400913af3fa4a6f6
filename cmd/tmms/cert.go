package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"tmms/cluster/pki"
)

func certCommand() command {
	return command{
		name: "cert",
		args: "init | node NAME --roles origin,edge | rotate NAME...|--all|--ca|--drop-old | " +
			"issuer [--roles edge] [--only]  [--dir DIR]\n" +
			"            revoke NAME|SERIAL | revoked [-o table|json] [--local]  [--api URL]",
		summary: "Make, renew and revoke the certificates of a cluster.", run: runCert,
	}
}

func runCert(ctx context.Context, c console, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if _, err := parseFlags(c, newFlags("cert"), args, 0); err != nil {
			return err
		}
		return usagef("want \"init\", \"node\", \"rotate\", \"issuer\", \"revoke\" or \"revoked\"")
	}
	switch args[0] {
	case "init":
		return runCertInit(c, args[1:])
	case "node":
		return runCertNode(c, args[1:])
	case "rotate":
		return runCertRotate(c, args[1:])
	case "issuer":
		return runCertIssuer(c, args[1:])
	case "revoke":
		return runCertRevoke(ctx, c, args[1:])
	case "revoked":
		return runCertRevoked(ctx, c, args[1:])
	}
	return usagef("want \"init\", \"node\", \"rotate\", \"issuer\", \"revoke\" or \"revoked\", not %q", args[0])
}

func dirFlag(fs *flag.FlagSet) *string {
	return fs.String("dir", ".", "`DIR` with the certificates; keep the CA's key in it from everybody")
}

// runCertInit begins a cluster.
func runCertInit(c console, args []string) error {
	fs := newFlags("cert init")
	dir := dirFlag(fs)
	if _, err := parseFlags(c, fs, args, 0); err != nil {
		return err
	}
	d := certDir(*dir)
	if err := d.init(time.Now()); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s   the cluster's CA, for every node\n", d.path(caCert))
	fmt.Fprintf(c.stdout, "%s   signs nodes: for you alone\n", d.path(caKey))
	fmt.Fprintf(c.stdout, "%s   encrypts gossip, for every node\n", d.path(gossipKey))
	return nil
}

// runCertNode makes the certificate of a new node.
func runCertNode(c console, args []string) error {
	fs := newFlags("cert node")
	dir := dirFlag(fs)
	roles := fs.String("roles", "", "`ROLES` of the node: origin, edge, or both with a comma")
	words, err := parseFlags(c, fs, args, 1)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return usagef("want the NAME of the node")
	}
	if *roles == "" {
		return usagef("--roles is missing: origin, edge or origin,edge")
	}
	all := strings.Split(*roles, ",")
	if err = errors.Join(checkCertName(words[0]), pki.CheckRoles(all)); err != nil {
		return &usageError{err}
	}
	d := certDir(*dir)
	if err = d.issue(words[0], all, time.Now(), false); err != nil {
		return err
	}
	return reportIssued(c, d, words[0], all)
}

// runCertIssuer makes a CA for origins to give certificates by.
func runCertIssuer(c console, args []string) error {
	fs := newFlags("cert issuer")
	dir := dirFlag(fs)
	roles := fs.String("roles", pki.RoleEdge, "`ROLES` that it may give: edge, origin, or both with a comma")
	only := fs.Bool("only", false, "take the issuers before it out of ca.crt: what they have signed is good no more")
	if _, err := parseFlags(c, fs, args, 0); err != nil {
		return err
	}
	all := strings.Split(*roles, ",")
	if err := pki.CheckRoles(all); err != nil {
		return &usageError{err}
	}
	d := certDir(*dir)
	until, err := d.issuer(all, *only, time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s   has the issuer's certificate too: copy it to all nodes first\n", d.path(caCert))
	fmt.Fprintf(c.stdout, "%s   signs nodes with the roles %s until %s: then to the origins, as cluster.ca_key_file\n",
		d.path(issuerKey), strings.Join(all, " and "), until.Format(time.DateOnly))
	return nil
}

// rotation is what rotate is asked to do.
type rotation struct {
	names           []string
	all, ca, dropCA bool
}

// runCertRotate renews certificates of nodes, or one of the two steps by which
// a CA is replaced.
func runCertRotate(c console, args []string) error {
	fs := newFlags("cert rotate")
	dir := dirFlag(fs)
	var r rotation
	fs.BoolVar(&r.all, "all", false, "renew the certificates of all nodes in DIR; each keeps its roles")
	fs.BoolVar(&r.ca, "ca", false, "first step to a new CA: make it, and trust the old one too")
	fs.BoolVar(&r.dropCA, "drop-old", false, "last step: trust the new CA alone")
	words, err := parseFlags(c, fs, args, len(args))
	if err != nil {
		return err
	}
	r.names = words
	asked := 0
	for _, yes := range []bool{len(words) > 0, r.all, r.ca, r.dropCA} {
		if yes {
			asked++
		}
	}
	if asked != 1 {
		return usagef("want one of NAME..., --all, --ca and --drop-old")
	}
	d, now := certDir(*dir), time.Now()
	switch {
	case r.ca:
		return rotateCA(c, d, now)
	case r.dropCA:
		return dropOldCA(c, d)
	}
	return renew(c, d, r, now)
}

func renew(c console, d certDir, r rotation, now time.Time) error {
	if r.all {
		var err error
		if r.names, err = d.nodes(); err != nil {
			return err
		}
		if len(r.names) == 0 {
			return fmt.Errorf("no certificates of nodes in %s", string(d))
		}
	}
	roles := make([][]string, len(r.names))
	for i, name := range r.names { // all are looked at before one is changed
		if err := checkCertName(name); err != nil {
			return &usageError{err}
		}
		p, err := d.peer(name)
		if err != nil {
			return err
		}
		roles[i] = p.Roles
	}
	for i, name := range r.names {
		if err := d.issue(name, roles[i], now, true); err != nil {
			return err
		}
		if err := reportIssued(c, d, name, roles[i]); err != nil {
			return err
		}
	}
	return nil
}

func rotateCA(c console, d certDir, now time.Time) error {
	if err := d.rotateCA(now); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s   has the new CA and the old one, %s signs as the new\n", d.path(caCert), d.path(caKey))
	fmt.Fprintln(c.stdout, "Now, each step on every node before the next:")
	fmt.Fprintln(c.stdout, "  1. copy ca.crt to the nodes; they take it without a restart")
	fmt.Fprintln(c.stdout, "  2. tmms cert rotate --all, and copy each node its NAME.crt and NAME.key")
	fmt.Fprintln(c.stdout, "  3. tmms cert rotate --drop-old, and copy ca.crt to the nodes again")
	return nil
}

func dropOldCA(c console, d certDir) error {
	if err := d.dropOldCA(); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s   has the new CA alone: copy it to the nodes\n", d.path(caCert))
	return nil
}

func reportIssued(c console, d certDir, name string, roles []string) error {
	p, err := d.peer(name)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s and %s   for the node %s, %s, serial number %s\n",
		d.path(name+certSuffix), d.path(name+keySuffix), name, strings.Join(roles, " and "), p.Serial)
	return nil
}

// checkCertName refuses names that are none, or whose files are taken.
func checkCertName(name string) error {
	if reserved := []string{"ca", "gossip", "issuer"}; slices.Contains(reserved, name) {
		return fmt.Errorf("name %q: %s are taken by the cluster's own files", name, strings.Join(reserved, " and "))
	}
	return pki.CheckName(name)
}
