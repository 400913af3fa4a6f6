package terraform

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// emulator is an AWS API on loopback: moto.
type emulator struct{ url string }

// newEmulator starts moto with testdata/emulator.py, and ends it with the test; ok is
// false where it is missing.
func newEmulator(t *testing.T) (aws *emulator, ok bool) {
	t.Helper()
	python, ok := tool(t, "python3")
	if !ok {
		return nil, false
	}
	if err := exec.CommandContext(t.Context(), python, "-c", "import moto.server").Run(); err != nil {
		leftOut(t, "python3 has no moto")
		return nil, false
	}
	host, port := "127.0.0.1", strconv.Itoa(freePorts(t, 1)[0])
	path := t.TempDir() + "/moto.log"
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), python, "testdata/emulator.py", "-H", host, "-p", port)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed in the end
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		closing(log)
	})
	aws = &emulator{url: "http://" + net.JoinHostPort(host, port)}
	for end := time.Now().Add(2 * time.Minute); ; {
		if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", net.JoinHostPort(host, port)); err == nil {
			closing(conn)
			return aws, true
		}
		select {
		case <-ended:
			raw, _ := os.ReadFile(path)
			t.Fatalf("moto has ended: %s\n%s", cmd.ProcessState, raw)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("moto does not listen on %s after 2 minutes", port)
		}
	}
}

// clientEnv is what clients of the API at a URL want in their environment.
func clientEnv(endpoint string) []string {
	return []string{"AWS_ENDPOINT_URL=" + endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true"}
}

// element is a piece of an answer.
type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []element `xml:",any"`
}

// all gives what is at a path, such as "subnetSet>item".
func (e element) all(path string) (found []element) {
	first, rest, more := strings.Cut(path, ">")
	for _, c := range e.Children {
		switch {
		case c.XMLName.Local != first:
		case more:
			found = append(found, c.all(rest)...)
		default:
			found = append(found, c)
		}
	}
	return found
}

// text gives the text of the first at a path; "" where there is none.
func (e element) text(path string) string {
	for _, c := range e.all(path) {
		return strings.TrimSpace(c.Text)
	}
	return ""
}

// texts gives the texts of all at a path.
func (e element) texts(path string) (found []string) {
	for _, c := range e.all(path) {
		found = append(found, strings.TrimSpace(c.Text))
	}
	return found
}

// ask sends a request to a service of a region. The emulator looks at no signature.
func (aws *emulator) ask(t *testing.T, service, region, method, path, body string) (answer element) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, aws.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if path == "/" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=test/20260101/%s/%s/aws4_request, SignedHeaders=host, Signature=0", region, service))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(resp.Body)
	raw, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", resp.Status, raw) //nolint:err113 // for the test's log
	}
	if err == nil {
		err = xml.Unmarshal(raw, &answer)
	}
	if err != nil {
		t.Fatalf("%s %s %s in %s: %v", method, path, body, region, err)
	}
	return answer
}

// versions are those of the services' APIs that are asked.
func versions(service string) string {
	return map[string]string{
		"ec2": "2016-11-15", "autoscaling": "2011-01-01", "elasticloadbalancing": "2015-12-01", "iam": "2010-05-08",
	}[service]
}

// query carries out an action; args are names and values in turn.
func (aws *emulator) query(t *testing.T, service, region, action string, args ...string) element {
	t.Helper()
	values := url.Values{"Action": {action}, "Version": {versions(service)}}
	for i := 0; i < len(args); i += 2 {
		values.Set(args[i], args[i+1])
	}
	return aws.ask(t, service, region, http.MethodPost, "/", values.Encode())
}

// unzipped is user data as cloud-init has it in the end.
func unzipped(t *testing.T, whose, data string) string {
	t.Helper()
	zipped, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		t.Fatalf("%s: user data: %v", whose, err)
	}
	if len(zipped) > 16384 {
		t.Errorf("%s: %d bytes of user data, AWS takes 16384", whose, len(zipped))
	}
	r, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatalf("%s: user data: %v", whose, err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: user data: %v", whose, err)
	}
	return string(plain)
}

// have is what an account may have of what the example makes: the service, how to ask for
// it, and where it stands in the answer.
var have = []struct{ service, action, path string }{
	{"ec2", "DescribeInstances", "reservationSet>item>instancesSet>item"},
	{"ec2", "DescribeVpcs", "vpcSet>item"},
	{"ec2", "DescribeSubnets", "subnetSet>item"},
	{"ec2", "DescribeVolumes", "volumeSet>item"},
	{"ec2", "DescribeNetworkInterfaces", "networkInterfaceSet>item"},
	{"ec2", "DescribeAddresses", "addressesSet>item"},
	{"ec2", "DescribeSecurityGroups", "securityGroupInfo>item"},
	{"ec2", "DescribeSecurityGroupRules", "securityGroupRuleSet>item"},
	{"ec2", "DescribeRouteTables", "routeTableSet>item"},
	{"ec2", "DescribeInternetGateways", "internetGatewaySet>item"},
	{"ec2", "DescribeLaunchTemplates", "launchTemplates>item"},
	{"ec2", "DescribeVpcPeeringConnections", "vpcPeeringConnectionSet>item"},
	{"autoscaling", "DescribeAutoScalingGroups", "DescribeAutoScalingGroupsResult>AutoScalingGroups>member"},
	{"elasticloadbalancing", "DescribeLoadBalancers", "DescribeLoadBalancersResult>LoadBalancers>member"},
	{"elasticloadbalancing", "DescribeTargetGroups", "DescribeTargetGroupsResult>TargetGroups>member"},
	{"iam", "ListRoles", "ListRolesResult>Roles>member"},
	{"iam", "ListInstanceProfiles", "ListInstanceProfilesResult>InstanceProfiles>member"},
}

// counts is how many of each there are in a region; what has ended is shown for an hour,
// and not counted.
func (aws *emulator) counts(t *testing.T, region string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, h := range have {
		for _, e := range aws.query(t, h.service, region, h.action).all(h.path) {
			if e.text("instanceState>name") != "terminated" && e.text("status>code") != "deleted" {
				counts[h.action]++
			}
		}
	}
	return counts
}
