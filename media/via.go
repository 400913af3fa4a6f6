package media

// ParamVia marks the query of a publisher or viewer whom another node has sent: whoever
// has it stays, so that nodes that see things differently do not send anybody round in
// circles. It is no part of what playlists carry on.
const ParamVia = "via"

// Via is the parameter as it is added to a query.
const Via = ParamVia + "=1"
