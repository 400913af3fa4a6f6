package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test, as a user has it.
var binary string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tmms-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "tmms")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// program makes a command without the environment's own settings.
func program(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// result is what a command that ended left.
type result struct {
	code        int
	out, errOut string
}

func runProgram(t *testing.T, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := program(ctx, env, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", args, err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bad := write("bad.yaml", "listen: {rtmp: 1935, http: nowhere}\nnodes: {}\n")
	good := write("good.yaml", "node: {name: n1}\nlisten: {rtmp: '127.0.0.1:1', http: ''}\n")
	domains := write("domains.yaml", "domains:\n- name: a\n  apps: [{name: live, graze: 1s}]\n")
	allowed := write("allowed.yaml", "domains:\n- name: a\n  apps: [{name: live}]\n")
	closed := "http://" + freePort(t)
	for _, tc := range []struct {
		name  string
		args  string
		env   []string
		code  int
		out   string // in stdout
		err   string // in stderr
		lines int    // of stderr
	}{
		{name: "no-args", args: "", code: 0, out: "tmms dev"},
		{name: "help", args: "help", code: 0, out: "tmms apply"},
		{name: "dash-help", args: "--help", code: 0, out: "tmms apply"},
		{name: "help-dev", args: "help dev", code: 0, out: "--demo"},
		{name: "dev-h", args: "dev -h", code: 0, out: "--rtmp"},
		{name: "help-unknown", args: "help frob", code: 2, err: `unknown command "frob"`, lines: 1},
		{name: "version", args: "version", code: 0, out: "tmms "},
		{name: "dash-version", args: "--version", code: 0, out: "tmms "},
		{name: "unknown-command", args: "frob", code: 2, err: `unknown command "frob"`, lines: 1},
		{name: "unknown-flag", args: "dev --frob", code: 2, err: "-frob", lines: 1},
		{name: "unknown-flag-run", args: "run --frob=1", code: 2, err: "-frob", lines: 1},
		{name: "stray-word", args: "dev demo", code: 2, err: `unexpected argument "demo"`, lines: 1},
		{name: "bad-flag-value", args: "dev --rtmp 1935", code: 2, err: `listen.rtmp = "1935" (--rtmp)`, lines: 1},
		{name: "bad-set", args: "run --set x.y=1 --set edge.loops=-1", code: 2, err: "x.y", lines: 2},
		{name: "bad-env", args: "dev", env: []string{"TMMS_LISTEN__RTMP=x"}, code: 1, err: "TMMS_LISTEN__RTMP", lines: 1},
		{name: "unknown-env", args: "config check", env: []string{"TMMS_PORT=1"}, code: 1, err: "TMMS_PORT", lines: 1},
		{name: "reserved-env", args: "config check", env: []string{"TMMS_API=x", "TMMS_TOKEN=y"}, code: 0, out: "ok"},
		{name: "bad-file", args: "run --config " + bad, code: 1, err: "nodes", lines: 3},
		{name: "no-file", args: "run --config " + dir + "/none.yaml", code: 1, err: "none.yaml: no such file", lines: 1},
		{name: "check", args: "config check --config " + good, code: 0, out: "node n1"},
		{name: "check-bad", args: "config check --config " + bad, code: 1, err: `listen.http = "nowhere"`, lines: 3},
		{name: "sample", args: "config sample", code: 0, out: "data_dir:"},
		{name: "config-nothing", args: "config", code: 2, err: "check", lines: 1},
		{name: "config-what", args: "config frob", code: 2, err: "frob", lines: 1},
		{name: "apply-no-file", args: "apply", code: 2, err: "-f FILE", lines: 1},
		{name: "apply-bad", args: "apply -f " + domains, code: 1, err: "graze", lines: 1},
		{name: "apply-bad-base", args: "apply --base x -f " + domains, code: 2, err: "base", lines: 1},
		{name: "diff-no-file", args: "diff", code: 2, err: "-f FILE", lines: 1},
		{name: "diff-bad", args: "diff -f " + domains, code: 2, err: "graze", lines: 1},
		{name: "diff-format", args: "diff -f x -o table", code: 2, err: "want text or json", lines: 1},
		{name: "diff-help", args: "diff -h", code: 0, out: "Exit code 0: nothing, 1: something"},
		{name: "diff-no-server", args: "diff -f " + allowed + " --api " + closed, code: 2, err: "is tmms running?", lines: 1},
		{name: "rollback-nothing", args: "rollback", code: 2, err: "want the REVISION", lines: 1},
		{name: "rollback-what", args: "rollback last", code: 2, err: `"last" is no revision`, lines: 1},
		{name: "rollback-two", args: "rollback 1 2", code: 2, err: `unexpected argument "2"`, lines: 1},
		{name: "rollback-base", args: "rollback 1 --base -2", code: 2, err: "--base -2", lines: 1},
		{name: "rollback-no-server", args: "rollback 1 --api " + closed, code: 1, err: "is tmms running?", lines: 1},
		{name: "history-format", args: "history -o text", code: 2, err: "want table or json", lines: 1},
		{name: "get-nothing", args: "get", code: 2, err: "want domains", lines: 1},
		{name: "get-what", args: "get frobs", code: 2, err: "frobs", lines: 1},
		{name: "why-nothing", args: "why", code: 2, err: "want a stream", lines: 1},
		{name: "why-format", args: "why live/a -o table", code: 2, err: "table", lines: 1},
		{name: "why-two", args: "why live/a live/b", code: 2, err: "live/b", lines: 1},
		{name: "why-no-server", args: "why live/a --api " + closed, code: 1, err: "is tmms running?", lines: 1},
		{name: "get-format", args: "get streams -o xml", code: 2, err: "xml", lines: 1},
		{name: "drain-nobody", args: "drain", code: 2, err: "NAME or the ID", lines: 1},
		{name: "drain-two", args: "drain o1 o2", code: 2, err: "o2", lines: 1},
		{name: "drain-bad-wait", args: "drain o1 --wait -1s", code: 2, err: "--wait -1s", lines: 1},
		{name: "drain-off-waits", args: "drain o1 --off --wait 1s", code: 2, err: "--off", lines: 1},
		{name: "drain-help", args: "help drain", code: 0, out: "--off"},
		{name: "drain-no-server", args: "drain o1 --api " + closed, code: 1, err: "is tmms running?", lines: 1},
		{name: "raft-nothing", args: "raft", code: 2, err: "want \"status\"", lines: 1},
		{name: "raft-what", args: "raft frob", code: 2, err: "frob", lines: 1},
		{name: "raft-h", args: "raft status -h", code: 0, out: "--local"},
		{name: "raft-format", args: "raft status -o xml", code: 2, err: "xml", lines: 1},
		{name: "raft-add-nowhere", args: "raft add o4", code: 2, err: "ADDRESS", lines: 1},
		{name: "raft-remove-nobody", args: "raft remove", code: 2, err: "NAME", lines: 1},
		{name: "raft-no-server", args: "raft remove o4 --api " + closed, code: 1, err: "is tmms running?", lines: 1},
		{name: "gossip-nothing", args: "gossip", code: 2, err: "rotate-key", lines: 1},
		{name: "gossip-what", args: "gossip frob", code: 2, err: "frob", lines: 1},
		{name: "gossip-stray", args: "gossip rotate-key now", code: 2, err: "now", lines: 1},
		{name: "gossip-help", args: "help gossip", code: 0, out: "rotate-key [--skip-absent]"},
		{name: "get-bad-api", args: "get streams --api localhost:1", code: 2, err: "want http://HOST:PORT", lines: 1},
		{name: "get-no-server", args: "get streams --api " + closed, code: 1, err: "is tmms running?", lines: 1},
		{name: "get-no-server-env", args: "get streams", env: []string{"TMMS_API=" + closed}, code: 1, err: closed, lines: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := runProgram(t, tc.env, strings.Fields(tc.args)...)
			if r.code != tc.code {
				t.Errorf("exit code %d, want %d", r.code, tc.code)
			}
			if !strings.Contains(r.out, tc.out) || !strings.Contains(r.errOut, tc.err) {
				t.Errorf("stdout %q, stderr %q; want %q and %q", r.out, r.errOut, tc.out, tc.err)
			}
			if n := strings.Count(r.errOut, "\n"); n != tc.lines {
				t.Errorf("%d lines on stderr, want %d: %s", n, tc.lines, r.errOut)
			}
		})
	}
}

// freePort gives an address of this machine that nobody listens on, by TCP or UDP.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)) // no connection is given one of these
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		ln.Close()
		if pc, err := net.ListenPacket("udp", addr); err == nil {
			_ = pc.Close()
			return addr
		}
	}
	t.Fatal("every port is taken")
	return ""
}

