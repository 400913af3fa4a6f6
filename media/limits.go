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
	// MaxMetadata bounds the onMetaData that viewers get, with what the session
	// says itself; each viewer that joins is sent it. Real ones have 1 KiB.
	MaxMetadata = 16 << 10
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
	// MaxSharedSessions bounds the different connect commands that a loop keeps to
	// have each once for all players that sent the same, and MaxSharedSession the
	// bytes of the texts in one: real ones have 300 at most.
	MaxSharedSessions = 1024
	MaxSharedSession  = 1024
	// MaxNetStreams bounds the message streams that one RTMP connection may create.
	MaxNetStreams = 16
	// MaxControlOutput bounds unsent replies of one connection: a peer that
	// asks without reading is closed.
	MaxControlOutput = 64 << 10

	// MaxFourCCs bounds the codecs that a peer may announce in one list or map;
	// Enhanced RTMP v2 names eleven.
	MaxFourCCs = 64

	// MaxAMFDepth and MaxAMFNodes bound one AMF value.
	MaxAMFDepth = 32
	MaxAMFNodes = 4096

	// MaxName bounds each of domain, app and stream, in bytes.
	MaxName = 255
	// MaxQuery bounds the query string that rides on a stream name.
	MaxQuery = 4096

	// MaxNearest bounds the nodes that one client is told of: who tries sixteen in vain
	// has no way to any.
	MaxNearest = 16

	// MaxHTTPHead bounds a request line with its headers.
	MaxHTTPHead = 16 << 10

	// MaxWSPayload bounds a WebSocket frame from a viewer; viewers only send
	// control frames, which RFC 6455 section 5.5 bounds at 125 bytes.
	MaxWSPayload = 125

	// MaxTLSHandshakes bounds the TLS handshakes under way in the process, each
	// with a goroutine of its own; past it the oldest is closed.
	MaxTLSHandshakes = 1024
	// MaxTLSHandshakeBytes bounds what a peer may send until its TLS handshake is
	// over: a ClientHello with post-quantum keys has 2 KiB, and requests may follow.
	MaxTLSHandshakeBytes = 32 << 10
	// MaxTLSMoved bounds the connections that went from a loop to a goroutine of
	// their own, for protocols that loops do not speak.
	MaxTLSMoved = 8192
	// MaxTLSCerts bounds the certificates of viewers and publishers, and
	// MaxTLSFile each of their files: a chain of RSA certificates has 8 KiB.
	MaxTLSCerts = 1024
	MaxTLSFile  = 256 << 10

	// MaxNALUs bounds the NAL units of one access unit.
	MaxNALUs = 1024
	// MaxCodecConfig bounds a codec's configuration (sequence header), H.264
	// parameter sets sent in band included; real ones are far below 4 KiB.
	MaxCodecConfig = 64 << 10
	// MaxTimedMetadata bounds an ID3 tag in a transport stream, in bytes: it has to
	// fit into a PES packet of 64 KiB, and a cue is a few hundred.
	MaxTimedMetadata = 32 << 10
	// MaxHeldMetadata bounds the tags that wait for their track to be announced.
	MaxHeldMetadata = 16
	// MaxPublishedTracks bounds the tracks of one type in a stream: ids 0 to 7.
	// Encoders that send several pictures send five.
	MaxPublishedTracks = 8
	// MaxTracks bounds the track ids of packets: those that are published, and
	// above them one each for what lies beside a codec configuration, see [BesideTrack].
	MaxTracks = 2 * MaxPublishedTracks

	// LogMemory bounds the memory of a stream's log, in times of the bytes of packets
	// that it may keep: the index takes 80 bytes a packet, so that 10,000 tiny ones a
	// second would cost several times their size. Of real streams, with packets of 1 KiB
	// and more, the index takes a tenth, and packets near the size of a block leave half
	// of it empty at most.
	LogMemory = 2

	// MaxStreamsPerNode bounds the feeds that a node holds at once.
	MaxStreamsPerNode = 20000
	// MaxParkedRequests bounds the requests that wait for a playlist or a segment,
	// per loop: 10,000 players that come ahead of one stream, with room. One holds
	// 0.2 KB beside its connection, and its query.
	MaxParkedRequests = 16384
	// MaxViewerPipe bounds the bytes of a live stream between a loop and a viewer
	// over HTTP/2 or HTTP/3, in bytes: as much as a loop sends one viewer in a turn,
	// and little enough that a slow one skips rather than plays old pictures.
	MaxViewerPipe = 256 << 10
	// MaxHLSSessions bounds the addresses that are remembered as HLS viewers of one stream.
	MaxHLSSessions = 65536
	// MaxWaitingViewers bounds the viewers that wait for a publisher, per loop.
	MaxWaitingViewers = 16384
	// MaxHLSSegmentBytes bounds one open segment; past it a cut is forced.
	MaxHLSSegmentBytes = 64 << 20
	// MaxFragmentSamples bounds the frames of one track in an open fMP4 fragment:
	// six seconds of 10,000 frames a second. A frame costs 16 bytes beside its payload.
	MaxFragmentSamples = 65536
	// MaxFragmentEvents bounds the timed metadata, in bytes, that waits for the next
	// fMP4 fragment: two of the largest metadata messages.
	MaxFragmentEvents = 2 * MaxMessageData
	// MaxHLSParts bounds the parts of one segment: one of a minute in parts of 0.2 s
	// has 300.
	MaxHLSParts = 512
	// MaxHLSResume bounds what an index has for the next owner of its stream, in bytes:
	// some 60 numbers.
	MaxHLSResume = 640
	// MaxHLSInit bounds an initialization section, in bytes: the configurations of
	// a video and an audio track, and the boxes around them.
	MaxHLSInit = 2*MaxCodecConfig + 16<<10
	// MaxHLSStreamBytes bounds the segments of one stream; past it those that left
	// the playlist go first.
	MaxHLSStreamBytes = 256 << 20
	// MaxHLSNodeBytes bounds the segments that a node holds of all streams that
	// it pulls: those of 2,000 streams of 2 Mbit/s. A node takes a quarter of its
	// memory, if that is less.
	MaxHLSNodeBytes = 8 << 30
	// MaxHLSFileBytes bounds the files in memory that a node sends much-wanted
	// segments from, which come on top of the segments themselves: the playlists of
	// some 200 streams of 2 Mbit/s. Where there is no room, segments are copied.
	MaxHLSFileBytes = 512 << 20
)

