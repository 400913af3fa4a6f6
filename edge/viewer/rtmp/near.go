package rtmp

import (
	"net/url"

	"tmms/edge/viewer"
	"tmms/media"
	wire "tmms/media/rtmp"
)

// nearer is what players are told whom the node's policy sends on.
const nearer = "Another node is nearer, or has more room."

// suggest asks a player that can reconnect to do so where it is better off, by the
// node's policy; it plays on meanwhile, and may stay. Others stay: few players follow a
// redirect, and one that does not is lost. Who was sent here is not sent on.
func (c *conn) suggest(r *wire.Request, t viewer.Target) {
	cfg := &c.loop.server.cfg
	if c.gone || !c.entered || !c.viewer.Attached() || cfg.Gate.Diverting() || !c.rtmp.CanMove() {
		return
	}
	at := c.better(r, t, false)
	if at == "" || !viewer.At(cfg.Apps, at, t.Key.Domain) {
		return
	}
	if c.rtmp.ReconnectWith(at, media.Via, nearer) {
		cfg.Gate.SentElsewhere()
		c.reply()
	}
}

// better is where the player is better off; "": here.
func (c *conn) better(r *wire.Request, t viewer.Target, refused bool) string {
	near := c.loop.server.cfg.Near
	if near == nil || r.Param(media.ParamVia) != "" {
		return ""
	}
	return near.Elsewhere(viewer.Visitor{
		From: c.rc.Remote().Addr(), Stream: t.Key, Kind: "rtmp", Refused: refused,
	})
}

// refusePlayer refuses a player for whom there is no place, and tells it where there is
// one: it is lost here anyway.
func (c *conn) refusePlayer(r *wire.Request, t viewer.Target, why error) {
	if at := c.better(r, t, true); at != "" {
		c.loop.server.cfg.Gate.SentElsewhere()
		c.rtmp.Redirect(at, c.marked(r, at, t), why.Error()+", play from rtmp://"+at)
	} else {
		c.rtmp.RejectPlay("NetStream.Play.Failed", why.Error())
	}
	c.farewell(why)
}

// refusePublisher refuses who publishes to a node that takes no publishers, and tells it
// which does.
func (c *conn) refusePublisher(r *wire.Request) {
	cfg := &c.loop.server.cfg
	t, err := viewer.Find(cfg.Apps, r.Host, override(r), r.App, r.Stream)
	if cfg.Near != nil && err == nil && r.Param(media.ParamVia) == "" {
		q := viewer.NearQuery{From: c.rc.Remote().Addr(), Origin: true, Stream: t.Key, Count: 1}
		for _, n := range cfg.Near.Nearest(q).Nodes {
			if at := n.Addresses["rtmp"]; at != "" {
				c.rtmp.Redirect(at, c.marked(r, at, t), noPublishers+", publish to rtmp://"+at)
				c.farewell(viewer.ErrRefused)
				return
			}
		}
	}
	c.rtmp.RejectPublish(cfg.publishElsewhere())
	c.farewell(viewer.ErrRefused)
}

// marked is what is added to the query of who is sent to an address: that it was sent,
// and its domain where the address alone would mean another.
func (c *conn) marked(r *wire.Request, at string, t viewer.Target) string {
	if override(r) != "" || viewer.At(c.loop.server.cfg.Apps, at, t.Key.Domain) {
		return media.Via
	}
	return media.Via + "&domain=" + url.QueryEscape(t.Key.Domain)
}
