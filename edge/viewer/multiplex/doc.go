// Package multiplex serves one http.Handler over HTTP/2, on connections whose
// TLS handshake others have done, and over HTTP/3 on a UDP socket.
//
//	loops --TCP, TLS, ALPN h2--> ServeConn -> net/http  \
//	                                                     handler, a goroutine a request
//	UDP ------------QUIC, ALPN h3----------> quic-go    /
//
// The protocols are those of the libraries; this package sets their bounds, which
// stand in media/limits.go, and sees to it that everything ends:
//
//   - HTTP/2 (net/http of Go 1.26): streams, header list, frame and window sizes
//     are settings of ours; a connection is closed when idle, when it leaves a ping
//     unanswered and when it takes no byte. Streams that are opened and reset at
//     once (CVE-2023-44487) wait for a running handler to end, four times the stream
//     limit at most, then the connection is closed with ENHANCE_YOUR_CALM: net/http
//     does so since Go 1.21.3. CONTINUATION floods (CVE-2023-45288) end at the
//     header limit, since Go 1.22.2.
//   - HTTP/3 (quic-go 0.65): streams, header and window sizes; addresses are
//     validated by Retry (RFC 9000 section 8.1.2) while many handshakes are under
//     way; there is no 0-RTT, so nothing can be replayed. A stream that is reset makes
//     room for another before its handler has ended, so that here, too, the bound
//     on all requests counts.
//
// There is no WebSocket over either (RFC 8441, RFC 9220): that is for HTTP/1.1.
package multiplex
