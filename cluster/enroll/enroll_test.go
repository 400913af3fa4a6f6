package enroll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tmms/cluster/fabric"
	"tmms/cluster/pki"
	"tmms/cluster/state"
	"tmms/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// cluster is a state without raft.
type cluster struct {
	mu    sync.Mutex
	state *state.State
	index uint64
	down  error // what it answers instead
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{state: state.New()}
	c.do(t, state.Init{UnixSeconds: 1, ClusterID: "c"})
	return c
}

func (c *cluster) do(t *testing.T, cmd state.Command) {
	t.Helper()
	if r, err := c.apply(cmd); err != nil {
		t.Fatalf("%T: %v, %v", cmd, r, err)
	}
}

func (c *cluster) apply(cmd state.Command) (any, error) {
	b, err := state.Encode(cmd)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index++
	result, err := c.state.Apply(c.index, b)
	if refusal, ok := result.(error); ok {
		return nil, refusal
	}
	return result, err
}

func (c *cluster) JoinToken(id string) (state.JoinToken, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.JoinToken(id)
}

func (c *cluster) Nodes() []state.Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.Nodes()
}

func (c *cluster) UseToken(_ context.Context, u state.UseToken) (t state.JoinToken, err error) {
	if c.down != nil {
		return t, c.down
	}
	if err = u.Check(); err != nil {
		return t, err
	}
	result, err := c.apply(u)
	if err == nil {
		t, _ = result.(state.JoinToken)
	}
	return t, err
}

// grant puts a token in force.
func (c *cluster) grant(t *testing.T, pin pki.Pin, uses int, change func(*state.JoinToken)) Token {
	t.Helper()
	token := NewToken()
	token.Pin = pin
	now := time.Now()
	j := state.JoinToken{
		ID: token.ID, Hash: token.Hash(), Roles: []string{pki.RoleEdge}, Uses: uses,
		AtUnixMS: now.UnixMilli(), UntilUnixMS: now.Add(time.Hour).UnixMilli(),
	}
	if change != nil {
		change(&j)
	}
	c.do(t, state.PutToken{Token: j})
	return token
}

// site is an origin that gives certificates.
type site struct {
	*cluster
	*Server

	id     *pki.Identity
	ca     *pki.CA
	issuer *pki.CA // nil: none here
	log    *locked
	target fabric.Target
}

