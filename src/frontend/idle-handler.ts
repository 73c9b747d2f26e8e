import type { ExchangeHandler } from '../http/exchange.ts';

/** Stands in until somebody attaches: what happens to an unattended exchange is nobody's news. */
export const IDLE_HANDLER: ExchangeHandler = {
  onGoingAway() {},
  tunnelBytes: () => 0,
  onBodyData() {},
  onBodyEnd() {},
  onDrain() {},
  onAbort() {},
  onFinish() {},
};
