// Unpacks the test vectors of the age format, C2SP's CCTV, as the npm package `cctv-age` has them: each
// file to decrypt under its name, and `index.json` with what is expected of it.
//
//   age.mjs NODE_MODULES FOLDER

import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { inflateSync } from "node:zlib";

const [modules, folder] = process.argv.slice(2);
const vectors = await import(pathToFileURL(resolve(modules, "cctv-age/index.js")));

const index = [];
for (const [name, bytes] of Object.entries(vectors)) {
  const { header, file } = split(Buffer.from(bytes));
  const all = (key) => header.filter(([name]) => name === key).map(([, value]) => value);
  writeFileSync(join(folder, name), all("compressed").length > 0 ? inflateSync(file) : file);
  const [expect, payload = ""] = [...all("expect"), ...all("payload")];
  index.push({ name, expect, payload, identities: all("identity"), passphrases: all("passphrase") });
}
writeFileSync(join(folder, "index.json"), JSON.stringify(index));

// The header is lines of `key: value` and an empty one.
function split(bytes) {
  const end = bytes.indexOf("\n\n");
  const header = bytes.subarray(0, end).toString().split("\n").map((line) => line.split(/: (.*)/s));
  return { header, file: bytes.subarray(end + 2) };
}
