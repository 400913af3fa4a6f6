package e2e

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tmms/media/rtmp"
)

const domainsYAML = `domains:
  - name: default
    aliases: ["*"]
    apps:
      - name: live
        rtmp: true
        flv: true
        hls: {enabled: true}
      - name: secret
        rtmp: true
        flv: true
        auth: {publish: {keys: ["open-sesame"]}}
      - name: quiet
        rtmp: true
        flv: false
        hls: {enabled: false}
  - name: example.com
    apps:
      - name: tv
        rtmp: true
        flv: true
`

// tmms runs a client command against the server.
func (s *server) tmms(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "TMMS_API=http://"+s.admin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestDomains applies a config, publishes and plays under its rules, and finds
// it again after a restart.
//
// Requirement: S5 C5
func TestDomains(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := startDev(t, "--data", data)
	if out, err := s.tmms(t, "apply", "-f", writeFile(t, "domains.yaml", domainsYAML)); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
	base := "rtmp://" + s.rtmp
	for _, c := range []struct {
		name, url string
		refused   bool
	}{
		{"an open app", base + "/live/a", false},
		{"no key", base + "/secret/a", true},
		{"a wrong key", base + "/secret/a?key=sesame", true},
		{"the key", base + "/secret/a?key=open%2Dsesame", false},
		{"the key on the app", base + "/secret?key=open%2Dsesame/b", false},
		{"an unknown app", base + "/nothing/a", true},
		{"an unknown domain", base + "/live/b?domain=nowhere.org", true},
		{"a domain by override", base + "/tv/a?domain=example.com", false},
		{"an app of another domain", base + "/tv/b", true},
		{"a bad name", base + "/live/..", true},
	} {
		t.Run("publish/"+c.name, func(t *testing.T) {
			p, refused := dialPush(t, c.url, rtmp.OrderFFmpeg)
			defer p.c.Close()
			if (refused != nil) != c.refused {
				t.Fatalf("refused: %+v", refused)
			}
			if refused != nil && (refused.Code != "NetStream.Publish.BadName" || refused.Description == "") {
				t.Errorf("refused with %+v", refused)
			}
		})
	}
	for _, c := range []struct {
		path string
		code int
	}{
		{"/nothing/a.flv", http.StatusNotFound},
		{"/quiet/a.flv", http.StatusNotFound},
		{"/quiet/a.m3u8", http.StatusNotFound},
		{"/tv/a.flv", http.StatusNotFound},
		{"/live/a.flv?domain=nowhere.org", http.StatusNotFound},
	} {
		if code, body := get(t, s.url(c.path)); code != c.code || len(body) == 0 {
			t.Errorf("GET %s: %d %s, want %d and a reason", c.path, code, body, c.code)
		}
	}
	for _, url := range []string{base + "/nothing/a", base + "/live/a?domain=nowhere.org"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, _, err := watchRTMP(ctx, url); err == nil {
			t.Errorf("play %s was not refused", url)
		}
		cancel()
	}
	out, err := s.tmms(t, "get", "domains")
	if err != nil || !strings.Contains(out, "example.com") || strings.Contains(out, "sesame") {
		t.Errorf("get domains: %v\n%s", err, out)
	}
	s.stop(t)

	again := startDev(t, "--data", data)
	if out, err := again.tmms(t, "get", "domains", "-o", "json"); err != nil || !strings.Contains(out, "example.com") {
		t.Errorf("after a restart: %v\n%s", err, out)
	}
}

// TestApplyNamesEveryFault refuses a config with all that is wrong in it.
func TestApplyNamesEveryFault(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	out, err := s.tmms(t, "apply", "-f", writeFile(t, "bad.yaml", `domains:
  - name: a.example
    aliases: ["*"]
    apps:
      - {name: "a b", latency: 99h}
      - {name: live, busy_policy: perhaps}
  - name: a.example
`))
	if err == nil {
		t.Fatalf("apply succeeded:\n%s", out)
	}
	for _, want := range []string{"a b", "latency", "busy_policy", "a.example"} {
		if !strings.Contains(out, want) {
			t.Errorf("the faults do not name %q:\n%s", want, out)
		}
	}
	if out, err := s.tmms(t, "get", "domains"); err != nil || !strings.Contains(out, "default") {
		t.Errorf("the config before is gone: %v\n%s", err, out)
	}
}
