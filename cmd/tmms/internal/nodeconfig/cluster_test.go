package nodeconfig

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tmms/media"
)

// files are settings of a cluster's files, which need not be there.
func files() []string {
	return []string{
		"cluster.gossip_key_file=k", "cluster.ca_file=a", "cluster.cert_file=b", "cluster.key_file=c",
	}
}

func TestClusterFaults(t *testing.T) {
	const voters = "cluster.voters=a@h:1,b@h:2,c@h:3"
	long := strings.Repeat("x", media.MaxNodeAddress)
	for _, tc := range []struct {
		name string
		set  []string
		want []string
	}{
		{"files", []string{"cluster.join=h:1", "listen.fabric=", "listen.gossip="}, []string{
			"cluster.gossip_key_file = \"\": is needed", "cluster.ca_file", "cluster.cert_file", "cluster.key_file",
			"listen.fabric = \"\": is needed", "listen.gossip",
		}},
		{"voter", append(files(), voters, "node.name=b", "node.roles=edge", "node.data_dir="), []string{
			`cluster.voters = "b@h:2": this node can't vote`, "node.data_dir",
		}},
		{"join", append(files(), "cluster.join=h:1", "cluster.join_token_file=t", "cluster.ca_key_file=k", "node.roles=edge"), []string{
			`cluster.join_token_file = "t": needs cluster.voters`, `cluster.ca_key_file = "k": is for nodes with the origin role`,
		}},
		{"ports", append(files(), voters, "listen.gossip=:1935", "listen.fabric=:1935"), []string{
			`listen.gossip = ":1935": is the same port as listen.rtmp`,
		}},
		{"udp", append(files(), voters, "listen.gossip=:7400"), []string{
			`listen.gossip = ":7400": is the same port as listen.fabric`,
		}},
		{"values", []string{
			"node.name=Origin", "node.region=" + long, "node.zone=.z", "advertise.fabric=" + long + ":1", "advertise.gossip=h",
			"cluster.lease=4s", "cluster.gossip_preset=mars", "cluster.join=h:1,h:1",
		}, []string{
			"node.name = \"Origin\"", "node.region", "node.zone = \".z\"", "advertise.fabric", "of at most 90 bytes",
			"advertise.gossip = \"h\"", "cluster.lease = \"4s\" (--set): want 5s to 1m0s", "cluster.gossip_preset", "none twice",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(Sources{Set: tc.set, SkipFiles: true})
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
		})
	}
}

func TestVoters(t *testing.T) {
	for value, ok := range map[string]bool{
		"": true, "a@h:1": true, "a@h:1,b@[::1]:1": true, "a-1@10.0.0.1:65535": true, strings.Repeat("a", 63) + "@h:1": true,
		"a": false, "a@": false, "a@h": false, "a@:1": false, "a@h:0": false, "@h:1": false, "A@h:1": false, "-a@h:1": false,
		"a@h:1,a@h:2": false, "a@h:1,b@h:1": false, "a@h:1,": false, strings.Repeat("a", 64) + "@h:1": false,
	} {
		_, err := Load(Sources{SkipFiles: true, Set: append(files(), "cluster.voters="+value, "node.name=me")})
		if (err == nil) != ok {
			t.Errorf("%q: %v, want ok = %v", value, err, ok)
		}
	}
}

// All that files get wrong is said beside what values get wrong.
func TestClusterFiles(t *testing.T) {
	key := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	other := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 16)))
	third := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("l", 16)))
	for name, tc := range map[string]struct{ text, want string }{
		"one":       {key(32) + "\n", ""},
		"two":       {"# old\n" + key(24) + "\n\n # new\r\n" + other + "\r\n", ""},
		"empty":     {"# nothing\n", "has 0 keys"},
		"three":     {key(32) + "\n" + other + "\n" + third + "\n", "has 3 keys"},
		"short":     {key(31), "the key in line 1 has 31 bytes, want 16, 24 or 32"},
		"not-64":    {"\n\nsecret!", "line 3 is not base64"},
		"twice":     {other + "\n" + other, "the key in line 2 is there twice"},
		"long-line": {strings.Repeat("A", 1<<17), "too long for a key"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, tc.text)
			_, err := Load(Sources{Set: []string{
				"cluster.join=h:1", "cluster.gossip_key_file=" + path, "cluster.ca_file=" + path, "cluster.cert_file=" + path,
				"cluster.key_file=" + path, "node.data_dir=/x",
			}})
			keys, loadErr := LoadGossipKeys(path)
			if tc.want == "" {
				if err != nil || loadErr != nil || len(keys) == 0 || len(keys) > media.MaxGossipKeys {
					t.Errorf("got %v, %d keys, %v", err, len(keys), loadErr)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if loadErr == nil || !strings.Contains(loadErr.Error(), path) {
				t.Errorf("alone: %v", loadErr)
			}
		})
	}
	_, err := Load(Sources{Set: append(files(), "cluster.join=h:1", "edge.loops=-1", "cluster.ca_file="+t.TempDir())})
	for _, want := range []string{
		`cluster.gossip_key_file = "k": no such file`, "cluster.ca_file = ", "is not a file", `cluster.cert_file = "b": no such`,
		"cluster.key_file", "edge.loops",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
}

