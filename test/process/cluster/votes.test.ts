import { objectionOf } from '#src/process/cluster/votes.ts';

describe('objectionOf()', () => {
  test('nobody switches when one refuses: its reason counts before anything else', () => {
    const votes = [{ kind: 'prepared' }, { kind: 'gone' }, { kind: 'refused', message: 'no' }] as const;
    expect(objectionOf(votes)).toEqual({ kind: 'refused', message: 'no' });
  });

  test('says how many ended meanwhile', () => {
    expect(objectionOf([{ kind: 'prepared' }, { kind: 'gone' }])).toMatchObject({
      kind: 'gone',
      message: expect.stringContaining('1 of 2 workers ended'),
    });
  });

  test('is null when all have prepared it, and when nobody runs to be asked', () => {
    expect(objectionOf([{ kind: 'prepared' }, { kind: 'prepared' }])).toBeNull();
    expect(objectionOf([])).toBeNull();
  });
});
