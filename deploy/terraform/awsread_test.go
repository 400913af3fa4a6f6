package terraform

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// tagged gives an element's tags, which stand in a set of a name.
func tagged(e element, set string) map[string]string {
	tags := map[string]string{}
	for _, tag := range e.all(set + ">item") {
		tags[tag.text("key")] = tag.text("value")
	}
	return tags
}

// instances are those that run in a region of AWS: the plan's nodes by name, and the
// autoscaled one by "".
func (a *awsExample) instances(t *testing.T, region string) map[string]element {
	t.Helper()
	found := map[string]element{}
	for _, i := range a.api.query(t, "ec2", region, "DescribeInstances").all("reservationSet>item>instancesSet>item") {
		if i.text("instanceState>name") == "running" {
			found[tagged(i, "tagSet")["tmms:node"]] = i
		}
	}
	return found
}

// checkInstances holds each node to a machine in its zone with the plan's address, an
// elastic one and one of IPv6, and each origin to a disk of its own.
func (a *awsExample) checkInstances(t *testing.T) {
	t.Helper()
	for name, node := range a.nodes {
		region := awsRegions[node.Region]
		i, ok := a.instances(t, region)[name]
		if !ok {
			t.Fatalf("no instance of %s runs in %s", name, region)
		}
		nic := i.all("networkInterfaceSet>item")[0]
		for what, pair := range map[string][2]string{
			"zone":            {i.text("placement>availabilityZone"), node.Zone},
			"private address": {i.text("privateIpAddress"), node.Private},
			"elastic address": {nic.text("association>publicIp"), node.Public},
			"groups":          {strings.Join(nic.texts("groupSet>item>groupName"), " "), "live-" + node.Region + "-node"},
			"metadata":        {i.text("metadataOptions>httpTokens"), "required"},
		} {
			if pair[0] != pair[1] || pair[1] == "" {
				t.Errorf("%s: %s is %q, want %q", name, what, pair[0], pair[1])
			}
		}
		if len(nic.all("ipv6AddressesSet>item")) != 1 {
			t.Errorf("%s has no address of IPv6", name)
		}
		a.checkDisk(t, name, i)
	}
	if o := a.nodes; o["eu-o1"].Zone == o["eu-o2"].Zone {
		t.Errorf("both origins of eu are in %s", o["eu-o1"].Zone)
	}
}

// checkDisk holds an origin's data to an encrypted disk that outlives the instance.
func (a *awsExample) checkDisk(t *testing.T, name string, instance element) {
	t.Helper()
	var disks []element
	for _, v := range a.api.query(t, "ec2", awsRegions[a.nodes[name].Region], "DescribeVolumes").all("volumeSet>item") {
		if tagged(v, "tagSet")["Name"] == "live-"+name+"-data" {
			disks = append(disks, v)
		}
	}
	if want := map[string]int{"origin": 1, "edge": 0}[a.nodes[name].Kind]; len(disks) != want {
		t.Fatalf("%s has %d data disks, want %d", name, len(disks), want)
	}
	for _, v := range disks {
		if v.text("attachmentSet>item>instanceId") != instance.text("instanceId") || v.text("encrypted") != "true" ||
			v.text("availabilityZone") != instance.text("placement>availabilityZone") || v.text("attachmentSet>item>deleteOnTermination") == "true" {
			t.Errorf("%s: the data disk is %v", name, v)
		}
		id := "DISK='/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_" + strings.ReplaceAll(v.text("volumeId"), "-", "") + "'"
		if script := a.userData(t)[name]; !strings.Contains(script, id) {
			t.Errorf("%s: the install script does not say %s", name, id)
		}
	}
}

