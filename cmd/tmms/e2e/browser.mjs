// Opens a page with a <video> in Chromium, waits until it has played for some
// seconds of media, and reports what it saw as JSON.
//   node browser.mjs URL SECONDS SCREENSHOT.png
import { launch } from './chromium.mjs';

const [url, seconds, screenshot] = process.argv.slice(2);
const browser = await launch();
const report = { errors: [] };
try {
  const page = await browser.newPage({ viewport: { width: 1100, height: 800 } });
  page.on('console', (m) => { if (m.type() === 'error') report.errors.push(m.text()); });
  page.on('pageerror', (e) => report.errors.push(String(e)));
  page.on('requestfailed', (r) => report.errors.push(`${r.url()}: ${r.failure()?.errorText}`));
  await page.goto(url);
  const watch = () => page.evaluate(() => {
    const v = document.querySelector('video');
    const q = v.getVideoPlaybackQuality();
    return {
      time: v.currentTime, width: v.videoWidth, height: v.videoHeight, paused: v.paused,
      frames: q.totalVideoFrames, dropped: q.droppedVideoFrames, status: document.querySelector('[role=status]')?.textContent,
    };
  });
  const deadline = Date.now() + 30000;
  let first;
  do {
    await page.waitForTimeout(200);
    Object.assign(report, await watch());
    if (first === undefined && report.time > 0 && report.frames > 0) first = report.time;
    report.played = first === undefined ? 0 : report.time - first;
  } while (report.played < Number(seconds) && Date.now() < deadline);
  await page.screenshot({ path: screenshot });
  // What is lit in the middle of the picture: a black one has no spread.
  report.spread = await page.evaluate(() => {
    const v = document.querySelector('video');
    const c = document.createElement('canvas');
    c.width = 64; c.height = 36;
    const g = c.getContext('2d');
    g.drawImage(v, 0, 0, 64, 36);
    const d = g.getImageData(0, 0, 64, 36).data;
    let lo = 255, hi = 0;
    for (let i = 0; i < d.length; i += 4) { lo = Math.min(lo, d[i]); hi = Math.max(hi, d[i]); }
    return hi - lo;
  });
} catch (e) {
  report.errors.push(String(e));
} finally {
  await browser.close();
}
console.log(JSON.stringify(report));
