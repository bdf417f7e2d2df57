const sdk = require("stacyvm");

const [url, apiKey] = process.argv.slice(2);
import("./drive.js").then(async ({ drive }) => console.log(JSON.stringify(await drive(sdk, { url, apiKey }))));