// running is a "tmms dev" or "tmms run" that serves.
type running struct {
	cmd    *exec.Cmd
	out    string // what it said until it was ready
	rest   chan string
	errOut *bytes.Buffer
}

// startDev starts tmms dev on free ports and waits until it has said where it is.
func startDev(t *testing.T, args ...string) *running {
	t.Helper()
	all := append([]string{"dev", "--rtmp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)
	r := &running{cmd: program(t.Context(), nil, all...), rest: make(chan string, 1), errOut: new(bytes.Buffer)}
	r.cmd.Stderr = r.errOut
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for !strings.Contains(r.out, "console") {
		line, err := lines.ReadString('\n')
		r.out += line
		if err != nil {
			_ = r.cmd.Wait()
			t.Fatalf("tmms %v ended early: %v\n%s%s", all, err, r.out, r.errOut)
		}
	}
	go func() {
		b, _ := io.ReadAll(lines)
		r.rest <- string(b)
	}()
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	return r
}

// end sends a signal and gives the exit code and how long the end took.
func (r *running) end(t *testing.T, sig os.Signal) (code int, took time.Duration) {
	t.Helper()
	start := time.Now()
	if err := r.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	r.out += <-r.rest
	var exit *exec.ExitError
	if err := r.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return r.cmd.ProcessState.ExitCode(), time.Since(start)
}

// find gives what a pattern matches in what the program said.
func (r *running) find(t *testing.T, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(r.out)
	if m == nil {
		t.Fatalf("%s is not in:\n%s", pattern, r.out)
	}
	return m[1]
}

func (r *running) api(t *testing.T) string {
	t.Helper()
	return "http://" + r.find(t, `console +http://([^/]+)/`)
}

func TestDevEndsCleanly(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			r := startDev(t, "--demo", "--data", t.TempDir())
			waitFor(t, "the demo", func() bool { return len(streams(t, r.api(t))) == 1 })
			code, took := r.end(t, sig)
			if code != 0 || took > 3*time.Second {
				t.Errorf("exit code %d after %s, want 0 within 2 s", code, took)
			}
			if r.errOut.Len() > 0 {
				t.Errorf("it is not quiet: %s", r.errOut)
			}
		})
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// streams asks the API for the keys of the streams.
func streams(t *testing.T, api string) []string {
	t.Helper()
	resp, err := http.Get(api + "/api/v1/streams")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var reply struct{ Streams []struct{ Key, State string } }
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, s := range reply.Streams {
		if s.State == "live" {
			keys = append(keys, s.Key)
		}
	}
	return keys
}

// TestDevTells: a newcomer sees where to push and watch; strangers are warned of only when they can come.
func TestDevTells(t *testing.T) {
	r := startDev(t)
	for _, want := range []string{"push to", "/live/STREAM", "OBS", ".flv", ".m3u8", "Ctrl-C", "in memory"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is not in:\n%s", want, r.out)
		}
	}
	r.end(t, os.Interrupt)
	if strings.Contains(r.out, "Warning") {
		t.Errorf("a warning on loopback:\n%s", r.out)
	}
	open := startDev(t, "--rtmp", ":0")
	open.end(t, os.Interrupt)
	if !strings.Contains(open.out, "Warning: publishing is open") || !strings.Contains(open.out, "all network interfaces") {
		t.Errorf("no warning:\n%s", open.out)
	}
}