// checkFirewall holds the nodes' groups to the ports of docs/ARCHITECTURE.md.
func (a *awsExample) checkFirewall(t *testing.T) {
	t.Helper()
	var want []string
	for from, ports := range map[string][]string{
		"0.0.0.0/0":    {"tcp 1935", "tcp 1936", "tcp 8080", "tcp 8443", "udp 8443"},
		"::/0":         {"tcp 1935", "tcp 1936", "tcp 8080", "tcp 8443", "udp 8443"},
		"10.1.0.0/16":  {"udp 7400", "tcp 7946", "udp 7946"},
		"10.2.0.0/16":  {"udp 7400", "tcp 7946", "udp 7946"},
		"192.0.2.0/24": {"tcp 8090"},
	} {
		for _, port := range ports {
			want = append(want, port+" from "+from)
		}
	}
	slices.Sort(want)
	for name, region := range awsRegions {
		open := map[string][]string{}
		for _, group := range a.api.query(t, "ec2", region, "DescribeSecurityGroups").all("securityGroupInfo>item") {
			for _, rule := range group.all("ipPermissions>item") {
				port := rule.text("ipProtocol") + " " + rule.text("fromPort")
				if rule.text("toPort") != rule.text("fromPort") || len(rule.all("groups>item")) > 0 {
					t.Errorf("%s: a rule for more than a port and a network: %v", region, rule)
				}
				for _, from := range append(rule.texts("ipRanges>item>cidrIp"), rule.texts("ipv6Ranges>item>cidrIpv6")...) {
					open[group.text("groupName")] = append(open[group.text("groupName")], port+" from "+from)
				}
			}
		}
		got := open["live-"+name+"-node"]
		slices.Sort(got)
		if len(open) != 1 || !slices.Equal(got, want) {
			t.Errorf("%s: open %q\nwant %q in one group", region, open, want)
		}
	}
}

// checkPeering holds every subnet of a region to a route to the other one, and to the
// world by IPv4 and IPv6.
func (a *awsExample) checkPeering(t *testing.T) {
	t.Helper()
	other := map[string]string{"eu-central-1": "10.2.0.0/16", "us-east-1": "10.1.0.0/16"}
	for region, network := range other {
		subnets := 0
		for _, table := range a.api.query(t, "ec2", region, "DescribeRouteTables").all("routeTableSet>item") {
			if tagged(table, "tagSet")["tmms:cluster"] != "live" {
				continue
			}
			subnets += len(table.all("associationSet>item>subnetId"))
			through := map[string]string{}
			for _, r := range table.all("routeSet>item") {
				if r.text("state") == "active" {
					through[r.text("destinationCidrBlock")+r.text("destinationIpv6CidrBlock")], _, _ = strings.Cut(r.text("gatewayId")+r.text("vpcPeeringConnectionId"), "-")
				}
			}
			if through[network] != "pcx" || through["0.0.0.0/0"] != "igw" || through["::/0"] != "igw" {
				t.Errorf("%s: routes %v, want one to %s by peering, and to the world", region, through, network)
			}
		}
		if subnets != 2 {
			t.Errorf("%s: %d subnets have routes, want 2", region, subnets)
		}
		states := a.api.query(t, "ec2", region, "DescribeVpcPeeringConnections").texts("vpcPeeringConnectionSet>item>status>code")
		if !slices.Equal(states, []string{"active"}) {
			t.Errorf("%s: peerings are %q, want an active one", region, states)
		}
	}
}

// records are the zone's, by "NAME TYPE SETIDENTIFIER".
func (a *awsExample) records(t *testing.T) map[string]element {
	t.Helper()
	found := map[string]element{}
	for _, r := range a.api.ask(t, "route53", "us-east-1", "GET", "/2013-04-01/hostedzone/"+a.zone+"/rrset?maxitems=300", "").all("ResourceRecordSets>ResourceRecordSet") {
		found[strings.TrimSpace(strings.TrimSuffix(r.text("Name"), ".")+" "+r.text("Type")+" "+r.text("SetIdentifier"))] = r
	}
	return found
}

// healthChecks are Route 53's, by ID.
func (a *awsExample) healthChecks(t *testing.T) map[string]element {
	t.Helper()
	found := map[string]element{}
	for _, c := range a.api.ask(t, "route53", "us-east-1", "GET", "/2013-04-01/healthcheck?maxitems=300", "").all("HealthChecks>HealthCheck") {
		found[c.text("Id")] = c
	}
	return found
}

