package rtmp

import (
	"fmt"
	"math/bits"

	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/flv"
)

// command carries out one command. Encoders send them in any order and leave
// some out, so only connect is required; what is unknown is answered with
// _error if it asks for an answer, and never closes the connection.
func (c *ServerConn) command(cmd *command, streamID uint32) (Event, error) {
	switch cmd.name {
	case "connect":
		return Event{}, c.connect(cmd)
	case "createStream":
		c.createStream(cmd)
	case "publish":
		return c.publish(cmd, streamID)
	case "play":
		return c.play(cmd, streamID)
	case "deleteStream":
		return c.deleteStream(toUint32(cmd.arg(0).Float())), nil
	case "closeStream":
		return c.closeStream(streamID), nil
	case "FCUnpublish":
		return c.fcUnpublish(cmd), nil
	case "pause", "pauseRaw":
		return c.pause(cmd.arg(0).True(), streamID), nil
	default:
		c.courtesy(cmd, streamID)
	}
	return Event{}, nil
}

// connect answers with our window and chunk size (RTMP 1.0 section 7.2.1.1).
func (c *ServerConn) connect(cmd *command) error {
	if c.session != nil {
		c.fail(cmd, "NetConnection.Connect.Rejected", "connected already")
		return nil
	}
	info, t, err := parseConnect(cmd.object())
	if err != nil {
		return err
	}
	c.session = c.group.share(&serverSession{info: info, target: t}, cmd.object().Get("app").Text())
	c.sentWindow = defaultWindow
	c.out.buf = appendControl(c.out.buf, typeWindowAckSize, defaultWindow)
	c.out.buf = appendPeerBandwidth(c.out.buf, defaultWindow)
	c.out.buf = appendControl(c.out.buf, typeSetChunkSize, PlayChunkSize)
	reply := statusObject(levelStatus, "NetConnection.Connect.Success", "Connection succeeded.")
	// We write AMF0 only, whatever the peer would take.
	reply.Props = append(reply.Props, amf0.Property{Name: "objectEncoding", Value: amf0.Number(0)})
	if info.Caps != 0 || info.FourCCs != 0 { // old clients have small buffers for what they do not know
		reply.Props = append(reply.Props, capsProps(flv.VideoNames(), flv.AudioNames(), canForward, ServerCaps)...)
	}
	c.result(cmd, amf0.Object(
		amf0.Property{Name: "fmsVer", Value: amf0.String("FMS/3,0,1,123")},
		amf0.Property{Name: "capabilities", Value: amf0.Number(31)},
	), reply)
	return nil
}

// createStream gives the smallest free message stream id, from 1 on.
func (c *ServerConn) createStream(cmd *command) {
	id := uint32(bits.TrailingZeros32(^(c.streams | 1)))
	if id > media.MaxNetStreams {
		c.fail(cmd, "NetConnection.Call.Failed", "too many streams")
		return
	}
	c.streams |= 1 << id
	c.result(cmd, amf0.Null(), amf0.Number(float64(id)))
}

func (c *ServerConn) publish(cmd *command, streamID uint32) (Event, error) {
	if c.busy() {
		c.status(streamID, levelError, "NetStream.Publish.BadName", "This connection is in use.")
		return Event{}, nil
	}
	r, err := c.request(cmd, streamID, PhasePublish)
	if err != nil {
		return Event{}, err
	}
	r.PublishType = clip(cmd.arg(1).Text())
	c.leaveGroup()
	return Event{Kind: EventPublish, Request: r}, nil
}

func (c *ServerConn) play(cmd *command, streamID uint32) (Event, error) {
	if c.busy() {
		c.status(streamID, levelError, "NetStream.Play.Failed", "This connection is in use.")
		return Event{}, nil
	}
	r, err := c.request(cmd, streamID, PhasePlay)
	if err != nil {
		return Event{}, err
	}
	r.Start = -2
	if start := cmd.arg(1); start.Kind == amf0.KindNumber {
		r.Start = start.Num
	}
	return Event{Kind: EventPlay, Request: r}, nil
}

