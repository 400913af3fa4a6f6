// Gives fragmented MP4s to a browser's Media Source Extensions and plays them all
// at once. Says as JSON, for each, what is buffered, in seconds, what was played,
// and what went wrong.
//   node mse.mjs FILE TYPE [FILE TYPE ...]
// TYPE is a media type with codecs, such as video/mp4; codecs="avc1.42c00b,mp4a.40.2".
import { readFileSync } from 'node:fs';
import { launch } from './chromium.mjs';

const args = process.argv.slice(2);
const files = [];
while (args.length > 0) files.push({ base64: readFileSync(args.shift()).toString('base64'), mime: args.shift() });
const browser = await launch();
try {
  const page = await browser.newPage();
  console.log(JSON.stringify(await page.evaluate((all) => Promise.all(all.map(async ({ base64, mime }) => {
    const report = { supported: MediaSource.isTypeSupported(mime), buffered: [], played: 0, width: 0, height: 0, error: '' };
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const video = document.createElement('video');
    const source = new MediaSource();
    const event = (target, name) => new Promise((ok, fail) => {
      target.addEventListener(name, ok, { once: true });
      target.addEventListener('error', () => fail(new Error(`${name}: ${video.error?.message ?? 'error'}`)), { once: true });
    });
    try {
      video.src = URL.createObjectURL(source);
      document.body.append(video);
      await event(source, 'sourceopen');
      const buffer = source.addSourceBuffer(mime);
      buffer.appendBuffer(bytes);
      await event(buffer, 'updateend');
      for (let i = 0; i < buffer.buffered.length; i++) report.buffered.push([buffer.buffered.start(i), buffer.buffered.end(i)]);
      source.endOfStream();
      video.currentTime = buffer.buffered.start(0);
      const ended = event(video, 'ended');
      await video.play();
      await ended;
      Object.assign(report, { played: video.currentTime, width: video.videoWidth, height: video.videoHeight });
    } catch (e) {
      report.error = String(e);
    }
    return report;
  })), files)));
} finally {
  await browser.close();
}
