package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// readmeCommands are the shell commands that the README shows, one a block.
func readmeCommands(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)\n```").FindAllStringSubmatch(string(b), -1) {
		commands = append(commands, m[1])
	}
	return commands
}

// TestReadme runs the README's first command as it stands there, on the default
// ports, and watches the demo in a browser at the address that the README gives.
//
// Requirement: C1 C2 C3
func TestReadme(t *testing.T) {
	commands := readmeCommands(t)
	if len(commands) != 2 || commands[1] != "make test" {
		t.Fatalf("the README shows %q, want a command that runs and \"make test\"", commands)
	}
	b, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	page := "http://localhost:8080/?stream=live/demo"
	if !strings.Contains(string(b), "<"+page+">") {
		t.Fatalf("the README does not name %s", page)
	}
	p := &server{cmd: exec.Command("bash", "-c", "exec "+commands[0]), out: &lockedBuffer{}, exited: make(chan struct{})}
	p.cmd.Dir = "../../.."
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	interrupt := func() { // Ctrl-C reaches every process of the terminal's group
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT)
		select {
		case <-p.exited:
		case <-time.After(15 * time.Second):
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			<-p.exited
			t.Error("Ctrl-C did not end it within 15 s")
		}
	}
	defer interrupt()
	waitFor(t, 2*time.Minute, "the server to be built and ready", func() bool {
		select {
		case <-p.exited:
			t.Fatalf("it ended:\n%s", p.out)
		default:
		}
		code, _ := get(t, "http://127.0.0.1:8090/readyz")
		return code == http.StatusOK
	})
	if got := browse(t, page, 3); got.Played < 3 || got.Spread < 60 || len(got.Errors) > 0 {
		t.Errorf("the watch page: %+v", got)
	}
	out := p.out.String()
	for _, want := range []string{"rtmp://", "http://localhost:8080/", "Warning", "publishing is open"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not print %q:\n%s", want, out)
		}
	}
}