// A node that joins by a token has its token and no other file yet; with a
// certificate it needs what every node has, and no token.
func TestJoins(t *testing.T) {
	dir := t.TempDir()
	token, cert := write(t, "token"), filepath.Join(dir, "node.crt")
	set := []string{
		"cluster.voters=a@h:1", "node.name=e", "node.roles=edge", "cluster.cert_file=" + cert, "cluster.key_file=" + cert + ".key",
		"cluster.ca_file=" + cert + ".ca", "cluster.gossip_key_file=" + cert + ".gossip",
	}
	with := func(file string) []string { return append(slices.Clone(set), "cluster.join_token_file="+file) }
	if _, err := Load(Sources{Set: set}); err == nil || !strings.Contains(err.Error(), "cluster.cert_file") {
		t.Errorf("without a token: %v", err)
	}
	c, err := Load(Sources{Set: with(token)})
	if err != nil || !c.Cluster.Joins() {
		t.Fatalf("with a token: %v", err)
	}
	if _, err = Load(Sources{Set: with(dir + "/none")}); err == nil || !strings.Contains(err.Error(), "cluster.join_token_file") ||
		strings.Contains(err.Error(), "cert_file") {
		t.Errorf("with a token that is not there: %v", err)
	}
	if err = os.WriteFile(cert, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c.Cluster.Joins() {
		t.Error("joins with a certificate")
	}
	if _, err = Load(Sources{Set: with(dir + "/none")}); err == nil || !strings.Contains(err.Error(), "cluster.key_file") ||
		strings.Contains(err.Error(), "join_token_file") {
		t.Errorf("with a certificate: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	for _, tc := range []struct {
		set  []string
		want string
	}{
		{[]string{"cluster.voters=a@h:1"}, ""},
		{[]string{"cluster.voters=a@h:1,b@h:2,c@h:3"}, ""},
		{[]string{"cluster.voters=a@h:1,b@h:2"}, "2 voters survive no more failures than 1 do"},
		{[]string{"cluster.voters=a@h:1,b@h:2,c@h:3,d@h:4,e@h:5,f@h:6,g@h:7"}, "7 voters make every change wait for 4"},
		{[]string{"cluster.voters=a@h:1", "node.name=a", "advertise.fabric=h:2"}, `is "h:2", and cluster.voters has this node at "h:1"`},
		{nil, "this node is alone"},
	} {
		c, err := Load(Sources{SkipFiles: true, Set: append(files(), tc.set...)})
		if err != nil {
			t.Errorf("%v: %v", tc.set, err)
			continue
		}
		got := strings.Join(c.Warnings(), "\n")
		if !strings.Contains(got, tc.want) || (got == "") != (tc.want == "") {
			t.Errorf("%v: got %q, want %q", tc.set, got, tc.want)
		}
	}
}

// TestSampleCluster: the files of the cluster quickstart load, without a
// warning, and belong together.
func TestSampleCluster(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(docsDir, "samples", "cluster", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	nodes, addrs := 0, map[string]string{}
	var voters []Voter
	for _, path := range paths {
		if filepath.Base(path) == "domains.yaml" {
			if _, err := LoadDomains(path); err != nil {
				t.Error(err)
			}
			continue
		}
		c, err := Load(Sources{File: path, SkipFiles: true})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		nodes++
		if w := c.Warnings(); len(w) > 0 || strings.TrimSuffix(filepath.Base(path), ".yaml") != c.Node.Name {
			t.Errorf("%s: node %s, %q", path, c.Node.Name, w)
		}
		if v, votes := c.Cluster.Voter(c.Node.Name); votes != c.Node.Has(RoleOrigin) || votes && v.Address != c.Listen.Fabric {
			t.Errorf("%s: voter %+v, fabric %s", path, v, c.Listen.Fabric)
		}
		if voters == nil {
			voters = c.Cluster.Voters
		}
		if !slices.Equal(voters, c.Cluster.Voters) {
			t.Errorf("%s: voters %v, another has %v", path, c.Cluster.Voters, voters)
		}
		for _, a := range []string{c.Listen.RTMP, c.Listen.HTTP, c.Listen.Fabric, c.Listen.Gossip, c.Listen.Admin} {
			if other := addrs[a]; other != "" && a != "" {
				t.Errorf("%s and %s listen at %s", other, path, a)
			}
			addrs[a] = path
		}
	}
	if nodes < 3 {
		t.Errorf("%d nodes", nodes)
	}
}
