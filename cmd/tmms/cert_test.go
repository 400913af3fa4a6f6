package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tmms/cluster/pki"
)

// TestCert makes the certificates of a cluster, renews them, and replaces the CA.
func TestCert(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	run := func(want string, args ...string) {
		t.Helper()
		r := runProgram(t, nil, append(append([]string{"cert"}, args...), "--dir", dir)...)
		if r.code != 0 || !strings.Contains(r.out, want) || r.errOut != "" {
			t.Fatalf("cert %v: %+v, want %q", args, r, want)
		}
	}
	refuse := func(want string, args ...string) {
		t.Helper()
		before := snapshot(t, dir)
		r := runProgram(t, nil, append(append([]string{"cert"}, args...), "--dir", dir)...)
		if r.code != 1 || !strings.Contains(r.errOut, want) {
			t.Errorf("cert %v: %+v, want %q", args, r, want)
		}
		if after := snapshot(t, dir); after != before {
			t.Errorf("cert %v changed files", args)
		}
	}
	identity := func(name string) *pki.Identity {
		t.Helper()
		id, err := pki.LoadIdentity(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"), filepath.Join(dir, "ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}

	r := runProgram(t, nil, "cert", "node", "o1", "--roles", "origin", "--dir", dir)
	if r.code != 1 || !strings.Contains(r.errOut, "tmms cert init makes it") {
		t.Errorf("a node before the CA: %+v", r)
	}
	run("ca.key", "init")
	refuse("not overwritten", "init")
	run("o1.crt", "node", "o1", "--roles", "origin")
	run("e1.crt", "node", "e1", "--roles", "edge")
	run("origin and edge", "node", "both", "--roles", "origin,edge")
	refuse("tmms cert rotate o1 renews it", "node", "o1", "--roles", "edge")
	refuse("x.crt", "rotate", "x")
	refuse("x.crt", "rotate", "o1", "x")

	for name, mode := range map[string]os.FileMode{
		".": 0o700, "ca.key": 0o600, "o1.key": 0o600, "gossip.key": 0o600, "ca.crt": 0o644, "o1.crt": 0o644,
	} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v: %v", name, info.Mode().Perm(), mode, err)
		}
	}
	gossip, err := os.ReadFile(filepath.Join(dir, "gossip.key"))
	if err != nil {
		t.Fatal(err)
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(gossip))); err != nil || len(key) != 32 {
		t.Errorf("gossip key of %d bytes: %v", len(key), err)
	}
	o1 := identity("o1")
	if o1.Name() != "o1" || !o1.Peer().Has(pki.RoleOrigin) || o1.Peer().Has(pki.RoleEdge) {
		t.Errorf("o1 is %s", o1.Peer())
	}

	old := read(t, dir, "o1.crt")
	run("o1.crt", "rotate", "o1")
	if bytes.Equal(read(t, dir, "o1.crt"), old) || identity("o1").Peer().String() != o1.Peer().String() {
		t.Error("o1 was not renewed with its roles")
	}
	if err := o1.Reload(); err != nil {
		t.Error(err)
	}

	run("rotate --all", "rotate", "--ca")
	refuse("--drop-old ends it", "rotate", "--ca")
	refuse("both, e1, o1", "rotate", "--drop-old")
	if got := identity("o1").CAFingerprint(); got != o1.CAFingerprint() {
		t.Error("the old certificate does not hold in the overlap")
	}
	run("e1.crt", "rotate", "--all")
	run("ca.crt", "rotate", "--drop-old")
	if got := identity("o1").CAFingerprint(); got == o1.CAFingerprint() {
		t.Error("o1 is still of the old CA")
	}
	if certs, err := pki.SplitCerts(read(t, dir, "ca.crt")); err != nil || len(certs) != 1 {
		t.Errorf("%d CAs are left: %v", len(certs), err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestCertIssuer makes issuers, and takes them through the replacement of the CA.
func TestCertIssuer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	run := func(args ...string) string {
		t.Helper()
		r := runProgram(t, nil, append(append([]string{"cert"}, args...), "--dir", dir)...)
		if r.code != 0 {
			t.Fatalf("cert %v: %+v", args, r)
		}
		return r.out
	}
	count := func(want int) {
		t.Helper()
		if certs, err := pki.SplitCerts(read(t, dir, "ca.crt")); err != nil || len(certs) != want {
			t.Errorf("%d certificates in ca.crt, want %d: %v", len(certs), want, err)
		}
	}
	issues := func(want string) {
		t.Helper()
		ca, err := pki.LoadCA(read(t, dir, "ca.crt"), read(t, dir, "issuer.key"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(ca.Issues(), ","); got != want {
			t.Errorf("it issues %s, want %s", got, want)
		}
	}
	run("init")
	if out := run("issuer"); !strings.Contains(out, "copy it to all nodes first") || !strings.Contains(out, "roles edge until") {
		t.Error(out)
	}
	count(2)
	issues("edge")
	if info, err := os.Stat(filepath.Join(dir, "issuer.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	run("issuer", "--roles", "edge,origin")
	count(3)
	issues("edge,origin")
	run("node", "o1", "--roles", "origin")
	run("issuer", "--only")
	count(2)
	run("rotate", "--ca")
	count(3)
	run("issuer")
	count(4)
	issues("edge")
	if r := runProgram(t, nil, "cert", "rotate", "--ca", "--dir", dir); r.code != 1 || !strings.Contains(r.errOut, "has 2 CAs") {
		t.Errorf("%+v", r)
	}
	run("rotate", "--all")
	run("rotate", "--drop-old")
	count(2)
	issues("edge")
	if r := runProgram(t, nil, "cert", "node", "issuer", "--roles", "edge", "--dir", dir); r.code != 2 {
		t.Errorf("a node by the name of the issuer's file: %+v", r)
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// snapshot is the content of a folder's files.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(e.Name() + "\n" + string(read(t, dir, e.Name())))
	}
	return b.String()
}

func TestCertUsage(t *testing.T) {
	dir := t.TempDir()
	for args, want := range map[string]string{
		"":                              "init",
		"frob":                          "frob",
		"init x":                        "unexpected argument",
		"node":                          "NAME",
		"node n1":                       "--roles is missing",
		"node n1 n2 --roles edge":       "unexpected argument",
		"node n1 --roles root":          `role "root"`,
		"node n1 --roles edge,edge":     "twice",
		"node ../n1 --roles edge":       "byte 0",
		"node ca --roles edge":          "taken",
		"node gossip --roles edge":      "taken",
		"rotate":                        "want one of",
		"rotate n1 --all":               "want one of",
		"issuer --roles root":           `role "root"`,
		"issuer x":                      "unexpected argument",
		"rotate --ca --drop-old":        "want one of",
		"rotate ../x --dir " + dir:      "byte 0",
		"node n1 --roles edge --frob 1": "-frob",
	} {
		t.Run(args, func(t *testing.T) {
			r := runProgram(t, nil, append([]string{"cert"}, strings.Fields(args)...)...)
			if r.code != 2 || !strings.Contains(r.errOut, want) || strings.Count(r.errOut, "\n") != 1 {
				t.Errorf("%+v, want %q", r, want)
			}
		})
	}
	if r := runProgram(t, nil, "cert", "rotate", "--all", "--dir", dir); r.code != 1 || !strings.Contains(r.errOut, "no certificates") {
		t.Errorf("nothing to renew: %+v", r)
	}
	if r := runProgram(t, nil, "cert", "rotate", "-h"); r.code != 0 || !strings.Contains(r.out, "--drop-old") {
		t.Errorf("help: %+v", r)
	}
}
