// Command tmms is a live video server: streamers push by RTMP, viewers watch by
// RTMP, HTTP-FLV, HTTP-TS, WebSocket-FLV and HLS. "tmms dev --demo" shows it all in one
// process; "tmms help" lists the commands.
//
// Exit codes: 0 ok, also after Ctrl-C and SIGTERM; 1 failed; 2 wrong usage. Those of
// "tmms diff" are those of diff(1): 1 is a difference, 2 any failure.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(execute(ctx, console{stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ()}, os.Args[1:]))
}
