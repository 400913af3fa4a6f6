package rtmp

import (
	"tmms/media"
	"tmms/media/flv"
)

// ServerGroup makes the connections that one goroutine serves, and holds what
// they share: the working state, which only those need that are in the middle
// of something, and the words of connect, which are the same for most. A
// connection leaves the group with EventPublish, and may then be given to
// another goroutine. A group is not safe for concurrent use.
type ServerGroup struct {
	cfg      ServerConfig
	spare    *serverWork // of a player that was parked; nil: none
	sessions map[sessionKey]*serverSession
}

// NewServerGroup returns a group without connections.
func NewServerGroup(cfg ServerConfig) *ServerGroup { return &ServerGroup{cfg: cfg} }

// NewConn starts with the handshake.
func (g *ServerGroup) NewConn() *ServerConn {
	c := NewServerConn(g.cfg)
	c.group = g
	return c
}

// work gives the working state of a player that does something again.
func (g *ServerGroup) work() *serverWork {
	if w := g.spare; w != nil {
		g.spare = nil
		return w
	}
	return &serverWork{reader: newChunkReader(g.cfg.Budget, 0)}
}

// serverSession is what the connect command left behind. It is immutable but
// for refs, which is the group's.
type serverSession struct {
	info   *ConnectInfo
	target target
	key    sessionKey // in the group's table
	refs   int        // connections of the group that have it; 0: it is not in the table
}

// sessionKey is all that a session is made of.
type sessionKey struct {
	tcURL, app, flashVer, pageURL, swfURL string

	fourCCs        flv.FourCCs
	objectEncoding int
	caps           Caps
}

// size is the bytes of its texts.
func (k *sessionKey) size() int {
	return len(k.tcURL) + len(k.app) + len(k.flashVer) + len(k.pageURL) + len(k.swfURL)
}

// share gives the session of another connection that said the same, or s.
// Without a group, and if the table is full or s is too large for it, it is s.
func (g *ServerGroup) share(s *serverSession, app string) *serverSession {
	if g == nil {
		return s
	}
	key := sessionKey{
		tcURL: s.info.TcURL, app: app, flashVer: s.info.FlashVer, pageURL: s.info.PageURL, swfURL: s.info.SwfURL,
		fourCCs: s.info.FourCCs, objectEncoding: s.info.ObjectEncoding, caps: s.info.Caps,
	}
	if same := g.sessions[key]; same != nil {
		same.refs++
		return same
	}
	if len(g.sessions) >= media.MaxSharedSessions || key.size() > media.MaxSharedSession {
		return s
	}
	if g.sessions == nil {
		g.sessions = make(map[sessionKey]*serverSession)
	}
	s.key, s.refs = key, 1
	g.sessions[key] = s
	return s
}

// leaveGroup makes c stand for itself, so that it may go to another goroutine.
func (c *ServerConn) leaveGroup() {
	c.group.release(c.session)
	c.group = nil
}

// release counts a connection out that has s.
func (g *ServerGroup) release(s *serverSession) {
	if g == nil || s == nil || s.refs == 0 {
		return
	}
	if s.refs--; s.refs == 0 {
		delete(g.sessions, s.key)
	}
}
