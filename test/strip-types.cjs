'use strict';
// Jest transformer: the same type stripping that `node file.ts` does, so tests run exactly what production runs. Positions are
// preserved, so no source maps are needed; sourceUrl=file://… is what makes v8 coverage work for ESM under jest 30.
const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { stripTypeScriptTypes } = require('node:module');
const { pathToFileURL } = require('node:url');

const self = readFileSync(__filename);

module.exports = {
  process(source, filename) {
    return { code: stripTypeScriptTypes(source, { mode: 'strip', sourceUrl: pathToFileURL(filename).href }) };
  },
  getCacheKey(source, filename) {
    const hash = createHash('sha256').update(self).update(process.version);
    return hash.update('\0').update(filename).update('\0').update(source).digest('hex');
  },
};
