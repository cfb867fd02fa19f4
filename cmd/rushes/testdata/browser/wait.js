// Waiting with an end, for everything that a player may never do.

export const patience = 15_000; // ms

export function until(what, done, ms = patience) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const look = () => {
      const got = done();
      if (got) return resolve(got);
      if (performance.now() - start > ms) return reject(new Error(`waited ${ms} ms for ${what}`));
      setTimeout(look, 15);
    };
    look();
  });
}
