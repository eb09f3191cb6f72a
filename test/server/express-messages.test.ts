import express from 'express';
import { afterEach, describe, expect, it } from 'vitest';
import { messageClasses } from '../../src/server/app.js';
import { startServer, type RunningServer } from '../../src/server/server.js';

let server: RunningServer | undefined;
afterEach(() => server?.close());

describe('messageClasses', () => {
  it("gives Express requests and responses that it leaves as they are, with all of Express's methods", async () => {
    const app = express();
    const kept: boolean[] = [];
    app.get('/', (req, res) => {
      kept.push(Object.getPrototypeOf(req) === messages.IncomingMessage?.prototype);
      kept.push(Object.getPrototypeOf(res) === messages.ServerResponse?.prototype);
      res.json({ query: req.query, app: req.app === app && res.app === app });
    });
    const messages = messageClasses(app);
    server = await startServer({ app, messages, host: '127.0.0.1', port: 0 });
    const answer = await fetch(`${server.url}/?k=5`);
    expect(await answer.json()).toEqual({ query: { k: '5' }, app: true });
    expect(kept).toEqual([true, true]);
  });
});
