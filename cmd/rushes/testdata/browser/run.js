// Plays every package of /cases.json in both players and tells /result what happened. It judges nothing: the Go test
// does.
import { HlsJs } from './hlsjs.js';
import { Shaka } from './shaka.js';
import { storyboard, picture } from './storyboard.js';
import { until } from './wait.js';
import { cross, finish, land, ranges, seek } from './watch.js';

const players = { 'hls.js': HlsJs, shaka: Shaka };

// level plays all joins in one layer.
async function level(player, video, spec, i) {
  if (i > 0) {
    await seek(video, 0.1);
    player.force(i);
  }
  const want = player.levels()[i];
  await until(`level ${i}`, () => player.arrived);
  // One range or many: all is there when the last one reaches the end and nothing has moved for a while.
  let before = '', since = performance.now();
  await until('the whole buffer', () => {
    const now = JSON.stringify([ranges(video), player.buffered()]);
    if (now !== before) [before, since] = [now, performance.now()];
    return (ranges(video).at(-1)?.[1] ?? 0) > video.duration - spec.short - 0.3 && performance.now() - since > 250;
  });
  await seek(video, 0.2); // a player that stands still goes on showing the picture of before
  await until(`the pictures of level ${i}`, () => video.videoWidth === want.width && video.videoHeight === want.height);
  const out = { ...want, shown: { width: video.videoWidth, height: video.videoHeight }, buffered: ranges(video), ...player.buffered(), crossings: [] };
  for (const at of spec.joins) {
    let best;
    for (let attempt = 0; attempt < 3; attempt++) { // a hole stalls every time, a busy machine only now and then
      const seen = await cross(video, Math.max(at - 2, 0), Math.min(at + 2, spec.duration - 0.2));
      if (!best || seen.waits + seen.seeks < best.waits + best.seeks) best = seen;
      if (!best.waits && !best.seeks) break;
    }
    out.crossings.push({ at, ...best });
  }
  out.ended = await finish(video);
  return out;
}

async function play(name, spec, out) {
  const video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  const player = new players[name]();
  try {
    await player.open(video, spec.url);
    await until('the duration', () => video.readyState >= 2);
    out.duration = video.duration;
    out.found = player.levels();
    for (let i = 0; i < out.found.length; i++) out.levels.push(await level(player, video, spec, i));
    player.auto();
    for (const at of spec.joins) {
      for (const off of [-1, 0, 1]) out.seeks.push(await land(video, at + off));
      await seek(video, at + 0.5);
      out.clocks.push({ at: video.currentTime, wall: player.wallClock() });
    }
    out.dateRanges = player.dateRanges();
    out.images = await player.images([0.5, spec.duration / 2, spec.duration - 0.5]);
    for (const still of out.images?.stills ?? []) still.sheet = await picture(still.uri);
    out.pictures = video.getVideoPlaybackQuality().totalVideoFrames;
    out.sound = video.webkitAudioDecodedByteCount;
  } catch (e) {
    out.error = String(e.stack ?? e);
    out.state = { time: video.currentTime, ready: video.readyState, error: video.error?.message, buffered: ranges(video), ...player.buffered?.() };
  }
  out.fatal = player.fatal;
  out.notes = player.notes;
  await player.close().catch((e) => out.fatal.push(`closing: ${e}`));
  video.remove();
}

async function one(name, spec) {
  const out = { name: spec.name, player: name, levels: [], seeks: [], clocks: [] };
  const start = performance.now();
  try {
    out.storyboard = await storyboard(spec.url);
  } catch (e) {
    out.error = String(e.stack ?? e);
  }
  if (!out.error) await play(name, spec, out);
  out.took = Math.round(performance.now() - start);
  await fetch('/result', { method: 'POST', body: JSON.stringify(out) });
}

const cases = await (await fetch('/cases.json')).json();
const todo = cases.flatMap((spec) => Object.keys(players).map((name) => () => one(name, spec)));
const lane = async () => {
  for (let next = todo.shift(); next; next = todo.shift()) await next();
};
await Promise.all([lane(), lane(), lane()]);
