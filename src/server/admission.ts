import { NearvoteError } from '../domain/errors.js';

export interface AdmissionOptions {
  /** Images inside at once: their body being read, waiting for the decoder, waiting for a worker, or in one. */
  readonly maxImages: number;
  /** Bytes of request bodies, and of answers that are not out yet, held at once. */
  readonly maxBytes: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

/** What bounds the work and the memory of all requests together; it knows nothing of HTTP. */
export interface Admission {
  readonly images: number;
  readonly bytes: number;
  /** Whole seconds, 1 to 60, in which what is inside now has drained at the rate of late. */
  readonly retryAfterSeconds: number;
  /** What `enter` would throw now, if it would: refusing what there is most of under overload must cost least. */
  readonly refusal: NearvoteError | undefined;
  /** Takes the place of one image. @throws NearvoteError `overloaded` */
  enter(): Admitted;
  /** Holds the bytes of an answer; what it gives back gives them back. @throws NearvoteError `overloaded` */
  holdAnswer(size: number): () => void;
  /** Counts the bytes of an answer that is small and is sent whatever else is held; what it gives back frees them. */
  countAnswer(size: number): () => void;
}

/** What one request holds. */
interface Admitted {
  /** Holds the places of `count` images in all. @throws NearvoteError `overloaded`, and nothing more is held */
  holdImages(count: number): void;
  /** Holds `total` bytes in all. @throws NearvoteError `overloaded`, and nothing more is held */
  holdBytes(total: number): void;
  /** Gives back the place of one image, whatever became of it. */
  imageDone(): void;
  /** Gives back what is still held. */
  leave(): void;
}

/** The drain rate is of the last whole window. */
const windowMs = 1000;
const longestRetrySeconds = 60;

export function createAdmission({ maxImages, maxBytes, now }: AdmissionOptions): Admission {
  let images = 0;
  let bytes = 0;
  let windowStart = now();
  let doneInWindow = 0;
  let drainedPerSecond = 0;
  // Made once: a stack for each refusal is a tenth of its cost, and nobody reads it.
  const full = new NearvoteError(
    'overloaded',
    `Expected at most ${maxImages} images in the server at once; try again later`,
  );

  function freeImages(count: number): void {
    images -= count;
    doneInWindow += count;
    const elapsed = now() - windowStart;
    if (elapsed < windowMs) return;
    drainedPerSecond = (doneInWindow * 1000) / elapsed;
    doneInWindow = 0;
    windowStart = now();
  }

  function takeImages(count: number): void {
    if (images + count > maxImages) throw full;
    images += count;
  }

  function takeBytes(count: number): void {
    if (bytes + count > maxBytes) {
      throw new NearvoteError(
        'overloaded',
        `Expected at most ${maxBytes} bytes of requests and answers in the server at once; try again later`,
      );
    }
    bytes += count;
  }

  return {
    get images() {
      return images;
    },
    get bytes() {
      return bytes;
    },
    get retryAfterSeconds() {
      const seconds = drainedPerSecond === 0 ? 1 : Math.ceil(images / drainedPerSecond);
      return Math.min(longestRetrySeconds, Math.max(1, seconds));
    },
    get refusal() {
      return images < maxImages ? undefined : full;
    },
    holdAnswer(size) {
      takeBytes(size);
      return () => {
        bytes -= size;
      };
    },
    countAnswer(size) {
      bytes += size;
      return () => {
        bytes -= size;
      };
    },
    enter() {
      takeImages(1);
      let ownImages = 1;
      let ownBytes = 0;
      return {
        holdImages(count) {
          const more = count - ownImages;
          if (more <= 0) return;
          takeImages(more);
          ownImages = count;
        },
        holdBytes(total) {
          const more = total - ownBytes;
          if (more <= 0) return;
          takeBytes(more);
          ownBytes = total;
        },
        imageDone() {
          if (ownImages === 0) return;
          ownImages -= 1;
          freeImages(1);
        },
        leave() {
          if (ownImages > 0) freeImages(ownImages);
          bytes -= ownBytes;
          ownImages = 0;
          ownBytes = 0;
        },
      };
    },
  };
}
