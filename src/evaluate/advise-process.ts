/* The process that draws the learning curves of a served index; evaluate/advise-aside.ts starts it. */
import { answerRunAside } from '../processes/answer-run-aside.js';
import { adviseIndex, type AdviseOptions } from './advise.js';

answerRunAside((job) => adviseIndex(job as AdviseOptions));
