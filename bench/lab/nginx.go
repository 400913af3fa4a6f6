package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"text/template"

	"golang.org/x/sys/unix"

	"tmms/bench/procstat"
)

// Where Debian's packages nginx and libnginx-mod-rtmp put them.
const (
	nginxProgram = "/usr/sbin/nginx"
	rtmpModule   = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
)

// maxFiles bounds what nginx allocates for connections at its start.
const maxFiles = 30_000

// Nginx is how an nginx is set up. Both of its roles may be there.
type Nginx struct {
	Name string
	RTMP bool   // nginx-rtmp, with the app "live"
	Tune string // lines of the app "live" and of its server
	Root string // folder of files to serve over HTTP; "": no HTTP
}

// nginxConfig is what an operator of one worker would write: no access log, and
// for files all that spares system calls.
const nginxConfig = `{{if .RTMP}}load_module {{.Module}};
{{end}}user {{.User}};
daemon off;
worker_processes 1;
worker_rlimit_nofile {{.Files}};
pid {{.Dir}}/nginx.pid;
error_log stderr error;
events { worker_connections {{.Files}}; }
{{if .RTMP}}rtmp {
  access_log off;
  server {
    listen {{.RTMPAddr}};
    {{.Tune}}
    application live { live on; }
  }
}
{{end}}{{if .Root}}http {
  types { application/vnd.apple.mpegurl m3u8; video/mp2t ts; }
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 65;
  keepalive_requests 1000000000;
  open_file_cache max=1000 inactive=60s;
  open_file_cache_valid 60s;
  client_body_temp_path {{.Dir}}/body;
  proxy_temp_path {{.Dir}}/proxy;
  fastcgi_temp_path {{.Dir}}/fastcgi;
  uwsgi_temp_path {{.Dir}}/uwsgi;
  scgi_temp_path {{.Dir}}/scgi;
  server { listen {{.HTTPAddr}} backlog=4096; root {{.Root}}; }
}
{{end}}`

// nginxFacts are what the config is made of.
type nginxFacts struct {
	Nginx

	Module, User, Dir  string
	Files              uint64 // descriptors that the worker may have
	RTMPAddr, HTTPAddr string
}

// Nginx starts an nginx with one worker, of the system's packages nginx and
// libnginx-mod-rtmp; master and worker are charged.
func (l *Lab) Nginx(ctx context.Context, n Nginx) (*Server, error) {
	facts, err := l.nginxFacts(ctx, n)
	if err != nil {
		return nil, err
	}
	text, err := facts.config()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(facts.Dir, "nginx.conf")
	if err = os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("lab: nginx: %w", err)
	}
	s := &Server{Name: n.Name, HTTP: facts.HTTPAddr, RTMP: facts.RTMPAddr}
	if err = l.start(ctx, s, nginxProgram, "-p", facts.Dir, "-e", "stderr", "-c", file); err != nil {
		return nil, err
	}
	addr := s.HTTP
	if addr == "" {
		addr = s.RTMP
	}
	ready := func() bool {
		s.Also, err = procstat.Children(s.PID)
		return err == nil && len(s.Also) == 1 && dials(ctx, addr)
	}
	return s, s.wait(ctx, ready)
}

func (f *nginxFacts) config() ([]byte, error) {
	var text bytes.Buffer
	if err := template.Must(template.New("nginx").Parse(nginxConfig)).Execute(&text, f); err != nil {
		return nil, fmt.Errorf("lab: nginx: %w", err)
	}
	return text.Bytes(), nil
}

func (l *Lab) nginxFacts(ctx context.Context, n Nginx) (*nginxFacts, error) {
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("lab: nginx: %w", err)
	}
	var files unix.Rlimit
	if err = unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return nil, fmt.Errorf("lab: nginx: %w", err)
	}
	f := &nginxFacts{Nginx: n, Module: rtmpModule, User: me.Username, Files: min(files.Max, maxFiles)}
	if f.Dir, err = os.MkdirTemp(l.dir, "nginx-"); err != nil {
		return nil, fmt.Errorf("lab: nginx: %w", err)
	}
	if n.RTMP {
		if _, err = os.Stat(rtmpModule); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("lab: \"make bench-deps\" installs what is missing: %w", err)
		}
		if f.RTMPAddr, err = freeAddr(ctx); err != nil {
			return nil, err
		}
	}
	if n.Root != "" {
		f.HTTPAddr, err = freeAddr(ctx)
	}
	return f, err
}

// freeAddr is a loopback address to listen on.
func freeAddr(ctx context.Context) (string, error) {
	port, err := freePort(ctx)
	return "127.0.0.1:" + port, err
}
