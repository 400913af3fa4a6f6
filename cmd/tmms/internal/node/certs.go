package node

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"tmms/cluster/certs"
)

// loadCerts reads the certificates for viewers and publishers.
func (n *Node) loadCerts(context.Context) (err error) {
	if n.cfg.Listen.RTMPS == "" && n.cfg.Listen.HTTPS == "" {
		return nil
	}
	if n.certs, err = certs.Load(n.cfg.TLS.Certs); err != nil {
		return fmt.Errorf("tls.certs: %w", err)
	}
	n.warnOfCerts()
	return nil
}

// followCerts takes new certificate files without a restart.
func (n *Node) followCerts(ctx context.Context) error {
	n.certs.Follow(ctx, identityInterval, func(err error) {
		if err != nil {
			n.opt.Log.Warn("certificates of viewers were not reloaded, the old ones stay", slog.Any("err", err))
			return
		}
		n.opt.Log.Info("certificates of viewers were reloaded")
		n.warnOfCerts()
	})
	return nil
}

// warnOfCerts tells of certificates that clients will refuse.
func (n *Node) warnOfCerts() {
	for _, w := range n.certs.Warnings(time.Now()) {
		n.opt.Log.Warn("clients refuse a certificate of viewers", slog.String("err", w))
	}
}
