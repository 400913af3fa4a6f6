// Judges media playlists with hls-parser in strict mode and says as JSON what is
// in each of them, one a line.
//   node playlists.mjs FILE...
import { readFileSync } from 'node:fs';
import HLS from 'hls-parser';

HLS.setOptions({ strictMode: true });
for (const name of process.argv.slice(2)) {
  let list;
  try {
    list = HLS.parse(readFileSync(name, 'utf8'));
  } catch (err) {
    throw new Error(`${name}: ${err.message}`, { cause: err });
  }
  if (list.isMasterPlaylist) throw new Error(`${name} is no media playlist`);
  const parts = list.segments.flatMap((s) => s.parts);
  console.log(JSON.stringify({
    version: list.version,
    first: list.mediaSequenceBase,
    skipped: list.skip,
    ended: list.endlist,
    partTarget: list.partTargetDuration,
    segments: list.segments.filter((s) => s.uri).map((s) => ({ uri: s.uri, duration: s.duration, map: s.map?.uri })),
    parts: parts.filter((p) => !p.hint).map((p) => p.uri),
    hint: parts.find((p) => p.hint)?.uri,
    reports: list.renditionReports.map((r) => ({ uri: r.uri, last: r.lastMSN })),
  }));
}
