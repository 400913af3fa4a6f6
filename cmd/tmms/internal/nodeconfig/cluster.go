package nodeconfig

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"tmms/media"
)

const (
	gossipKeyFile = "cluster.gossip_key_file"
	joinTokenFile = "cluster.join_token_file"
	caKeyFile     = "cluster.ca_key_file"
)

// namedFile is a file that a key names.
type namedFile struct{ path, file string }

// clusterFiles are those that every node of a cluster has.
func (c *Config) clusterFiles() []namedFile {
	return []namedFile{
		{gossipKeyFile, c.Cluster.GossipKeyFile},
		{"cluster.ca_file", c.Cluster.CAFile},
		{"cluster.cert_file", c.Cluster.CertFile},
		{"cluster.key_file", c.Cluster.KeyFile},
	}
}

// clusterFaults checks what a node of a cluster must have.
func (c *Config) clusterFaults() []error {
	var all []error
	add := func(path, value, rule string) {
		all = append(all, FaultError{Path: path, Value: show(value), Rule: rule})
	}
	for _, f := range c.clusterFiles() {
		if f.file == "" {
			add(f.path, "", "is needed in a cluster; tmms cert makes it")
		}
	}
	for _, l := range []namedFile{{"listen.fabric", c.Listen.Fabric}, {"listen.gossip", c.Listen.Gossip}} {
		if l.file == "" {
			add(l.path, "", "is needed in a cluster")
		}
	}
	if c.Cluster.JoinTokenFile != "" && len(c.Cluster.Voters) == 0 {
		add(joinTokenFile, c.Cluster.JoinTokenFile, "needs cluster.voters: they are asked for the certificate")
	}
	if c.Cluster.CAKeyFile != "" && !c.Node.Has(RoleOrigin) {
		add(caKeyFile, c.Cluster.CAKeyFile, "is for nodes with the origin role")
	}
	if v, votes := c.Cluster.Voter(c.Node.Name); votes {
		if !c.Node.Has(RoleOrigin) {
			add("cluster.voters", v.Name+"@"+v.Address, "this node can't vote: it has not the origin role")
		}
		if c.Node.DataDir == "" && len(c.Cluster.Voters) > 1 {
			add("node.data_dir", "", "a voter beside others keeps its vote on disk: want a folder")
		}
	}
	return all
}

// Joins reports whether the node has to get its certificate by a token yet.
func (c Cluster) Joins() bool {
	if c.JoinTokenFile == "" {
		return false
	}
	_, err := os.Stat(c.CertFile)
	return errors.Is(err, fs.ErrNotExist)
}

// fileFaults reads the files that a node of a cluster needs.
func (c *Config) fileFaults() []error {
	var all []error
	files := append(c.clusterFiles(), namedFile{caKeyFile, c.Cluster.CAKeyFile})
	if c.Cluster.Joins() {
		files = []namedFile{{joinTokenFile, c.Cluster.JoinTokenFile}}
	}
	for _, f := range files {
		if f.file == "" {
			continue
		}
		var err error
		if f.path == gossipKeyFile {
			_, err = gossipKeys(f.file)
		} else {
			err = readable(f.file)
		}
		if err != nil {
			all = append(all, FaultError{Path: f.path, Value: show(f.file), Rule: err.Error()})
		}
	}
	return all
}

// readable opens a file to see whether it can be read.
func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return cause(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return cause(err)
	}
	if !info.Mode().IsRegular() {
		return errors.New("is not a file")
	}
	return nil
}

// cause takes the path off an error: it stands beside it.
func cause(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

// LoadGossipKeys reads a file of gossip keys: base64 of 16, 24 or 32 bytes, one a
// line, empty lines and those that begin with # aside. The first is in use.
func LoadGossipKeys(path string) ([][]byte, error) {
	keys, err := gossipKeys(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

func gossipKeys(path string) ([][]byte, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, cause(err)
	}
	var keys [][]byte
	scanner := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return nil, fmt.Errorf("line %d is not base64", n) // err would show where, in a secret
		}
		if l := len(key); l != 16 && l != 24 && l != 32 {
			return nil, fmt.Errorf("the key in line %d has %d bytes, want 16, 24 or 32", n, l)
		}
		if slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
			return nil, fmt.Errorf("the key in line %d is there twice", n)
		}
		keys = append(keys, key)
	}
	if err := scanner.Err(); err != nil {
		return nil, errors.New("has a line that is too long for a key")
	}
	if len(keys) == 0 || len(keys) > media.MaxGossipKeys {
		return nil, fmt.Errorf("has %d keys, want 1 to %d", len(keys), media.MaxGossipKeys)
	}
	return keys, nil
}

// Warnings says what is allowed and likely not meant.
func (c *Config) Warnings() []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	switch n := len(c.Cluster.Voters); {
	case n > 5:
		add("cluster.voters: %d voters make every change wait for %d of them; 3 or 5 are enough", n, n/2+1)
	case n > 0 && n%2 == 0:
		add("cluster.voters: %d voters survive no more failures than %d do; take 1, 3 or 5", n, n-1)
	}
	v, votes := c.Cluster.Voter(c.Node.Name)
	if said := c.Advertise.Fabric; votes && said != "" && said != v.Address {
		add("advertise.fabric: is %q, and cluster.voters has this node at %q", said, v.Address)
	}
	if len(c.TLS.Certs) > 0 && c.Listen.RTMPS == "" && c.Listen.HTTPS == "" {
		add("tls.certs: is set, and listen.rtmps and listen.https are not: nothing is served over TLS")
	}
	if c.Listen.HTTPS != "" && !c.Node.Has(RoleEdge) {
		add("listen.https: is not opened by a node without the edge role")
	}
	if !c.Cluster.Enabled() {
		files := append(c.clusterFiles(), namedFile{joinTokenFile, c.Cluster.JoinTokenFile},
			namedFile{caKeyFile, c.Cluster.CAKeyFile})
		for _, f := range files {
			if f.file != "" {
				add("%s: is set, and cluster.voters and cluster.join are not: this node is alone", f.path)
			}
		}
	}
	return all
}
