// Reads a fragmented MP4 with mp4box and says as JSON what is in it. What mp4box
// complains about goes to the standard error output.
//   node mp4.mjs FILE
import { readFileSync } from 'node:fs';
import { createFile, Log } from 'mp4box';

// It takes the mark of FLAC's last metadata block for one of a block to come.
const { error } = Log;
Log.error = (module, text, from) => {
  if (!text.startsWith("Parsing of box 'dfLa' read 38 more")) error(module, text, from);
};
Log.setLogLevel(Log.warn);
const bytes = readFileSync(process.argv[2]);
const file = Object.assign(createFile(), { styps: [], emsgs: [] }); // of which it expects one only
let info;
file.onError = (module, message) => { throw new Error(`${module}: ${message}`); };
file.onReady = (i) => { info = i; };
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
buffer.fileStart = 0;
file.appendBuffer(buffer);
file.flush();
if (!info) throw new Error('no moov box');
console.log(JSON.stringify({
  brands: info.brands,
  fragmented: info.isFragmented,
  fragments: file.moofs.length,
  events: file.boxes.filter((b) => b.type === 'emsg').map((b) => ({
    scheme: b.scheme_id_uri, value: b.value, time: b.presentation_time / b.timescale, size: b.message_data.length,
  })),
  tracks: info.tracks.map((t) => ({
    id: t.id, codec: t.codec, timescale: t.timescale,
    width: t.video?.width, height: t.video?.height, rate: t.audio?.sample_rate, channels: t.audio?.channel_count,
    samples: file.getTrackSamplesInfo(t.id).map((s) => ({
      dts: s.dts, cts: s.cts, duration: s.duration, size: s.size, sync: s.is_sync,
    })),
  })),
}));
