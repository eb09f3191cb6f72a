import type { OptimizerOptions } from '../optimizer.js';
import type { TrainConfig } from './schema.js';

type OfConfig = Pick<TrainConfig, 'optimizer' | 'clip' | 'ema' | 'temperature' | 'seed' | 'threads'>;

/** What a config says of every step, whatever is trained. */
export function stepOptionsIn({ optimizer, clip, ema, temperature, seed, threads = 1 }: OfConfig) {
  return {
    optimizer: optimizerIn(optimizer),
    clipNorm: clip,
    emaDecay: ema?.decay,
    temperature,
    seed,
    threads,
  };
}

/** As the graph takes it: its rate comes with each step. */
function optimizerIn(optimizer: TrainConfig['optimizer']): OptimizerOptions {
  const { weightDecay } = optimizer;
  if (optimizer.kind === 'sgd') {
    const { momentum, nesterov } = optimizer;
    return { name: 'sgd', momentum, nesterov, weightDecay };
  }
  const { beta1, beta2, epsilon } = optimizer;
  return { name: 'adamw', beta1, beta2, epsilon, weightDecay };
}