// Deadlines of a peer that does not get on with it.
const (
	// HandshakeTimeout bounds the TLS handshake, the RTMP handshake and an HTTP request head.
	HandshakeTimeout = 5 * time.Second
	// IdentifyTimeout bounds the time from accept to publish, play or GET.
	IdentifyTimeout = 10 * time.Second
	// KeepAliveTimeout bounds the idle time between two HTTP requests.
	KeepAliveTimeout = 60 * time.Second
	// StallTimeout closes a viewer whose socket took no byte for so long.
	StallTimeout = 10 * time.Second
	// ParkTimeout bounds how long a request for a stream to come is held.
	ParkTimeout = 10 * time.Second
	// MaxBlockTimeout bounds the three target durations that a request for the next
	// part or segment of a stream is held: the longest groups that encoders make
	// have 20 s.
	MaxBlockTimeout = 60 * time.Second
	// LingerTimeout bounds how long a connection that is being closed may take to read its last bytes.
	LingerTimeout = 5 * time.Second
	// AcceptRetry is the pause of accept after file descriptors ran out.
	AcceptRetry = 100 * time.Millisecond
	// BudgetRetry is the pause of a publisher for whose message the process has no room.
	BudgetRetry = 50 * time.Millisecond
	// PauseTimeout bounds how long a player may stay paused.
	PauseTimeout = 10 * time.Minute
	// ReconnectTimeout is the drain time: how long an RTMP peer that was asked to
	// reconnect may stay, for its new connection and the next keyframe.
	ReconnectTimeout = 5 * time.Second
	// WaitTimeout bounds how long an RTMP player waits for a publisher.
	WaitTimeout = 60 * time.Second
)

