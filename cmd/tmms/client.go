package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tmms/cluster/admin"
)

const (
	defaultAPI    = "http://127.0.0.1:8090"
	clientTimeout = 15 * time.Second
	// changeTimeout is for changes that many nodes take part in.
	changeTimeout = 30 * time.Second
	// maxReply bounds an answer of the API, in bytes.
	maxReply = 64 << 20
)

// client calls the admin API of a node.
type client struct {
	base   string
	token  string
	http   *http.Client
	stderr io.Writer
	local  bool // reads take what the node has, without a question to the leader
}

// question is what a command that shows something was given.
type question struct {
	client *client
	json   bool // print the answer as it came
	words  []string
}

// newQuestion reads the flags and at most so many words of a command that shows
// something; plain names its format for people.
func newQuestion(c console, name, plain string, args []string, most int) (question, error) {
	fs := newFlags(name)
	format := fs.String("o", plain, "output: `"+plain+"` or json")
	local := fs.Bool("local", false, "take what the node knows, without a question to the leader")
	api := clientFlags(c, fs)
	words, err := parseFlags(c, fs, args, most)
	if err != nil {
		return question{}, err
	}
	if *format != plain && *format != "json" {
		return question{}, usagef("-o %q: want %s or json", *format, plain)
	}
	cl, err := newClient(c, *api)
	if err != nil {
		return question{}, err
	}
	cl.local = *local
	return question{cl, *format == "json", words}, nil
}

// clientFlags adds --api; the result is set once the flags are parsed.
func clientFlags(c console, fs *flag.FlagSet) *string {
	api := c.getenv("TMMS_API")
	if api == "" {
		api = defaultAPI
	}
	return fs.String("api", api, "`URL` of a node's admin port; also TMMS_API. TMMS_TOKEN holds the token")
}

func newClient(c console, api string) (*client, error) {
	u, err := url.Parse(api)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, usagef("--api %q: want http://HOST:PORT", api)
	}
	return &client{
		base: strings.TrimRight(api, "/"), token: c.getenv("TMMS_TOKEN"), http: &http.Client{Timeout: clientTimeout},
		stderr: c.stderr,
	}, nil
}

// message is a request; limit bounds the answer, in bytes.
type message struct {
	method, path, contentType string
	body                      []byte // nil: none
	limit                     int
}

// call sends in, if it is not nil, as JSON or as the bytes that it is, and gives
// the body of the answer.
func (cl *client) call(ctx context.Context, method, path string, in any) ([]byte, error) {
	m := message{method: method, path: path, limit: maxReply}
	switch in := in.(type) {
	case nil:
	case []byte:
		m.body, m.contentType = in, bytesType
	default:
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		m.body, m.contentType = b, "application/json"
	}
	return cl.exchange(ctx, m)
}

func (cl *client) exchange(ctx context.Context, m message) ([]byte, error) {
	var body io.Reader
	if m.body != nil {
		body = bytes.NewReader(m.body)
	}
	req, err := http.NewRequestWithContext(ctx, m.method, cl.base+m.path, body)
	if err != nil {
		return nil, err
	}
	if m.body != nil {
		req.Header.Set("Content-Type", m.contentType)
	}
	if cl.token != "" {
		req.Header.Set("Authorization", "Bearer "+cl.token)
	}
	resp, err := cl.http.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, fmt.Errorf("can't reach %s: %w (is tmms running? --api names another address)", cl.base, err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, int64(m.limit)+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", cl.base, err)
	}
	if len(b) > m.limit {
		return nil, fmt.Errorf("the answer of %s has more than %d bytes", cl.base, m.limit)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp, b)
	}
	if reason := resp.Header.Get("X-Tmms-Stale"); reason != "" {
		fmt.Fprintf(cl.stderr, "tmms: this may be out of date: %s\n", printable(reason))
	}
	return b, nil
}

// refusal makes an error of an answer that is not 200: the faults, or the message.
func refusal(resp *http.Response, body []byte) error {
	var reply struct{ Error admin.ErrorInfo }
	if err := json.Unmarshal(body, &reply); err != nil || reply.Error.Message == "" {
		return fmt.Errorf("%s answers %s; is that the admin port of tmms?", resp.Request.URL.Host, resp.Status)
	}
	if len(reply.Error.Faults) > 0 {
		lines := make([]string, len(reply.Error.Faults))
		for i, f := range reply.Error.Faults {
			lines[i] = f.String()
		}
		return errors.New(strings.Join(lines, "\n"))
	}
	if resp.StatusCode == http.StatusUnauthorized {
		return fmt.Errorf("%s (set TMMS_TOKEN)", reply.Error.Message)
	}
	return errors.New(reply.Error.Message)
}

// get decodes the answer to a GET; path may have a query.
func get[T any](ctx context.Context, cl *client, path string) (v T, raw []byte, err error) {
	if cl.local {
		mark := "?"
		if strings.Contains(path, mark) {
			mark = "&"
		}
		path += mark + "consistency=local"
	}
	raw, err = cl.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return v, nil, err
	}
	if err = json.Unmarshal(raw, &v); err != nil {
		return v, nil, fmt.Errorf("the answer of %s is not understood: %w", cl.base, err)
	}
	return v, raw, nil
}

// ask is call with the answer decoded.
func ask[T any](ctx context.Context, cl *client, method, path string, in any) (v T, err error) {
	raw, err := cl.call(ctx, method, path, in)
	if err != nil {
		return v, err
	}
	if err = json.Unmarshal(raw, &v); err != nil {
		return v, fmt.Errorf("the answer of %s is not understood: %w", cl.base, err)
	}
	return v, nil
}
