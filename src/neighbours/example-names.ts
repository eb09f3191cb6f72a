import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';

const mostLabelLetters = 200;
/**
 * Control and format characters, lone surrogates, and the separators of lines and paragraphs: a label with them could
 * look like another on a page or in a log. The two joiners are letters of some scripts.
 */
const unseen = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/u;

/**
 * A label that an example may be given.
 * @throws NearvoteError `label_invalid`
 */
export function checkLabel(label: string): string {
  const letters = Array.from(label).length;
  if (letters === 0 || letters > mostLabelLetters) {
    throw invalid(`Expected a label of 1 to ${mostLabelLetters} characters but received ${letters}`);
  }
  if (unseen.test(label))
    throw invalid('Expected a label without control or invisible characters but received some');
  if (label.trim() !== label)
    throw invalid('Expected a label without white space around it but received some');
  if (label.normalize('NFC') !== label) {
    throw invalid(
      'Expected a label in Unicode normal form C but received another form: another label would look the same',
    );
  }
  return label;
}

const idPattern = /^[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,127}$/;

/**
 * An id that an example may be given.
 * @throws NearvoteError `id_invalid`
 */
export function checkId(id: string): string {
  if (idPattern.test(id)) return id;
  throw new NearvoteError(
    'id_invalid',
    `Expected an id of 1 to 128 letters, digits and . _ ~ -, not beginning with a dot, but received ${quoted(id)}`,
  );
}

function invalid(message: string): NearvoteError {
  return new NearvoteError('label_invalid', message);
}
