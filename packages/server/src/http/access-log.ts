import type { FastifyReply, FastifyRequest } from "fastify";

/** Body bytes: what was promised, else what a stream has sent. */
const sizeOf = (request: FastifyRequest, reply: FastifyReply): number =>
  Number(reply.getHeader("content-length") ?? request.served?.sentBytes ?? 0);

/** One line for each request. The path comes without its query, which may hold what callers keep private. */
export const logRequest = (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
  request.log.info(
    {
      method: request.method,
      path: (request.raw.url ?? "").split("?", 1)[0],
      status: reply.statusCode,
      size: sizeOf(request, reply),
      duration: Math.round(reply.elapsedTime * 1000) / 1000,
      request_id: request.id,
    },
    "request",
  );
  done();
};
