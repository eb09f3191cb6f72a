/* In place of view-worker.ts: batch 1 fails; an epoch of 8 is never answered, and one of 9 ends the thread. */
import { parentPort } from 'node:worker_threads';

parentPort.on('message', ({ number, place, images }) => {
  if (place.epoch === 9) process.exit(7);
  if (place.epoch === 8) return;
  if (number === 1) return parentPort.postMessage({ number, failure: 'scripted failure' });
  const batch = { place, images, pixels: new Uint8Array(0), labels: new Float32Array(0) };
  parentPort.postMessage({ number, batch });
});
