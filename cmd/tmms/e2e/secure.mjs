// Plays a watch page over HTTPS in Chromium for some seconds of media, and reports
// as JSON how long it played and by which protocols what it asked for came.
//   node secure.mjs URL SECONDS PROTOCOL SPKI
// PROTOCOL is h2 or h3. SPKI is the base64 SHA-256 of the public key of the server's
// certificate, which no authority has signed.
import { launch } from './chromium.mjs';

const [url, seconds, protocol, spki] = process.argv.slice(2);
const http3 = protocol === 'h3';
// Chromium tries HTTP/3 at once, instead of after an Alt-Svc, only where it is told to.
const browser = await launch([`--ignore-certificate-errors-spki-list=${spki}`,
  ...(http3 ? [`--origin-to-force-quic-on=${new URL(url).host}`] : [])], http3);
const report = { errors: [], played: 0, protocols: {} };
try {
  const context = await browser.newContext({ ignoreHTTPSErrors: !http3 });
  const page = await context.newPage();
  page.on('pageerror', (e) => report.errors.push(String(e)));
  page.on('requestfailed', (r) => report.errors.push(`${r.url()}: ${r.failure()?.errorText}`));
  await page.goto(url);
  const deadline = Date.now() + 60000;
  let first;
  do {
    await page.waitForTimeout(200);
    const { time, frames } = await page.evaluate(() => {
      const v = document.querySelector('video');
      return { time: v.currentTime, frames: v.getVideoPlaybackQuality().totalVideoFrames };
    });
    if (first === undefined && time > 0 && frames > 0) first = time;
    report.played = first === undefined ? 0 : time - first;
  } while (report.played < Number(seconds) && Date.now() < deadline);
  // By kind: the page, its files, playlists, segments, live streams.
  report.protocols = await page.evaluate(() => {
    const all = {};
    for (const e of [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]) {
      const kind = new URL(e.name).pathname.match(/\.\w+$/)?.[0] ?? '/';
      (all[kind] ??= []).push(e.nextHopProtocol);
    }
    return Object.fromEntries(Object.entries(all).map(([kind, by]) => [kind, [...new Set(by)]]));
  });
} catch (e) {
  report.errors.push(String(e));
} finally {
  await browser.close();
}
console.log(JSON.stringify(report));
