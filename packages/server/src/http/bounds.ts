/** Every bound of the HTTP floor. Sizes in bytes, times in milliseconds. */

/** All header bytes of one request, and how many headers. */
export const headerBytesMax = 16 * 1024;
export const headersMax = 100;

/** The longest path segment that a route parameter may take. */
export const pathSegmentMax = 512;

/** Query parameters of one request. */
export const queryParametersMax = 64;

/** A JSON body, unless its operation names another bound. */
export const jsonBodyBytesMax = 1024 * 1024;

/** Nesting of a JSON body. */
export const jsonDepthMax = 32;

/** Until the last header has arrived. */
export const headersTimeoutMs = 10_000;

/** Until a JSON body has arrived. */
export const jsonBodyTimeoutMs = 30_000;

/** Longest pause in an upload of raw bytes, whichever side makes it. */
export const uploadIdleTimeoutMs = 60_000;

/** A kept-alive connection without a request. */
export const keepAliveTimeoutMs = 60_000;

/** How often the two header limits above are checked. */
export const connectionsCheckMs = 5_000;

/** Connections at once; further ones are closed on arrival. */
export const connectionsMax = 8_192;

/** One message of a WebSocket client. */
export const webSocketMessageBytesMax = 1024 * 1024;

/** Requests in flight get this long at shutdown, then they are aborted. */
export const drainTimeoutMs = 10_000;

/** After the abort, connections get this long to end by themselves. */
export const abortedTimeoutMs = 2_000;

/** How often the credentials of what is open are looked at. */
export const credentialLookIntervalMs = 2_000;

/** How long the database may take for such a look. */
export const credentialLookTimeoutMs = 5_000;

/** Without a look that succeeded, what is open goes on for so long. */
export const credentialUnknownMaxMs = 60_000;

/** Between two comments on an idle event stream. */
export const eventHeartbeatMs = 15_000;

/** Events that a slow subscriber may lag behind; older ones are dropped. */
export const eventBufferMax = 64;

/** Until a TLS handshake is over. */
export const handshakeTimeoutMs = 10_000;

/** How often the certificate's files are looked at. */
export const tlsReloadIntervalMs = 2_000;

/** How long browsers remember that a host speaks TLS, seconds. */
export const hstsMaxAgeSeconds = 365 * 86_400;
