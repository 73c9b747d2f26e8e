import type { PrepareMessage } from './messages.ts';
import type { Vote, WorkerLink } from './worker-link.ts';

export type Objection = { readonly kind: 'refused' | 'gone'; readonly message: string };

export function prepareAll(links: readonly WorkerLink[], message: PrepareMessage): Promise<readonly Vote[]> {
  return Promise.all(links.map((link) => link.prepare(message)));
}

/** Why nobody switches; null: all can. */
export function objectionOf(votes: readonly Vote[]): Objection | null {
  const refusal = votes.find((vote) => vote.kind === 'refused');
  if (refusal !== undefined) return refusal;
  const gone = votes.filter(({ kind }) => kind === 'gone').length;
  if (gone === 0) return null;
  return { kind: 'gone', message: `${gone} of ${votes.length} workers ended while they prepared the configuration` };
}
