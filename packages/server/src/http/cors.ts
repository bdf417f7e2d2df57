import type { FastifyReply, FastifyRequest } from "fastify";

const methods = "GET, POST, PUT, PATCH, DELETE, OPTIONS";
const headers =
  "Content-Type, X-API-Key, X-Admin-API-Key, X-Request-ID, X-User-ID, X-Tenant-ID, X-Project-ID, Authorization, Upload-Offset, Idempotency-Key";
/** What a page may read beside the body: without the cursor a list would seem to end with its first page. */
const exposed =
  "X-Request-ID, X-Next-Cursor, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, ETag, Content-Range, " +
  "Content-Disposition, Upload-Offset, X-StacyVM-Security, Idempotency-Replayed";

/** Writes the CORS headers of a configuration. An empty list, or `*` in it, allows every origin (without credentials). */
export const createCors = (allowedOrigins: readonly string[]) => {
  const wildcard = allowedOrigins.length === 0 || allowedOrigins.includes("*");
  return {
    /** Sets the headers and tells whether the origin is allowed. */
    apply(request: FastifyRequest, reply: FastifyReply): boolean {
      const { origin } = request.headers;
      reply
        .header("Access-Control-Allow-Methods", methods)
        .header("Access-Control-Allow-Headers", headers)
        .header("Access-Control-Expose-Headers", exposed);
      if (wildcard) {
        reply.header("Access-Control-Allow-Origin", "*");
        return true;
      }
      if (origin === undefined) return true;
      reply.header("Vary", "Origin");
      if (!allowedOrigins.includes(origin)) return false;
      reply.header("Access-Control-Allow-Origin", origin);
      return true;
    },
  };
};

export type Cors = ReturnType<typeof createCors>;
