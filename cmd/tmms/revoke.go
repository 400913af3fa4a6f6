package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"tmms/cluster/admin"
	"tmms/cluster/pki"
)

// runCertRevoke takes certificates of nodes out of use.
func runCertRevoke(ctx context.Context, c console, args []string) error {
	fs := newFlags("cert revoke")
	api := clientFlags(c, fs)
	words, err := parseFlags(c, fs, args, 1)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usagef("want the NAME of the node, or the SERIAL number of one certificate")
	}
	var body struct {
		Node   string `json:"node,omitempty"`
		Serial string `json:"serial,omitempty"`
	}
	if serial, ok := pki.ParseSerial(words[0]); ok {
		body.Serial = serial
	} else if err = pki.CheckName(words[0]); err != nil {
		return &usageError{err}
	} else {
		body.Node = words[0]
	}
	if err = change(ctx, c, *api, http.MethodPost, "/api/v1/revocations", body); err != nil {
		return err
	}
	if body.Serial != "" {
		fmt.Fprintf(c.stdout, "the certificate %s is not good any more\n", body.Serial)
		return nil
	}
	fmt.Fprintf(c.stdout, "%s is out of the cluster: its certificates are not good any more\n", body.Node)
	fmt.Fprintln(c.stdout, "It still has the gossip's key: replace that by \"tmms gossip rotate-key\".")
	return nil
}

// runCertRevoked lists what is revoked.
func runCertRevoked(ctx context.Context, c console, args []string) error {
	q, err := newQuestion(c, "cert revoked", "table", args, 0)
	if err != nil {
		return err
	}
	reply, raw, err := get[struct {
		Revocations []admin.RevocationInfo `json:"revocations"`
	}](ctx, q.client, "/api/v1/revocations")
	if err != nil {
		return err
	}
	if q.json {
		return printJSON(c.stdout, raw)
	}
	t := &table{head: []string{"NODE", "SERIAL", "REVOKED", "BY", "UNTIL"}}
	for _, r := range reply.Revocations {
		t.add(r.Node, r.Serial, r.At.Format(time.RFC3339), r.By, r.Until.Format(time.DateOnly))
	}
	return t.print(c.stdout)
}
