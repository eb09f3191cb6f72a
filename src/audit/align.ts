/** Of a square picture `[side, side]`. */
export const sideOf = (values: Float32Array): number => Math.sqrt(values.length);

/** Where a place of a picture lies in another: (scaleX x + shiftX, scaleY y + shiftY), the middle 0, the edges -1 and 1. */
export interface Warp {
  readonly scaleX: number;
  readonly shiftX: number;
  readonly scaleY: number;
  readonly shiftY: number;
}

export const noWarp: Warp = { scaleX: 1, shiftX: 0, scaleY: 1, shiftY: 0 };
/** A copy that is cropped or moved by more is not found. */
const mostWarped = 0.25;
const leastGain = 0.05;

/** Where the places of a picture lie in one of `side` pixels that is warped onto it, in its pixels. */
function placesOf(side: number, scale: number, shift: number): Float64Array {
  return Float64Array.from(
    { length: side },
    (_, i) => ((scale * ((2 * i + 1) / side - 1) + shift + 1) * side - 1) / 2,
  );
}

/**
 * Brings b onto a, stretched and shifted along each axis, by steps of Gauss and Newton (Lucas and Kanade 1981): the least
 * squares of a against gain * b + offset, which a change of brightness and contrast leaves alone. Undefined where that
 * leads nowhere.
 */
export function align(a: Float32Array, b: Float32Array, start: Warp, steps: number): Warp | undefined {
  const side = sideOf(a);
  let warp = start;
  const normal = new Float64Array(42); // [6, 7]
  const row = new Float64Array(7);
  for (let step = 0; step < steps; step++) {
    normal.fill(0);
    const us = placesOf(side, warp.scaleX, warp.shiftX);
    const vs = placesOf(side, warp.scaleY, warp.shiftY);
    for (let y = 0; y < side; y++) {
      const v = vs[y] as number;
      if (v < 0 || v > side - 1) continue;
      const top = Math.min(side - 2, Math.floor(v));
      const dv = v - top;
      for (let x = 0; x < side; x++) {
        const u = us[x] as number;
        if (u < 0 || u > side - 1) continue;
        const left = Math.min(side - 2, Math.floor(u));
        const du = u - left;
        const at = top * side + left;
        const b00 = b[at] as number;
        const b01 = b[at + 1] as number;
        const b10 = b[at + side] as number;
        const b11 = b[at + side + 1] as number;
        const slopeX = (((b01 - b00) * (1 - dv) + (b11 - b10) * dv) * side) / 2;
        const slopeY = (((b10 - b00) * (1 - du) + (b11 - b01) * du) * side) / 2;
        row[0] = (b00 * (1 - du) + b01 * du) * (1 - dv) + (b10 * (1 - du) + b11 * du) * dv;
        row[1] = 1;
        row[2] = slopeX * ((2 * x + 1) / side - 1);
        row[3] = slopeX;
        row[4] = slopeY * ((2 * y + 1) / side - 1);
        row[5] = slopeY;
        row[6] = a[y * side + x] as number;
        for (let i = 0; i < 6; i++) {
          const value = row[i] as number;
          for (let j = i; j < 7; j++)
            normal[7 * i + j] = (normal[7 * i + j] as number) + value * (row[j] as number);
        }
      }
    }
    const [gain = 0, , scaleX = 0, shiftX = 0, scaleY = 0, shiftY = 0] = solved(normal);
    if (!(gain > leastGain)) return undefined;
    warp = {
      scaleX: warp.scaleX + scaleX / gain,
      shiftX: warp.shiftX + shiftX / gain,
      scaleY: warp.scaleY + scaleY / gain,
      shiftY: warp.shiftY + shiftY / gain,
    };
    const changes = [warp.scaleX - 1, warp.shiftX, warp.scaleY - 1, warp.shiftY];
    if (!changes.every((change) => Math.abs(change) < mostWarped)) return undefined;
  }
  return warp;
}

/** The six unknowns of normal equations `[6, 7]`, of which the upper triangle and the right side are there. */
function solved(normal: Float64Array): number[] {
  const at = (i: number, j: number): number => normal[7 * i + j] as number;
  // Where a picture is flat it has no slopes: a little on the diagonal keeps the steps finite.
  for (let i = 0; i < 6; i++) normal[8 * i] = at(i, i) * (1 + 1e-6) + 1e-6;
  for (let i = 0; i < 6; i++) {
    for (let k = i + 1; k < 6; k++) {
      const factor = at(i, k) / at(i, i);
      for (let j = k; j < 7; j++) normal[7 * k + j] = at(k, j) - factor * at(i, j);
    }
  }
  const unknowns = Array<number>(6).fill(0);
  for (let i = 5; i >= 0; i--) {
    let sum = at(i, 6);
    for (let j = i + 1; j < 6; j++) sum -= at(i, j) * (unknowns[j] ?? 0);
    unknowns[i] = sum / at(i, i);
  }
  return unknowns;
}

/** b in the places of a; NaN where it does not reach. */
export function warped(b: Float32Array, { scaleX, shiftX, scaleY, shiftY }: Warp): Float32Array {
  const side = sideOf(b);
  const into = new Float32Array(b.length).fill(NaN);
  const us = placesOf(side, scaleX, shiftX);
  const vs = placesOf(side, scaleY, shiftY);
  const isOutside = (place: number): boolean => place < -0.5 || place > side - 0.5;
  const within = (place: number): number => Math.min(side - 1, Math.max(0, place));
  for (let y = 0; y < side; y++) {
    if (isOutside(vs[y] as number)) continue;
    const v = within(vs[y] as number);
    const top = Math.min(side - 2, Math.floor(v));
    const dv = v - top;
    for (let x = 0; x < side; x++) {
      if (isOutside(us[x] as number)) continue;
      const u = within(us[x] as number);
      const left = Math.min(side - 2, Math.floor(u));
      const du = u - left;
      const at = top * side + left;
      into[y * side + x] =
        ((b[at] as number) * (1 - du) + (b[at + 1] as number) * du) * (1 - dv) +
        ((b[at + side] as number) * (1 - du) + (b[at + side + 1] as number) * du) * dv;
    }
  }
  return into;
}