// Bounds of viewers' connections with many requests at once: HTTP/2 and HTTP/3.
const (
	// MaxMultiplexConns bounds the connections of each of the two; one costs up to
	// 100 KiB with its goroutines and buffers.
	MaxMultiplexConns = 8192
	// MaxMultiplexStreams bounds the requests under way on one connection: a page
	// with many players, or a proxy, has that many at most (RFC 9113 section 6.5.2
	// wants 100 or more).
	MaxMultiplexStreams = 256
	// MaxMultiplexRequests bounds the requests under way on all of them, each with
	// a goroutine.
	MaxMultiplexRequests = 65536
	// MultiplexPing is how long a connection may be silent until it is asked for a
	// sign of life.
	MultiplexPing = 15 * time.Second
	// AltSvcAge is how long a client may remember that there is HTTP/3: a node that
	// has lost its UDP port is forgotten within it.
	AltSvcAge = time.Hour

	// HTTP2HeaderTable is the memory of header compression in each direction, in
	// bytes: the default of RFC 7541.
	HTTP2HeaderTable = 4096
	// HTTP2Frame is the largest frame that is taken, in bytes: the least that
	// RFC 9113 section 6.5.2 allows; requests are small.
	HTTP2Frame = 16 << 10
	// HTTP2ConnWindow and HTTP2StreamWindow bound the request bodies that are
	// buffered, in bytes: none is taken, and these are the least there can be.
	HTTP2ConnWindow   = 64 << 10
	HTTP2StreamWindow = 16 << 10

	// HTTP3StreamWindow bounds the bytes of a request that wait to be read: a head
	// of MaxHTTPHead and its frames. HTTP3ConnWindow bounds those of a connection.
	HTTP3StreamWindow = 32 << 10
	HTTP3ConnWindow   = 256 << 10
	// MaxHTTP3UniStreams bounds a client's own unidirectional streams: control and
	// two of QPACK (RFC 9114 section 6.2), and some of kinds to be ignored.
	MaxHTTP3UniStreams = 8
	// MaxHTTP3Handshakes is how many QUIC handshakes may be under way before
	// addresses are validated first, which takes a client one round trip more.
	MaxHTTP3Handshakes = 128
	// QUICIdleTimeout ends a QUIC connection whose peer is silent.
	QUICIdleTimeout = 30 * time.Second
)

// Bounds of the replicated state; what an operator may ask for.
const (
	// MaxConfigBytes bounds the config of domains and apps as JSON, as it is
	// sent to the API and as a raft entry: 10,000 apps have 2.6 MB with all
	// settings, and 1.3 MB more for a publish key each.
	MaxConfigBytes = 8 << 20
	// MaxDomains bounds the domains of a cluster.
	MaxDomains = 1024
	// MaxApps bounds the apps of all domains together: sixteen a domain. One takes
	// 300 bytes on each node.
	MaxApps = 16384
	// MaxConfigChanges bounds the differences between two configs that are listed;
	// the others are counted. One takes about 150 bytes.
	MaxConfigChanges = 4096
	// MaxRegions bounds the regions of clients' networks, and MaxRegionNetworks the
	// networks of all: IPv4 by countries has some 100,000 prefixes, which join to half
	// of that. One takes 25 bytes of the config and 150 on each node.
	MaxRegions        = 256
	MaxRegionNetworks = 65536
	// MaxAliases bounds the aliases of one domain.
	MaxAliases = 64
	// MaxPublishKeys bounds the publish keys of one app: each may cost a key
	// derivation of some milliseconds for every publish.
	MaxPublishKeys = 16
	// MaxPublishKey bounds one publish key, in bytes.
	MaxPublishKey = 255
	// MaxSnapshotBytes bounds a snapshot of the replicated state.
	MaxSnapshotBytes = 1 << 30
	// MaxBackupBytes bounds a backup that is restored: history, placements of
	// 100,000 streams and MaxNodes nodes, with room. Packed it has to fit into
	// MaxConfigBytes of the log; of a longer one the oldest parts are left out.
	MaxBackupBytes = 128 << 20
	// MaxAdminConns bounds the connections to the admin port.
	MaxAdminConns = 256
	// MaxAdminBody bounds the body of an admin request other than a config.
	MaxAdminBody = 64 << 10
)

