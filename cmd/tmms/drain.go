package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"tmms/cluster/admin"
)

func drainCommand() command {
	return command{
		name:    "drain",
		args:    "[NODE] [--wait DURATION] [--off] [--api URL]",
		summary: "Empty a node, so that its process can be replaced; --off takes it into service again.", run: runDrain,
	}
}

// envNodeName names the node of a container: a hook of its orchestrator has the node's
// environment, and no shell to put a name into its arguments.
const envNodeName = "TMMS_NODE__NAME"

// drainPoll is how often a node is asked what it has left.
const drainPoll = time.Second

func runDrain(ctx context.Context, c console, args []string) error {
	fs := newFlags("drain")
	off := fs.Bool("off", false, "take the node into service again")
	wait := fs.Duration("wait", 0, "how long to wait for the node to be empty: then viewers over HTTP are sent\n"+
		"        elsewhere, and the command ends; without it the command waits for as long as it takes")
	api := clientFlags(c, fs)
	words, err := parseFlags(c, fs, args, 1)
	if err != nil {
		return err
	}
	name := c.getenv(envNodeName)
	if len(words) == 1 {
		name = words[0]
	}
	waits := false
	fs.Visit(func(f *flag.Flag) { waits = waits || f.Name == "wait" })
	switch {
	case name == "":
		return usagef("want the NAME or the ID of a node, or the name in %s", envNodeName)
	case *wait < 0:
		return usagef("--wait %v: want 0 or more", *wait)
	case *off && waits:
		return usagef("--off waits for nothing: leave --wait out")
	}
	cl, err := newClient(c, *api)
	if err != nil {
		return err
	}
	cl.http.Timeout = changeTimeout
	d := drain{client: cl, console: c, path: "/api/v1/nodes/" + url.PathEscape(name) + "/drain"}
	if *off {
		return d.callOff(ctx)
	}
	if waits {
		d.until = time.Now().Add(*wait)
	}
	return d.run(ctx)
}

// drain is a node that is being emptied.
type drain struct {
	client  *client
	console console
	path    string    // of the API
	until   time.Time // zero: for as long as it takes
	said    string    // what was printed last
}

// ask sends a request about the drain.
func (d *drain) ask(ctx context.Context, method string, body any) (info admin.DrainInfo, err error) {
	raw, err := d.client.call(ctx, method, d.path, body)
	if err == nil {
		err = json.Unmarshal(raw, &info)
	}
	return info, err
}

func (d *drain) callOff(ctx context.Context) error {
	info, err := d.ask(ctx, http.MethodDelete, nil)
	if err == nil {
		fmt.Fprintf(d.console.stdout, "%s is in service\n", printable(info.Name))
	}
	return err
}

// drainRequest is what a drain is asked for with.
type drainRequest struct {
	Release bool `json:"release"`
}

// run asks for the drain and shows what is left until the node is empty, has gone,
// or the time is over.
func (d *drain) run(ctx context.Context) error {
	info, err := d.ask(ctx, http.MethodPost, drainRequest{})
	if err != nil {
		return err
	}
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for {
		d.tell(info)
		if info.Empty || gone(info) || !info.Draining {
			return nil
		}
		if d.over() {
			return d.release(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if info, err = d.ask(ctx, http.MethodGet, nil); err != nil {
			return err
		}
	}
}

func (d *drain) over() bool { return !d.until.IsZero() && !time.Now().Before(d.until) }

// release sends those elsewhere who would follow, once the time is over.
func (d *drain) release(ctx context.Context) error {
	info, err := d.ask(ctx, http.MethodPost, drainRequest{Release: true})
	if err != nil {
		return err
	}
	fmt.Fprintf(d.console.stdout, "%s is not empty yet; what is left moves when its process ends\n", printable(info.Name))
	return nil
}

// gone tells that the node's process has ended.
func gone(info admin.DrainInfo) bool {
	return !info.Answered && (info.State == "dead" || info.State == "left")
}

// tell prints what is left, if that has changed.
func (d *drain) tell(info admin.DrainInfo) {
	line := fmt.Sprintf("%s: %s", info.Name, remains(info))
	if line != d.said {
		fmt.Fprintln(d.console.stdout, printable(line))
		d.said = line
	}
}

func remains(info admin.DrainInfo) string {
	switch {
	case !info.Draining:
		return "is in service again"
	case info.Empty:
		return "is empty"
	case gone(info):
		return "has ended"
	}
	text := fmt.Sprintf("%d streams, %d standbys", info.Left.Streams, info.Left.Standbys)
	if info.Leader {
		text += ", leads the cluster"
	}
	if !info.Answered {
		return text + "; it does not answer"
	}
	return fmt.Sprintf("%s, %d publishers, viewers: %s", text, info.Left.Publishers, counts(info.Left.Viewers))
}
