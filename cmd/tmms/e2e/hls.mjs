// Reads a multivariant playlist, its media playlist and every segment, judges
// the playlists with hls-parser in strict mode, and writes the segments.
//   node hls.mjs URL FOLDER
import { writeFile } from 'node:fs/promises';
import HLS from 'hls-parser';

HLS.setOptions({ strictMode: true });
const [url, folder] = process.argv.slice(2);

async function text(u) {
  const res = await fetch(u);
  if (!res.ok) throw new Error(`${u}: ${res.status}`);
  return res.text();
}

const master = HLS.parse(await text(url));
if (!master.isMasterPlaylist || master.variants.length !== 1) throw new Error('not one variant');
const variant = master.variants[0];
for (const key of ['bandwidth', 'codecs', 'resolution']) {
  if (!variant[key]) throw new Error(`the variant has no ${key}`);
}
const mediaURL = new URL(variant.uri, url);
let last = -1;
for (let round = 0; round < 3; round++) {
  const list = HLS.parse(await text(mediaURL));
  if (list.isMasterPlaylist) throw new Error('not a media playlist');
  if (list.mediaSequenceBase < last) throw new Error('MEDIA-SEQUENCE fell');
  last = list.mediaSequenceBase;
  for (const s of list.segments) {
    if (Math.round(s.duration) > list.targetDuration) throw new Error(`EXTINF ${s.duration} over TARGETDURATION ${list.targetDuration}`);
    if (!s.programDateTime) throw new Error(`${s.uri} has no PROGRAM-DATE-TIME`);
    const res = await fetch(new URL(s.uri, mediaURL));
    if (!res.ok) throw new Error(`${s.uri}: ${res.status}`);
    if (res.headers.get('content-type') !== 'video/mp2t') throw new Error(`${s.uri}: ${res.headers.get('content-type')}`);
    await writeFile(`${folder}/${String(s.mediaSequenceNumber).padStart(12, '0')}.ts`, Buffer.from(await res.arrayBuffer()));
  }
  await new Promise((r) => setTimeout(r, 2000));
}
console.log('valid');