// Bounds between the nodes of a cluster. A peer has shown a certificate, so
// these guard against a node that has gone wrong, and against strangers only
// where they say handshake.
const (
	// MaxNodeName bounds a node's name, in bytes: one label of a host name.
	MaxNodeName = 63
	// MaxNodeRoles bounds the roles in a node's certificate; there are three.
	MaxNodeRoles = 8
	// CertificateSerial is the length of a certificate's serial number in hex
	// digits: 127 bits at random, the first of them 1.
	CertificateSerial = 32
	// MaxRevocations bounds the certificates that are revoked at a time; each takes
	// 150 bytes of the state until it has ended by itself, within a year.
	MaxRevocations = 4096
	// MaxCertificateFile bounds a certificate, key or CA bundle file; a bundle
	// of two CAs has 2 KiB.
	MaxCertificateFile = 64 << 10

	// MaxSubscriptions bounds the relay subscriptions of one session: an edge
	// that wants more streams of one owner than this needs a second owner.
	MaxSubscriptions = 1024
	// MaxFabricUniStreams bounds the unidirectional streams that a peer has
	// open in one session: a subscription has one for its group, one for indexes, one for
	// the open segment and, while groups overlap or are abandoned, a few more (quic-go's
	// default is 100).
	MaxFabricUniStreams = 4 * MaxSubscriptions
	// MaxFabricStreams bounds the bidirectional streams that a peer has open in
	// one session: one a subscription, and a few short requests. A packet can open
	// all of them, at 1.6 KiB each.
	MaxFabricStreams = MaxSubscriptions + 256
	// FabricStreamWindow is the flow control window that a stream begins with:
	// a group of 20 Mbit/s needs 250 KB for a round trip of 100 ms.
	FabricStreamWindow = 512 << 10
	// MaxFabricStreamWindow bounds the unread bytes of one stream: 200 Mbit/s
	// at 100 ms are 2.5 MB in flight, and a window is renewed when half is used.
	MaxFabricStreamWindow = 6 << 20
	// FabricSessionWindow is the window that all streams of a session begin
	// with: 200 Mbit/s at 100 ms without waiting for it to grow.
	FabricSessionWindow = 4 << 20
	// MaxFabricSessionWindow bounds the unread bytes of one session.
	MaxFabricSessionWindow = 16 << 20
	// MaxFabricSessions bounds the sessions that peers have opened to a node:
	// 1,000 nodes with each of the protocols, and the lanes.
	MaxFabricSessions = 16384
	// MaxFabricPeerSessions bounds those of one peer for the relay, which may
	// stripe over a pool, and MaxFabricPlainSessions for any other protocol: one,
	// and those before it that are not known to have ended.
	MaxFabricPeerSessions  = 64
	MaxFabricPlainSessions = 8
	// MaxFabricDialerUniStreams bounds the unidirectional streams that who has dialed
	// a session has open in it: no protocol has any.
	MaxFabricDialerUniStreams = 8
	// MaxFabricHandshakes bounds the handshakes of strangers in flight; each
	// costs about 50 KB and a signature.
	MaxFabricHandshakes = 256
	// MaxFabricUnverified bounds those among them whose address is not proved
	// by a round trip (RFC 9000 section 8.1.2); past it the proof is asked for.
	MaxFabricUnverified = 32
	// MaxFabricHandshakesPerIP bounds those of one IPv4 address or one IPv6 /64.
	MaxFabricHandshakesPerIP = 64
	// MaxFabricPacket bounds a QUIC packet between nodes, in bytes: what fits
	// into 1,500 bytes with IPv6 and UDP (1,452) without the header of a
	// repair (17) and its length (2).
	MaxFabricPacket = 1433
	// MaxFabricRepairWindow bounds the packets in one repair: at 20 Mbit/s they
	// are 130 ms, and a repair costs a multiplication for each.
	MaxFabricRepairWindow = 256
	// FabricLanes is how many sessions side by side carry media to one node where
	// one's window may not suffice: their first windows together are a round trip
	// of 100 ms at 25 Mbit/s.
	FabricLanes = 8
	// MaxFabricPathPackets bounds the packets that are kept for one peer, to be
	// sent again: 150 ms at 300 Mbit/s, 6 MB.
	MaxFabricPathPackets = 4096
	// MaxFabricPathMemory bounds what is kept for all peers together.
	MaxFabricPathMemory = 128 << 20
	// MaxFabricKept bounds the nodes with which a session is kept though nobody needs
	// one: the origins, each of which costs five packets a second.
	MaxFabricKept = 64
	// MaxRaftConns bounds the raft connections that wait to be accepted.
	MaxRaftConns = 64
)

