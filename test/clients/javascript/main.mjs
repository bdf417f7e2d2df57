import * as sdk from "stacyvm";
import { drive } from "./drive.js";

const [url, apiKey] = process.argv.slice(2);
console.log(JSON.stringify(await drive(sdk, { url, apiKey })));
