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
	"strings"
	"testing"
	"time"
)

// emulator is an AWS API on loopback.
type emulator struct{ url string }

// newEmulator starts moto with testdata/emulator.py; ok is false where it is missing.
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
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	log, err := os.Create(t.TempDir() + "/moto.log")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), python, "testdata/emulator.py", "-H", host, "-p", port)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
	})
	aws = &emulator{url: "http://" + net.JoinHostPort(host, port)}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", net.JoinHostPort(host, port)); err == nil {
			conn.Close()
			return aws, true
		}
		if time.Now().After(end) {
			t.Fatalf("moto does not listen on %s after 2 minutes", port)
		}
	}
}

// env are what clients of the API want.
func (aws *emulator) env() []string {
	return []string{"AWS_ENDPOINT_URL=" + aws.url, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true"}
}

// ec2 asks the EC2 API of a region, and reads the answer's XML.
func (aws *emulator) ec2(t *testing.T, region string, query url.Values, into any) {
	t.Helper()
	query.Set("Version", "2016-11-15")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, aws.url, strings.NewReader(query.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=test/20260101/%s/ec2/aws4_request, SignedHeaders=host, Signature=0", region))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, raw)
	}
	if err == nil {
		err = xml.Unmarshal(raw, into)
	}
	if err != nil {
		t.Fatalf("%s in %s: %v", query.Get("Action"), region, err)
	}
}

// userData is what the instance's cloud-init would be given.
func (aws *emulator) userData(t *testing.T, region, id string) string {
	t.Helper()
	var answer struct {
		Value string `xml:"userData>value"`
	}
	aws.ec2(t, region, url.Values{"Action": {"DescribeInstanceAttribute"}, "InstanceId": {id}, "Attribute": {"userData"}}, &answer)
	zipped, err := base64.StdEncoding.DecodeString(answer.Value)
	if err != nil {
		t.Fatalf("%s: user data: %v", id, err)
	}
	if len(zipped) > 16384 {
		t.Errorf("%s: %d bytes of user data, AWS takes 16384", id, len(zipped))
	}
	r, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatalf("%s: user data: %v", id, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: user data: %v", id, err)
	}
	return string(text)
}

// peerings counts the routes of a region that go through an active peering, by network.
func (aws *emulator) peerings(t *testing.T, region string) map[string]int {
	t.Helper()
	var answer struct {
		Tables []struct {
			Routes []struct {
				To      string `xml:"destinationCidrBlock"`
				Peering string `xml:"vpcPeeringConnectionId"`
				State   string `xml:"state"`
			} `xml:"routeSet>item"`
		} `xml:"routeTableSet>item"`
	}
	aws.ec2(t, region, url.Values{"Action": {"DescribeRouteTables"}}, &answer)
	all := map[string]int{}
	for _, table := range answer.Tables {
		for _, r := range table.Routes {
			if r.Peering != "" && r.State == "active" {
				all[r.To]++
			}
		}
	}
	return all
}