// TestDevIPv6: listeners and literals of IPv6 work, with the demo's push over them.
func TestDevIPv6(t *testing.T) {
	r := startDev(t, "--demo", "--rtmp", "[::1]:0", "--http", "[::1]:0", "--admin", "[::1]:0")
	api := r.api(t)
	if !strings.HasPrefix(api, "http://[::1]:") {
		t.Errorf("console at %s", api)
	}
	waitFor(t, "the demo", func() bool { return len(streams(t, api)) == 1 })
	if got := streams(t, api)[0]; got != "default/live/demo" {
		t.Errorf("the demo is %s", got)
	}
	saysWhy(t, api)
	if got := runProgram(t, nil, "get", "streams", "--api", api); got.code != 0 || !strings.Contains(got.out, "default/live/demo") {
		t.Errorf("get streams: %+v", got)
	}
	if code, _ := r.end(t, os.Interrupt); code != 0 {
		t.Errorf("exit code %d: %s", code, r.errOut)
	}
}

// saysWhy asks about the demo, a stream that is not there, and what is no stream.
func saysWhy(t *testing.T, api string) {
	t.Helper()
	if got := runProgram(t, nil, "why", "live/demo", "--local", "--api", api); got.code != 0 ||
		!strings.HasPrefix(got.out, "default/live/demo is playing\n") || !strings.Contains(got.out, " (owner):\n  live for ") {
		t.Errorf("why: %+v", got)
	}
	if got := runProgram(t, nil, "why", "live/none", "--api", api, "-o", "json"); got.code != 0 ||
		!strings.Contains(got.out, `"playing": false`) || !strings.Contains(got.out, "nobody publishes it") {
		t.Errorf("why of a stream that is not there: %+v", got)
	}
	if got := runProgram(t, nil, "why", "a/b/c/d", "--api", api); got.code != 1 || !strings.Contains(got.errOut, "DOMAIN/APP/STREAM") {
		t.Errorf("why of no key: %+v", got)
	}
}

