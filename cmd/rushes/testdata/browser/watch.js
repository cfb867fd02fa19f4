// What happens to the video element: seeks, plays over a time, what is counted on the way.
import { until } from './wait.js';

const rate = 4; // quick, and still slow enough for small pictures to be decoded

export async function seek(video, at) {
  video.currentTime = at; // seeking is true from here on
  await until(`a picture at ${at}`, () => !video.seeking && video.readyState >= 2);
}

// cross plays from one time to another. A jump is time that went by in the media and not on the clock.
export async function cross(video, from, to) {
  await seek(video, from);
  const seen = { from, to, seeks: 0, waits: 0, jump: 0, pictures: 0, last: 0 };
  const onSeek = () => { seen.seeks++; };
  const onWait = () => { seen.waits++; };
  let handle = 0;
  const onPicture = (_, meta) => {
    seen.pictures++;
    seen.last = meta.mediaTime;
    handle = video.requestVideoFrameCallback(onPicture);
  };
  video.playbackRate = rate;
  await video.play();
  video.addEventListener('seeking', onSeek);
  video.addEventListener('waiting', onWait);
  handle = video.requestVideoFrameCallback(onPicture);
  let media = video.currentTime, clock = performance.now();
  try {
    await until(`playing from ${from} to ${to}, at ${media}`, () => {
      const m = video.currentTime, c = performance.now();
      seen.jump = Math.max(seen.jump, m - media - rate * (c - clock) / 1000);
      [media, clock] = [m, c];
      return m >= to || video.ended;
    });
  } finally {
    video.removeEventListener('seeking', onSeek);
    video.removeEventListener('waiting', onWait);
    video.cancelVideoFrameCallback(handle);
    video.pause();
  }
  return seen;
}

// finish plays the last second and a half, and gives where the player says that all is over.
export async function finish(video) {
  await seek(video, video.duration - 1.5);
  video.playbackRate = rate;
  await video.play();
  await until('the end', () => video.ended);
  return video.currentTime;
}

// land seeks to a time and plays on for a quarter of a second.
export async function land(video, at) {
  await seek(video, at);
  const landed = video.currentTime;
  video.playbackRate = 1;
  await video.play();
  await until(`playing on from ${at}`, () => video.currentTime > landed + 0.25 || video.ended);
  video.pause();
  return { at, landed, reached: video.currentTime };
}

export function ranges(video) {
  const out = [];
  for (let i = 0; i < video.buffered.length; i++) out.push([video.buffered.start(i), video.buffered.end(i)]);
  return out;
}