// Deadlines between the nodes of a cluster.
const (
	// FabricHandshakeTimeout bounds a dial, from the name's look-up to the
	// peer's greeting.
	FabricHandshakeTimeout = 5 * time.Second
	// FabricKeepAlive is the pause after which an idle session says that it lives.
	FabricKeepAlive = 750 * time.Millisecond
	// FabricKeepAliveClose is that of an origin's sessions that carry no media: what
	// is dead is found by a silence of a second and a half, in which one from it can
	// be lost and another still come.
	FabricKeepAliveClose = 400 * time.Millisecond
	// FabricSilence is how long nothing may come on a session until it is given up: a
	// keep-alive, which is sent again while it is lost, and a second for its answer.
	FabricSilence = 1750 * time.Millisecond
	// FabricQuietKeepAlive and FabricQuietSilence are those of the session on which an
	// edge follows the state: a mark comes every three seconds, and a thousand edges must
	// not cost a voter anything while there is nothing to say.
	FabricQuietKeepAlive = 3250 * time.Millisecond
	FabricQuietSilence   = 4250 * time.Millisecond
	// FabricIdleTimeout ends a session by QUIC's own rule, whatever happens here.
	FabricIdleTimeout = 10 * time.Second
	// FabricBackoffFirst bounds the pause after the first failed dial, and
	// FabricBackoffCap that after any; between them it doubles. The pause itself
	// is drawn at random below its bound.
	FabricBackoffFirst = 100 * time.Millisecond
	FabricBackoffCap   = 5 * time.Second
)

// Bounds of the membership between nodes. What a node says of itself fits into
// the 512 bytes that memberlist has for it because each part is bounded here.
const (
	// MaxNodeID bounds a node's id, a UUID as text, in bytes.
	MaxNodeID = 36
	// MaxPlace bounds a region, and a zone, in bytes.
	MaxPlace = 31
	// MaxNodeVersion bounds what is told of a node's version, in bytes.
	MaxNodeVersion = 31
	// MaxNodeAddress bounds an advertised HOST:PORT, in bytes.
	MaxNodeAddress = 90
	// MaxGossipKeys bounds the keys of the gossip: one in use, one that comes or goes.
	MaxGossipKeys = 2
	// MaxGossipStreams bounds the connections that others have open to the gossip
	// port, and MaxGossipStreamsPerIP those of one of them, by address.
	MaxGossipStreams      = 32
	MaxGossipStreamsPerIP = 8
	// MaxGossipStreamBytes bounds what one such connection may send: the state of
	// MaxNodes nodes, about 512 bytes each once compressed.
	MaxGossipStreamBytes = 2 << 20
	// MaxPeerAnswer bounds a listing that a node gives to another one's admin
	// port; a stream takes about 500 bytes of it.
	MaxPeerAnswer = 2 << 20
	// MaxPeerQueries bounds the listings that an admin port asks of other nodes at once.
	MaxPeerQueries = 64
)

