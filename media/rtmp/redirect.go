package rtmp

import (
	"strings"

	"tmms/media"
	"tmms/media/amf0"
)

// redirectCode is the code of a redirect, in a property of the refusal: FMS has
// invented it, and SRS, its edges and its players understand it. FFmpeg, VLC and OBS
// do not; to them it is a refusal like any other.
const redirectCode = 302

// Redirect refuses what the peer has asked for, publish or play, and tells it to ask
// at address, HOST:PORT, with one more parameter in its query, NAME=VALUE; close after
// sending Output. Peers that do not know redirects, and those that came over TLS, whose
// certificate is for another name, see a refusal: so it is for what would be refused
// anyway. Without a request that waits it does nothing.
//
//	onStatus {level: "error", code: "NetConnection.Connect.Rejected", description,
//	          ex: {code: 302, redirect: tcUrl, redirect2: the whole URL}}
func (c *ServerConn) Redirect(address, parameter, description string) {
	if c.serverWork == nil || c.pending == nil {
		return
	}
	r := c.pending
	c.pending = nil
	info := statusObject(levelError, "NetConnection.Connect.Rejected", description)
	if isPlain(r.TcURL) && len(r.App) <= media.MaxName && len(r.Stream) <= media.MaxName {
		tcURL := withParameter(replaceHost(r.TcURL, address), parameter)
		ex := amf0.Object(
			amf0.Property{Name: "code", Value: amf0.Number(redirectCode)},
			amf0.Property{Name: "redirect", Value: amf0.String(tcURL)},
			amf0.Property{Name: "redirect2", Value: amf0.String(r.at(address, parameter))},
		)
		info.Props = append(info.Props, amf0.Property{Name: "ex", Value: ex})
	}
	c.send(0, "onStatus", 0, amf0.Null(), info)
}

// at is the URL of what is asked for, with its query and one more parameter, at
// another address.
func (r *Request) at(address, parameter string) string {
	u := "rtmp://" + address + "/" + r.App + "/" + r.Stream
	if r.Query != "" {
		u += "?" + r.Query
	}
	return withParameter(u, parameter)
}

// withParameter adds NAME=VALUE to the query of a URL; "" adds nothing.
func withParameter(u, parameter string) string {
	switch {
	case parameter == "":
		return u
	case strings.Contains(u, "?"):
		return u + "&" + parameter
	}
	return u + "?" + parameter
}

// redirectOf is the URL that a refusal sends to, for who asked for a stream; "": none.
// What SRS sends has changed: redirect was the whole URL once.
func redirectOf(info amf0.Value, stream string) string {
	ex := info.Get("ex")
	if ex.Get("code").Float() != redirectCode {
		return ""
	}
	if whole := ex.Get("redirect2").Text(); whole != "" {
		return whole
	}
	to := ex.Get("redirect").Text()
	name, _, _ := strings.Cut(stream, "?")
	place, _, _ := strings.Cut(to, "?")
	if to == "" || strings.HasSuffix(place, "/"+name) {
		return to
	}
	return to + "/" + stream
}
