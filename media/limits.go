package media

import "time"

// Limits on what a peer may send or make us hold. Every bound of the project
// that guards memory or time against the network stands here, with its unit
// and its reason, so that they can be read, and summed up, in one place.
const (
	// MaxMessageVideo bounds one audio or video message: an 8 MiB IDR is a
	// lossless 4K picture, nothing real is larger.
	MaxMessageVideo = 8 << 20
	// MaxMessageData bounds one metadata (AMF data) message.
	MaxMessageData = 256 << 10
	// MaxMessageCommand bounds one AMF command message.
	MaxMessageCommand = 64 << 10
	// MaxMessageControl bounds one protocol control message; the largest real one has 18 bytes.
	MaxMessageControl = 64

	// MaxChunkStreams bounds the chunk streams of one RTMP connection; real
	// encoders use at most eight.
	MaxChunkStreams = 64
	// MaxChunkSize bounds the chunk size that a peer may set (RTMP 1.0
	// section 5.4.1 allows 16 MiB; a message is never longer than 8 MiB here).
	MaxChunkSize = 0xFFFFFF
	// MaxPartialBytes bounds the unfinished messages of one connection.
	MaxPartialBytes = 16 << 20
	// MaxPartialBytesProcess bounds the unfinished messages of all connections.
	MaxPartialBytesProcess = 48 << 20
	// KeepMessageBuffer is the largest message buffer that a publisher's chunk
	// stream keeps for its next message; a larger one, and that of any other
	// peer, is dropped with its message, so that an idle connection is small.
	KeepMessageBuffer = 256 << 10
	// KeepMessageBuffers bounds the buffers so kept by one connection.
	KeepMessageBuffers = 1 << 20
	// MaxPreAuthBytes bounds what a connection may cost before it has been
	// allowed to publish or play.
	MaxPreAuthBytes = 64 << 10
	// MaxPendingConns bounds the connections that have not yet asked to
	// publish, play or GET; the oldest are closed first.
	MaxPendingConns = 2048
	// MaxPublisherConns bounds the publisher connections of a node; each holds a
	// read buffer of 64 KiB.
	MaxPublisherConns = 8192
	// MaxNetStreams bounds the message streams that one RTMP connection may create.
	MaxNetStreams = 16
	// MaxControlOutput bounds unsent replies of one connection: a peer that
	// asks without reading is closed.
	MaxControlOutput = 64 << 10

	// MaxAMFDepth and MaxAMFNodes bound one AMF value.
	MaxAMFDepth = 32
	MaxAMFNodes = 4096

	// MaxName bounds each of domain, app and stream, in bytes.
	MaxName = 255
	// MaxQuery bounds the query string that rides on a stream name.
	MaxQuery = 4096

	// MaxHTTPHead bounds a request line with its headers.
	MaxHTTPHead = 16 << 10

	// MaxWSPayload bounds a WebSocket frame from a viewer; viewers only send
	// control frames, which RFC 6455 section 5.5 bounds at 125 bytes.
	MaxWSPayload = 125

	// MaxNALUs bounds the NAL units of one access unit.
	MaxNALUs = 1024
	// MaxCodecConfig bounds a codec's configuration (sequence header), H.264
	// parameter sets sent in band included; real ones are far below 4 KiB.
	MaxCodecConfig = 64 << 10
	// MaxTracks bounds the tracks of one stream.
	MaxTracks = 8

	// MaxStreamsPerNode bounds the feeds that a node holds at once.
	MaxStreamsPerNode = 20000
	// MaxParkedRequests bounds the playlist requests that wait for a stream, per loop.
	MaxParkedRequests = 4096
	// MaxHLSSessions bounds the addresses that are remembered as HLS viewers of one stream.
	MaxHLSSessions = 65536
	// MaxWaitingViewers bounds the viewers that wait for a publisher, per loop.
	MaxWaitingViewers = 16384
	// MaxHLSSegmentBytes bounds one open segment; past it a cut is forced.
	MaxHLSSegmentBytes = 64 << 20
	// MaxHLSStreamBytes bounds the segments of one stream; past it those that left
	// the playlist go first.
	MaxHLSStreamBytes = 256 << 20
)

// Deadlines of a peer that does not get on with it.
const (
	// HandshakeTimeout bounds the RTMP handshake and an HTTP request head.
	HandshakeTimeout = 5 * time.Second
	// IdentifyTimeout bounds the time from accept to publish, play or GET.
	IdentifyTimeout = 10 * time.Second
	// KeepAliveTimeout bounds the idle time between two HTTP requests.
	KeepAliveTimeout = 60 * time.Second
	// StallTimeout closes a viewer whose socket took no byte for so long.
	StallTimeout = 10 * time.Second
	// ParkTimeout bounds how long a request for a stream to come is held.
	ParkTimeout = 10 * time.Second
	// LingerTimeout bounds how long a connection that is being closed may take to read its last bytes.
	LingerTimeout = 5 * time.Second
	// AcceptRetry is the pause of accept after file descriptors ran out.
	AcceptRetry = 100 * time.Millisecond
	// BudgetRetry is the pause of a publisher for whose message the process has no room.
	BudgetRetry = 50 * time.Millisecond
	// PauseTimeout bounds how long a player may stay paused.
	PauseTimeout = 10 * time.Minute
	// WaitTimeout bounds how long an RTMP player waits for a publisher.
	WaitTimeout = 60 * time.Second
)

// Bounds of the replicated state; what an operator may ask for.
const (
	// MaxConfigBytes bounds the config of domains and apps as JSON, as it is
	// sent to the API and as a raft entry.
	MaxConfigBytes = 4 << 20
	// MaxDomains bounds the domains of a cluster.
	MaxDomains = 1024
	// MaxApps bounds the apps of all domains together.
	MaxApps = 4096
	// MaxAliases bounds the aliases of one domain.
	MaxAliases = 64
	// MaxPublishKeys bounds the publish keys of one app: each may cost a key
	// derivation of some milliseconds for every publish.
	MaxPublishKeys = 16
	// MaxPublishKey bounds one publish key, in bytes.
	MaxPublishKey = 255
	// MaxSnapshotBytes bounds a snapshot of the replicated state.
	MaxSnapshotBytes = 1 << 30
	// MaxAdminConns bounds the connections to the admin port.
	MaxAdminConns = 256
	// MaxAdminBody bounds the body of an admin request other than a config.
	MaxAdminBody = 64 << 10
)
