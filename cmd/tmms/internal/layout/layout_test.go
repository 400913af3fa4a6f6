package layout

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../../../.."

type pkg struct {
	ImportPath                         string
	Dir                                string
	GoFiles, IgnoredGoFiles            []string
	Imports, TestImports, XTestImports []string
	ImportMap                          map[string]string
	Error                              *struct{ Err string }
}

// list runs go list in the module's root with the target system goos.
func list(t *testing.T, goos string, args ...string) []pkg {
	t.Helper()
	touch(t)
	fields := "ImportPath,Dir,GoFiles,IgnoredGoFiles,Imports,TestImports,XTestImports,ImportMap,Error"
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-e", "-json=" + fields}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(out); ; {
		var p pkg
		if err = dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("go list: %v", err)
	}
	if len(all) == 0 {
		t.Fatal("go list found nothing")
	}
	return all
}

// touch reads the folders of the module, so that a cached test result is not
// taken after a file has changed: go test does not see what go list reads.
func touch(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && (d.Name() == "node_modules" || len(d.Name()) > 2 && d.Name()[0] == '.') {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// inModule cuts the module's path off an import path.
func inModule(importPath string) (string, bool) { return strings.CutPrefix(importPath, module+"/") }

// Requirement: C2 C3 S1 (the arrows; koanf, raft and the like each have one importer; the protocol layer imports no session).
func TestArrows(t *testing.T) {
	for _, p := range list(t, "linux", "./...") {
		from, ok := inModule(p.ImportPath)
		if !ok {
			t.Errorf("%s: there is no package at the top of the module", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			checkImport(t, from, imported, mayImport)
			if _, ours := inModule(imported); !ours && pure(from) && impure(from, imported) {
				t.Errorf("%s is pure and must not import %s", from, imported)
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			checkImport(t, from, imported, mayTest)
		}
		if pure(from) {
			checkClocks(t, p)
		}
		for _, name := range []string{"util", "utils", "common", "helpers", "pkg", "misc"} {
			if slices.Contains(strings.Split(from, "/"), name) {
				t.Errorf("%s: a package is named for what it is, not %q", from, name)
			}
		}
	}
}

func checkImport(t *testing.T, from, imported string, may func(from, to string) bool) {
	t.Helper()
	if to, ours := inModule(imported); ours {
		if !may(from, to) {
			t.Errorf("%s must not import %s: arrows point down", from, to)
		}
		return
	}
	dirs := owners(imported)
	if len(dirs) > 0 && !slices.ContainsFunc(dirs, func(dir string) bool { return within(from, dir) }) {
		t.Errorf("%s must not import %s: that is for %s", from, imported, dirs)
	}
}

func checkClocks(t *testing.T, p pkg) {
	t.Helper()
	fset := token.NewFileSet()
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, what := range clocks(fset, file) {
			t.Errorf("%s: a pure package takes time as a parameter and runs nothing", what)
		}
	}
}

// Requirement: C1 C3 (a Go module whose top level is the one of the design card).
func TestTopLevel(t *testing.T) {
	must := []string{"bench", "cluster", "cmd", "edge", "media", "origin", "go.mod", "go.sum", "LICENSE", "CHANGELOG.md", "Makefile", "README.md", "docs"}
	may := append([]string{"deploy"}, must...)
	ignored := gitIgnored(t)
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		known := strings.HasPrefix(e.Name(), ".") || slices.Contains(may, e.Name())
		if !known && !slices.ContainsFunc(ignored, func(p string) bool { ok, _ := path.Match(p, e.Name()); return ok }) {
			t.Errorf("%s does not belong at the top level", e.Name())
		}
	}
	for _, name := range must {
		if !slices.Contains(names, name) {
			t.Errorf("%s is missing at the top level", name)
		}
	}
	deploy, err := os.ReadDir(filepath.Join(root, "deploy"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	ways := []string{"check", "compose", "deb", "docker", "grafana", "host", "kubernetes", "prometheus", "systemd", "terraform", "watch"}
	for _, e := range deploy {
		if e.IsDir() && !slices.Contains(ways, e.Name()) {
			t.Errorf("deploy/%s: want one of %s", e.Name(), strings.Join(ways, ", "))
		}
	}
}

func gitIgnored(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for line := range strings.Lines(string(b)) {
		patterns = append(patterns, strings.Trim(strings.TrimSpace(line), "/"))
	}
	return patterns
}

// TestRules: the rules refuse what they are for.
func TestRules(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		ok       bool
	}{
		{"cmd/tmms/internal/node", "edge", true},
		{"cmd/tmms", "origin/session", true},
		{"cmd/tmms", "bench", false},
		{"cmd/tmms-bench", "bench/play", true},
		{"cmd/tmms-bench", "cluster/state", false},
		{"cmd/tmms-bench/internal/relayend", "cluster/relay", true},
		{"cmd/tmms-bench/internal/relayend", "origin", false},
		{"cmd/tmms-bench", "cmd/tmms/internal/node", false},
		{"origin/session", "cluster/relay", true},
		{"origin", "edge", false},
		{"edge/viewer/rtmp", "origin/session", false},
		{"edge", "cmd/tmms", false},
		{"edge", "edge/reactor", true},
		{"cluster/relay", "edge", false},
		{"cluster/admin", "origin", false},
		{"media/rtmp", "cluster/state", false},
		{"media/rtmp", "media/amf0", true},
		{"bench/publish", "origin", false},
		{"bench", "mediaserver", false},
	} {
		if got := mayImport(tc.from, tc.to); got != tc.ok {
			t.Errorf("mayImport(%s, %s) = %v", tc.from, tc.to, got)
		}
	}
	for imported, want := range map[string]bool{
		"net": true, "net/http": true, "os": true, "os/exec": true, "sync": true, "context": true, "log/slog": true,
		"github.com/prometheus/client_golang/prometheus": true, "golang.org/x/sys/unix": true, "go.yaml.in/yaml/v3": true,
		"sync/atomic": false, "net/netip": false, "time": false, "bytes": false, "crypto/sha256": false,
	} {
		if got := impure("media/flv", imported); got != want {
			t.Errorf("impure(%s) = %v", imported, got)
		}
	}
	if impure("media/rtmp", "crypto/rand") || !impure("cluster/state", "crypto/rand") {
		t.Error("randomness is for media's parameters, not for the state machine")
	}
	if !slices.Equal(owners("github.com/knadh/koanf/parsers/yaml"), []string{"cmd/tmms/internal/nodeconfig"}) {
		t.Error("koanf has no owner")
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "x.go", "package x\nfunc f() { go f(); _ = time.Now(); _ = time.Second }\n", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := clocks(fset, file); len(got) != 2 {
		t.Errorf("clocks found %v, want the go statement and time.Now", got)
	}
}

// TestDependencies holds docs/dependencies.md and go.mod together: each module
// that we chose has its reason there.
func TestDependencies(t *testing.T) {
	mod, err := os.ReadFile("../../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	chosen := 0
	for line := range strings.Lines(string(mod)) {
		module, _, ok := strings.Cut(strings.TrimSpace(line), " v")
		if !ok || strings.Contains(line, "// indirect") || !strings.HasPrefix(line, "\t") {
			continue
		}
		chosen++
		module = strings.TrimPrefix(module, "github.com/")
		if name, ok := strings.CutPrefix(module, "knadh/koanf/"); ok && name != "v2" {
			module = "knadh/koanf/v2" // its parts share a row
		}
		if !strings.Contains(string(doc), "`"+module+"`") {
			t.Errorf("docs/dependencies.md has no row for %s", module)
		}
	}
	if chosen < 10 {
		t.Errorf("only %d modules were found in go.mod", chosen)
	}
}
