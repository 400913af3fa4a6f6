package fabric

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tmms/cluster/pki"
)

// kit is a node that has its certificate from files.
type kit struct {
	*node
	dir string
}

func (k *kit) write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// certify gives a node files from a CA.
func (k *kit) certify(t *testing.T, ca *pki.CA, name string) {
	t.Helper()
	cert, key, err := ca.Issue(name, []string{pki.RoleOrigin}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	k.write(t, "crt", cert)
	k.write(t, "key", key)
}

// reload is what a node does when its files have changed.
func (k *kit) reload(t *testing.T) {
	t.Helper()
	if err := k.id.Reload(); err != nil {
		t.Fatal(err)
	}
	k.Recheck()
}

// TestRotateTheCA: the CA is replaced node by node, in the three steps of
// docs/certificates.md. Until the last one no session ends, and at every moment
// each node can begin one with each other; behind it the old CA is good for nothing.
func TestRotateTheCA(t *testing.T) {
	former, next := newCA(t, time.Now()), newCA(t, time.Now())
	both := slices.Concat(next.CertPEM(), former.CertPEM())
	names := []string{"a", "b", "c"}
	var nodes []*kit
	for _, name := range names {
		k := &kit{dir: t.TempDir()}
		k.certify(t, former, name)
		k.write(t, "ca", former.CertPEM())
		id, err := pki.LoadIdentity(filepath.Join(k.dir, "crt"), filepath.Join(k.dir, "key"), filepath.Join(k.dir, "ca"))
		if err != nil {
			t.Fatal(err)
		}
		k.node = startWith(t, id, "127.0.0.1:0", fast(), func(f *Fabric) {
			f.Handle(ALPNControl, echo)
			f.Handle(ALPNRelay, echo)
		})
		nodes = append(nodes, k)
	}
	open := map[[2]string]*Session{}
	each := func(f func(from, to *kit)) {
		for _, from := range nodes {
			for _, to := range nodes {
				if from != to {
					f(from, to)
				}
			}
		}
	}
	each(func(from, to *kit) {
		open[[2]string{from.Name(), to.Name()}] = connect(t, from.node, to.target(), ALPNControl)
	})
	check := func(step string) {
		t.Helper()
		each(func(from, to *kit) {
			s := open[[2]string{from.Name(), to.Name()}]
			if s.Context().Err() != nil || ask(t, s, step) != step {
				t.Errorf("%s: the session of %s with %s has ended", step, from.Name(), to.Name())
			}
			waitFor(t, "a session of "+from.Name()+" with "+to.Name(), func() bool {
				fresh, err := from.Session(within(t), to.target(), ALPNRelay)
				if err != nil {
					return false // it backs off: the last one was short
				}
				defer fresh.Close(CodeDone, "seen")
				return ask(t, fresh, step) == step
			})
		})
	}
	for _, k := range nodes {
		k.write(t, "ca", both)
		k.reload(t)
		check("bundle of " + k.Name())
	}
	for i, k := range nodes {
		k.certify(t, next, names[i])
		k.reload(t)
		check("certificate of " + k.Name())
	}
	for _, k := range nodes {
		k.write(t, "ca", next.CertPEM())
		k.reload(t)
	}
	each(func(from, to *kit) {
		s := open[[2]string{from.Name(), to.Name()}]
		<-s.Context().Done() // it goes back to certificates of the former CA
		waitFor(t, "a new session", func() bool {
			anew, err := from.Session(within(t), to.target(), ALPNControl)
			return err == nil && ask(t, anew, "x") == "x"
		})
	})
	late := start(t, issue(t, former, "late"))
	if _, err := late.Session(within(t), nodes[0].target(), ALPNControl); err == nil {
		t.Error("a certificate of the former CA is good")
	}
}
