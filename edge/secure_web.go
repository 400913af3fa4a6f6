package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"tmms/edge/viewer/multiplex"
	"tmms/edge/viewer/web"
)

// secureWeb is what the HTTPS port offers beside HTTP/1.1 on the loops: HTTP/2,
// on the connections that have agreed on it, and HTTP/3 on the same UDP port.
type secureWeb struct {
	handler *web.Handler
	server  *multiplex.Server
	addr    net.Addr // of HTTP/3
}

// openSecureWeb listens for HTTP/3 at addr and takes HTTP/2 connections by
// multiplex.Server.ServeConn. The loops must run for longer than it does.
func openSecureWeb(addr string, handler *web.Handler, config *tls.Config, log *slog.Logger) (*secureWeb, error) {
	packets, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP/3 at %s: %w", addr, err)
	}
	w := &secureWeb{handler: handler, addr: packets.LocalAddr()}
	w.server, err = multiplex.New(multiplex.Config{Packets: packets, Log: log}, w.handler, config)
	if err != nil {
		return nil, errors.Join(err, packets.Close())
	}
	return w, nil
}

// run serves until ctx ends; it returns when everything has ended.
func (w *secureWeb) run(ctx context.Context) error {
	defer w.handler.Wait()
	return w.server.Run(ctx)
}

// close frees one that was never run.
func (w *secureWeb) close() error {
	defer w.handler.Wait()
	return w.server.Close()
}
