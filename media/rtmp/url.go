package rtmp

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"tmms/media"
)

// Default ports of the schemes.
const (
	portRTMP  = 1935
	portRTMPS = 443
)

// URL is what a client dials and asks for: rtmp://host[:port]/app/stream[?query].
type URL struct {
	TLS    bool   // scheme rtmps
	Host   string // without port and brackets
	Port   uint16
	App    string // query included
	Stream string // query included
}

// ParseURL takes a URL apart. The app is the path up to the last slash in
// front of the stream's query; a query on the app stays with it. Without a
// port rtmp means 1935 and rtmps 443.
func ParseURL(s string) (URL, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	if !ok || (scheme != "rtmp" && scheme != "rtmps") {
		return URL{}, fmt.Errorf("%w: %q does not start with rtmp:// or rtmps://", ErrURL, s)
	}
	u := URL{TLS: scheme == "rtmps", Port: portRTMP}
	if u.TLS {
		u.Port = portRTMPS
	}
	authority, path, _ := strings.Cut(rest, "/")
	var port string
	u.Host, port = splitAuthority(authority)
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return URL{}, fmt.Errorf("%w: %q has the port %q", ErrURL, s, port)
		}
		u.Port = uint16(n)
	}
	u.App, u.Stream = splitPath(path)
	if u.Host == "" || u.App == "" || u.Stream == "" {
		return URL{}, fmt.Errorf("%w: %q is not rtmp://host/app/stream", ErrURL, s)
	}
	return u, nil
}

// splitPath cuts app[?query]/stream[?query] at the last slash in front of the
// stream's query.
func splitPath(path string) (app, stream string) {
	path = strings.TrimLeft(path, "/")
	name, query, _ := strings.Cut(path, "?")
	i := strings.LastIndexByte(name, '/')
	if i < 0 { // the first query is the app's
		slash := strings.IndexByte(query, '/')
		if slash < 0 {
			return "", ""
		}
		i = len(name) + 1 + slash
	}
	return strings.TrimRight(path[:i], "/"), path[i+1:]
}

// Address is host:port, with brackets around an IPv6 literal.
func (u URL) Address() string {
	return u.hostInURL() + ":" + strconv.Itoa(int(u.Port))
}

// TcURL is the URL without the stream, as the connect command carries it.
func (u URL) TcURL() string {
	s, std := "rtmp://", uint16(portRTMP)
	if u.TLS {
		s, std = "rtmps://", portRTMPS
	}
	if u.Port == std {
		return s + u.hostInURL() + "/" + u.App
	}
	return s + u.Address() + "/" + u.App
}

func (u URL) hostInURL() string {
	if strings.Contains(u.Host, ":") {
		return "[" + u.Host + "]"
	}
	return u.Host
}

// splitAuthority takes user information, brackets and the port off.
func splitAuthority(s string) (host, port string) {
	s = s[strings.LastIndexByte(s, '@')+1:]
	if inside, ok := strings.CutPrefix(s, "["); ok {
		host, port, _ = strings.Cut(inside, "]")
		return host, strings.TrimPrefix(port, ":")
	}
	if strings.Count(s, ":") > 1 { // an IPv6 literal that lost its brackets
		return s, ""
	}
	host, port, _ = strings.Cut(s, ":")
	return host, port
}

// target is where a connect command points at.
type target struct {
	host, app, query string
}

// parseTarget joins what the connect command says about the place: the app
// field counts, tcUrl gives the host, and what the app field lacks.
func parseTarget(tcURL, appField string) (target, error) {
	if len(tcURL) > media.MaxQuery || len(appField) > media.MaxQuery {
		return target{}, fmt.Errorf("%w: tcUrl has %d bytes and app %d, the limit is %d",
			ErrLimit, len(tcURL), len(appField), media.MaxQuery)
	}
	var t target
	rest := tcURL
	if _, after, ok := strings.Cut(tcURL, "://"); ok {
		rest = after
	}
	place, urlQuery, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(place, "/")
	t.host, _ = splitAuthority(authority)

	app, query, hasQuery := strings.Cut(appField, "?")
	if t.app = cleanApp(app); t.app == "" {
		t.app = cleanApp(path)
	}
	if t.query = query; !hasQuery {
		t.query = urlQuery
	}
	return t, nil
}

// replaceHost is tcURL with another address, HOST:PORT; tcURL itself if there is
// none. One over TLS stays as it is: its port is another, and its name is the
// certificate's.
func replaceHost(tcURL, address string) string {
	if address == "" || !isPlain(tcURL) {
		return tcURL
	}
	scheme, rest, _ := strings.Cut(tcURL, "://")
	_, path, _ := strings.Cut(rest, "/")
	return scheme + "://" + address + "/" + path
}

// isPlain tells that a tcUrl is for RTMP without TLS.
func isPlain(tcURL string) bool {
	scheme, _, ok := strings.Cut(tcURL, "://")
	return ok && strings.EqualFold(scheme, "rtmp")
}

// cleanApp takes surrounding slashes and the default instance off. Any other
// instance stays, and makes the name one that validation refuses.
func cleanApp(s string) string {
	s = strings.Trim(s, "/")
	return strings.TrimSuffix(s, "/_definst_")
}

// splitStream takes the query and the container prefix off a stream name.
func splitStream(s string) (name, query string, hasQuery bool) {
	name, query, hasQuery = strings.Cut(s, "?")
	for _, prefix := range []string{"flv:", "mp4:"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest, query, hasQuery
		}
	}
	return name, query, hasQuery
}

// queryParam is the decoded value of the first parameter with that name.
func queryParam(query, name string) string {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		k, v, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(k); err != nil || key != name {
			continue
		}
		value, err := url.QueryUnescape(v)
		if err != nil {
			return v
		}
		return value
	}
	return ""
}
