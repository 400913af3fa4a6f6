package terraform

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFormat holds every .tf and .tftest.hcl to terraform fmt.
func TestFormat(t *testing.T) {
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	if out, err := tf.try(t, ".", "fmt", "-check", "-recursive", "-diff"); err != nil {
		t.Errorf("terraform fmt: %v\n%s", err, out)
	}
}

// TestVersions holds every module to the same oldest terraform, and to the providers
// that its tests know.
func TestVersions(t *testing.T) {
	for _, dir := range modules(t) {
		raw, err := os.ReadFile(filepath.Join(dir, "versions.tf"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(raw), `required_version = ">= 1.9"`) {
			t.Errorf("%s/versions.tf: want required_version = \">= 1.9\"", dir)
		}
		if strings.Contains(string(raw), "hashicorp/aws") && !strings.Contains(string(raw), `"~> 5.0"`) {
			t.Errorf("%s/versions.tf: want hashicorp/aws ~> 5.0", dir)
		}
	}
}

// unchecked modules need a provider that the mirror does not have; each says so in its
// README.md, and is held to terraform fmt and tflint alone.
func unchecked(dir string) bool {
	if dir != "modules/hcloud-region" {
		return false
	}
	at, _ := mirror()
	_, err := os.Stat(filepath.Join(at, "registry.terraform.io/hetznercloud/hcloud"))
	return err != nil
}

// providers tells whether a module needs any, its own modules' counted.
func providers(t *testing.T, dir string) bool {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "versions.tf"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(raw), "required_providers")
}

// TestModules validates every module and runs its own tests (tests/*.tftest.hcl).
//
// Requirement: C7.
func TestModules(t *testing.T) {
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	_, mirrored := mirror()
	for _, dir := range modules(t) {
		if unchecked(dir) || providers(t, dir) && !*full {
			continue
		}
		t.Run(dir, func(t *testing.T) {
			if providers(t, dir) && !mirrored {
				leftOut(t, "the mirror of providers is missing: TMMS_TF_PLUGINS")
				return
			}
			tf.run(t, dir, "init", "-backend=false")
			versions, err := os.ReadFile(filepath.Join(dir, "versions.tf"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(versions), "configuration_aliases") { // else its caller has the providers
				tf.run(t, dir, "validate")
			}
			tests, err := filepath.Glob(filepath.Join(dir, "tests/*.tftest.hcl"))
			if err != nil {
				t.Fatal(err)
			}
			if len(tests) == 0 {
				if strings.HasPrefix(dir, "modules/") {
					t.Errorf("%s has no tests", dir)
				}
				return
			}
			if out, err := tf.try(t, dir, "test"); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestLint runs tflint over every module, with all of its rules for terraform.
func TestLint(t *testing.T) {
	if !*full {
		return
	}
	lint := "../../.tools/bin/tflint"
	if _, err := os.Stat(lint); err != nil {
		t.Fatalf("%v: make deploy-deps", err)
	}
	config := write(t, t.TempDir(), "tflint.hcl", "plugin \"terraform\" {\n  enabled = true\n  preset = \"all\"\n}\n")
	for _, dir := range modules(t) {
		path, err := filepath.Abs(lint)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), path, "--config", config,
			"--disable-rule=terraform_standard_module_structure", "--call-module-type=none")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("tflint in %s: %v\n%s", dir, err, out)
		}
	}
}

// TestScripts checks every shell script of deploy, the ones that modules render too.
func TestScripts(t *testing.T) {
	var scripts []string
	for _, pattern := range []string{"bin/*.sh", "local/*.sh", "modules/*/*.sh"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, found...)
	}
	if !slices.Contains(scripts, "modules/user-data/install.sh") {
		t.Fatalf("scripts %q: want install.sh among them", scripts)
	}
	for _, path := range scripts {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		if !strings.HasPrefix(text, "#!") { // a fragment: its variables come from the module
			text = "#!/usr/bin/env bash\nexport NODE=a INIT=systemd ROOT=b URL=c SHA256=d DISK=e SECRETS=f DRAIN=1s ADMIN=g ORIGIN=h VOTERS=i\n" + text
		}
		command(t, "shellcheck", write(t, t.TempDir(), filepath.Base(path), text))
	}
}
