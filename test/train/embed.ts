import { openSession, Tensor } from '../../src/onnx/session.js';

/** What an encoder of square images says of `pixels`, row after row. */
export async function embed(encoder: Uint8Array, pixels: Uint8Array, size: number): Promise<Float32Array> {
  const session = await openSession({ model: encoder, threads: 1 });
  const count = pixels.length / (size * size * 3);
  const { embeddings } = await session.run({
    pixels: new Tensor('uint8', pixels, [count, size, size, 3]),
  });
  await session.release();
  if (!(embeddings?.data instanceof Float32Array)) throw new Error('the encoder gave no embeddings');
  return embeddings.data;
}
