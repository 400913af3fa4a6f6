package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"tmms/cluster/admin"
	"tmms/cluster/enroll"
	"tmms/cluster/pki"
	"tmms/media"
)

func tokenCommand() command {
	return command{
		name: "token",
		args: "join [--roles edge] [--ttl 24h] [--uses 1] [--region REGION] [--name-prefix PREFIX] |\n" +
			"            list [-o table|json] [--local] | revoke ID  [--api URL]\n" +
			"            new NAME [--role read|admin] [--file FILE]",
		summary: "Make tokens by which nodes get their certificates, and tokens of the API.", run: runToken,
	}
}

func runToken(ctx context.Context, c console, args []string) error {
	const want = "want \"join\", \"list\", \"revoke\" or \"new\""
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if _, err := parseFlags(c, newFlags("token"), args, 0); err != nil {
			return err
		}
		return usagef(want)
	}
	run := map[string]func(context.Context, console, []string) error{
		"join": runTokenJoin, "list": runTokenList, "revoke": runTokenRevoke, "new": runTokenNew,
	}[args[0]]
	if run == nil {
		return usagef(want+", not %q", args[0])
	}
	return run(ctx, c, args[1:])
}

// joinBody is what the API is asked for; the secret stays here.
type joinBody struct {
	ID         string   `json:"id"`
	Hash       string   `json:"hash"`
	Roles      []string `json:"roles"`
	Region     string   `json:"region,omitempty"`
	NamePrefix string   `json:"name_prefix,omitempty"`
	Uses       int      `json:"uses"`
	TTLSeconds int      `json:"ttl_seconds"`
}

// runTokenJoin makes a token by which nodes get certificates, and prints it: one line.
func runTokenJoin(ctx context.Context, c console, args []string) error {
	const day = 24 * time.Hour
	fs := newFlags("token join")
	var body joinBody
	roles := fs.String("roles", pki.RoleEdge, "`ROLES` that a node may have: edge, origin, or both with a comma")
	ttl := fs.Duration("ttl", day, "how long it is good, 1m to 720h")
	fs.IntVar(&body.Uses, "uses", 1, "how many nodes it lets in, 1 to "+strconv.Itoa(media.MaxJoinUses))
	fs.StringVar(&body.Region, "region", "", "only nodes of this `REGION`")
	fs.StringVar(&body.NamePrefix, "name-prefix", "", "only nodes whose name begins with `PREFIX`")
	api := clientFlags(c, fs)
	if _, err := parseFlags(c, fs, args, 0); err != nil {
		return err
	}
	body.Roles = strings.Split(*roles, ",")
	if err := errors.Join(pki.CheckRoles(body.Roles), checkLife(*ttl, body.Uses)); err != nil {
		return &usageError{err}
	}
	token := enroll.NewToken()
	body.ID, body.Hash, body.TTLSeconds = token.ID, token.Hash(), int(*ttl/time.Second)
	cl, err := newClient(c, *api)
	if err != nil {
		return err
	}
	reply, err := ask[admin.JoinTokenReply](ctx, cl, http.MethodPost, "/api/v1/tokens/join", body)
	if err != nil {
		return err
	}
	pin, err := base64.RawURLEncoding.DecodeString(reply.Pin)
	if err != nil || len(pin) != len(token.Pin) {
		return fmt.Errorf("the answer of %s has the pin %.64q, want base64 of %d bytes", *api, reply.Pin, len(token.Pin))
	}
	token.Pin = pki.Pin(pin)
	if reply.Warning != "" {
		fmt.Fprintln(c.stderr, "tmms: "+printable(reply.Warning))
	}
	fmt.Fprintln(c.stdout, token.Text())
	return nil
}

func checkLife(ttl time.Duration, uses int) error {
	if ttl < media.MinJoinTokenLife || ttl > media.MaxJoinTokenLife || ttl%time.Second != 0 {
		return fmt.Errorf("--ttl %s: want whole seconds from %s to %s", ttl, media.MinJoinTokenLife, media.MaxJoinTokenLife)
	}
	if uses < 1 || uses > media.MaxJoinUses {
		return fmt.Errorf("--uses %d: want 1 to %d", uses, media.MaxJoinUses)
	}
	return nil
}

// runTokenList shows the tokens without their secrets, which nobody has.
func runTokenList(ctx context.Context, c console, args []string) error {
	q, err := newQuestion(c, "token list", "table", args, 0)
	if err != nil {
		return err
	}
	reply, raw, err := get[struct {
		Tokens []admin.JoinTokenInfo `json:"tokens"`
	}](ctx, q.client, "/api/v1/tokens/join")
	if err != nil {
		return err
	}
	if q.json {
		return printJSON(c.stdout, raw)
	}
	t := &table{head: []string{"ID", "ROLES", "REGION", "NAMES", "USES LEFT", "UNTIL", "BY", "LAST NODE"}}
	for _, j := range reply.Tokens {
		names := ""
		if j.NamePrefix != "" {
			names = j.NamePrefix + "*"
		}
		t.add(j.ID, strings.Join(j.Roles, ","), j.Region, names, strconv.Itoa(j.Uses), j.Until.Format(time.RFC3339), j.By,
			j.LastNode)
	}
	return t.print(c.stdout)
}

// runTokenRevoke takes a token out of force.
func runTokenRevoke(ctx context.Context, c console, args []string) error {
	fs := newFlags("token revoke")
	api := clientFlags(c, fs)
	words, err := parseFlags(c, fs, args, 1)
	if err != nil {
		return err
	}
	if len(words) != 1 || strings.Contains(words[0], ".") {
		return usagef("want the ID of the token, see \"tmms token list\"") // the token itself shows nowhere
	}
	if err = change(ctx, c, *api, http.MethodDelete, "/api/v1/tokens/join/"+url.PathEscape(words[0]), nil); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "the token %s lets nobody in any more; nodes that came by it stay (tmms cert revoke NAME)\n",
		words[0])
	return nil
}

// runTokenNew makes a token of the API, and its entry in admin.tokens_file.
func runTokenNew(_ context.Context, c console, args []string) error {
	fs := newFlags("token new")
	role := fs.String("role", "read", "`ROLE`: read, or admin to change things")
	file := fs.String("file", "", "the tokens `FILE` to add it to, made if it is missing; else the entry goes to stderr")
	words, err := parseFlags(c, fs, args, 1)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usagef("want the NAME of who gets the token")
	}
	secret, entry, err := admin.NewToken(words[0], *role)
	if err != nil {
		return &usageError{err}
	}
	if *file == "" {
		fmt.Fprint(c.stderr, entry)
	} else if err = addToken(*file, entry); err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, secret)
	return nil
}

// addToken appends an entry: mode and owner of the file stay, and so does what is in it.
func addToken(file, entry string) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	text, err := admin.AddToken(old, entry)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text[len(old):])
	return errors.Join(err, f.Sync(), f.Close())
}
