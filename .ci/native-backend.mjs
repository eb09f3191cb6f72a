// Whether this Node runs TensorFlow.js on its native backend, from the compiled files beside this.
import { openTensorFlow } from '../dist/encoder/tensorflow.js';

const { backend, slower } = await openTensorFlow();
console.log(
  `Node ${process.versions.node}: TensorFlow.js on ${backend}${slower === undefined ? '' : `; ${slower}`}`,
);
process.exitCode = backend === 'native' ? 0 : 1;
