/** The shape of the house: see docs/architecture.md. */
const only = (name, package_, rooms) => ({
  name: `${name}-has-one-room`,
  severity: 'error',
  comment: `${package_} belongs to ${rooms}; type imports are free`,
  from: { pathNot: rooms },
  to: { path: `node_modules/(${package_})/`, dependencyTypesNot: ['type-only'] },
});

const stages = ['image', 'encoder', 'neighbours', 'vote'];

/** What each operation may ask of the others: the other way round there is nothing, so they make no ring. */
const operations = {
  build: ['evaluate/metrics/'],
  evaluate: [],
  calibrate: ['evaluate/'],
  audit: [],
  batch: [],
  curate: [],
};

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'domain-imports-nothing',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { pathNot: '^src/domain/' },
    },
    ...stages.map((stage) => ({
      name: `stage-${stage}-stands-alone`,
      severity: 'error',
      comment:
        'the four stages share only src/domain, src/files, and the geometry that a manifest tells the decoder',
      from: { path: `^src/${stage}/` },
      to: {
        path: '^src/',
        pathNot: `^src/(${stage}/|domain/|onnx/|processes/|${stage === 'vote' ? '' : 'files/|'}image/geometry\\.ts${stage === 'neighbours' ? '|examples/' : ''})`,
      },
    })),
    ...Object.entries(operations).map(([room, asked]) => ({
      name: `${room}-asks-few-operations`,
      severity: 'error',
      comment: 'operations lie on the stages, on examples/ and on embed/',
      from: { path: `^src/${room}/` },
      to: {
        path: `^src/(${Object.keys(operations).join('|')})/`,
        pathNot: `^src/(${[`${room}/`, ...asked].join('|')})`,
      },
    })),
    {
      name: 'what-operations-lie-on-knows-none',
      severity: 'error',
      from: { path: '^src/(embed/|examples/|pair\\.ts$|classify\\.ts$)' },
      to: { path: `^src/(${Object.keys(operations).join('|')}|train)/` },
    },
    {
      name: 'pure-rooms-have-no-io',
      severity: 'error',
      comment: 'vote/ and evaluate/metrics are pure: they import domain and their own room',
      from: { path: '^src/(vote/|evaluate/metrics/)' },
      to: { pathNot: '^src/(vote|domain|evaluate/metrics)/' },
    },
    {
      name: 'audit-asks-neighbours-only',
      severity: 'error',
      comment: 'the operation brings images and embeddings; the rest of audit/ knows lists and labels',
      from: { path: '^src/audit/', pathNot: '^src/audit/audit\\.ts$' },
      to: {
        path: '^src/',
        pathNot: '^src/(audit|domain|neighbours|vote|report)',
      },
    },
    {
      name: 'one-file-of-audit-searches',
      severity: 'error',
      comment: 'the rest of audit/ is given what was found',
      from: { path: '^src/audit/', pathNot: '^src/audit/(audit|search-others)\\.ts$' },
      to: { path: '^src/neighbours/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'batch-asks-servers-in-few-files',
      severity: 'error',
      comment: 'the rest of batch/ is given answers, whoever gives them',
      from: { path: '^src/batch/', pathNot: '^src/batch/server-' },
      to: { path: '^src/batch/server-' },
    },
    {
      name: 'nobody-imports-cli',
      severity: 'error',
      from: { pathNot: '^src/cli/' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'calibrate-fits-on-what-was-found',
      severity: 'error',
      comment: 'images, encoder and search are brought by the operation',
      from: { path: '^src/calibrate/', pathNot: '^src/calibrate/calibrate\\.ts$' },
      to: { path: '^src/(image|encoder|server|cli)/' },
    },
    {
      name: 'files-know-no-content',
      severity: 'error',
      comment: 'files/ writes, locks and hashes; what is in a file is for others to know',
      from: { path: '^src/files/' },
      to: { path: '^src/', pathNot: '^src/(files|domain)/' },
    },
    {
      name: 'examples-are-files',
      severity: 'error',
      comment:
        'examples/ is what an index is on disk, its calibration with the words of vote/; searching it is for neighbours/',
      from: { path: '^src/examples/' },
      to: { path: '^src/', pathNot: '^src/(examples|files|domain|vote)/' },
    },
    {
      name: 'postgres-is-an-adapter',
      severity: 'error',
      comment: 'postgres/ fits the neighbours port to a database: it knows that port and what an index is',
      from: { path: '^src/postgres/' },
      to: { path: '^src/', pathNot: '^src/(postgres|neighbours|examples|domain)/' },
    },
    {
      name: 'onnx-stands-alone',
      severity: 'error',
      from: { path: '^src/onnx/' },
      to: { path: '^src/', pathNot: '^src/(onnx|domain)/' },
    },
    {
      name: 'augment-has-pixels-only',
      severity: 'error',
      comment: 'augmentation is pure: numbers come from the random source that is passed in',
      from: { path: '^src/train/augment/' },
      to: { pathNot: '^src/(domain|train/augment)' },
    },
    {
      name: 'only-cli-imports-server',
      severity: 'error',
      comment: 'the operations know nothing of HTTP',
      from: { pathNot: '^src/(server|cli)/' },
      to: { path: '^src/server/' },
    },
    {
      name: 'no-junk-drawers',
      severity: 'error',
      from: {},
      to: { path: '(/|-)(utils?|helpers?|common|manager)[.]ts$|/index[.]ts$' },
    },
    only('sharp', 'sharp', '^src/image/sharp\\.ts$'),
    only('onnxruntime', 'onnxruntime-node', '^src/onnx/session\\.ts$'),
    only('huggingface-hub', '@huggingface/[^/]+', '^src/encoder/hub/'),
    {
      name: 'huggingface-hub-is-loaded-when-needed',
      severity: 'error',
      comment: 'it is large, and one command needs it: import() it',
      from: { path: '^src/' },
      to: { path: 'node_modules/@huggingface/', dependencyTypesNot: ['type-only', 'dynamic-import'] },
    },
    only('libsql', 'libsql', '^src/examples/sqlite\\.ts$'),
    {
      name: 'libsql-is-loaded-when-needed',
      severity: 'error',
      comment: 'a server whose index takes no change does without: import() it',
      from: { path: '^src/' },
      to: { path: 'node_modules/libsql/', dependencyTypesNot: ['type-only', 'dynamic-import'] },
    },
    only('pg', 'pg', '^src/postgres/database\\.ts$'),
    {
      name: 'pg-is-loaded-when-needed',
      severity: 'error',
      comment: 'most servers have their indexes in folders: import() it',
      from: { path: '^src/' },
      to: { path: 'node_modules/pg/', dependencyTypesNot: ['type-only', 'dynamic-import'] },
    },
    only('aws-s3', '@aws-sdk/[^/]+', '^src/bundles/s3\\.ts$'),
    {
      name: 'aws-s3-is-loaded-when-needed',
      severity: 'error',
      comment: 'it is large, optional, and only s3 URLs need it: import() it',
      from: { path: '^src/' },
      to: { path: 'node_modules/@aws-sdk/', dependencyTypesNot: ['type-only', 'dynamic-import'] },
    },
    only('tfjs', '@tensorflow/[^/]+', '^src/encoder/tensorflow\\.ts$'),
    only('hnswlib', 'hnswlib-node', '^src/neighbours/'),
    only('druidjs', '@saehrimnir/druidjs', '^src/evaluate/page/map'),
    only('terminal', 'commander|cli-table3|cli-progress', '^src/cli/'),
    only('yaml', 'yaml', '^src/train/config/read-config'),
    only('protobuf', '@bufbuild/protobuf|onnx-buf', '^src/onnx/'),
    only('opentelemetry', '@opentelemetry/[^/]+', '^src/server/open-telemetry\\.ts$'),
    {
      name: 'opentelemetry-is-loaded-when-needed',
      severity: 'error',
      comment: 'it is large and need not be installed: import() the file that has it',
      from: { path: '^src/', pathNot: '^src/server/open-telemetry\\.ts$' },
      to: { path: '^src/server/open-telemetry\\.ts$', dependencyTypesNot: ['type-only', 'dynamic-import'] },
    },
    only('express', 'express|express-rate-limit|busboy|helmet', '^src/server/'),
    only('prom-client', 'prom-client', '^src/server/(index-|memory-)?metrics\\.ts$'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
