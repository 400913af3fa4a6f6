package origin

// Held is the number of streams that this node has, those in their grace included.
func (o *Origin) Held() int { return o.sessions.Len() }

// Publishers is the number of connections that publish, those whose stream another
// node owns included.
func (o *Origin) Publishers() int64 { return o.server.Publishers() }