// TestDevRefuses: a busy port and an unwritable folder are one clear line and exit code 1.
func TestDevRefuses(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, flag, value, want string }{
		{"busy-rtmp", "--rtmp", busy.Addr().String(), "address already in use; --rtmp"},
		{"busy-http", "--http", busy.Addr().String(), "address already in use"},
		{"busy-admin", "--admin", busy.Addr().String(), "address already in use; --rtmp"},
		{"not-mine", "--rtmp", "192.0.2.1:1935", "192.0.2.1"},
		{"not-a-folder", "--data", filepath.Join(file, "x"), "not a directory"},
		{"proc", "--data", "/proc/tmms", "/proc/tmms"},
		{"open-admin", "--admin", "0.0.0.0:0", "loopback"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := []string{"dev", "--rtmp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", tc.flag, tc.value}
			r := runProgram(t, nil, args...)
			if r.code != 1 || r.out != "" {
				t.Errorf("exit code %d, stdout %q", r.code, r.out)
			}
			if strings.Count(r.errOut, "\n") != 1 || !strings.Contains(r.errOut, tc.want) {
				t.Errorf("stderr is not one line with %q: %s", tc.want, r.errOut)
			}
		})
	}
}

// TestDataInUse: a second process must not share the folder of the first.
func TestDataInUse(t *testing.T) {
	dir := t.TempDir()
	r := startDev(t, "--data", dir)
	second := runProgram(t, nil, "dev", "--data", dir, "--rtmp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	if second.code != 1 || !strings.Contains(second.errOut, "in use") || strings.Count(second.errOut, "\n") != 1 {
		t.Errorf("the second ended with %+v", second)
	}
	if code, _ := r.end(t, os.Interrupt); code != 0 {
		t.Errorf("the first ended with %d: %s", code, r.errOut)
	}
}

