import { Draining } from '#src/backend/lb/draining.ts';

function over(draining: Draining, afterMs: number): Promise<void> {
  return new Promise((resolve) => draining.start(afterMs, resolve));
}

test('is over once its time has passed, counted from the first start', async () => {
  const draining = new Draining();
  const first = over(draining, 10);
  draining.start(0, () => {
    throw new Error('a second start has no effect');
  });
  expect(draining.isOver).toBe(false);
  await first;
  expect(draining.isOver).toBe(true);
});

test('an endpoint that gets its weight back in time is not drained', async () => {
  const [cancelled, other] = [new Draining(), new Draining()];
  cancelled.start(1, () => {
    throw new Error('it was cancelled');
  });
  cancelled.cancel();
  await over(other, 20);
  expect(cancelled.isOver).toBe(false);
});

test('without a time it is never over', async () => {
  const [endless, other] = [new Draining(), new Draining()];
  endless.start(null, () => {
    throw new Error('it has no time');
  });
  await over(other, 5);
  expect(endless.isOver).toBe(false);
});
