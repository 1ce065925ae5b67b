#!/usr/bin/env node
// A person who types the code of a device, as far as a login needs one: opens the page, sends its forms, keeps cookies.
//
//   node device.mjs ADDRESS CODE
//
// Ends with 0 once the server says that the device is logged in, else with 1 and a sentence on stderr.

const [address, code] = process.argv.slice(2);
const cookies = new Map();

let page = await visit(address);
// The code, then that it is the right one; a login and a consent go by themselves.
for (let form = 0; form < 3; form += 1) {
  const action = /<form[^>]*action="([^"]+)"/.exec(page.text)?.[1];
  if (!action) break;
  const fields = new URLSearchParams();
  for (const [input] of page.text.matchAll(/<input[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(input)?.[1];
    if (name) fields.set(name, /value="([^"]*)"/.exec(input)?.[1] ?? '');
  }
  fields.set('user_code', code);
  fields.delete('abort');
  page = await visit(new URL(action, page.url).href, fields);
}
if (!/Sign-in Success/.test(page.text)) {
  console.error(`the server says: ${page.text.slice(0, 2000)}`);
  process.exit(1);
}

async function visit(start, form) {
  let [url, body] = [start, form];
  for (let hop = 0; hop < 20; hop += 1) {
    const headers = { cookie: [...cookies.values()].join('; ') };
    const response = await fetch(url, { method: body ? 'POST' : 'GET', body, headers, redirect: 'manual' });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair] = cookie.split(';');
      cookies.set(pair.slice(0, pair.indexOf('=')), pair);
    }
    const location = response.headers.get('location');
    if (!location) return { url, text: await response.text() };
    [url, body] = [new URL(location, url).href, undefined];
  }
  throw new Error('the server redirects in a circle');
}
