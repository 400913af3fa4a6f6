package rtmp

import (
	"tmms/edge/viewer"
	"tmms/media"
)

// emptied is what peers that are asked to reconnect are told.
const emptied = "This node is being emptied."

// AskToLeave implements fanout.Leaver: a player that can reconnect has some time
// to do so while it still plays.
func (c *conn) AskToLeave() bool {
	if c.gone || !c.rtmp.Reconnect(c.elsewhere(), emptied) {
		return false
	}
	c.rc.SetTimer(media.ReconnectTimeout)
	c.reply()
	return true
}

// AskToMove implements fanout.Mover: while the node diverts its viewers, and
// another one is known, a player that can reconnect is asked to. It may stay.
func (c *conn) AskToMove() {
	cfg := &c.loop.server.cfg
	if c.gone || !c.entered || !c.viewer.Attached() || !cfg.Gate.Diverting() || !c.rtmp.CanMove() {
		return
	}
	at := c.elsewhere()
	if at == "" || !c.rtmp.Reconnect(at, emptied) {
		return
	}
	cfg.Gate.SentElsewhere()
	c.reply()
}

// elsewhere is where the player, which is attached, finds its stream too; "": not
// known.
func (c *conn) elsewhere() string {
	cfg := &c.loop.server.cfg
	if at := cfg.playElsewhere(); at != "" && viewer.At(cfg.Apps, at, c.viewer.Key().Domain) {
		return at
	}
	return ""
}
