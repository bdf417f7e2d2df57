/** What `javascript/drive.js` tells wherever the client works. */
export const driven = {
  state: "running",
  exec: { exit_code: 3, stdout: "it's é\n", stderr: "err\n" },
  argv: "$HOME|a b|",
  raw: [255, 0, 128],
  streamed: {
    chunks: [
      ["stdout", "a"],
      ["stderr", "b"],
    ],
    exit_code: 5,
  },
  left: true,
  bytes: true,
  stream: true,
  range: [254, 255],
  text: "grüße\n",
  stat: { path: "/workspace/bytes.bin", size: 256, mode: "0600" },
  listed: ["/workspace/d/text é.txt"],
  cursor: true,
  found: 2,
  leftOver: 1,
  errors: [
    ["SandboxNotFoundError", "NOT_FOUND", "sandbox_not_found"],
    ["SandboxNotFoundError", "NOT_FOUND", "file_not_found"],
    ["StacyVMError", "TIMEOUT", "exec_timeout"],
    ["ConnectionError", "CONNECTION_ERROR", null],
  ],
  isNotFound: true,
  requestId: true,
  stopped: "Error: enough",
};
