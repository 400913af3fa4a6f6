// Plays a stream with a clock in its picture and reports how old each picture was
// when it was shown. The query says what to play, by which player and for how long.
(async function () {
  'use strict';

  const query = new URLSearchParams(location.search);
  const [warmup, duration, start] = ['warmup', 'duration', 'start'].map((k) => Number(query.get(k)));
  const video = document.getElementById('video');
  const report = { delays: [], misread: 0, waits: 0, errors: [] };

  // As clock.go draws it.
  const width = 320, height = 180, columns = 10, rows = 4;
  const cellWidth = width / columns, cellHeight = height / rows;
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width, height });
  const pen = canvas.getContext('2d', { willReadFrequently: true });

  // The mean of what lies in the middle of a cell.
  function shade(pixels, row, column) {
    let sum = 0, n = 0;
    const y0 = Math.floor((row + 0.5) * cellHeight), x0 = Math.floor((column + 0.5) * cellWidth);
    for (let y = y0 - 4; y < y0 + 4; y++) {
      for (let x = x0 - 4; x < x0 + 4; x++, n++) {
        sum += pixels[4 * (y * width + x)];
      }
    }
    return sum / n;
  }

  // The clock in the picture, unix milliseconds modulo 2^32; null if there is none.
  function clock() {
    pen.drawImage(video, 0, 0, width, height);
    const pixels = pen.getImageData(0, 0, width, height).data;
    const bytes = [0, 0, 0, 0, 0];
    for (let i = 0; i < rows * columns; i++) {
      const bit = shade(pixels, Math.floor(i / columns), i % columns) > 128 ? 1 : 0;
      bytes[i >> 3] = bytes[i >> 3] << 1 | bit;
    }
    const sum = (bytes[0] + bytes[1] + bytes[2] + bytes[3] & 0xFF) ^ 0xA5;
    return sum === bytes[4] ? (bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]) >>> 0 : null;
  }

  let sent = false;
  function send() {
    if (!sent) {
      sent = true;
      fetch('/report', { method: 'POST', body: JSON.stringify(report) });
    }
  }

  function fail(text) {
    report.errors.push(text);
    send();
  }

  let first;
  function shown(now, meta) {
    const at = performance.timeOrigin + Math.max(now, meta.expectedDisplayTime);
    const drawn = clock();
    if (first === undefined && drawn !== null) {
      first = at;
    }
    if (first !== undefined && at >= first + warmup) {
      if (drawn === null) {
        report.misread++;
      } else {
        report.delays.push((Math.round(at) - drawn) % 2 ** 32);
      }
    }
    if (first !== undefined && at >= first + warmup + duration) {
      send();
      return;
    }
    video.requestVideoFrameCallback(shown);
  }

  function load(name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.src = query.get('assets') + '/assets/' + name;
      script.onload = resolve;
      script.onerror = () => reject(new Error(script.src + ' is not there'));
      document.head.append(script);
    });
  }

  async function playFLV(url) {
    await load('mpegts.js');
    const player = mpegts.createPlayer({ type: 'flv', isLive: true, url, hasAudio: false }, {
      enableStashBuffer: false, liveSync: true, liveSyncTargetLatency: 0.3, liveSyncMaxLatency: 0.6,
      liveSyncPlaybackRate: 1.5, autoCleanupSourceBuffer: true,
    });
    player.on(mpegts.Events.ERROR, (kind, detail) => fail(kind + ' ' + detail));
    player.attachMediaElement(video);
    player.load();
  }

  async function playHLS(url, lowLatencyMode) {
    await load('hls.min.js');
    const player = new Hls({ lowLatencyMode, maxLiveSyncPlaybackRate: 1.2 });
    player.on(Hls.Events.ERROR, (_, data) => data.fatal && fail(data.details));
    player.loadSource(url);
    player.attachMedia(video);
  }

  setTimeout(() => fail(first === undefined ? 'no picture in time' : 'the picture stands still'), start + warmup + duration - 5000);
  video.addEventListener('waiting', () => { report.waits += first === undefined ? 0 : 1; });
  video.requestVideoFrameCallback(shown);
  try {
    const [url, player] = [query.get('url'), query.get('player')];
    await (player === 'flv' ? playFLV(url) : playHLS(url, player === 'llhls'));
    await video.play();
  } catch (e) {
    fail(String(e));
  }
})();
