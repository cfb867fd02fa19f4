// hls.js behind the few calls that the test needs.
import { until } from './wait.js';

export class HlsJs {
  fatal = [];
  notes = [];
  ranges = {};

  async open(video, url) {
    // Everything is kept in the buffer, so that its ranges tell of every join.
    const hls = this.hls = new Hls({ startPosition: 0, startLevel: 0, maxBufferLength: 600, maxMaxBufferLength: 600, maxBufferSize: 1e9, backBufferLength: Infinity });
    hls.on(Hls.Events.ERROR, (_, e) => {
      if (e.details === Hls.ErrorDetails.INTERNAL_ABORTED) return; // what was being loaded when the level was switched
      (e.fatal ? this.fatal : this.notes).push(`${e.type} ${e.details} ${e.error?.message ?? ''} ${e.frag?.url ?? ''}`.trim());
    });
    hls.on(Hls.Events.FRAG_BUFFERED, (_, { frag }) => { this.arrived ||= frag.type === 'main' && frag.level === this.order()[this.level]; });
    hls.on(Hls.Events.BUFFER_APPENDED, (_, e) => { this.ranges = e.timeRanges; });
    const ready = new Promise((resolve) => { hls.once(Hls.Events.MANIFEST_PARSED, resolve); });
    hls.attachMedia(video);
    hls.loadSource(url);
    await until('the manifest', () => this.fatal.length || this.hls.levels.length);
    if (this.fatal.length) throw new Error(this.fatal[0]);
    await ready;
    this.force(0);
  }

  // order gives hls.js's numbers of the levels, highest first.
  order() {
    const { levels } = this.hls;
    return levels.map((_, i) => i).sort((a, b) => levels[b].height - levels[a].height);
  }

  levels() {
    return this.order().map((i) => ({ width: this.hls.levels[i].width, height: this.hls.levels[i].height }));
  }

  force(level) {
    this.ranges = {};
    this.level = level;
    this.arrived = false;
    this.hls.currentLevel = this.order()[level];
  }

  auto() {
    this.hls.currentLevel = -1;
  }

  // buffered are the ranges of each kind of media.
  buffered() {
    return { video: list(this.ranges.video), audio: list(this.ranges.audio) };
  }

  // dateRanges are the joins as hls.js sees them, with the wall clock's time there.
  dateRanges() {
    const details = this.hls.levels[this.hls.currentLevel < 0 ? 0 : this.hls.currentLevel].details;
    return Object.values(details.dateRanges).map((r) => ({ id: r.id, class: r.class, start: r.startDate.toISOString(), duration: r.duration, mediaTime: r.attr.decimalFloatingPoint('X-MEDIA-TIME') }));
  }

  wallClock() {
    return this.hls.playingDate?.toISOString() ?? '';
  }

  async images() {
    return null; // hls.js has none of its own; see storyboard.js
  }

  async close() {
    this.hls.destroy();
  }
}

function list(ranges) {
  const out = [];
  for (let i = 0; ranges && i < ranges.length; i++) out.push([ranges.start(i), ranges.end(i)]);
  return out;
}
