import { ProxyError } from '#src/base/errors.ts';
import { createLog } from '#src/telemetry/log.ts';
import { Lines } from './support.ts';

describe('createLog()', () => {
  test('writes one JSON line with time, level, fields and msg', () => {
    const lines = new Lines();
    createLog(lines).warn('it happened', { listener: 'https', port: 8443, ok: false, hosts: ['a', 'b'], none: null });
    const [line] = lines.parsed;
    expect(line).toMatchObject({ level: 'warn', msg: 'it happened', listener: 'https', port: 8443, ok: false });
    expect(line).toMatchObject({ hosts: ['a', 'b'], none: null });
    expect(line!['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(line).not.toHaveProperty('pid');
  });

  test('keeps terminal escapes of a stranger out of the line, in messages, fields, lists and errors', () => {
    const lines = new Lines();
    const evil = 'a\u001b[2J\u009b\u007f\u2028\n\u202e';
    createLog(lines).error(evil, { field: evil, list: [evil], err: new Error(evil) });
    expect(lines.all[0]).toMatch(/^[ -~]*$/);
    expect(lines.parsed[0]).toMatchObject({ msg: evil, field: evil, list: [evil] });
  });

  test('caps strings and lists', () => {
    const lines = new Lines();
    createLog(lines).info('x'.repeat(100_000), {
      field: 'y'.repeat(100_000),
      list: Array(1000).fill('z'.repeat(1000)),
    });
    expect(lines.all[0]!.length).toBeLessThan(32_768);
    expect(lines.parsed[0]!['field']).toMatch(/^y{2048}…$/);
  });

  test('turns an error into type, code, message and stack', () => {
    const lines = new Lines();
    createLog(lines).error('failed', { err: new ProxyError('backend_timeout', { detail: 'after 30 s' }) });
    expect(lines.parsed[0]!['err']).toMatchObject({
      type: 'ProxyError',
      code: 'backend_timeout',
      message: 'backend_timeout: after 30 s',
    });
  });

  test('leaves out what is below its level, and puts the fields of a child on each line', () => {
    const lines = new Lines();
    const log = createLog(lines, 'info').child({ listener: 'https' });
    log.debug('unseen');
    log.info('seen');
    expect(lines.parsed).toEqual([expect.objectContaining({ msg: 'seen', listener: 'https' })]);
  });
});
