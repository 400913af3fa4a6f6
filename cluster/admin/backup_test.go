package admin

import (
	"bytes"
	"strings"
	"testing"

	"tmms/cluster/consensus"
	"tmms/cluster/state"
)

// Requirement: C5 (backup and restore of the whole state, each by one request).
func TestBackupAndRestore(t *testing.T) {
	n := serve(t, Config{TokensFile: tokensFile(t, tokensYAML)})
	auth := "Authorization: Bearer " + adminToken
	raw := "Content-Type: " + bytesType
	n.do("PUT", "/api/v1/config", `{`+oneDomain+`}`, auth).want(t, 200, nil)
	backup := n.do("GET", "/api/v1/raft/backup", "", auth).want(t, 200, nil)
	s := state.New()
	if err := s.Restore(backup.body); err != nil || s.Config().Revision() != 1 || backup.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("revision %d, %v", s.Config().Revision(), err)
	}
	n.do("PUT", "/api/v1/config", `{"domains":[]}`, auth).want(t, 200, nil)
	var got restoreReply
	n.do("POST", "/api/v1/raft/restore", string(backup.body), auth, raw).want(t, 200, &got)
	if got != (restoreReply{Revision: 3, Changed: true, Revisions: 1, Level: state.Level, Whole: true}) {
		t.Errorf("got %+v", got)
	}
	if h := n.configs.History(); len(h) != 3 || !bytes.Equal(h[2].Config, h[0].Config) || h[2].By != "ops" {
		t.Errorf("history: %+v", h)
	}
	damaged := strings.Replace(string(backup.body), "a", "b", 1)
	n.do("POST", "/api/v1/raft/restore", damaged, auth, raw).refused(t, 400, "invalid")
	n.do("POST", "/api/v1/raft/restore", damaged, auth).refused(t, 415, "media_type")
	n.do("POST", "/api/v1/raft/restore?foreign=2", damaged, auth, raw).refused(t, 400, "invalid")

	// Another cluster that has a config takes it only if told so.
	other := serve(t, Config{})
	other.do("PUT", "/api/v1/config", `{"domains":[]}`).want(t, 200, nil)
	other.do("POST", "/api/v1/raft/restore", string(backup.body), raw).refused(t, 400, "invalid")
	other.do("POST", "/api/v1/raft/restore?foreign=true", string(backup.body), raw).want(t, 200, &got)
	if got.Revision != 2 {
		t.Errorf("got %+v", got)
	}
	var info consensus.SnapshotInfo
	other.do("POST", "/api/v1/raft/snapshot", "").want(t, 200, &info)
	if info.Index < 3 || info.Term == 0 || info.Bytes == 0 || info.ID == "" {
		t.Errorf("snapshot %+v", info)
	}
}
