package rtmp

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	// EventNone: all bytes are consumed and nothing happened that the caller must know.
	EventNone EventKind = iota
	// EventPublish: the peer wants to publish Request. Decide with AcceptPublish
	// or RejectPublish before the next Feed.
	EventPublish
	// EventPlay: the peer wants to play Request. Decide with AcceptPlay or
	// RejectPlay before the next Feed.
	EventPlay
	// EventMessage: an audio, video or data message.
	EventMessage
	// EventUnpublish: the peer stopped publishing; it may publish again.
	EventUnpublish
	// EventStop: the player stopped playing; it may play again.
	EventStop
	// EventPause: the player paused (Paused) or wants to go on (not Paused).
	EventPause
	// EventOverBudget: the process-wide budget has no room for the message that
	// a publisher is sending. Stop reading and feed the rest again later; give up
	// after a time of your own, since what is held may never become free.
	EventOverBudget
	// EventReady: only of a ClientConn: the server accepted to publish or play.
	EventReady
	// EventRefused: only of a ClientConn: the server refused with Status.
	EventRefused
	// EventEOF: only of a ClientConn: the stream that is played has ended.
	EventEOF
	// EventReconnect: only of a ClientConn: the server asks for a new connection, at
	// Status.TcURL if that is not "", before this one ends.
	EventReconnect
)

// Event is what Feed found.
type Event struct {
	Kind    EventKind
	Paused  bool     // EventPause
	Request *Request // EventPublish, EventPlay
	Status  *Status  // EventRefused, EventReconnect
	Message Message  // EventMessage
}

// Status is what an onStatus or _error command told.
type Status struct {
	Code        string // such as "NetStream.Publish.BadName"
	Description string // for people
	TcURL       string // EventReconnect: where to
	Redirect    string // EventRefused: the URL to ask at instead; "": none is known
}
