#!/usr/bin/env node
// A person's browser, as far as a login needs one: follows redirects and keeps cookies.
//
//   node browser.mjs URL          visits the consent URL and then the program's loopback page
//   node browser.mjs --paste URL  prints the loopback URL instead, as a person would copy it
//
// Ends with 0 if the loopback page answered 200, else with 1 and a sentence on stderr.

import { get } from 'node:http';

const paste = process.argv[2] === '--paste';
const consentUrl = process.argv[paste ? 3 : 2];
const origin = new URL(consentUrl).origin;
const cookies = new Map();

const loopbackUrl = await leaveTheServer(consentUrl);
if (paste) {
  console.log(loopbackUrl);
} else {
  await visit(loopbackUrl);
}

async function leaveTheServer(start) {
  let url = start;
  // A login and a consent are eight redirects; more than twenty are a circle.
  for (let hop = 0; hop < 20; hop += 1) {
    const response = await fetch(url, { redirect: 'manual', headers: { cookie: cookieHeader() } });
    keepCookies(response);
    const location = response.headers.get('location');
    if (!location) {
      fail(`the server stopped at ${response.status}: ${await response.text()}`);
    }
    url = new URL(location, url).href;
    if (new URL(url).origin !== origin) {
      return url;
    }
  }
  return fail('the server redirects in a circle');
}

// Not by `fetch`: what a script fetches is no visit, and the loopback page refuses it.
async function visit(url) {
  const response = await new Promise((resolve, reject) => {
    get(url, { headers: { 'sec-fetch-mode': 'navigate' } }, resolve).on('error', reject);
  });
  response.resume();
  if (response.statusCode !== 200) {
    fail(`the loopback page answered ${response.statusCode}`);
  }
}

function keepCookies(response) {
  for (const cookie of response.headers.getSetCookie()) {
    const [pair] = cookie.split(';');
    const name = pair.slice(0, pair.indexOf('='));
    const expires = /expires=([^;]+)/i.exec(cookie);
    if (expires && new Date(expires[1]) <= new Date()) {
      cookies.delete(name);
    } else {
      cookies.set(name, pair);
    }
  }
}

function cookieHeader() {
  return [...cookies.values()].join('; ');
}

function fail(sentence) {
  console.error(`browser: ${sentence}`);
  process.exit(1);
}