// checkConfigHistory changes the config and goes back, from revision 2 to 4.
func checkConfigHistory(t *testing.T, api, file string) {
	t.Helper()
	run := func(code int, want string, args ...string) string {
		t.Helper()
		got := runProgram(t, []string{api}, args...)
		if got.code != code || !strings.Contains(got.out+got.errOut, want) || strings.Contains(got.out, "secret") {
			t.Errorf("%v: %+v, want %q and exit code %d", args, got, want, code)
		}
		return got.out
	}
	other := filepath.Join(t.TempDir(), "other.yaml")
	text := "domains:\n- name: example.com\n  apps:\n  - {name: show, auth: {publish: {keys: [secret-key, secret-two]}}, grace: 1m}\n"
	if err := os.WriteFile(other, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	changes := "~ example.com/show hls.enabled: false -> true\n~ example.com/show grace: 20s -> 1m\n" +
		"~ example.com/show auth.publish.keys: 1 key -> 2 keys (1 added, 0 removed)\n"
	run(1, changes+"revision 2 is in force; this is other: 1 app changed\n", "diff", "-f", other)
	if out := run(1, `"key": "hls.enabled"`, "diff", "-f", other, "-o", "json"); !json.Valid([]byte(out)) {
		t.Errorf("no JSON: %s", out)
	}
	run(0, changes+"valid; this would change revision 2: 1 app changed\n", "apply", "-f", other, "--dry-run")
	run(0, "", "diff", "-f", file)
	run(0, "applied; revision 3 is in force: 1 app changed\n", "apply", "-f", other)
	run(1, "made from revision 2, current is 3", "rollback", "2", "--base", "2")
	run(1, "there is no revision 9: the last is 3", "rollback", "9")
	run(0, "~ example.com/show grace: 1m -> 20s\n", "rollback", "2", "--dry-run")
	run(0, "no change; revision 3 is in force\n", "rollback", "3")
	run(0, "back to what revision 2 had; revision 4 is in force: 1 app changed\n", "rollback", "2")
	run(0, "no change; revision 4 is in force\n", "apply", "-f", file)
	history := run(0, "REVISION  AT ", "history")
	if lines := strings.Count(history, "\n"); lines != 5 || !strings.Contains(history, "  local     back to revision 2: 1 app changed\n") {
		t.Errorf("history:\n%s", history)
	}
}

// TestRestartKeepsConfig: what was applied survives a restart with --data, and
// the built-in config does not come back.
//
// Requirement: S5 C5 (config is replicated state, applied and kept).
func TestRestartKeepsConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "domains.yaml")
	text := "domains:\n- name: example.com\n  apps:\n  - {name: show, auth: {publish: {keys: [secret-key]}}, hls: {enabled: false}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startDev(t, "--data", dir)
	api := "TMMS_API=" + r.api(t)
	check := func(want string, args ...string) {
		t.Helper()
		got := runProgram(t, []string{api}, args...)
		if got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("%v: %+v, want %q", args, got, want)
		}
	}
	check("default", "get", "domains")
	check("would change revision 1", "apply", "-f", file, "--dry-run")
	check("default", "get", "domains")
	check("revision 2 is in force", "apply", "-f", file, "--base", "1")
	check("no change; revision 2", "apply", "-f", file)
	check("", "diff", "-f", file)
	if got := runProgram(t, []string{api}, "apply", "-f", file, "--base", "1"); got.code != 1 || !strings.Contains(got.errOut, "current is 2") {
		t.Errorf("an old base revision: %+v", got)
	}
	checkConfigHistory(t, api, file)
	r.end(t, os.Interrupt)

	again := startDev(t, "--data", dir)
	api = "TMMS_API=" + again.api(t)
	check("example.com  -        show  rtmp flv  1 keys", "get", "domains")
	if got := runProgram(t, []string{api}, "get", "domains", "-o", "json"); !json.Valid([]byte(got.out)) || strings.Contains(got.out, "default") {
		t.Errorf("after the restart: %s", got.out)
	}
	check("no change; revision 4", "apply", "-f", file)
	check("back to revision 2: 1 app changed", "history")
	check("dev", "get", "nodes")
	if strings.Contains(again.out, "Warning") {
		t.Errorf("a warning although a key is needed:\n%s", again.out)
	}
	again.end(t, os.Interrupt)
}

// TestRun: a node from a file, with the environment and --set over it.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	admin, log := freePort(t), filepath.Join(dir, "node.log")
	file := filepath.Join(dir, "node.yaml")
	text := fmt.Sprintf("node: {name: n1, region: eu, data_dir: %s/data}\nlisten: {rtmp: '127.0.0.1:0', http: '127.0.0.1:0', admin: '%s'}\n"+
		"log: {format: json, file: %s}\n", dir, admin, log)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := program(t.Context(), []string{"TMMS_NODE__ZONE=z1"}, "run", "--config", file, "--set", "node.region=us")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	waitFor(t, "/readyz", func() bool {
		resp, err := http.Get("http://" + admin + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	nodes := runProgram(t, nil, "get", "nodes", "--api", "http://"+admin)
	for _, want := range []string{"n1", "origin edge", "us", "z1", "alive", "leader", "rtmp=127.0.0.1:"} {
		if !strings.Contains(nodes.out, want) {
			t.Errorf("%q is not in:\n%s", want, nodes.out)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	if output.Len() > 0 {
		t.Errorf("it wrote beside its log: %s", output.String())
	}
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if !bytes.Contains(b, []byte("node is ready")) {
		t.Errorf("the log lacks the start: %s", b)
	}
}
