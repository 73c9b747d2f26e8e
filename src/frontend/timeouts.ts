/** Deadlines of the client-side door, in milliseconds; tests shorten them. */
export interface FrontendTimeouts {
  /** From accept to the end of the TLS handshake, the ClientHello included. */
  readonly handshakeMs: number;
  /** From the first byte of a request (or from the end of the handshake) to the end of its head. */
  readonly headMs: number;
  /** Without progress while a client is to send its body or to take the response. */
  readonly stalledMs: number;
  /** How long an HTTP/2 session may keep all its windows shut over more response bytes than it may hold. */
  readonly heldMs: number;
  /** How long a request body that nobody wants is read before the connection is closed. */
  readonly discardMs: number;
  /** How often connections are looked at: the granularity of everything above but the handshake. */
  readonly checkIntervalMs: number;
}

export const DEFAULT_TIMEOUTS: FrontendTimeouts = {
  handshakeMs: 10_000, // spec 10.23
  headMs: 60_000, // Node's default, and nginx's client_header_timeout
  stalledMs: 60_000, // nginx's client_body_timeout and send_timeout
  heldMs: 10_000, // ours: longer than a train's tunnel is rare, and costs such a client one reconnect
  discardMs: 2_000, // spec 10.22
  checkIntervalMs: 1_000,
};
