/** A text of somebody's as a message names it: in quotes, and at most 60 letters of it. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** A text of somebody's as one word of a shell, in a command that a message names. */
export function shellWord(text: string): string {
  return /^[\w.,@%+=:/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
