import { NearvoteError } from '../domain/errors.js';

/** Where an index lies in PostgreSQL: `postgres://user:password@host/database?name=parts&replica=host:port`. */
export interface IndexUrl {
  /** For the driver, with the password where there is one: it is never shown. */
  readonly connection: string;
  /** What the index is called in its database. */
  readonly name: string;
  /** As it was told. */
  readonly indexUrl: string;
  /** Of a replica that is read where it is new enough, as `connection`. */
  readonly replica?: string | undefined;
  /** For people, logs and metrics: without the password, and without options that may hold one. */
  readonly shown: string;
}

const namePattern = /^[A-Za-z0-9._-]{1,64}$/;

/** Whether an index was named by where it lies in PostgreSQL. */
export function isIndexUrl(index: string): boolean {
  return /^postgres(ql)?:/i.test(index);
}

/** @throws NearvoteError `usage`, which never repeats what was received: it may hold a password */
export function parseIndexUrl(text: string): IndexUrl {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    // The error of URL holds the text.
    throw wrong('another form');
  }
  const names = url.searchParams.getAll('name');
  const [name = ''] = names;
  if (names.length !== 1 || !namePattern.test(name)) {
    throw wrong('no name of 1 to 64 letters, digits, dots, underscores and hyphens');
  }
  if (url.pathname.length < 2) throw wrong('no database');
  const replica = url.searchParams.get('replica');
  url.searchParams.delete('name');
  url.searchParams.delete('replica');
  const host = url.host === '' ? (url.searchParams.get('host') ?? '') : url.host;
  return {
    connection: url.href,
    ...(replica === null ? {} : { replica: replicaOf(url, replica) }),
    indexUrl: text,
    name,
    shown: `postgres://${host}${url.pathname}?name=${name}`,
  };
}

/** The same database, user and password on another host. */
function replicaOf(url: URL, told: string): string {
  const replica = new URL(url);
  // Another host in the query would win over it.
  for (const name of ['host', 'port']) replica.searchParams.delete(name);
  const isHost = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(told);
  if (isHost && URL.canParse(`postgres://${told}`)) {
    // Setting a host without a port leaves the port of the other.
    replica.port = '';
    replica.host = told;
    return replica.href;
  }
  throw wrong('a replica that is not HOST or HOST:PORT');
}

function wrong(received: string): NearvoteError {
  return new NearvoteError(
    'usage',
    `Expected an index in PostgreSQL as postgres://USER@HOST/DATABASE?name=NAME but received ${received}`,
  );
}
