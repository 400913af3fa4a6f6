// Package witness is viewers that account for every frame of a stream of
// bench/signal, for as long as it plays: by RTMP, by HTTP-FLV, and by HLS down to
// the frames in its segments. A viewer that loses its server comes back.
package witness
