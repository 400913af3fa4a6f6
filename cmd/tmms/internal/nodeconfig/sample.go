package nodeconfig

import (
	"fmt"
	"strings"
)

// Sample gives a node.yaml with every key of this version at its default and a
// comment on each. It loads.
func Sample() string {
	var b strings.Builder
	b.WriteString(`# tmms node configuration. Every key is optional and shown with its default; a key
# is also set by the environment (listen.rtmp is TMMS_LISTEN__RTMP) and by
# "tmms run --set listen.rtmp=:1935". docs/config.md has more on each.
`)
	open := []string{}
	for _, k := range Keys() {
		parts := strings.Split(k.Path, delimiter)
		sections, leaf := parts[:len(parts)-1], parts[len(parts)-1]
		for i, s := range sections {
			if i < len(open) && open[i] == s {
				continue
			}
			if i == 0 {
				b.WriteString("\n")
			}
			fmt.Fprintf(&b, "%s%s:\n", indent(i), s)
			open = open[:i]
			open = append(open, s)
		}
		in := indent(len(sections))
		fmt.Fprintf(&b, "%s# %s\n%s# Allowed: %s.\n%s%s: %s\n", in, k.Doc, in, k.Rule, in, leaf, k.yamlDefault())
	}
	return b.String()
}

// Table gives the keys as a Markdown table, for docs/config.md.
func Table() string {
	var b strings.Builder
	b.WriteString("| key | type | default | allowed | environment | meaning |\n|---|---|---|---|---|---|\n")
	for _, k := range Keys() {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | `%s` | %s |\n", k.Path, k.Type, k.yamlDefault(), k.Rule, k.Env(), k.Doc)
	}
	return b.String()
}

func indent(n int) string { return strings.Repeat("  ", n) }

func (k Key) yamlDefault() string {
	if k.Default == "" {
		return `""`
	}
	if k.Type == "address" {
		return fmt.Sprintf("%q", k.Default)
	}
	return k.Default
}
