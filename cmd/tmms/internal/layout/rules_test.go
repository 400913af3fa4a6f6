package layout

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

const module = "tmms"

// within reports whether the package path is dir or below it; both are relative to the module.
func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// mayImport tells which packages of the module a package may import; both are relative to it.
func mayImport(from, to string) bool {
	allowed := map[string][]string{
		"media":   {"media"},
		"cluster": {"cluster", "media"},
		"origin":  {"origin", "cluster", "media"},
		"edge":    {"edge", "cluster", "media"},
		"bench":   {"bench", "media"},
	}
	top, _, _ := strings.Cut(from, "/")
	switch {
	case within(to, "cluster/gossip") && judges(from): // gossip is never a verdict
		return false
	case within(from, "cmd/tmms-bench/internal/relayend"), // what the relay costs is measured on the relay itself
		within(from, "cmd/tmms-bench/internal/followers"): // and a follower is a node of the cluster
		allowed[top] = []string{"cmd/tmms-bench", "bench", "cluster", "media"}
	case within(from, "cmd/tmms-bench"):
		allowed[top] = []string{"cmd/tmms-bench", "bench", "media"}
	case within(from, "cmd/tmms"):
		allowed[top] = []string{"cmd/tmms", "origin", "edge", "cluster", "media"}
	case within(from, "cmd"):
		allowed[top] = []string{from, "media"}
	}
	return slices.ContainsFunc(allowed[top], func(dir string) bool { return within(to, dir) })
}

// judges reports whether a package has a part in who is dead and who owns a stream.
func judges(path string) bool {
	for _, dir := range []string{"cluster/verdict", "cluster/duties", "cluster/consensus", "cluster/state", "cluster/fabric"} {
		if within(path, dir) {
			return true
		}
	}
	return false
}

// mayTest is mayImport for what only tests import: the end-to-end tests, and those that deploy a cluster, may use the
// load generator.
func mayTest(from, to string) bool {
	return mayImport(from, to) || within(to, "bench") && (within(from, "cmd/tmms/e2e") || within(from, "deploy/terraform"))
}

// pure reports whether a package must have no I/O, lock, log, clock or goroutine.
func pure(path string) bool {
	for _, dir := range []string{
		"media", "cluster/state", "cluster/placement", "cluster/verdict", "cluster/duties", "cluster/fabric/path", "edge/timewheel",
	} {
		if within(path, dir) {
			return true
		}
	}
	return false
}

// impure reports whether a pure package must not import what is outside the module.
func impure(from, imported string) bool {
	switch imported {
	case "net/netip", "net/url", "sync/atomic", "math/bits":
		return false
	case "math/rand", "math/rand/v2", "crypto/rand": // a parameter in media, nothing for a state machine
		return !within(from, "media")
	case "go.yaml.in/yaml/v3": // domains.yaml, from bytes to values
		return from != "cluster/state"
	case "github.com/klauspost/reedsolomon": // products of slices
		return from != "cluster/fabric/path"
	}
	for _, dir := range []string{
		"net", "os", "io/fs", "io/ioutil", "sync", "context", "log", "syscall", "runtime", "testing",
	} {
		if within(imported, dir) {
			return true
		}
	}
	return !standard(imported)
}

// standard reports whether a package is of the standard library: its first element has no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// owners gives the only folders that may import a module, none if there is no such rule.
func owners(imported string) []string {
	all := map[string][]string{
		"github.com/knadh/koanf":            {"cmd/tmms/internal/nodeconfig"},
		"gopkg.in/natefinch/lumberjack.v2":  {"cmd/tmms/internal/logging"},
		"github.com/hashicorp/raft":         {"cluster/consensus", "cluster/fabric"}, // fabric: its stream layer
		"github.com/hashicorp/raft-boltdb":  {"cluster/consensus"},
		"github.com/hashicorp/go-hclog":     {"cluster/consensus"},
		"github.com/hashicorp/memberlist":   {"cluster/gossip"},
		"github.com/quic-go/quic-go":        {"cluster/fabric", "edge/viewer/multiplex"},
		"github.com/klauspost/reedsolomon":  {"cluster/fabric/path"},
		"golang.org/x/net":                  {"cluster/fabric", "edge/viewer/multiplex"},
		"github.com/anishathalye/porcupine": {"bench/history"},
	}
	for path, dirs := range all {
		if within(imported, path) {
			return dirs
		}
	}
	return nil
}

// clocks finds what a pure package must not do in its code: read the clock, wait, start a goroutine.
func clocks(fset *token.FileSet, file *ast.File) []string {
	var found []string
	add := func(n ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s: %s", fset.Position(n.Pos()), what))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			add(n, "go statement")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && clock(n.Sel.Name) {
				add(n, "time."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

func clock(name string) bool {
	switch name {
	case "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker":
		return true
	}
	return false
}
