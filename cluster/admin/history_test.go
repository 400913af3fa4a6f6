package admin

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"

	"tmms/cluster/state"
)

func grace(seconds int) string {
	return fmt.Sprintf(`{"domains":[{"name":"a.example","apps":[{"name":"live","grace":"%ds"}]}]}`, seconds)
}

// Requirement: C5 (config has a history, and a way back in it).
func TestRollback(t *testing.T) {
	n := serve(t, Config{})
	n.do("POST", "/api/v1/rollback", `{"revision":1}`).refused(t, 404, "not_found")
	for i := range 3 {
		n.do("PUT", "/api/v1/config", grace(i+1)).want(t, 200, nil)
	}
	var done applyReply
	n.do("POST", "/api/v1/rollback", `{"revision":1,"dry_run":true}`).want(t, 200, &done)
	if !done.Changed || !done.DryRun || done.Revision != 3 || len(done.Diff.Changes) != 1 ||
		done.Diff.Changes[0].String() != "~ a.example/live grace: 3s -> 1s" {
		t.Errorf("dry run: %+v", done)
	}
	n.do("POST", "/api/v1/rollback", `{"revision":1,"base_revision":2}`).refused(t, 409, "conflict")
	n.do("POST", "/api/v1/rollback", `{"revision":1,"base_revision":3}`).want(t, 200, &done)
	if !done.Changed || done.Revision != 4 || n.configs.Config().Revision() != 4 {
		t.Errorf("got %+v", done)
	}
	n.do("POST", "/api/v1/rollback", `{"revision":1}`).want(t, 200, &done)
	if done.Changed || done.Revision != 4 || !done.Diff.Empty() {
		t.Errorf("back to what is in force: %+v", done)
	}
	for body, code := range map[string]string{`{"revision":0}`: "not_found", `{"revision":5}`: "not_found"} {
		n.do("POST", "/api/v1/rollback", body).refused(t, 404, code)
	}
	n.do("POST", "/api/v1/rollback", `{}`).refused(t, 422, "invalid")
	n.do("POST", "/api/v1/rollback", `{"revision":"1"}`).refused(t, 422, "invalid")

	var history historyReply
	n.do("GET", "/api/v1/history", "").want(t, 200, &history)
	var got []string
	for _, r := range history.Revisions {
		got = append(got, fmt.Sprintf("%d by %s: %s, as %d", r.Revision, r.By, r.Summary, r.SameAs))
		if r.At.IsZero() || r.Bytes == 0 {
			t.Errorf("got %+v", r)
		}
	}
	want := "1 by local: 1 domain added, 1 app added, as 0|2 by local: 1 app changed, as 0|" +
		"3 by local: 1 app changed, as 0|4 by local: 1 app changed, as 1"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}

	for i := range 62 { // 64 are kept: 3 to 66
		n.do("PUT", "/api/v1/config", grace(100+i)).want(t, 200, nil)
	}
	e := n.do("POST", "/api/v1/rollback", `{"revision":2}`).refused(t, 404, "not_kept")
	if !strings.Contains(e.Message, "revision 2 is not kept any more: 3 to 66 are") {
		t.Errorf("got %q", e.Message)
	}
	history = historyReply{}
	n.do("GET", "/api/v1/history", "").want(t, 200, &history)
	if r := history.Revisions; len(r) != 64 || r[0].Summary != "" || r[0].Revision != 3 || r[1].Summary == "" {
		t.Errorf("%d revisions, the first two %+v", len(r), r[:2])
	}
}

// What holds keys in it is shown to nobody, nor logged.
func TestNoKeyIsShown(t *testing.T) {
	n := newNode(t)
	var log lockedBuffer
	deps := n.deps()
	deps.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := New(Config{Addr: "127.0.0.1:0"}, deps)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n.url = "http://" + addr.String()
	background(t, s.Run)
	withKeys := func(keys string) string {
		return `{"domains":[{"name":"a.example","apps":[{"name":"live","auth":{"publish":{"keys":` + keys + `}}}]}]}`
	}
	stored := state.HashKey("s3cret-three", bytes.Repeat([]byte{1}, state.KeySaltSize))
	var said []byte
	for _, ask := range [][3]string{
		{"PUT", "/api/v1/config", strings.Replace(withKeys(`["s3cret-one"]`), "{", `{"dry_run":true,`, 1)},
		{"PUT", "/api/v1/config", withKeys(`["s3cret-one"]`)},
		{"PUT", "/api/v1/config", withKeys(`["s3cret-two","s3cret-one"]`)},
		{"PUT", "/api/v1/config", withKeys(`["` + stored + `"]`)},
		{"PUT", "/api/v1/config", withKeys(`"s3cret-list"`)},
		{"PUT", "/api/v1/config", withKeys(`["s3cret one"]`)},
		{"PUT", "/api/v1/config", withKeys(`[53263]`)},
		{"PUT", "/api/v1/config", withKeys(`[],"hooks":"s3cret-hook"`)},
		{"PUT", "/api/v1/config", withKeys(`{"s3cret":"s3cret-map"}`)},
		{"PUT", "/api/v1/config", withKeys(`["pbkdf2-sha256$s3cret$AA$AA"]`)},
		{"POST", "/api/v1/rollback", `{"revision":1,"dry_run":true}`},
		{"POST", "/api/v1/rollback", `{"revision":1}`},
		{"GET", "/api/v1/config", ""},
		{"GET", "/api/v1/history", ""},
		{"GET", "/api/v1/domains", ""},
	} {
		said = append(said, n.do(ask[0], ask[1], ask[2]).body...)
	}
	if n.configs.Config().Revision() != 4 || !bytes.Contains(said, []byte("1 added")) {
		t.Fatalf("revision %d: %s", n.configs.Config().Revision(), said)
	}
	said = append(said, log.String()...)
	for _, secret := range []string{"s3cret", "53263", "pbkdf2-sha256$20000", stored[len(stored)-20:]} {
		if i := bytes.Index(said, []byte(secret)); i >= 0 {
			t.Errorf("%q is shown: %s", secret, said[max(0, i-200):min(len(said), i+100)])
		}
	}
}

// lockedBuffer is a log that is written by many.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Each node says which config it runs; one that does not answer, or is of a release
// that does not know the question, is left open.
func TestNodesShowTheirRevisions(t *testing.T) {
	f := mixed()
	f.cfg = (&far{runs: 5}).Config()
	f.nodes[1].runs, f.nodes[2].runs = 4, 5
	show := func(path string) string {
		t.Helper()
		var reply nodesReply
		f.get(t, path, &reply)
		var all strings.Builder
		for _, n := range reply.Nodes {
			revision := "?"
			if n.ConfigRevision != nil {
				revision = strconv.FormatUint(*n.ConfigRevision, 10)
			}
			all.WriteString(n.Name + ":" + revision + " ")
		}
		return all.String()
	}
	if got := show("/api/v1/nodes"); got != "e1:5 o1:4 e2:5 " {
		t.Errorf("got %s", got)
	}
	for _, path := range []string{"/api/v1/nodes?local=true", "/api/v1/nodes?consistency=local"} {
		if got := show(path); got != "e1:5 o1:? e2:? " {
			t.Errorf("%s: got %s", path, got)
		}
	}
	f.nodes[1].answer = func(context.Context, *Local, string) ([]byte, error) { return nil, errUnknownQuery }
	f.nodes[2].runs = 0
	if got := show("/api/v1/nodes"); got != "e1:5 o1:? e2:0 " {
		t.Errorf("got %s", got)
	}
}
