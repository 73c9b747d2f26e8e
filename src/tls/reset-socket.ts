import type { Socket } from 'node:net';

/**
 * Ends a connection by a TCP reset, so that nobody takes a part for the whole: a FIN without close_notify reads as a clean end in
 * most programs (security rule 30). `socket`: the TLS socket over `rawSocket`, or `rawSocket` itself.
 *
 * Under TLS not before the stack is empty: from within a callback of the TLS socket it crashes the process (SIGSEGV on Node 26.10,
 * TLSWrap goes on with a handle that is gone). Nor while an end is on its way: libuv refuses (UV_EINVAL) and the descriptor stays
 * open for ever; the peer has been told of the end by then, so a FIN tells it nothing new.
 */
export function resetSocket(rawSocket: Socket, socket: Socket): void {
  if (socket === rawSocket) {
    resetNow(rawSocket, socket);
    return;
  }
  socket.pause();
  setImmediate(resetNow, rawSocket, socket);
}

function resetNow(rawSocket: Socket, socket: Socket): void {
  const isEnding = socket.writableEnded && !socket.writableFinished;
  if (!isEnding && !socket.destroyed) rawSocket.resetAndDestroy();
  socket.destroy();
}