func newSite(t *testing.T) *site {
	t.Helper()
	ca, err := pki.NewCA(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := ca.NewIssuer([]string{pki.RoleEdge}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return newOrigin(t, newCluster(t), "o1", ca, issuer)
}

func newOrigin(t *testing.T, c *cluster, name string, ca, issuer *pki.CA) *site {
	t.Helper()
	certPEM, keyPEM, err := ca.Issue(name, []string{pki.RoleOrigin}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	bundle := ca.CertPEM()
	if issuer != nil {
		bundle = append(bundle, issuer.CertPEM()...)
	}
	s := &site{cluster: c, ca: ca, issuer: issuer, log: &locked{}}
	if s.id, err = pki.NewIdentity(certPEM, keyPEM, bundle); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.Server = NewServer(Deps{
		Log: log, Cluster: c, Bundle: s.id.Bundle, Now: time.Now,
		Issuer: func() (*pki.CA, error) {
			if s.issuer == nil {
				return nil, ErrNoIssuer
			}
			return s.issuer, nil
		},
		GossipKeys: func() ([][]byte, error) { return [][]byte{[]byte("0123456789abcdef")}, nil },
	})
	f, err := fabric.New(fabric.Config{Listen: "127.0.0.1:0"}, s.id, fabric.Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	f.HandleGuests(s.Serve)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	s.target = fabric.Target{Name: name, Addr: f.Addr().String()}
	return s
}

// locked is a log that several write to.
type locked struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func join(t *testing.T, token Token, name string, to ...fabric.Target) (Credentials, error) {
	t.Helper()
	_, key, err := pki.NewRequest(name)
	if err != nil {
		t.Fatal(err)
	}
	return joinWith(t, key, token, name, to...)
}

func joinWith(t *testing.T, key []byte, token Token, name string, to ...fabric.Target) (Credentials, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return Join(ctx, slog.New(slog.DiscardHandler), Applicant{
		Token: token, Name: name, Key: key, Roles: []string{pki.RoleEdge}, Region: "eu", Origins: to,
	})
}

// A node with a token and nothing else gets what it needs, at the origin that has the
// key, over a real fabric; a token of one use lets in one.
func TestJoin(t *testing.T) {
	s := newSite(t)
	without := newOrigin(t, s.cluster, "o2", s.ca, nil)
	s.do(t, state.UpsertNode{Node: state.Node{ID: "1", Name: "o1", Issues: true}})
	token := s.grant(t, s.id.CAPin(), 1, nil)
	got, err := join(t, token, "e1", without.target, s.target)
	if err != nil {
		t.Fatal(err)
	}
	id, err := pki.NewIdentity(got.Cert, got.Key, got.CA)
	if err != nil || id.Peer().String() != "e1[edge]" || len(got.GossipKeys) != 1 {
		t.Fatalf("%v, %v, %d keys", id.Peer(), err, len(got.GossipKeys))
	}
	if !strings.Contains(without.log.String(), "o1 says that it has one") {
		t.Errorf("who has the key? %s", without.log)
	}
	if once, fault := joinWith(t, got.Key, token, "e1", s.target); fault != nil || string(once.Key) != string(got.Key) {
		t.Errorf("the same node with the same key is not let in again: %v", fault)
	}
	if _, err = join(t, token, "e2", s.target); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "is used up") {
		t.Errorf("a second node: %v", err)
	}
	secret := strings.Split(token.Text(), ".")[2]
	if all := s.log.String() + without.log.String() + err.Error(); strings.Contains(all, secret) || strings.Contains(all, token.Hash()) {
		t.Errorf("a secret shows in %s", all)
	}
	if offer, offerErr := s.Offer(); offerErr != nil || offer.Signer != id.Signer() || string(offer.CA) != string(got.CA) || len(offer.Certificate) > 0 {
		t.Errorf("offered: %+v, %v", offer, offerErr)
	}
	if _, err = without.Offer(); !errors.Is(err, ErrNoIssuer) {
		t.Errorf("offered without a key: %v", err)
	}
	r, err := s.Renew(id.Peer(), mustCSR(t, "ignored"))
	if err != nil {
		t.Fatal(err)
	}
	if p, fault := pki.ParsePeer(r.Certificate); fault != nil || p.String() != "e1[edge]" || p.Serial == id.Serial() {
		t.Errorf("renewed: %v, %v", p, fault)
	}
	if _, err = s.Renew(s.id.Peer(), mustCSR(t, "o1")); !errors.Is(err, pki.ErrBeyondIssuer) {
		t.Errorf("an issuer for edges renews an origin: %v", err)
	}
}

func mustCSR(t *testing.T, name string) []byte {
	t.Helper()
	csr, _, err := pki.NewRequest(name)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// What a token does not allow is refused at once, with the reason for who has the
// secret and without one for who has not.
func TestRefusals(t *testing.T) {
	s := newSite(t)
	foreign, err := pki.NewCA(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := foreign.Issue("o1", []string{pki.RoleOrigin}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	other, err := pki.NewIdentity(cert, key, foreign.CertPEM())
	if err != nil {
		t.Fatal(err)
	}
	revoked := s.grant(t, s.id.CAPin(), 1, nil)
	s.do(t, state.DropToken{ID: revoked.ID})
	guessed := s.grant(t, s.id.CAPin(), 1, nil)
	guessed.Secret[0] ^= 1
	for want, token := range map[string]Token{
		"is not known: it was revoked": revoked,
		"the token is not known":       guessed,
		"has ended":                    s.grant(t, s.id.CAPin(), 1, func(j *state.JoinToken) { j.UntilUnixMS = 2; j.AtUnixMS = 1 }),
		`is for the region "us"`:       s.grant(t, s.id.CAPin(), 1, func(j *state.JoinToken) { j.Region = "us" }),
		`whose name begins with "x-"`:  s.grant(t, s.id.CAPin(), 1, func(j *state.JoinToken) { j.NamePrefix = "x-" }),
		`is for the roles ["origin"]`:  s.grant(t, s.id.CAPin(), 1, func(j *state.JoinToken) { j.Roles = []string{"origin"} }),
	} {
		if _, err = join(t, token, "e1", s.target); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	got, err := Applicant{Token: s.grant(t, other.CAPin(), 1, nil), Name: "e1"}.ask(t.Context(), s.target, nil)
	if !errors.Is(err, pki.ErrUntrusted) || len(got.Cert) > 0 {
		t.Errorf("the token of another cluster: %v", err)
	}
}

// Of many that come at once with the last use, one is let in. The one whose answer was
// lost is let in again.
func TestLastUse(t *testing.T) {
	s := newSite(t)
	token := s.grant(t, s.id.CAPin(), 3, nil)
	ask := func(name string, csr []byte) answer {
		b, err := json.Marshal(request{Version: version, Token: token.ID, Secret: token.Secret[:], Node: name, Roles: []string{"edge"}, CSR: csr})
		if err != nil {
			t.Error(err)
		}
		a, err := decodeAnswer(s.Serve(t.Context(), netip.MustParseAddrPort("[2001:db8:"+strings.TrimPrefix(name, "e")+"::1]:1"), b))
		if err != nil {
			t.Error(err)
		}
		return a
	}
	var coming sync.WaitGroup
	answers := make([]answer, 12)
	for i := range answers {
		csr := mustCSR(t, "e")
		coming.Go(func() { answers[i] = ask(fmt.Sprintf("e%d", i), csr) })
	}
	coming.Wait()
	in := 0
	for _, a := range answers {
		if a.Fault == nil {
			in++
		} else if a.Fault.Code != codeRefused || !strings.Contains(a.Fault.Message, "is used up") {
			t.Errorf("%+v", a.Fault)
		}
	}
	if in != 3 {
		t.Errorf("%d are let in by 3 uses", in)
	}
	token = s.grant(t, s.id.CAPin(), 1, nil)
	csr := mustCSR(t, "e")
	if first, again := ask("e20", csr), ask("e20", csr); first.Fault != nil || again.Fault != nil {
		t.Errorf("%+v, again %+v", first.Fault, again.Fault)
	}
}

// A cluster that does not answer is asked again; the request of a stranger who asks too
// often is not looked at.
func TestBusy(t *testing.T) {
	s := newSite(t)
	token := s.grant(t, s.id.CAPin(), 1, nil)
	s.down = errors.New("no leader")
	_, err := Applicant{Token: token, Name: "e1"}.ask(t.Context(), s.target, requestFor(t, token))
	if err == nil || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "no leader") {
		t.Errorf("without a leader: %v", err)
	}
	for range media.JoinBurstPerIP {
		s.Serve(t.Context(), netip.MustParseAddrPort("192.0.2.1:1"), nil)
	}
	a, err := decodeAnswer(s.Serve(t.Context(), netip.MustParseAddrPort("192.0.2.1:2"), requestFor(t, token)))
	if err != nil || a.Fault == nil || a.Fault.Code != codeBusy {
		t.Errorf("%+v, %v", a.Fault, err)
	}
}

func requestFor(t *testing.T, token Token) []byte {
	t.Helper()
	b, err := json.Marshal(request{
		Version: version, Token: token.ID, Secret: token.Secret[:], Node: "e1", Roles: []string{"edge"}, CSR: mustCSR(t, "e1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRate(t *testing.T) {
	r, now := newRate(), time.Unix(1000, 0)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	allowed := func(ip netip.Addr, n int, at time.Time) (in int) {
		for range n {
			if r.allow(ip, at) {
				in++
			}
		}
		return in
	}
	if in := allowed(addr(1), 100, now); in != media.JoinBurstPerIP {
		t.Errorf("%d of 100 at once", in)
	}
	if in := allowed(addr(1), 100, now.Add(3*time.Second)); in != 3*media.JoinRatePerIP {
		t.Errorf("%d of 100 after 3 s", in)
	}
	if in := allowed(netip.MustParseAddr("2001:db8::1"), 15, now) + allowed(netip.MustParseAddr("2001:db8::2"), 15, now); in != media.JoinBurstPerIP {
		t.Errorf("%d of 30 of one network", in)
	}
	in := 0
	for i := range 4 * media.MaxJoinRated {
		in += allowed(addr(i), 1, now.Add(3*time.Second))
	}
	if in > media.JoinBurst+10 || len(r.perIP) > media.MaxJoinRated {
		t.Errorf("%d of all are looked at, %d addresses are remembered", in, len(r.perIP))
	}
	if !r.allow(netip.MustParseAddr("192.0.2.9"), now.Add(time.Hour)) || len(r.perIP) != 1 {
		t.Errorf("%d addresses are remembered for ever", len(r.perIP))
	}
}

func TestTokenText(t *testing.T) {
	token := NewToken()
	token.Pin[0] = 7
	text := token.Text()
	if got, err := ParseToken(" " + text + "\n"); err != nil || got != token {
		t.Errorf("%+v, %v", got, err)
	}
	secret := strings.Split(text, ".")[2]
	if s := fmt.Sprintf("%v %s", token, token); strings.Contains(s, secret) {
		t.Errorf("%s", s)
	}
	for _, bad := range []string{
		"", "tmms1", text + ".", "tmms2" + text[5:], text[:len(text)-1], strings.ToUpper(text), strings.Repeat("a", 300), "tmms1.zz" + text[8:],
	} {
		if _, err := ParseToken(bad); err == nil || len(bad) > 20 && strings.Contains(err.Error(), secret) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func TestDue(t *testing.T) {
	from := time.Unix(0, 0)
	until := from.Add(30 * time.Hour)
	if Due(from, until, from.Add(20*time.Hour)) || !Due(from, until, from.Add(20*time.Hour+time.Second)) {
		t.Error("a certificate is renewed when two thirds of its life have passed")
	}
}

// What is taken for a token says the same again.
func FuzzToken(f *testing.F) {
	f.Add(NewToken().Text())
	f.Add("tmms1.0000000000..")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err == nil && token.Text() != strings.TrimSpace(text) {
			t.Errorf("%q is taken for %q", text, token.Text())
		}
	})
}

// Whatever a stranger sends is answered with a fault that does not show it.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"v":1,"token":"0a0a0a0a0a","secret":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","node":"e1","roles":["edge"],"csr":"MA=="}`))
	f.Add([]byte(`{"v":2}`))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRequest(b)
		if err != nil {
			if !errors.Is(err, errRequest) {
				t.Error(err)
			}
			return
		}
		if len(r.Secret) != media.JoinTokenSecret || len(r.Node) > media.MaxNodeName || len(r.Roles) > maxRoles {
			t.Errorf("%d roles, a name of %d bytes", len(r.Roles), len(r.Node))
		}
		if _, err := pki.ParseRequest(r.CSR); err == nil && len(r.CSR) == 0 {
			t.Error("nothing is a request")
		}
	})
}

// An answer is taken whole or not at all.
func FuzzAnswer(f *testing.F) {
	f.Add(answer{Fault: &fault{codeBusy, "x"}}.encode())
	f.Add(answer{Certificate: []byte("c"), CA: []byte("a"), GossipKeys: [][]byte{{1}}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAnswer(b)
		if err == nil && a.Fault == nil && (len(a.Certificate) == 0 || len(a.GossipKeys) == 0 || len(a.GossipKeys) > media.MaxGossipKeys) {
			t.Errorf("%+v", a)
		}
	})
}
