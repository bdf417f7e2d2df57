import fc from "fast-check";
import { expect, test } from "vitest";
import { parseRule, RuleError } from "./network-rule.ts";

test.each([
  ["api.example.com", { host: "api.example.com", ports: [] }],
  ["API.Example.COM.:443", { host: "api.example.com", ports: [[443, 443]] }],
  [
    "*.example.com:80,8000-8100",
    {
      host: "*.example.com",
      ports: [
        [80, 80],
        [8000, 8100],
      ],
    },
  ],
  ["localhost", { host: "localhost", ports: [] }],
  ["_dmarc.example.com", { host: "_dmarc.example.com", ports: [] }],
  ["bücher.example", { host: "xn--bcher-kva.example", ports: [] }],
  ["*.Bücher.example:1", { host: "*.xn--bcher-kva.example", ports: [[1, 1]] }],
  ["203.0.113.7", { cidr: "203.0.113.7/32", ports: [] }],
  ["203.0.113.0/24:65535", { cidr: "203.0.113.0/24", ports: [[65_535, 65_535]] }],
  ["0.0.0.0/0", { cidr: "0.0.0.0/0", ports: [] }],
  ["2001:db8::1", { cidr: "2001:db8::1/128", ports: [] }],
  ["2001:db8::/32", { cidr: "2001:db8::/32", ports: [] }],
  ["[2001:db8::/32]:443", { cidr: "2001:db8::/32", ports: [[443, 443]] }],
  ["[::1]", { cidr: "::1/128", ports: [] }],
  ["inspect api.example.com", { host: "api.example.com", ports: [], inspect: true }],
  [
    "GET,HEAD *.Example.com:443",
    { host: "*.example.com", ports: [[443, 443]], inspect: true, methods: ["GET", "HEAD"] },
  ],
  ["api.example.com/v1/*", { host: "api.example.com", ports: [], inspect: true, paths: ["/v1/*"] }],
  [
    "POST api.example.com:443/v1/a:b",
    { host: "api.example.com", ports: [[443, 443]], inspect: true, methods: ["POST"], paths: ["/v1/a:b"] },
  ],
])("a rule is read: %s", (text, rule) => {
  expect(parseRule(text)).toEqual({ text, ...rule });
});

test.each([
  ["", 1, "is empty"],
  ["a b", 1, 'neither "inspect" nor methods'],
  ["GET a b", 6, "character"],
  ["GET ", 5, "is empty"],
  ["get api.example.com", 1, "nor methods"],
  ["GET,, api.example.com", 1, "nor methods"],
  ["GET 203.0.113.0/24", 1, "only what is said with a host"],
  ["inspect [2001:db8::1]:443", 1, "only what is said with a host"],
  ["GET api.example.com:0/x", 21, "is no port"],
  ["GET api.example.com/a?b", 22, "without a query"],
  ["api.example.com/%2e", 17, "written decoded"],
  ["203.0.113.7:80/x", 1, "only what is said with a host"],
  ["a\u0000b", 2, "character"],
  ["https://example.com", 1, "leave https:// out"],
  ["example.com:", 13, "is no port"],
  ["example.com:0", 13, "is no port"],
  ["example.com:65536", 13, "is no port"],
  ["example.com:443,", 17, "is no port"],
  ["example.com:90-80", 13, "is no port"],
  ["example.com:https", 13, "is no port"],
  ["a:1:2", 2, "more than one colon"],
  ["[2001:db8::1", 13, "no ]"],
  ["[2001:db8::1]443", 14, "after ]"],
  ["[::1]:x", 7, "is no port"],
  ["203.0.113.0/33", 12, "from 0 to 32"],
  ["203.0.113.0/", 12, "from 0 to 32"],
  ["203.0.113.0/8/8", 12, "from 0 to 32"],
  ["2001:db8::/129", 11, "from 0 to 128"],
  ["203.0.113", 1, "write all four numbers"],
  ["0x7f000001", 1, "write all four numbers"],
  ["\u2460", 1, "write all four numbers"],
  ["\uff11\uff12\uff17.0.0.1", 1, "write all four numbers"],
  ["api.example.443", 1, "write all four numbers"],
  ["2130706433", 1, "write all four numbers"],
  ["0177.0.0.1", 1, "write all four numbers"],
  ["8000-8100", 1, "write all four numbers"],
  ["*", 1, "stands alone as the first label"],
  ["a.*.example.com", 3, "stands alone as the first label"],
  ["*.*.example.com", 3, "stands alone as the first label"],
  ["*example.com", 1, "stands alone as the first label"],
  ["-a.example.com", 1, "neither a host name"],
  [`${"a".repeat(64)}.example`, 1, "neither a host name"],
  [`${"a.".repeat(127)}example`, 1, "neither a host name"],
  ["a..b", 1, "neither a host name"],
  ["example.com:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", 13, "more than 16"],
])("a rule that can't be read is refused with its column: %j", (text, column, message) => {
  expect(() => parseRule(text)).toThrow(RuleError);
  expect(() => parseRule(text)).toThrow(new RegExp(`^column ${column}: .*`, "s"));
  expect(() => parseRule(text)).toThrow(message);
});

test("whatever is written, a rule is read the same way twice, or refused with a column that it has", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "grapheme" }), fc.ipV4(), fc.ipV6(), fc.domain(), fc.webUrl()), (text) => {
      let rule: ReturnType<typeof parseRule>;
      try {
        rule = parseRule(text);
      } catch (error) {
        expect(error).toBeInstanceOf(RuleError);
        const column = Number(/^column (\d+): /.exec((error as Error).message)?.[1]);
        expect(column).toBeGreaterThanOrEqual(1);
        expect(column).toBeLessThanOrEqual(text.length + 1);
        return;
      }
      const target = rule.host ?? (rule.cidr?.includes(":") ? `[${rule.cidr}]` : rule.cidr);
      // What stands before and behind the target is no part of it: ports, methods, a path.
      const { inspect: _, methods: __, paths: ___, ...party } = rule;
      expect({ ...parseRule(`${target}`), text }).toEqual({ ...party, ports: [] });
    }),
    { numRuns: 500 },
  );
});
