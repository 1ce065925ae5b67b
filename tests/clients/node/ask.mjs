// Asks google-auth-library for a token, once for each line of standard input.
import { createInterface } from "node:readline";
import { GoogleAuth } from "google-auth-library";

const scopes = process.argv.slice(2);
const auth = new GoogleAuth({ scopes: scopes.length > 0 ? scopes : undefined });

for await (const _ of createInterface({ input: process.stdin })) {
  try {
    console.log("token", await auth.getAccessToken());
  } catch (error) {
    console.log("error", error.message.replace(/\s+/g, " "));
  }
}
