// The storyboard that any player can use: WebVTT whose cues name a part of a sheet. The browser parses the cues and
// decodes the sheets and the poster.
import { until } from './wait.js';

export async function storyboard(url) {
  const video = document.createElement('video');
  video.crossOrigin = 'anonymous';
  const track = document.createElement('track');
  track.kind = 'metadata';
  track.src = new URL('storyboard/storyboard.vtt', url);
  video.append(track);
  document.body.append(video);
  track.track.mode = 'hidden';
  await until('the storyboard', () => track.readyState >= HTMLTrackElement.LOADED);
  if (track.readyState === HTMLTrackElement.ERROR) throw new Error(`${track.src} cannot be loaded`);
  const sheets = new Map();
  const cues = [];
  for (const cue of track.track.cues) {
    const [name, xywh] = cue.text.split('#xywh=');
    const sheet = new URL(name, track.src).href;
    if (!sheets.has(sheet)) sheets.set(sheet, await picture(sheet));
    const [x, y, width, height] = xywh.split(',').map(Number);
    const { width: w, height: h } = sheets.get(sheet);
    cues.push({ from: cue.startTime, to: cue.endTime, inside: width > 0 && height > 0 && x + width <= w && y + height <= h });
  }
  video.remove();
  return { cues, poster: await picture(new URL('poster.jpg', url)) };
}

export async function picture(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  const bitmap = await createImageBitmap(await answer.blob());
  const size = { width: bitmap.width, height: bitmap.height };
  bitmap.close();
  return size;
}
