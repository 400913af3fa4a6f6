// FFmpeg 8 as a publisher and a reader of Enhanced RTMP.
//   node ertmp.mjs push FILE URL            copies the file to the server, in its own pace
//   node ertmp.mjs read URL SECONDS CODECS  decodes what comes, and says what that was; CODECS are
//                                           announced by RTMP, "" for none
Promise.withResolvers ??= () => {
  let resolve, reject;
  const promise = new Promise((a, b) => { resolve = a; reject = b; });
  return { promise, resolve, reject };
};
const { Decoder, Demuxer, Muxer, avGetCodecName } = await import('node-av');

const [mode, ...args] = process.argv.slice(2);
await { push, read }[mode](...args);
process.exit(0); // a connection that is still open holds nothing up

async function push(file, url) {
  const input = await Demuxer.open(file);
  const output = await Muxer.open(url, { format: 'flv' });
  const index = input.streams.map((s) => output.addStream(s));
  const start = Date.now();
  for await (const packet of input.packets()) {
    if (!packet) break;
    const { timeBase } = input.streams[packet.streamIndex];
    const due = start + (Number(packet.dts) * timeBase.num * 1000) / timeBase.den;
    if (due > Date.now()) await new Promise((r) => setTimeout(r, due - Date.now()));
    await output.writePacket(packet, index[packet.streamIndex]);
    packet.free();
  }
  await output.close();
}

async function read(url, seconds, codecs) {
  const options = codecs ? { rtmp_enhanced_codecs: codecs } : {};
  const seen = {};
  const until = Date.now() + seconds * 1000;
  const report = (error) => {
    console.log(JSON.stringify({ streams: seen, error: error ?? '' }));
    process.exit(0);
  };
  setTimeout(report, seconds * 1000 + 15000); // it hangs where nothing comes
  let input;
  try {
    input = await Demuxer.open(url, { options: { ...options, probesize: '200000', analyzeduration: '2000000' } });
  } catch (e) {
    report(String(e));
  }
  const decoders = await Promise.all(input.streams.map((s) => Decoder.create(s).catch(() => null)));
  for (const s of input.streams) {
    const p = s.codecpar;
    seen[s.index] = { codec: avGetCodecName(p.codecId), width: p.width, height: p.height, rate: p.sampleRate, frames: 0 };
  }
  for await (const packet of input.packets()) {
    if (!packet || Date.now() > until) break;
    const decoder = decoders[packet.streamIndex];
    if (decoder) {
      for await (const frame of decoder.frames(packet)) {
        if (frame) seen[packet.streamIndex].frames++;
        frame?.free();
      }
    }
    packet.free();
  }
  report();
}