// Bounds of the relay of streams between nodes (docs/relay.md).
const (
	// MaxRelayMessage bounds a message on a subscription's control stream; the
	// largest, Subscribe with eight hops, has 1.4 KiB.
	MaxRelayMessage = 4 << 10
	// MaxRelayHops bounds the nodes that a subscription may pass: edge, shield,
	// owner, with room for those that moved meanwhile.
	MaxRelayHops = 8
	// MaxRelayIndex bounds a segment index on the wire, and the initialization
	// sections that one index has. MaxRelaySegments bounds the segments in it: the
	// largest window and as many behind it, with room; MaxRelayInits the
	// initialization sections: one a codec change.
	MaxRelayIndex    = 512 << 10
	MaxRelaySegments = 512
	MaxRelayInits    = 64
	// MaxRelayCodecName bounds an RFC 6381 codec name; real ones have 30 bytes at most.
	MaxRelayCodecName = 128
	// MaxReorderBytes bounds the packets of one subscription that wait for
	// earlier ones: one largest message and four seconds of 16 Mbit/s.
	MaxReorderBytes = 16 << 20
	// MaxRelayPeerStreams bounds the bidirectional streams that a node has open at
	// another for the relay, over all its sessions: its subscriptions and pushes, and
	// as many that begin or end. Each takes 10 KiB.
	MaxRelayPeerStreams = 2 * MaxSubscriptions
	// MaxRelayPeerExcess is how many streams beyond that are refused on a session before
	// the session is ended: QUIC keeps a refused stream until the peer is done with it.
	MaxRelayPeerExcess = 64
	// MaxRelayUnknown bounds the streams of an owner whose headers have not come; one
	// takes 32 KiB, and more wait unread.
	MaxRelayUnknown = 256
	// MaxRelayLargeHeaders bounds those among them whose headers are larger than
	// that: 1.3 MiB at most, with all codec configs.
	MaxRelayLargeHeaders = 8
	// MaxRelayIndexStreams bounds the streams of segment indexes of one subscription:
	// one, and another while it ends.
	MaxRelayIndexStreams = 2
	// MaxRelayPartial bounds the buffers for the packets of one subscription that have
	// not come whole, where they are large: the largest packet, in a buffer that has
	// grown by half.
	MaxRelayPartial = MaxMessageVideo + MaxMessageVideo/2
	// MaxReorderGroups bounds the group streams that one subscription has open
	// beyond the one that is next.
	MaxReorderGroups = 64
	// RelayClockInterval is how often a node asks another for its clock, in a
	// session that it has dialed: two clocks drift 0.2 ms apart in it at the most.
	RelayClockInterval = 2 * time.Second
	// RelayClockQuick is the pause between the first RelayClockBurst questions,
	// and after an answer that contradicts those before.
	RelayClockQuick = 100 * time.Millisecond
	RelayClockBurst = 8
	// RelayClockTimeout bounds the wait for an answer: longer than a session lives
	// that carries nothing.
	RelayClockTimeout = FabricIdleTimeout
	// RelayClockRate is how many questions a second are answered in a session, and
	// RelayClockAhead how many at once: twice of what there are.
	RelayClockRate  = 20
	RelayClockAhead = 2 * RelayClockBurst
	// StandbyAckPause is the least time between two acknowledgements of packets by a
	// standby: the owner's send tick in a busy session. Those of indexes don't wait.
	StandbyAckPause = 20 * time.Millisecond
	// StandbyHold bounds the wait of an index for the standby's acknowledgement: a
	// round trip around the earth, and the time that a segment takes on its way.
	StandbyHold = 500 * time.Millisecond
	// StandbyPiece is the stream time after which the standby gets what is new of the
	// open segment, unless there are 64 KiB before: with all packets sent twice over a
	// path that is just wide enough for that, the rest of a segment takes as long.
	StandbyPiece = 200 * time.Millisecond
	// StandbyBehind is the stream time by which a standby in sync may be behind, for
	// no longer than StandbyHold at once: about a segment, the one that it would close.
	StandbyBehind = 2 * time.Second
	// StandbyPause is how long a standby that was lost is not taken for in sync again,
	// so that one on a bad path does not hold up an index now and then.
	StandbyPause = 5 * time.Second
	// MaxStandbyUnacked bounds the indexes of a stream that wait for the standby: parts
	// of 10 ms for StandbyHold, with room.
	MaxStandbyUnacked = 64
	// StandbyAdopt bounds the wait of a standby that has become the owner until the
	// stream is taken over: three tries to read what the cluster has of it.
	StandbyAdopt = 30 * time.Second
)

