package nodeconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	yamlv3 "go.yaml.in/yaml/v3"
)

const (
	envPrefix = "TMMS_"
	delimiter = "."
	// maxFile bounds a configuration file in bytes.
	maxFile = 1 << 20
)

// Sources are the layers of a configuration, each over the one before:
// defaults, Defaults, File, Environ, Set, Flags.
type Sources struct {
	Defaults map[string]string // replaces defaults, by key; "" is empty
	File     string            // path of node.yaml; "" for none
	Environ  []string          // as os.Environ gives it
	Set      []string          // "a.b=v", in order
	Flags    []Flag            // dedicated flags, in order
	// SkipFiles does not look at the files that keys name: a configuration of
	// another machine can be checked without them.
	SkipFiles bool
}

// Flag is a command line flag that stands for a key.
type Flag struct{ Name, Key, Value string }

// Load reads all layers. The error joins every fault of every layer; each is a
// [FaultError], except that of a file that could not be read at all.
func Load(src Sources) (*Config, error) {
	l := newLoader()
	for key, value := range src.Defaults {
		l.put("default", key, value)
	}
	if src.File != "" {
		if err := l.file(src.File); err != nil {
			return nil, err
		}
	}
	l.environ(src.Environ)
	for _, s := range src.Set {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			l.fault(FaultError{Path: key, Source: "--set", Rule: "want --set KEY=VALUE"})
			continue
		}
		l.put("--set", key, value)
	}
	for _, f := range src.Flags {
		l.put("--"+f.Name, f.Key, f.Value)
	}
	return l.finish(!src.SkipFiles)
}

// LoadFile reads a file over the defaults, and nothing else.
func LoadFile(path string) (*Config, error) { return Load(Sources{File: path}) }

type loader struct {
	keys   []Key
	known  map[string]bool
	merged *koanf.Koanf
	source map[string]string // by key: the layer that set it last
	faults []error
}

func newLoader() *loader {
	l := &loader{
		keys: Keys(), known: make(map[string]bool), merged: koanf.New(delimiter), source: make(map[string]string),
	}
	for _, k := range l.keys {
		l.known[k.Path] = true
	}
	return l
}

func (l *loader) fault(f FaultError) { l.faults = append(l.faults, f) }

// put lays one value over the layers so far.
func (l *loader) put(source, key string, value any) {
	if !l.known[key] {
		l.unknown(source, key, value)
		return
	}
	if err := l.merged.Load(confmap.Provider(map[string]any{key: value}, delimiter), nil); err != nil {
		l.fault(FaultError{Path: key, Value: show(value), Source: source, Rule: err.Error()})
		return
	}
	l.source[key] = source
}

func (l *loader) unknown(source, key string, value any) {
	rule := "unknown key"
	if l.section(key) {
		rule = "this is a section: want keys under it"
	}
	l.fault(FaultError{Path: key, Value: show(value), Source: source, Rule: rule})
}

// section reports whether there are keys under key.
func (l *loader) section(key string) bool {
	return slices.ContainsFunc(l.keys, func(k Key) bool { return strings.HasPrefix(k.Path, key+delimiter) })
}

func (l *loader) file(path string) error {
	b, err := readFile(path)
	if err != nil {
		return err
	}
	if err := oneDocument(b); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	layer := koanf.New(delimiter)
	if err := layer.Load(rawbytes.Provider(b), yaml.Parser()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	parts := layer.KeyMap()
	flat := layer.All()
	for _, key := range slices.Sorted(maps.Keys(flat)) {
		value := flat[key]
		switch {
		case l.known[key] && len(parts[key]) == strings.Count(key, delimiter)+1:
			l.put(path, key, value)
		case l.section(key) && emptySection(value): // "tls:" with nothing under it
		default:
			l.unknown(path, key, value)
		}
	}
	return nil
}

func emptySection(v any) bool {
	m, ok := v.(map[string]any)
	return v == nil || ok && len(m) == 0
}

// environ takes the TMMS_ variables; each is known before koanf sees it,
// because two of them could not be nested otherwise (TMMS_LOG and TMMS_LOG__LEVEL).
func (l *loader) environ(environ []string) {
	layer := koanf.New(delimiter)
	names := make(map[string]string)
	err := layer.Load(env.Provider(delimiter, env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix), "__", delimiter))
			switch {
			case reserved(name):
				return "", nil
			case !l.known[key] || name != strings.ToUpper(name):
				l.fault(FaultError{Path: name, Value: show(value), Source: "environment", Rule: "unknown key " + show(key)})
				return "", nil
			}
			names[key] = name
			return key, value
		},
	}), nil)
	if err != nil {
		l.fault(FaultError{Path: envPrefix + "*", Source: "environment", Rule: err.Error()})
	}
	flat := layer.All()
	for _, key := range slices.Sorted(maps.Keys(flat)) {
		l.put(names[key], key, flat[key])
	}
}

// reserved names are for the client commands.
func reserved(name string) bool { return name == "TMMS_API" || name == "TMMS_TOKEN" }

// finish decodes the merged layers over the defaults.
func (l *loader) finish(withFiles bool) (*Config, error) {
	c := new(Config)
	for _, k := range l.keys {
		if err := k.setDefault(c); err != nil {
			return nil, err
		}
		if !l.merged.Exists(k.Path) {
			continue
		}
		v := l.merged.Get(k.Path)
		if err := k.set(c, v); err != nil {
			rule := "want " + k.Rule
			if errors.Is(err, errQuote) {
				rule = err.Error()
			}
			l.fault(FaultError{Path: k.Path, Value: show(v), Source: l.source[k.Path], Rule: rule})
		}
	}
	if c.Node.Name == "" {
		c.Node.Name = hostName()
	}
	l.faults = append(l.faults, c.faults()...)
	if withFiles {
		l.faults = append(l.faults, c.tlsFileFaults()...)
	}
	if withFiles && c.Cluster.Enabled() {
		l.faults = append(l.faults, c.fileFaults()...)
	}
	if len(l.faults) > 0 {
		return nil, errors.Join(l.faults...)
	}
	return c, nil
}

func (k Key) setDefault(c *Config) error {
	if k.Default == "" {
		return k.set(c, nil)
	}
	var v any
	if err := yamlv3.Unmarshal([]byte(k.Default), &v); err != nil {
		return fmt.Errorf("default of %s: %w", k.Path, err)
	}
	if err := k.set(c, v); err != nil {
		return fmt.Errorf("default of %s: %w", k.Path, err)
	}
	return nil
}

// hostName gives the host's name, up to its first dot, if it can be a node's name.
func hostName() string {
	name, err := os.Hostname()
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	if err != nil || checkNodeName(name) != nil {
		return "node"
	}
	return name
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s: the file has more than %d bytes", path, maxFile)
	}
	return b, nil
}

// oneDocument refuses a second YAML document, which would be left unread.
func oneDocument(b []byte) error {
	d := yamlv3.NewDecoder(bytes.NewReader(b))
	var n yamlv3.Node
	if err := d.Decode(&n); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	if err := d.Decode(&n); !errors.Is(err, io.EOF) {
		return errors.New("want one YAML document, there is a second one after ---")
	}
	return nil
}
