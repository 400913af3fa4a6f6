package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// full is for what takes minutes: make deploy-test.
var full = flag.Bool("full", false, "run the tests that take minutes too")

// tool finds one of the programs that may be missing (terraform, moto_server); a test
// that gets none says what is left out, and ends.
func tool(t *testing.T, name string) (string, bool) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		leftOut(t, name+" is not installed")
	}
	return path, err == nil
}

func leftOut(t *testing.T, why string) {
	t.Helper()
	t.Logf("LEFT OUT: %s: %s", t.Name(), why)
}

// mirror finds the folder with the genuine providers.
func mirror() (string, bool) {
	home, _ := os.UserHomeDir()
	for _, dir := range []string{os.Getenv("TMMS_TF_PLUGINS"), "/opt/tf-plugins", filepath.Join(home, ".terraform.d/plugins")} {
		if _, err := os.Stat(filepath.Join(dir, "registry.terraform.io/hashicorp")); dir != "" && err == nil {
			return dir, true
		}
	}
	return "", false
}

// terraform is a copy of the folder deploy, in which terraform may write what it wants.
type terraform struct {
	path string // of the program
	dir  string // of the copy's terraform folder
	env  []string
}

// newTerraform copies deploy into a folder of the test. Nothing is left out of the copy
// but what runs of terraform have left behind. ok is false where terraform is missing.
func newTerraform(t *testing.T) (tf *terraform, ok bool) {
	t.Helper()
	path, ok := tool(t, "terraform")
	if !ok {
		return nil, false
	}
	top := t.TempDir()
	if err := copyTree(filepath.Join(top, "deploy"), ".."); err != nil {
		t.Fatal(err)
	}
	config := "disable_checkpoint = true\n"
	if dir, found := mirror(); found {
		config += fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", dir)
	}
	rc := filepath.Join(top, "terraform.rc")
	if err := os.WriteFile(rc, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "TF_CLI_CONFIG_FILE="+rc, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "NO_COLOR=1")
	return &terraform{path: path, dir: filepath.Join(top, "deploy/terraform"), env: env}, true
}

func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch info, err := d.Info(); {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".terraform" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case !d.Type().IsRegular() || strings.Contains(d.Name(), ".tfstate"):
			return nil
		default:
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(to, rel), raw, info.Mode().Perm())
		}
	})
}

// try runs terraform in a folder of the copy and gives what it wrote to its output.
func (tf *terraform) try(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tf.path, args...)
	cmd.Dir = filepath.Join(tf.dir, dir)
	cmd.Env = tf.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("terraform %s in %s: %w\n%s", strings.Join(args, " "), dir, err, stderr.String())
	}
	return stdout.String(), nil
}

// run is try for what must not fail.
func (tf *terraform) run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := tf.try(t, dir, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// root makes a root module of one file in the copy, beside modules, and initialises it.
func (tf *terraform) root(t *testing.T, name, main string, files map[string]any) {
	t.Helper()
	dir := filepath.Join(tf.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, content := range files {
		raw, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tf.run(t, name, "init")
}

// outputs applies a root module and gives the value of one of its outputs.
func (tf *terraform) outputs(t *testing.T, root, output string, into any) {
	t.Helper()
	tf.run(t, root, "apply", "-auto-approve")
	raw := tf.run(t, root, "output", "-json", output)
	if err := json.Unmarshal([]byte(raw), into); err != nil {
		t.Fatalf("output %s: %v", output, err)
	}
}

// built builds the binary once for all tests; TestMain removes it.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tmms-deploy-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "tmms")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", path, "tmms/cmd/tmms")
	if out, err := cmd.CombinedOutput(); err != nil {
		return path, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// binary is the path of tmms, built from this tree.
func binary(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	wasBuilt.Store(true)
	return path
}

// environment is what programs that are started get: without the variables of the tests,
// which tmms would take for keys of its configuration.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TMMS_") })
}

// command runs a program that must be there (make deploy-deps) and must succeed.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// write puts a file into a folder, with the folders above it, and gives its path.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
