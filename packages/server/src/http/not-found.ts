import type { Operation } from "@stacyvm/contract";
import type { FastifyReply, FastifyRequest } from "fastify";

interface PathMethods {
  readonly pattern: RegExp;
  readonly methods: readonly string[];
}

const patternOf = (operation: Operation): string => {
  const segments = operation.path
    .split("/")
    .map((segment) => (segment.startsWith("{") ? "[^/]+" : segment.replace(/[.*+?^$()|[\]\\]/g, "\\$&")));
  return `^${segments.join("/")}${operation.trailingSlash ? "/?" : ""}$`;
};

const collect = (operations: readonly Operation[]): readonly PathMethods[] => {
  const byPattern = new Map<string, string[]>();
  for (const operation of operations) {
    const pattern = patternOf(operation);
    byPattern.set(pattern, [...(byPattern.get(pattern) ?? []), operation.method]);
  }
  return [...byPattern].map(([pattern, methods]) => ({ pattern: new RegExp(pattern), methods: methods.sort() }));
};

/** What is answered where no route is: 405 with Allow when the path has other methods, else the plain 404. */
export const createNotFound = (operations: readonly Operation[]) => {
  const paths = collect(operations);
  return (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const path = (request.raw.url ?? "").split("?", 1)[0] ?? "";
    const methods = paths.filter(({ pattern }) => pattern.test(path)).flatMap((entry) => entry.methods);
    if (methods.length > 0) {
      return reply
        .code(405)
        .header("Allow", [...new Set(methods)].join(", "))
        .send();
    }
    return reply.code(404).type("text/plain; charset=utf-8").send("404 page not found\n");
  };
};