// checkDNS holds names to addresses, by IPv4 and IPv6: each node's own, and those that
// lead to the nearest region by latency.
func (a *awsExample) checkDNS(t *testing.T) {
	t.Helper()
	records, checks := a.records(t), a.healthChecks(t)
	const value = "ResourceRecords>ResourceRecord>Value"
	names := 2 // of the zone itself
	for name, node := range a.nodes {
		nic := a.instances(t, awsRegions[node.Region])[name].all("networkInterfaceSet>item")[0]
		service := map[string]string{"origin": "ingest", "edge": "edge"}[node.Kind]
		port := map[string]string{"origin": "1935", "edge": "8080"}[node.Kind]
		for kind, address := range map[string]string{"A": node.Public, "AAAA": nic.text("ipv6AddressesSet>item>ipv6Address")} {
			names += 2
			if got := records[name+".live.example.com "+kind].text(value); got != address {
				t.Errorf("%s: its record of type %s leads to %q, want %q", name, kind, got, address)
			}
			one := records[service+"."+node.Region+".live.example.com "+kind+" "+name]
			check := checks[one.text("HealthCheckId")]
			if one.text(value) != address || check.text("HealthCheckConfig>IPAddress") != address || check.text("HealthCheckConfig>Port") != port {
				t.Errorf("%s: %s of the region leads to %q, checked at %q port %q; want %q, port %s", name, service, one.text(value),
					check.text("HealthCheckConfig>IPAddress"), check.text("HealthCheckConfig>Port"), address, port)
			}
		}
	}
	for _, service := range []string{"ingest", "edge"} {
		for region, aws := range awsRegions {
			for _, kind := range []string{"A", "AAAA"} {
				names++
				r := records[service+".live.example.com "+kind+" "+region]
				to := r.text("AliasTarget>DNSName")
				if service == "ingest" && strings.TrimSuffix(to, ".") != "ingest."+region+".live.example.com" || service == "edge" && !strings.Contains(to, ".elb.amazonaws.com") {
					t.Errorf("%s in %s leads to %q", service, region, to)
				}
				if r.text("Region") != aws || r.text("AliasTarget>EvaluateTargetHealth") != "true" {
					t.Errorf("%s in %s goes by the latency of %q, by health %q", service, region, r.text("Region"), r.text("AliasTarget>EvaluateTargetHealth"))
				}
			}
		}
	}
	if len(records) != names {
		t.Errorf("%d records, want %d: %q", len(records), names, slices.Sorted(maps.Keys(records)))
	}
}

// template is the data of a region's launch template, in the version that the group has.
func (a *awsExample) template(t *testing.T, region string) element {
	t.Helper()
	group := a.api.query(t, "autoscaling", awsRegions[region], "DescribeAutoScalingGroups").all("DescribeAutoScalingGroupsResult>AutoScalingGroups>member")[0]
	answer := a.api.query(t, "ec2", awsRegions[region], "DescribeLaunchTemplateVersions",
		"LaunchTemplateId", group.text("LaunchTemplate>LaunchTemplateId"), "LaunchTemplateVersion.1", group.text("LaunchTemplate>Version"))
	return answer.all("launchTemplateVersionSet>item>launchTemplateData")[0]
}

// checkScaling holds each region to a group of edges over both zones, behind the load
// balancer, with a hook that lets them drain.
func (a *awsExample) checkScaling(t *testing.T) {
	t.Helper()
	for name, region := range awsRegions {
		groups := a.api.query(t, "autoscaling", region, "DescribeAutoScalingGroups").all("DescribeAutoScalingGroupsResult>AutoScalingGroups>member")
		if len(groups) != 1 {
			t.Fatalf("%s: %d groups, want one", region, len(groups))
		}
		g := groups[0]
		hook := a.api.query(t, "autoscaling", region, "DescribeLifecycleHooks", "AutoScalingGroupName", g.text("AutoScalingGroupName")).all("DescribeLifecycleHooksResult>LifecycleHooks>member")
		if len(hook) != 1 || hook[0].text("LifecycleTransition") != "autoscaling:EC2_INSTANCE_TERMINATING" ||
			hook[0].text("HeartbeatTimeout") != "120" || hook[0].text("DefaultResult") != "CONTINUE" {
			t.Errorf("%s: hooks %v", region, hook)
		}
		if g.text("MinSize") != "1" || g.text("MaxSize") != "3" || len(g.all("Instances>member")) != 1 ||
			len(g.all("AvailabilityZones>member")) != 2 || len(g.all("TargetGroupARNs>member")) != 4 {
			t.Errorf("%s: the group is %v", region, g)
		}
		data, group := a.template(t, name), ""
		for _, sg := range a.api.query(t, "ec2", region, "DescribeSecurityGroups").all("securityGroupInfo>item") {
			if sg.text("groupName") == "live-"+name+"-node" {
				group = sg.text("groupId")
			}
		}
		for path, want := range map[string]string{
			"metadataOptions>httpTokens":                "required",
			"blockDeviceMappingSet>item>ebs>encrypted":  "true",
			"networkInterfaceSet>item>ipv6AddressCount": "1",
			"networkInterfaceSet>item>groupSet>groupId": group,
			"iamInstanceProfile>name":                   "live-" + name + "-edges",
		} {
			if got := data.text(path); got != want {
				t.Errorf("%s: %s of the template is %q, want %q", region, path, got, want)
			}
		}
	}
}