// Bounds of the control connections between nodes (tmms-control/1).
const (
	// MaxNodes bounds the nodes of a cluster; each follows the state and renews
	// a lease.
	MaxNodes = 4096
	// MaxControlFrame bounds one frame: a config on its way to the leader, with
	// its envelope.
	MaxControlFrame = MaxConfigBytes + 64<<10
	// MaxControlRequest bounds the request of a node that may not send configs.
	MaxControlRequest = 64 << 10
	// MaxControlPeerRequests bounds the requests of one node that are served at a
	// time: the claims of all its publishers after it has lost a leader, in waves. One
	// takes up to 80 KiB; and MaxControlPeerWatches those among them that stay.
	MaxControlPeerRequests = 512
	MaxControlPeerWatches  = 4
	// MaxControlLarge bounds the requests larger than MaxControlRequest that a node
	// takes at a time: configs, which come one by one.
	MaxControlLarge = 4
	// ControlChunk is the size of the parts in which a snapshot or a long list
	// is sent.
	ControlChunk = 256 << 10
	// MaxControlReply bounds a list that another node is asked for.
	MaxControlReply = 16 << 20
	// MaxWatchers bounds the nodes that follow the state from one voter.
	MaxWatchers = MaxNodes
	// MaxSeen bounds the nodes that are asked about in one request: those that fall
	// silent at a time. With more of them it is not they who are dead.
	MaxSeen = 64
	// MaxWitnesses bounds the origins that are asked about a silent one; MaxWitnessEdges
	// the edges that are asked in one round, for the next ones to be asked in the next,
	// and WitnessEdges those that are asked again and again once all were.
	MaxWitnesses    = 64
	MaxWitnessEdges = 256
	WitnessEdges    = 32
	// MaxReports bounds the reports that are kept of a silent node: those of a round.
	MaxReports = MaxWitnesses + MaxWitnessEdges
	// MaxAsking bounds the questions about silent nodes that are on their way at a time:
	// at 100 ms a question more than a round of them in the time of a round.
	MaxAsking = 128
	// MaxStandbyChoices bounds the standbys that the leader chooses at a time, twenty
	// times a lease: 128 streams a second, which then all send what they have.
	MaxStandbyChoices = 64
	// MaxReliefMoves bounds the streams that the leader takes from an origin at a time
	// which has too much to do: each change of the owner costs its readers a new run.
	MaxReliefMoves = 8
	// MaxHeldClaims bounds the claims that wait for a verdict on the stream's owner:
	// each is a request of another node, of about 80 KiB. MaxClaimHold is how long
	// one waits: as long as the verdict takes, a new leader's election before it too.
	MaxHeldClaims = 1024
	MaxClaimHold  = 4 * time.Second
)

