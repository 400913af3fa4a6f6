// The watch page: picks mpegts.js for FLV and hls.js (or the browser's own HLS)
// for playlists. The stream comes from /watch/APP/STREAM or ?stream=APP/STREAM;
// ?by=flv|ws|hls chooses the way, other parameters (token, domain) are passed on.
(function () {
  'use strict';

  const $ = (id) => document.getElementById(id);
  const video = $('video');
  const params = new URLSearchParams(location.search);
  let player = null;
  let nudge = 0; // timer of keepGoing

  function say(text, bad) {
    $('status').textContent = text;
    $('status').classList.toggle('bad', Boolean(bad));
  }

  function clean(name) {
    return name.trim().replace(/^\/+|\/+$/g, '');
  }

  // The query that the stream's own URLs carry on.
  function passedOn() {
    const rest = new URLSearchParams(params);
    rest.delete('stream');
    rest.delete('by');
    const s = rest.toString();
    return s ? '?' + s : '';
  }

  function base(name) {
    return location.origin + '/' + name.split('/').map(encodeURIComponent).join('/');
  }

  // Each time that its sound runs dry, Chromium waits for more of it before it
  // goes on, up to three seconds. A seek makes it forget that, so one is made where
  // it stands still though there is enough to go on with.
  const ENOUGH = 0.4; // seconds
  function keepGoing() {
    clearInterval(nudge);
    let moved = 0; // when we last did
    nudge = setInterval(() => {
      const at = video.currentTime;
      const stuck = !video.paused && !video.seeking && video.readyState === HTMLMediaElement.HAVE_CURRENT_DATA;
      if (!stuck || performance.now() - moved < 1000) {
        return;
      }
      for (let i = 0; i < video.buffered.length; i++) {
        if (video.buffered.start(i) <= at && video.buffered.end(i) - at >= ENOUGH) {
          moved = performance.now();
          video.currentTime = at + 0.001;
          return;
        }
      }
    }, 100);
  }

  function stop() {
    clearInterval(nudge);
    if (player) {
      player.destroy();
      player = null;
    }
    video.removeAttribute('src');
    video.load();
  }

  function start() {
    video.play().catch(() => say('Press play in the picture to start.'));
  }

  function playFLV(url, live) {
    if (!window.mpegts || !mpegts.isSupported()) {
      return false;
    }
    const p = mpegts.createPlayer(
      { type: 'flv', isLive: true, url: url },
      { enableStashBuffer: false, liveSync: true, liveSyncTargetLatency: 1, liveSyncMaxLatency: 4, autoCleanupSourceBuffer: true }
    );
    p.on(mpegts.Events.ERROR, (kind, detail) => say('Cannot play: ' + kind + ' ' + detail, true));
    p.on(mpegts.Events.LOADING_COMPLETE, () => say('The stream has ended.'));
    p.attachMediaElement(video);
    p.load();
    player = p;
    say('Playing ' + live + ' by FLV.');
    keepGoing();
    start();
    return true;
  }

  // A node that is being emptied sends us to another one, and then it ends: whoever
  // went on asking it for the playlist would lose the stream. So the level is asked
  // for where it was found, without what blocked the request (RFC 8216bis section
  // 6.2.5).
  function follow(level, found) {
    const url = new URL(found);
    ['_HLS_msn', '_HLS_part', '_HLS_skip'].forEach((name) => url.searchParams.delete(name));
    if (url.origin !== new URL(level.uri).origin) {
      level.url = [url.href];
    }
  }

  function playHLS(url, live) {
    if (window.Hls && Hls.isSupported()) {
      const h = new Hls();
      h.on(Hls.Events.LEVEL_LOADED, (_, data) => follow(h.levels[data.level], data.details.url));
      h.on(Hls.Events.ERROR, (_, data) => {
        if (data.fatal) {
          say('Cannot play: ' + data.details, true);
        }
      });
      h.loadSource(url);
      h.attachMedia(video);
      player = h;
    } else if (video.canPlayType('application/vnd.apple.mpegurl')) {
      video.src = url;
    } else {
      return false;
    }
    say('Playing ' + live + ' by HLS.');
    start();
    return true;
  }

  function show(name) {
    const q = passedOn();
    $('link-rtmp').textContent = 'rtmp://' + location.hostname + '/' + name + q;
    $('link-flv').textContent = base(name) + '.flv' + q;
    $('link-hls').textContent = base(name) + '.m3u8' + q;
    $('links').hidden = false;
  }

  function play(name, by) {
    stop();
    name = clean(name);
    if (name.split('/').length !== 2) {
      say('A stream is app/stream, such as live/test.', true);
      return;
    }
    show(name);
    const q = passedOn();
    const flv = base(name) + '.flv' + q;
    const hls = base(name) + '.m3u8' + q;
    const ok = by === 'hls' ? playHLS(hls, name)
      : playFLV(by === 'ws' ? flv.replace(/^http/, 'ws') : flv, name) || playHLS(hls, name);
    if (!ok) {
      say('This browser can play neither FLV nor HLS.', true);
    }
  }

  $('form').addEventListener('submit', (e) => {
    e.preventDefault();
    const name = clean($('stream').value);
    const next = new URLSearchParams(params);
    next.set('stream', name);
    next.set('by', $('by').value);
    history.replaceState(null, '', '/?' + next);
    play(name, $('by').value);
  });

  const m = location.pathname.match(/^\/watch\/([^/]+\/[^/]+)\/?$/);
  const wanted = m ? decodeURIComponent(m[1]) : params.get('stream') || '';
  const by = params.get('by') || 'flv';
  $('by').value = ['flv', 'ws', 'hls'].includes(by) ? by : 'flv';
  $('stream').value = wanted;
  if (wanted) {
    play(wanted, $('by').value);
  }
})();
