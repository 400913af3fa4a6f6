package admin

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/cluster/state"
)

// Each route asks for its role: no token is 401, one that may only read is 403 for a change.
func TestEveryRouteAsksForItsRole(t *testing.T) {
	n := serve(t, Config{TokensFile: tokensFile(t, tokensYAML)})
	s, err := New(Config{}, n.deps())
	if err != nil {
		t.Fatal(err)
	}
	open := []string{"/healthz", "/readyz", "/api/v1/openapi.json"}
	for _, r := range s.routes() {
		path := strings.NewReplacer("{name}", "x", "{node}", "x", "{id}", "x", "{profile}", "heap").Replace(r.path)
		if r.need == roleNone != slices.Contains(open, r.path) {
			t.Errorf("%s %s needs the role %d", r.method, r.path, r.need)
		}
		if r.need == roleNone {
			continue
		}
		n.do(r.method, path, "").refused(t, http.StatusUnauthorized, "token")
		n.do(r.method, path, "", "Authorization: Bearer "+adminToken+"x").refused(t, http.StatusUnauthorized, "token")
		a := n.do(r.method, path, "", "Authorization: Bearer "+readToken)
		if r.need == roleAdmin {
			a.refused(t, http.StatusForbidden, "role")
		} else if a.StatusCode == http.StatusUnauthorized || a.StatusCode == http.StatusForbidden {
			t.Errorf("%s %s: a token that may read is answered with %d", r.method, r.path, a.StatusCode)
		}
		if r.method != http.MethodGet && r.need != roleAdmin {
			t.Errorf("%s %s needs no admin", r.method, r.path)
		}
	}
	if len(n.group.asked) > 0 {
		t.Errorf("what was refused was done: %q", n.group.asked)
	}
}

// A changed tokens file is taken without a restart, a wrong one is not.
func TestTokensAreFollowed(t *testing.T) {
	path := tokensFile(t, tokensYAML)
	n := newNode(t)
	deps := n.deps()
	log := &lines{}
	deps.Log = slog.New(slog.NewTextHandler(log, nil))
	s, err := New(Config{TokensFile: path}, deps)
	if err != nil {
		t.Fatal(err)
	}
	background(t, func(ctx context.Context) error {
		s.followTokens(ctx, 5*time.Millisecond)
		return nil
	})
	is := func(secret string, want role) bool { return identify(*s.tokens.Load(), secret).role == want }
	await := func(what string, cond func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !cond(); {
			if time.Now().After(end) {
				t.Fatalf("in vain for %s: %s", what, log)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	secret, entry, err := NewToken("new@ops", "admin")
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	both, err := AddToken(bytes.TrimSpace(old), entry)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(entry, secret) || !is(secret, roleNone) {
		t.Error("the entry shows the token, or it is one already")
	}
	replace := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path+".new", b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	replace(both)
	await("the new token", func() bool { return is(secret, roleAdmin) && is(readToken, roleRead) })
	replace(nil)
	await("a line in the log", func() bool { return strings.Contains(log.String(), "the list is empty") })
	if !is(secret, roleAdmin) {
		t.Error("an empty file takes the tokens away")
	}
	replace([]byte(entry))
	await("the others to be gone", func() bool { return is(readToken, roleNone) && is(adminToken, roleNone) && is(secret, roleAdmin) })
	if strings.Count(log.String(), "were not reloaded") != 1 {
		t.Errorf("the log repeats itself: %s", log)
	}
}

func TestNewToken(t *testing.T) {
	for _, tc := range [][2]string{{"", "read"}, {"a", "root"}, {"a b", "read"}, {"a\n- {name: b", "read"}, {strings.Repeat("n", 1000), "read"}} {
		if _, entry, err := NewToken(tc[0], tc[1]); err == nil {
			t.Errorf("%.40q as %s: %s", tc[0], tc[1], entry)
		}
	}
	_, entry, err := NewToken("a", "read")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = AddToken([]byte(entry), entry); err == nil || !strings.Contains(err.Error(), "used already") {
		t.Errorf("one name twice: %v", err)
	}
}

// lines is a log to look into.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The API of join tokens gets no secret and shows none.
func TestJoinTokens(t *testing.T) {
	n := serve(t, Config{TokensFile: tokensFile(t, tokensYAML)})
	ops := "Authorization: Bearer " + adminToken
	const path = "/api/v1/tokens/join"
	list := n.do("GET", path, "", ops).want(t, 200, nil)
	if strings.Contains(string(list.body), "not-to-be-shown") || !strings.Contains(string(list.body), `"id":"0a0a0a0a0a"`) {
		t.Errorf("%s", list.body)
	}
	body := `{"id":"0b0b0b0b0b","hash":"cc","roles":["edge"],"region":"eu","uses":3,"ttl_seconds":3600}`
	var reply JoinTokenReply
	n.do("POST", path, body, ops).want(t, 200, &reply)
	if reply.Pin != "PIN" || reply.Warning != "nobody" || reply.Token.Until.Sub(reply.Token.At) != time.Hour || reply.Token.By != "ops" {
		t.Errorf("%+v", reply)
	}
	n.do("POST", path, strings.Replace(body, "3600", "9000000000", 1), ops).refused(t, 400, "invalid")
	n.do("DELETE", path+"/0b0b0b0b0b", "", ops).want(t, 200, nil)
	want := []string{"token 0b0b0b0b0b of cc by ops for 3600000 ms", "no token 0b0b0b0b0b"}
	if !slices.Equal(n.group.asked, want) {
		t.Errorf("asked for %q", n.group.asked)
	}
	n.group.refuse = &state.TokenError{ID: "0c0c0c0c0c", Reason: "is not known"}
	n.do("DELETE", path+"/0c0c0c0c0c", "", ops).refused(t, 409, "token")
}
