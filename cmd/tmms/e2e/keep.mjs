// Keeps a watch page with hls.js open until stdin ends. Says "playing" once its
// video plays, "elsewhere" once hls.js has a playlist from another server than the
// page's, and reports at the end, as JSON, the video's time over time, and of
// hls.js its errors and the addresses of the segments that were played.
//   node keep.mjs URL
import { launch } from './chromium.mjs';

const browser = await launch();
const report = { samples: [], errors: [], segments: [], status: '' };
const end = new Promise((resolve) => { process.stdin.on('end', resolve).on('close', resolve).resume(); });
try {
  const page = await browser.newPage({ viewport: { width: 1100, height: 800 } });
  // Listen to each instance that the page makes.
  await page.addInitScript(() => {
    let Listened;
    window.hlsErrors = [];
    window.hlsSegments = [];
    window.hlsElsewhere = false;
    Object.defineProperty(window, 'Hls', {
      get: () => Listened,
      set: (Hls) => {
        Listened = class extends Hls {
          constructor(config) {
            super(config);
            this.on(Hls.Events.ERROR, (_, data) => window.hlsErrors.push({ details: data.details, fatal: data.fatal, at: Date.now() }));
            this.on(Hls.Events.LEVEL_LOADED, (_, data) => { window.hlsElsewhere ||= new URL(data.details.url).host !== location.host; });
            this.on(Hls.Events.FRAG_CHANGED, (_, data) => window.hlsSegments.push(data.frag.url));
          }
        };
      },
    });
  });
  await page.goto(process.argv[2]);
  const sample = () => page.evaluate(() => ({
    time: document.querySelector('video').currentTime, errors: window.hlsErrors, segments: window.hlsSegments, elsewhere: window.hlsElsewhere,
    status: document.querySelector('[role=status]').textContent,
  }));
  let open = true, playing = 0, moved = 0;
  end.then(() => { open = false; });
  while (open) {
    const { time, errors, segments, elsewhere, status } = await sample();
    report.samples.push([Date.now(), time]);
    Object.assign(report, { errors, segments, status });
    if (time > 1 && playing++ === 0) console.log('playing');
    if (elsewhere && moved++ === 0) console.log('elsewhere');
    await Promise.race([page.waitForTimeout(250), end]);
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(report));