// busy reports whether the connection publishes or plays, or waits for a decision.
func (c *ServerConn) busy() bool { return c.phase != PhaseCommand || c.pending != nil }

// request makes the pending request of a publish or play command.
func (c *ServerConn) request(cmd *command, streamID uint32, wanted Phase) (*Request, error) {
	if c.session == nil {
		return nil, fmt.Errorf("%w: %q before connect", ErrProtocol, cmd.name)
	}
	r, err := newRequest(c.session.info, c.session.target, cmd.arg(0).Text(), streamID)
	c.pending, c.wanted = r, wanted
	return r, err
}

func (c *ServerConn) deleteStream(id uint32) Event {
	if id <= media.MaxNetStreams {
		c.streams &^= 1 << id
	}
	return c.closeStream(id)
}

// closeStream ends what runs on a message stream.
func (c *ServerConn) closeStream(id uint32) Event {
	if id != c.streamID {
		return Event{}
	}
	switch c.phase {
	case PhasePublish:
		c.status(id, levelStatus, "NetStream.Unpublish.Success", "Stream is now unpublished.")
		c.leave()
		return Event{Kind: EventUnpublish}
	case PhasePlay:
		c.leave()
		return Event{Kind: EventStop}
	default:
		return Event{}
	}
}

func (c *ServerConn) fcUnpublish(cmd *command) Event {
	c.send(0, "onFCUnpublish", 0, amf0.Null(),
		statusObject(levelStatus, "NetStream.Unpublish.Success", clip(cmd.arg(0).Text())))
	c.result(cmd, amf0.Null(), amf0.Value{})
	if c.phase != PhasePublish {
		return Event{}
	}
	return c.closeStream(c.streamID)
}

// pause tells the player that nothing more comes, or that it begins anew: players
// wait for the user control event before they drop what they have, or show what
// comes.
func (c *ServerConn) pause(paused bool, streamID uint32) Event {
	if c.phase != PhasePlay {
		return Event{}
	}
	changed := c.paused != paused
	c.paused = paused
	if paused {
		c.status(streamID, levelStatus, "NetStream.Pause.Notify", "Paused.")
		if changed {
			c.out.buf = appendUserControl(c.out.buf, userStreamEOF, c.streamID)
		}
	} else {
		if changed {
			c.out.buf = appendUserControl(c.out.buf, userStreamBegin, c.streamID)
		}
		c.status(streamID, levelStatus, "NetStream.Unpause.Notify", "Playing again.")
	}
	return Event{Kind: EventPause, Paused: paused}
}

// courtesy answers the commands that change nothing here.
func (c *ServerConn) courtesy(cmd *command, streamID uint32) {
	switch cmd.name {
	case "_result", "_error", "onStatus", "receiveAudio", "receiveVideo":
		// Answers are not answered; a player cannot be rid of one track.
	case "FCPublish":
		if c.session != nil {
			c.fcPublish = clip(cmd.arg(0).Text())
		}
		c.result(cmd, amf0.Null(), amf0.Value{})
	case "releaseStream", "_checkbw":
		c.result(cmd, amf0.Null(), amf0.Value{})
	case "FCSubscribe":
		c.send(0, "onFCSubscribe", 0, amf0.Null(),
			statusObject(levelStatus, "NetStream.Play.Start", clip(cmd.arg(0).Text())))
	case "getStreamLength":
		c.result(cmd, amf0.Null(), amf0.Number(0))
	case "seek":
		c.status(streamID, levelError, "NetStream.Seek.Failed", "A live stream cannot seek.")
	default:
		c.fail(cmd, "NetConnection.Call.Failed", "method not found")
	}
}

// result answers a command that asks for an answer, with its transaction id.
func (c *ServerConn) result(cmd *command, args ...amf0.Value) {
	if cmd.transaction != 0 {
		c.send(0, "_result", cmd.transaction, args...)
	}
}

func (c *ServerConn) fail(cmd *command, code, description string) {
	if cmd.transaction != 0 {
		c.send(0, "_error", cmd.transaction, amf0.Null(), statusObject(levelError, code, description))
	}
}
