package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// ours are functions that look like parsers and get nothing from outside.
func ours() map[string]string {
	return map[string]string{
		"bench/play.parseTarget":      "a flag of tmms-bench",
		"bench/play.parseTargets":     "a flag of tmms-bench",
		"cmd/tmms-bench.parseFlushes": "a flag of tmms-bench",
		"cmd/tmms-bench.parseProtos":  "a flag of tmms-bench",
		"cmd/tmms-bench.parseNumbers": "a flag of tmms-bench",
		"cmd/tmms-bench.parseStreams": "a flag of tmms-bench",
		"cmd/tmms-bench.parseBitrate": "a flag of tmms-bench",
		"cmd/tmms-bench.parse":        "flags of tmms-bench",
		"cmd/tmms.parseFlags":         "flags of tmms",

		"cmd/tmms/internal/demo.parseClip": "a file in the binary",
	}
}

// TestParsersAreFuzzed: what takes bytes or text from outside is reached from a
// fuzz target of its package, or of another one that calls it.
func TestParsersAreFuzzed(t *testing.T) {
	code := readCode(t)
	reached := code.fromTargets()
	if len(reached) < 100 || len(code.parsers) < 50 {
		t.Fatalf("%d functions are reached from fuzz targets, %d look like parsers: far too few", len(reached), len(code.parsers))
	}
	exempt := ours()
	for name, at := range code.parsers {
		if reason := exempt[name]; !reached[name] && reason == "" {
			t.Errorf("%s: no fuzz target reaches %s", at, name)
		}
		delete(exempt, name)
	}
	for name := range exempt {
		t.Errorf("there is no parser %s any more", name)
	}
}

// source is the module's functions by what they call. A function is
// "folder.name", a method too, without its type: that finds more than there is,
// never less.
type source struct {
	calls   map[string][]string
	targets []string          // fuzz targets
	parsers map[string]string // where they stand
}

func readCode(t *testing.T) *source {
	t.Helper()
	s := &source{calls: map[string][]string{}, parsers: map[string]string{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || len(d.Name()) > 2 && d.Name()[0] == '.'):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		return s.file(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *source) file(path string) error {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir, err := filepath.Rel(root, filepath.Dir(path))
	if err != nil {
		return err
	}
	folders := map[string]string{} // by the name that the file uses
	for _, i := range file.Imports {
		if to, ok := inModule(strings.Trim(i.Path.Value, `"`)); ok {
			name := to[strings.LastIndexByte(to, '/')+1:]
			if i.Name != nil {
				name = i.Name.Name
			}
			folders[name] = to
		}
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		name := dir + "." + f.Name.Name
		s.calls[name] = append(s.calls[name], mentions(dir, folders, f.Body)...)
		test := strings.HasSuffix(path, "_test.go")
		switch {
		case test && strings.HasPrefix(f.Name.Name, "Fuzz"):
			s.targets = append(s.targets, name)
		case !test && looksLikeParser(f):
			s.parsers[name] = fset.Position(f.Pos()).String()
		}
	}
	return nil
}

// mentions are the functions that a body may call: what it names of its own
// package and of others.
func mentions(dir string, folders map[string]string, body ast.Node) (names []string) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && folders[x.Name] != "" {
				names = append(names, folders[x.Name]+"."+n.Sel.Name)
				return false
			}
			names = append(names, dir+"."+n.Sel.Name)
			for _, to := range folders { // a method of a type of theirs
				names = append(names, to+"."+n.Sel.Name)
			}
		case *ast.Ident:
			names = append(names, dir+"."+n.Name)
		}
		return true
	})
	return names
}

// fromTargets gives what the fuzz targets reach.
func (s *source) fromTargets() map[string]bool {
	reached := map[string]bool{}
	for left := append([]string(nil), s.targets...); len(left) > 0; {
		name := left[len(left)-1]
		left = left[:len(left)-1]
		if _, there := s.calls[name]; reached[name] || !there {
			continue
		}
		reached[name] = true
		left = append(left, s.calls[name]...)
	}
	return reached
}

// looksLikeParser tells by its name and by a parameter of bytes or text. What is
// called feed passes bytes on to a parser's Feed.
func looksLikeParser(f *ast.FuncDecl) bool {
	name := strings.ToLower(f.Name.Name)
	if !strings.HasPrefix(name, "parse") && !strings.HasPrefix(name, "decode") && !strings.HasPrefix(name, "unmarshal") &&
		f.Name.Name != "Feed" {
		return false
	}
	for _, p := range f.Type.Params.List {
		switch typ := p.Type.(type) {
		case *ast.ArrayType:
			if e, ok := typ.Elt.(*ast.Ident); ok && (e.Name == "byte" || e.Name == "string") {
				return true
			}
		case *ast.Ident:
			if typ.Name == "string" {
				return true
			}
		case *ast.SelectorExpr:
			if typ.Sel.Name == "Reader" {
				return true
			}
		}
	}
	return false
}
