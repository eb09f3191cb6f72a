import { IncomingMessage, ServerResponse, type ServerOptions } from 'node:http';

import express, { type Express } from 'express';

/**
 * Classes for `createServer` whose instances are Express's own requests and responses from the start. Else Express
 * gives each message another prototype when it takes it over, which costs V8 every shape it had learned of them:
 * two thirds of what Express costs a request (docs/decisions/005).
 */
export function messageClasses(
  app: Express,
): Required<Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'>> {
  class AppRequest extends IncomingMessage {}
  class AppResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {}
  adopt(app, 'request', AppRequest.prototype);
  adopt(app, 'response', AppResponse.prototype);
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
}

/** Puts `prototype` where Express keeps the one that it gives to messages. */
function adopt(app: Express, kind: 'request' | 'response', prototype: object): void {
  Object.setPrototypeOf(prototype, express[kind]);
  Object.defineProperty(prototype, 'app', { value: app, configurable: true, writable: true });
  Object.defineProperty(app, kind, { value: prototype, configurable: true, writable: true });
}
