import type { z } from 'zod';
import type { UploadLimits } from './body.js';
import { actsJson, examplesJson, reasonJson, relabelJson, renameJson } from './example-body.js';
import {
  addedSchema,
  changedSchema,
  changesSchema,
  editedSchema,
  calibratedSchema,
  calibrationQuery,
  compactedSchema,
  exampleHistorySchema,
  examplesSchema,
  idParams,
  labelParams,
  labelsQuery,
  labelsSchema,
  listQuery,
  logQuery,
  operationSchema,
  sequenceParams,
  versionsSchema,
} from './example-schemas.js';
import { exportQuery, importedSchema, importQuery } from './bundle-schemas.js';
import { json, withKey, type AddRoute } from './contract-operation.js';
import { appliedSchema, findingsJson, findingsQuery } from './finding-schemas.js';
import { answeredSchema, answerJson, feedbackJson, reviewQuery, reviewSchema } from './review-schemas.js';
import { indexQuerySchema } from './schemas.js';
import { differencesQuery, differencesSchema, verificationSchema } from './state-schemas.js';

/** The routes of examples and changes, in the OpenAPI document. */
export function addExampleRoutes(
  add: AddRoute,
  { limits, maxBundleBytes }: { readonly limits: UploadLimits; readonly maxBundleBytes: number },
): void {
  const query = indexQuerySchema;
  const security = withKey;
  const readable = [{}, ...withKey];
  const body = (schema: z.ZodType, required = true) => ({
    required,
    content: { 'application/json': { schema } },
  });
  add('examples', 'The examples of an index, a page at a time', {
    content: json(examplesSchema),
    ...{ request: { query: listQuery }, security: readable },
  });
  add('addExamples', 'Teach images by a label; the same image and label again changes nothing', {
    content: json(changedSchema.or(addedSchema)),
    request: { query, body: { required: true, content: teachingContent(limits) } },
    security,
  });
  add('example', 'An example and what happened to it', {
    content: json(exampleHistorySchema),
    ...{ request: { query, params: idParams }, security: readable },
  });
  add('relabel', 'Give an example another label', {
    content: json(changedSchema),
    ...{ request: { query, params: idParams, body: body(relabelJson) }, security },
  });
  add('deleteExample', 'Delete an example; it can be taken back', {
    content: json(changedSchema),
    ...{ request: { query, params: idParams, body: body(reasonJson, false) }, security },
  });
  add('picture', 'The picture of an example that was taught', {
    content: { 'image/*': { schema: { type: 'string' } } },
    ...{ request: { query, params: idParams }, security: readable },
  });
  add('labels', 'The labels of an index, and how many examples each has', {
    content: json(labelsSchema),
    ...{ request: { query: labelsQuery }, security: readable },
  });
  add('renameLabel', 'Rename a label, or merge it into one that is there', {
    content: json(operationSchema),
    ...{ request: { query, params: labelParams, body: body(renameJson) }, security },
  });
  add('changes', 'What was changed, newest first', {
    content: json(changesSchema),
    ...{ request: { query: logQuery }, security },
  });
  add('change', 'Relabel and delete examples as one change: all of it or nothing', {
    content: json(editedSchema),
    ...{ request: { query, body: body(actsJson) }, security },
  });
  add('revert', 'Take back all that was made as one with a change', {
    content: json(operationSchema),
    ...{ request: { query, params: sequenceParams, body: body(reasonJson, false) }, security },
  });
  add('findings', 'Apply what `nearvote audit` found, as one change that can be taken back', {
    content: json(appliedSchema),
    ...{ request: { query: findingsQuery, body: body(findingsJson) }, security },
  });
  add('feedback', 'Make the image of a decision an example of the right label; it has to be kept still', {
    content: json(changedSchema),
    ...{ request: { query, body: body(feedbackJson) }, security },
  });
  add('review', 'Decisions that a person should look at, where the server was started with --review', {
    content: json(reviewSchema),
    ...{ request: { query: reviewQuery }, security },
  });
  add('reviewPicture', 'The picture of a decision that is kept', {
    content: { 'image/*': { schema: { type: 'string' } } },
    ...{ request: { query, params: idParams }, security },
  });
  add(
    'answerReview',
    'Say what the image of a decision shows, that it is none of the labels, or pass it over',
    {
      content: json(answeredSchema),
      ...{ request: { query, params: idParams, body: body(answerJson) }, security },
    },
  );
  add('rollback', 'Take back everything after a change, as one; 0 is before the first', {
    content: json(operationSchema),
    ...{ request: { query, params: sequenceParams, body: body(reasonJson, false) }, security },
  });
  add('versions', 'The version that is served, and what changed since', {
    content: json(versionsSchema),
    ...{ request: { query }, security },
  });
  add('differences', 'What differs between two states of an index', {
    content: json(differencesSchema),
    ...{ request: { query: differencesQuery }, security },
  });
  add('verification', 'Check all that is kept of an index, and make anew what can be', {
    content: json(verificationSchema),
    ...{ request: { query }, security },
  });
  add(
    'exportBundle',
    'The index as one file, made anew of what is served, which `nearvote index import` takes',
    {
      content: { 'application/x-tar': { schema: { type: 'string' } } },
      ...{ request: { query: exportQuery }, security },
    },
  );
  const bundle = { type: 'string', maxLength: maxBundleBytes } as const;
  add('importBundle', 'Publish a bundle as the next version of the index, and serve it', {
    content: json(importedSchema),
    request: {
      query: importQuery,
      body: {
        required: true,
        content: {
          'application/x-tar': { schema: bundle },
          'application/octet-stream': { schema: bundle },
        },
      },
    },
    security,
  });
  add('calibrate', 'Calibrate an index on what it was taught, and serve that', {
    content: json(calibratedSchema),
    ...{ request: { query: calibrationQuery }, security },
  });
  add('compact', 'Fold the changes into a new version, and serve it', {
    content: json(compactedSchema),
    ...{ request: { query }, security },
  });
}

function teachingContent({ maxImages, maxImageBytes }: UploadLimits): Record<string, { schema: object }> {
  const file = { type: 'string', contentMediaType: 'application/octet-stream' } as const;
  const text = { type: 'string', maxLength: 1_000 } as const;
  return {
    'multipart/form-data': {
      schema: {
        type: 'object',
        description: 'Either image or images; each part has a filename',
        properties: {
          image: { ...file, minLength: 1, maxLength: maxImageBytes, description: 'One image' },
          images: { type: 'array', minItems: 1, maxItems: maxImages, items: file, default: [] },
          label: { ...text, minLength: 1, maxLength: 200, description: 'Of every image' },
          id: { ...text, description: 'Of a single image; made from it unless given' },
          continues: {
            ...{ type: 'integer', minimum: 1 },
            description: 'The operation that these go on with, where nothing else was changed since',
          },
          reason: text,
          who: text,
        },
        required: ['label'],
        additionalProperties: false,
      },
    },
    'application/json': { schema: examplesJson },
  };
}