// checkTags holds everything that can have tags to the cluster's, by what the provider
// has read, and the machines, disks and networks by what the API says.
func (a *awsExample) checkTags(t *testing.T) {
	t.Helper()
	type module struct {
		Resources []struct {
			Address, Mode string
			Values        struct {
				ID   string
				Tags *map[string]string
			}
		}
		Children []module `json:"child_modules"`
	}
	var state struct {
		Values struct {
			Root module `json:"root_module"`
		}
	}
	if err := json.Unmarshal([]byte(a.tf.run(t, a.dir, "show", "-json")), &state); err != nil {
		t.Fatal(err)
	}
	api := map[string]bool{}
	for _, region := range awsRegions {
		for _, tag := range a.api.query(t, "ec2", region, "DescribeTags").all("tagSet>item") {
			if tag.text("key") == "tmms:cluster" && tag.text("value") == "live" {
				api[tag.text("resourceId")] = true
			}
		}
	}
	seen := 0
	var walk func(m module)
	walk = func(m module) {
		for _, r := range m.Resources {
			if tags := r.Values.Tags; r.Mode == "managed" && tags != nil {
				seen++
				if (*tags)["tmms:cluster"] != "live" {
					t.Errorf("%s has the tags %v", r.Address, *tags)
				}
				if prefix, _, _ := strings.Cut(r.Values.ID, "-"); slices.Contains([]string{"i", "vol", "eni", "vpc", "subnet", "eipalloc", "rtb", "igw", "sg", "sgr", "lt", "pcx"}, prefix) && !api[r.Values.ID] {
					t.Errorf("%s: the API has no tag of the cluster for %s", r.Address, r.Values.ID)
				}
			}
		}
		for _, c := range m.Children {
			walk(c)
		}
	}
	walk(state.Values.Root)
	if seen < 100 {
		t.Errorf("%d resources with tags: want the whole cluster", seen)
	}
}

// userData is what cloud-init gets on each node, and on autoscaled edges by "scaled-" and
// the region.
func (a *awsExample) userData(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for region, aws := range awsRegions {
		for name, i := range a.instances(t, aws) {
			if name != "" {
				answer := a.api.query(t, "ec2", aws, "DescribeInstanceAttribute", "InstanceId", i.text("instanceId"), "Attribute", "userData")
				all[name] = unzipped(t, name, answer.text("userData>value"))
			}
		}
		all["scaled-"+region] = unzipped(t, region, a.template(t, region).text("userData"))
	}
	return all
}

// cloudConfig is user data as cloud-init reads it.
type cloudConfig struct {
	Files []struct{ Path, Content, Permissions string } `yaml:"write_files"`
	Run   [][]string                                    `yaml:"runcmd"`
}

func parsed(t *testing.T, userData string) (doc cloudConfig) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(userData), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// checkUserData lets the programs read user data that will read it on a host: cloud-init,
// systemd and the shell.
func (a *awsExample) checkUserData(t *testing.T) {
	t.Helper()
	all := a.userData(t)
	if len(all) != len(a.nodes)+2 {
		t.Fatalf("user data of %q: want the nodes' and that of both groups", slices.Sorted(maps.Keys(all)))
	}
	for name, data := range all {
		dir := t.TempDir()
		out := command(t, "cloud-init", "schema", "--config-file", write(t, dir, "user-data", data))
		if !strings.Contains(strings.ToLower(out), "valid") {
			t.Errorf("%s: cloud-init schema: %s", name, out)
		}
		var scripts, units []string
		for _, f := range parsed(t, data).Files {
			path := write(t, dir, f.Path, strings.ReplaceAll(f.Content, "/usr/local/bin/tmms", binary(t)))
			switch {
			case strings.HasPrefix(f.Content, "#!"):
				scripts = append(scripts, path)
			case filepath.Ext(f.Path) == ".service":
				units = append(units, path)
			}
		}
		command(t, "shellcheck", scripts...)
		command(t, "systemd-analyze", append([]string{"verify", "--man=no"}, units...)...)
		if want := map[bool]int{true: 3, false: 1}[strings.HasPrefix(name, "scaled-")]; len(scripts) != want {
			t.Errorf("%s: scripts %q, want %d", name, scripts, want)
		}
	}
}
