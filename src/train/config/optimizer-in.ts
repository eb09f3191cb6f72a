import type { OptimizerOptions } from '../optimizer.js';
import type { TrainConfig } from './schema.js';

/** The optimizer of a config as the graph takes it: its rate comes with each step. */
export function optimizerIn(optimizer: TrainConfig['optimizer']): OptimizerOptions {
  const { weightDecay } = optimizer;
  if (optimizer.kind === 'sgd') {
    const { momentum, nesterov } = optimizer;
    return { name: 'sgd', momentum, nesterov, weightDecay };
  }
  const { beta1, beta2, epsilon } = optimizer;
  return { name: 'adamw', beta1, beta2, epsilon, weightDecay };
}
