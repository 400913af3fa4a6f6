// Package rtmp serves RTMP connections on the reactor's loops: the handshake
// and the commands of all, the streams of players, and the hand-over of those
// that publish.
//
// A player costs its parser and a fanout.Viewer: no goroutine, no buffer. Its
// answers (acknowledgements, pongs, notices) go out only where a media message
// ends.
package rtmp
