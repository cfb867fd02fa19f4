// Shaka Player behind the few calls that the test needs.
export class Shaka {
  fatal = [];
  notes = [];

  async open(video, url) {
    shaka.polyfill.installAll();
    this.player = new shaka.Player();
    this.player.addEventListener('error', ({ detail }) => {
      const list = detail.severity === shaka.util.Error.Severity.CRITICAL ? this.fatal : this.notes;
      list.push(`shaka ${detail.code} ${JSON.stringify(detail.data)}`);
    });
    for (const kind of ['stalldetected', 'gapjumped']) this.player.addEventListener(kind, () => this.notes.push(kind));
    await this.player.attach(video);
    this.player.configure({ abr: { enabled: false }, streaming: { bufferingGoal: 600, bufferBehind: 600 } });
    await this.player.load(url);
    this.force(0);
  }

  tracks() { // highest first, as the package lists them
    return this.player.getVariantTracks().sort((a, b) => b.height - a.height);
  }

  levels() {
    return this.tracks().map((t) => ({ width: t.width, height: t.height }));
  }

  force(level) {
    this.level = level;
    this.player.configure({ abr: { enabled: false } });
    this.player.selectVariantTrack(this.tracks()[level], true);
  }

  // arrived says whether the level that was forced is what comes.
  get arrived() {
    return this.tracks()[this.level].active;
  }

  auto() {
    this.player.configure({ abr: { enabled: true } });
  }

  buffered() {
    const info = this.player.getBufferedInfo();
    const list = (ranges) => ranges.map((r) => [r.start, r.end]);
    return { video: list(info.video), audio: list(info.audio) };
  }

  dateRanges() {
    return null; // looked at in hls.js
  }

  wallClock() {
    return this.player.getPlayheadTimeAsDate()?.toISOString() ?? '';
  }

  // images are the stills that the player itself finds, one for each time.
  async images(times) {
    const tracks = this.player.getImageTracks();
    const stills = [];
    for (const at of tracks.length ? times : []) {
      const t = await this.player.getThumbnails(tracks[0].id, at);
      if (t) stills.push({ at, from: t.startTime, to: t.startTime + t.duration, width: t.width, height: t.height, x: t.positionX, y: t.positionY, uri: t.uris[0] });
    }
    return { tracks: tracks.length, stills };
  }

  async close() {
    await this.player.destroy();
  }
}
