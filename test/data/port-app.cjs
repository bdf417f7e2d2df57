// An app that a sandbox runs: it tells what it was asked, and answers as its path says.
const { createHash } = require("node:crypto");
const http = require("node:http");
const net = require("node:net");

const port = Number(process.argv[2]);
let gone = 0;

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url.replace(/^\/+/, "/"), "http://app");
  if (pathname === "/hash") {
    const hash = createHash("sha256");
    request.on("data", (part) => hash.update(part)).on("end", () => response.end(hash.digest("hex")));
  } else if (pathname === "/zeros") {
    response.writeHead(200, { "Content-Type": "application/octet-stream" });
    let left = 320;
    const send = () => {
      while (left-- > 0) if (!response.write(Buffer.alloc(65536))) return response.once("drain", send);
      response.end();
    };
    send();
  } else if (pathname === "/events") {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write("data: first\n\n");
    response.on("close", () => gone++);
  } else if (pathname === "/gone") response.end(String(gone));
  else if (pathname === "/cut") {
    response.writeHead(200, { "Content-Length": 1000 });
    response.write("short", () => request.socket.destroy());
  } else if (pathname === "/long-head") response.writeHead(200, { "X-Long": "x".repeat(100_000) }).end();
  else if (pathname === "/in-our-name") {
    response.writeHead(418, {
      "Set-Cookie": ["session=1", "admin=1; Path=/"],
      "Content-Security-Policy": "default-src *",
      "Access-Control-Allow-Origin": "https://evil.example",
      "Access-Control-Allow-Credentials": "true",
      "Strict-Transport-Security": "max-age=1",
      Connection: "X-Mine, close",
      "X-Mine": "1",
      "X-Kept": "yes",
      "Content-Type": "text/html",
    });
    response.end("<script>1</script>");
  } else {
    const parts = [];
    request.on("data", (part) => parts.push(part)).on("end", () => {
      const { method, url, headers } = request;
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(parts).toString() }));
    });
  }
});
server.on("upgrade", (request, socket, head) => {
  if (request.url === "/refuses") return socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: mine\r\n\r\n");
  socket.write(`${request.headers["sec-websocket-key"]} ${Object.keys(request.headers).sort().join(" ")}\n`);
  socket.write(head);
  socket.pipe(socket);
});
server.listen(port, "127.0.0.1");
// Speaks no HTTP.
net.createServer((socket) => socket.end("SSH-2.0-none\r\n")).listen(port + 1, "::1");