// Bounds of how a node gets its certificate by a token (tmms-join/1), all of it before
// anything is known of who asks.
const (
	// JoinTokenID and JoinTokenSecret are the sizes of a token's parts, in bytes: the
	// one to tell tokens apart, the other not to be guessed.
	JoinTokenID     = 5
	JoinTokenSecret = 32
	// MaxJoinTokens bounds the tokens of a cluster, those among them that are used up
	// and have not ended: a few groups of edges, one token each, in a few regions.
	MaxJoinTokens = 64
	// MaxJoinUses bounds the nodes that one token lets in: more than MaxNodes, since
	// those of a group come and go.
	MaxJoinUses = 10_000
	// MinJoinTokenLife is enough for one node to start; MaxJoinTokenLife is how long
	// a group may grow until it is given the next.
	MinJoinTokenLife = time.Minute
	MaxJoinTokenLife = 30 * 24 * time.Hour
	// JoinedLife is how long a certificate is good that was given by a token: it is
	// renewed when two thirds of that have passed.
	JoinedLife = 30 * 24 * time.Hour
	// MaxJoinRequest bounds a request: a token, a name and a request for a certificate
	// of 400 bytes.
	MaxJoinRequest = 8 << 10
	// MaxJoinAnswer bounds the answer: the CAs, in a file of MaxCertificateFile at the
	// most, a certificate and the gossip's keys.
	MaxJoinAnswer = 2*MaxCertificateFile + 16<<10
	// MaxJoinGuests bounds the sessions of those who ask, each of which holds up to a
	// stream's first window, and MaxJoinGuestsPerIP those of one IPv4 address or one
	// IPv6 /64: one is over in a tenth of a second.
	MaxJoinGuests      = 16
	MaxJoinGuestsPerIP = 4
	// JoinRequestTimeout bounds the wait for the request, and JoinTimeout a session: a
	// command of the cluster waits for its disks.
	JoinRequestTimeout = 3 * time.Second
	JoinTimeout        = 12 * time.Second
	// JoinRate is how many requests a second are looked at, from all, and JoinBurst how
	// many at once; each costs a hash. JoinRatePerIP and JoinBurstPerIP are those of one
	// address, MaxJoinRated the addresses that are remembered for it.
	JoinRate       = 50
	JoinBurst      = 200
	JoinRatePerIP  = 1
	JoinBurstPerIP = 20
	MaxJoinRated   = 1024
	// JoinPatience is how long a node goes on asking while no origin gives an answer.
	JoinPatience = time.Minute
)

// Bounds of a publisher's way over another node to the owner of its stream.
const (
	// MaxPushText bounds a text or address that one node tells another for its
	// logs and listings, in bytes.
	MaxPushText = 255
	// MaxPushes bounds the publishers that other nodes forward to this one.
	MaxPushes = MaxPublisherConns
	// PushBuffer is what a forwarder gathers of one publisher before it sends.
	PushBuffer = 64 << 10
	// PushAckInterval is the pause after which the owner acknowledges what came.
	PushAckInterval = 500 * time.Millisecond
	// PushStallTimeout is how long an owner may leave what it was sent without an
	// acknowledgement before the publisher is closed: it is lost, or hopelessly late.
	PushStallTimeout = 3 * time.Second
	// PushOpenTimeout bounds one request to an owner, from the dial to the answer.
	PushOpenTimeout = 2 * time.Second
	// ClaimHold bounds how long a publisher waits whose stream has an owner that
	// can't be reached, until the cluster gives the stream up. Its input waits in
	// the socket.
	ClaimHold = 4 * time.Second
	// ResumeHold is how long a new owner holds a stream's first publisher for
	// other nodes to say how far they have got in the stream.
	ResumeHold = 500 * time.Millisecond
	// RehomeTimeout bounds how long a publisher waits whose stream has another owner,
	// until it is published there; RehomeRetry is the pause between two tries.
	RehomeTimeout = 2 * time.Second
	RehomeRetry   = 100 * time.Millisecond
	// HandOverWait bounds how long a stream that is to be handed over goes on until a
	// keyframe comes: most groups are shorter. Behind it the frames up to the next
	// keyframe are lost. HandOverHold bounds how long its publisher holds for it: the
	// standby's acknowledgement, the cluster's answer, and those of the way there.
	HandOverWait = 4 * time.Second
	HandOverHold = 10 * time.Second
	// ClaimRetry is the pause between two claims of the hold.
	ClaimRetry = 500 * time.Millisecond
)
