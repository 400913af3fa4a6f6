package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"tmms/media/rtmp"
)

// configYAML has the app live, with a grace that makes each version another one, and
// the app gone, if it is to be there.
func configYAML(grace int, gone bool) string {
	text := fmt.Sprintf(`domains:
  - name: default
    aliases: ["*"]
    apps:
      - {name: live, grace: %ds}
`, grace)
	if gone {
		text += "      - {name: gone, auth: {publish: {keys: [secret-of-gone]}}}\n"
	}
	return text
}

// TestConfigUnderLoad changes the config of a cluster again and again, forth and back,
// while streams are published and watched by every protocol: nobody is cut off. Then an
// app is taken out, which ends its own streams and no others.
//
// Requirement: C5 S5 (CASES.md: config changes under load drop no session)
func TestConfigUnderLoad(t *testing.T) {
	sh := startCluster(t)
	o := &operatorAt{sh: sh}
	o.apply(t, configYAML(20, true))
	s := startShow(t, sh, "o1") // live/roam
	p, refused := dialPush(t, "rtmp://"+originRTMP["o2"]+"/gone/x?key=secret-of-gone", rtmp.OrderFFmpeg)
	if refused != nil {
		t.Fatalf("refused: %+v", refused)
	}
	p.mayFail = true
	stopGone := p.loop(s.tags)
	goneCtx, endGone := context.WithTimeout(t.Context(), 2*time.Minute)
	defer endGone()
	goneEnded := make(chan error, 1)
	go func() {
		tags, closed, err := watchFLV(goneCtx, "http://"+edgeHTTP[0]+"/gone/x.flv")
		if err == nil && (!closed || len(tags) < 10) {
			err = fmt.Errorf("%d tags, closed by the server: %v", len(tags), closed)
		}
		goneEnded <- err
	}()
	waitFor(t, 30*time.Second, "gone/x to be watched", func() bool { return sentAt(t, "e1", "flv") > 400_000 })

	first := o.history(t)
	for i := range 12 {
		o.apply(t, configYAML(30+i, true))
		if i%4 == 3 {
			o.run(t, "rollback", strconv.FormatUint(first, 10))
		}
	}
	last := o.history(t)
	if last != first+15 {
		t.Errorf("revision %d, want %d", last, first+15)
	}
	o.everywhere(t, last)

	out := o.run(t, "apply", "-f", o.file(t, configYAML(20, false)))
	if !strings.Contains(out, "1 app removed") {
		t.Errorf("apply says %s", out)
	}
	if err := <-goneEnded; err != nil {
		t.Errorf("a viewer of the app that is gone: %v", err)
	}
	waitFor(t, 30*time.Second, "the publisher of the app that is gone to be closed", func() bool {
		return strings.Contains(sh.nodeLog("o2"), `the app was taken out of the config: unknown app \"gone\"`)
	})
	stopGone()
	waitFor(t, 30*time.Second, "an edge to know that the app is gone", func() bool {
		code, _ := get(t, "http://"+edgeHTTP[1]+"/gone/x.m3u8")
		return code == http.StatusNotFound
	})
	<-time.After(3 * time.Second) // in which the others must play on

	s.stop()
	s.end()
	for i, p := range s.players {
		if gaps := p.check(t, s.tags, 1); len(gaps) > 0 {
			t.Errorf("%s: gaps of %v ms", p.url, gaps)
		}
		s.lists[i].check(t, 1)
	}
	if all := sh.nodeLogs() + sh.log.String(); strings.Contains(all, "secret-of-gone") || strings.Contains(all, "pbkdf2-sha256") {
		t.Error("a publish key is in a log or an answer")
	}
	sh.run("kill $(cat run/[oe]?.pid)")
}

// operatorAt is who changes the config of the quickstart's cluster, at every origin in turn.
type operatorAt struct {
	sh    *shell
	turns int
}

func (o *operatorAt) file(t *testing.T, text string) string {
	t.Helper()
	return writeFile(t, "domains.yaml", text)
}

// run runs a command that must succeed.
func (o *operatorAt) run(t *testing.T, args ...string) string {
	t.Helper()
	o.turns++
	api := "http://127.0.0.1:" + adminPort[fmt.Sprint("o", o.turns%3+1)]
	return o.sh.run("run/tmms " + strings.Join(args, " ") + " --api " + api)
}

func (o *operatorAt) apply(t *testing.T, text string) {
	t.Helper()
	o.run(t, "apply", "-f", o.file(t, text))
}

// history is the last revision.
func (o *operatorAt) history(t *testing.T) (last uint64) {
	t.Helper()
	var list struct {
		Revisions []struct{ Revision uint64 } `json:"revisions"`
	}
	if err := json.Unmarshal([]byte(o.run(t, "history", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	return list.Revisions[len(list.Revisions)-1].Revision
}

// everywhere waits until every node says, of all nodes, that they run a revision.
func (o *operatorAt) everywhere(t *testing.T, revision uint64) {
	t.Helper()
	for name, port := range adminPort {
		waitFor(t, 30*time.Second, fmt.Sprintf("revision %d on all nodes, as %s knows", revision, name), func() bool {
			_, body := get(t, "http://127.0.0.1:"+port+"/api/v1/nodes")
			return strings.Count(string(body), fmt.Sprintf(`"config_revision":%d`, revision)) == len(adminPort)
		})
		_, metrics := get(t, "http://127.0.0.1:"+port+"/metrics")
		if !strings.Contains(string(metrics), fmt.Sprintf("\ntmms_config_revision %d\n", revision)) {
			t.Errorf("%s has no metric of it", name)
		}
	}
}
