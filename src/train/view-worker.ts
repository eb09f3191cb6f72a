/* A thread that makes views: see views.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../domain/errors.js';
import { createViewMaker, type BatchViewsOptions, type ViewReply, type ViewRequest } from './views.js';

const makeViews = createViewMaker(workerData as BatchViewsOptions);

parentPort?.on('message', ({ number, place, images }: ViewRequest) => {
  try {
    const batch = makeViews(place, images);
    const reply: ViewReply = { number, batch };
    parentPort?.postMessage(reply, [batch.pixels.buffer, batch.labels.buffer]);
  } catch (error) {
    const reply: ViewReply = { number, failure: messageOf(error) };
    parentPort?.postMessage(reply);
  }
});
