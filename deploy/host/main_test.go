package host

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// full is for what takes minutes: make deploy-test and make release-test.
var full = flag.Bool("full", false, "run the tests that take minutes too")

// given is a release to judge.
var given = flag.String("dist", "", "the folder dist of a clone, absolute; empty: that of the last commit is made")

// work is the folder that the tests share; TestMain makes and removes it.
var work atomic.Pointer[string]

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tmms-host-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	work.Store(&dir)
	code := m.Run()
	if err = os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// released is the folder of the release of the last commit, made once for all tests.
var released = sync.OnceValues(func() (string, error) {
	if *given != "" {
		return *given, nil
	}
	clone := filepath.Join(*work.Load(), "clone")
	return filepath.Join(clone, "dist"), release("../..", clone, nil)
})

func dist(t *testing.T) string {
	t.Helper()
	dir, err := released()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// release clones the last commit of a repository and makes its release in the clone.
func release(from, clone string, env []string) error {
	for _, args := range [][]string{
		{"git", "clone", "-q", "--no-hardlinks", from, clone},
		{"make", "-C", clone, "release"},
	} {
		cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%q: %w\n%s", args, err, out)
		}
	}
	return nil
}

// one is the only file of the release that a pattern matches.
func one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dist(t), pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v: want one file", pattern, found, err)
	}
	return found[0]
}
