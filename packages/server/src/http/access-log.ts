import type { FastifyReply, FastifyRequest } from "fastify";

/** Body bytes where they are known, else what the connection sent. */
const sizeOf = (reply: FastifyReply): number => Number(reply.getHeader("content-length") ?? 0);

/** One line for each request. The path comes without its query, which may hold what callers keep private. */
export const logRequest = (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
  request.log.info(
    {
      method: request.method,
      path: (request.raw.url ?? "").split("?", 1)[0],
      status: reply.statusCode,
      size: sizeOf(reply),
      duration: Math.round(reply.elapsedTime * 1000) / 1000,
      request_id: request.id,
    },
    "request",
  );
  done();
};
