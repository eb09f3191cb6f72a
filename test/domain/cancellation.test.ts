import { describe, expect, it } from 'vitest';
import { createCancellation } from '../../src/domain/cancellation.js';

describe('a cancellation', () => {
  it('tells those who listen once, and keeps the first reason', () => {
    const { signal, cancel } = createCancellation();
    const told: string[] = [];
    const gone = (): void => void told.push('gone');
    signal.addEventListener('abort', () => told.push('stays'));
    signal.addEventListener('abort', gone);
    signal.removeEventListener('abort', gone);
    expect(signal.aborted).toBe(false);
    expect(() => signal.throwIfAborted()).not.toThrow();
    cancel(new Error('first'));
    cancel(new Error('second'));
    expect([signal.aborted, signal.reason]).toEqual([true, new Error('first')]);
    expect(() => signal.throwIfAborted()).toThrow('first');
    expect(told).toEqual(['stays']);
  });
});
