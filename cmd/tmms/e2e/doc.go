// Package e2e tests the real binary with real clients: ffmpeg, rtmpdump,
// GStreamer, hls-parser, dvbinfo, and hls.js and mpegts.js in Chromium. A
// missing tool fails the run; "make deps" installs them all.
package e2e
