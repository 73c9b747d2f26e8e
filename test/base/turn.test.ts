import { Turn, type TurnTaker } from '#src/base/turn.ts';

test('whoever is added in one round has its turn at the end of it, in that order and once', async () => {
  const turn = new Turn();
  const seen: string[] = [];
  turn.add(taker(() => seen.push('first')));
  process.nextTick(() => turn.add(taker(() => seen.push('second'))));
  await immediate();
  expect(seen).toEqual(['first', 'second']);
  await immediate();
  expect(seen).toEqual(['first', 'second']);
});

test('what takers leave to the next tick comes after the turns of all of them', async () => {
  const turn = new Turn();
  const seen: string[] = [];
  for (const name of ['a', 'b']) {
    const start = (): void => {
      seen.push(`${name} read`);
      process.nextTick(() => seen.push(`${name} started`));
    };
    turn.add(taker(start));
  }
  await immediate();
  expect(seen).toEqual(['a read', 'b read', 'a started', 'b started']);
});

test('who is added during the turns waits for the next round', async () => {
  const turn = new Turn();
  let turns = 0;
  const again = taker(() => {
    turns++;
    if (turns < 3) turn.add(again);
  });
  turn.add(again);
  await immediate();
  expect(turns).toBe(1);
  while (turns < 3) await immediate();
});

test('what takers ask for comes when all have had their turn, in the same round', async () => {
  const turn = new Turn();
  const seen: string[] = [];
  for (const name of ['a', 'b']) {
    const whole = {
      onTurn() {
        seen.push(name);
        turn.addAfter(whole);
      },
      afterTurn: () => seen.push(`${name} over`),
    };
    turn.add(whole);
  }
  turn.add(taker(() => seen.push('c')));
  await immediate();
  expect(seen).toEqual(['a', 'b', 'c', 'a over', 'b over']);
  turn.add(taker(() => seen.push('next round')));
  await immediate();
  expect(seen.slice(5)).toEqual(['next round']);
});

function taker(onTurn: () => void): TurnTaker {
  return { onTurn };
}

function immediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
