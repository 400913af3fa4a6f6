// Package rtmp serves RTMP connections on the reactor's loops: the handshake
// and the commands of all, the streams of players, and the hand-over of those
// that publish.
//
// A player costs its parser and a fanout.Viewer: no goroutine, no buffer. Its
// answers (acknowledgements, pongs, notices) go out only where a media message
// ends.
//
// Bodies are sent as they were pushed, so a player gets no stream that it can't
// take. A codec with a FourCC, whichever it is, must have been announced in connect
// (fourCcList or an info map, to decode or to forward); else the player is told
// NetStream.Play.Failed with the codec's name and closed, when it joins and when the
// stream becomes another under it. Codecs with a legacy header go to all: there is
// no way to announce them, HEVC as codec id 12 included. How many tracks a stream has,
// and modifiers in front of packets, refuse nobody.
//
// While the node diverts its viewers, players with the capability to reconnect are
// asked to, and play on; so are those who come and are better off at another node, by
// the node's policy. Others are served: few players know the redirect that SRS has
// (NetConnection.Connect.Rejected with ex.code 302), FFmpeg, VLC and OBS do not, and a
// player that does not is lost. So it goes only to those who are refused anyway, for want
// of room, or since they publish where nobody takes publishers.
//
// When the node is emptied, players with the capability to reconnect are asked to,
// play on, and are closed after media.ReconnectTimeout.
package rtmp
